"""From generated tokens to the text that is scored: pure functions, one per protocol and kind of model.

The ``original`` protocol re-joins punctuation and English contractions as transformers 3.2 did by
default when it decoded. The tokenizers of transformers 5 ignore that option for GPT-2, so the
replacements are here. They touch only spaces before marks: ``family - friendly`` stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.task import ProtocolName

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EMPTY = "Error"
"""What the authors' code wrote in place of an empty output, so that no line of the file is blank."""

# In this order, each on the result of the one before. All lose the leading space; the lone quotation
# mark between spaces loses both.
REJOINED = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


def rejoin_punctuation(text: str) -> str:
    """Join punctuation and contractions to the word before them.

    >>> rejoin_punctuation("It is n't cheap , it 's 5 - star .")
    "It isn't cheap, it's 5 - star."
    """
    for spaced in REJOINED:
        text = text.replace(spaced, spaced.strip())
    return text


def extract_original_text(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], output: Sequence[int]
) -> str:
    """The authors' way: clean up prompt and output together, then drop the prompt by its length in characters.

    The length is that of the prompt cleaned up alone. If cleaning joins something across the border,
    characters of the output are lost or characters of the prompt stay, here as there.
    """
    whole = rejoin_punctuation(_decode_ids(tokenizer, [*prompt, *output]))
    text = whole[len(rejoin_punctuation(_decode_ids(tokenizer, prompt))) :]
    end = str(tokenizer.eos_token)
    return text.split(end, 1)[0].strip() or EMPTY


def decode_plain_text(tokenizer: PreTrainedTokenizerBase, output: Sequence[int]) -> str:
    """The output alone without special tokens; what is empty stays empty."""
    text: str = tokenizer.decode(list(output), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.strip()


def make_output_text(
    protocol: ProtocolName,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    output: Sequence[int],
) -> str:
    """The text to score, by the protocol's own way."""
    if protocol == "original":
        return extract_original_text(tokenizer, prompt, output)
    return decode_plain_text(tokenizer, output)


def make_summary_text(
    protocol: ProtocolName, tokenizer: PreTrainedTokenizerBase, output: Sequence[int]
) -> str:
    """The text of an encoder-decoder's output or label: special tokens left out, stripped.

    ``original`` re-joins punctuation as above (authors' code: their reading of outputs and labels alike).
    What is empty stays empty.
    """
    text: str = tokenizer.decode(list(output), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return (rejoin_punctuation(text) if protocol == "original" else text).strip()


def _decode_ids(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text
