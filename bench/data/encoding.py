"""From a pair of texts to token ids, as the authors' code joins them for decoder-only models, and as it
frames them for encoder-decoders (`frame`: ``<s> text </s>`` on either side, cut at a number of tokens).

For decoder-only models one training sequence is: one blank, the source, one blank, BOS, one blank, the
target, one blank, EOS, where BOS and EOS are the same token, GPT-2's ``<|endoftext|>``. Nothing is
stripped. The blanks matter: the source ends with a lone ``Ġ`` before BOS, a target with a lone ``Ġ``
before EOS (E2E's with two, because its lines end with a blank of their own), and the model is trained to
write them. A prompt for decoding is the same up to and including BOS. Both protocols join in this way;
they differ in the linearisation and in decoding.

One deliberate deviation: the text itself is tokenised with special tokens split, so a literal
``<|endoftext|>`` (or ``</s>``) inside a data file is spelled out in ordinary tokens. In the authors' code
it would end the text, or move the boundary between source and target. The published files have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bench.errors import DataError, UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Pair = tuple[list[int], list[int]]
"""Token ids of a source (ending with BOS; framed: EOS) and of its target (ending with EOS)."""


def separator(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that serves as BOS and as EOS."""
    token = tokenizer.eos_token_id
    if not isinstance(token, int):
        raise DataError(
            f"the tokenizer {tokenizer.name_or_path!r} has no end-of-text token; "
            "expected GPT-2's <|endoftext|>"
        )
    return token


def encode_source(tokenizer: PreTrainedTokenizerBase, source: str) -> list[int]:
    """Token ids of ``source`` up to and including BOS: a training source and a prompt alike."""
    return encode_sources(tokenizer, [source])[0]


def encode_target(tokenizer: PreTrainedTokenizerBase, target: str) -> list[int]:
    """Token ids of ``target`` after BOS, up to and including EOS."""
    return encode_targets(tokenizer, [target])[0]


def encode_sources(tokenizer: PreTrainedTokenizerBase, sources: Iterable[str]) -> list[list[int]]:
    """`encode_source` for many; equal texts are tokenised once."""
    return _encode(tokenizer, sources)


def encode_targets(tokenizer: PreTrainedTokenizerBase, targets: Iterable[str]) -> list[list[int]]:
    """`encode_target` for many; equal texts are tokenised once."""
    return _encode(tokenizer, targets)


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase,
    sources: Sequence[str],
    targets: Sequence[str],
    room: int | None = None,
) -> tuple[list[Pair], int]:
    """Pairs of ids, and how many targets had to be cut to fit in ``room`` positions (see `fit`)."""
    pairs = list(zip(encode_sources(tokenizer, sources), encode_targets(tokenizer, targets), strict=True))
    return (pairs, 0) if room is None else fit(pairs, room)


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> list[list[int]]:
    """Source and target are framed alike: a blank before and after, then the one special token.

    The special token splits the text before it is tokenised, so that the two sides can be tokenised
    apart: together they give the sequence that the joined string would give.
    """
    texts = list(texts)
    end = separator(tokenizer) if texts else 0
    return [[*ids, end] for ids in _plain(tokenizer, [f" {text} " for text in texts])]


def _plain(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Ids of the texts as they are, without special tokens; equal texts are tokenised once."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return []
    encoded = tokenizer(
        distinct,
        add_special_tokens=False,
        split_special_tokens=True,
        return_attention_mask=False,
        verbose=False,  # too long a text is reported by `fit` or `frame`, not warned of here
    )["input_ids"]
    ids = dict(zip(distinct, encoded, strict=True))
    return [ids[text] for text in texts]


def frame(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int
) -> tuple[list[list[int]], list[bool]]:
    """``<s> text </s>`` of each text, at most ``longest`` tokens, and which of them lost something.

    Authors' code: nothing is put before or after the text, not even a blank; a long text is cut and
    ``</s>`` stays.
    """
    first, last = tokenizer.bos_token_id, tokenizer.eos_token_id
    if first is None or last is None:
        raise DataError(
            f"the tokenizer {tokenizer.name_or_path!r} has no <s> and </s>; expected BART's tokenizer"
        )
    plain = _plain(tokenizer, texts)
    room = longest - 2
    return [[first, *ids[:room], last] for ids in plain], [len(ids) > room for ids in plain]


def fit(pairs: Sequence[Pair], room: int) -> tuple[list[Pair], int]:
    """The pairs cut to ``room`` positions together, and how many lost something (EOS first).

    The authors cut the joined sequence from the right at the tokenizer's maximum, 1024; so it is the
    target that gets shorter. They leave no room for the prefix in that; here the caller passes the
    model's positions less the method's own, because GPT-2 has none beyond its last. A source that
    leaves no position for a target cannot be trained on and is refused. No published row comes near.
    """
    if room < 2:
        raise UserError(
            f"the method's own positions leave {max(0, room)} for source and target; expected a shorter prefix"
        )
    fitted: list[Pair] = []
    cut = 0
    for number, (source, target) in enumerate(pairs, start=1):
        left = room - len(source)
        if left < 1:
            raise DataError(
                f"row {number}: its source has {len(source):,} tokens, which leaves no room for a "
                f"target; expected fewer than {room:,}"
            )
        cut += left < len(target)
        fitted.append((source, target[:left]))
    return fitted, cut


def lengths(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Average source and target length as Table 1 counts: BOS belongs to the target.

    So a source counts its lone ``Ġ``, and a target BOS, the ``Ġ`` at its end and EOS.
    """
    if not pairs:
        return 0.0, 0.0
    source = sum(len(ids) - 1 for ids, _ in pairs) / len(pairs)
    target = sum(len(ids) + 1 for _, ids in pairs) / len(pairs)
    return source, target
