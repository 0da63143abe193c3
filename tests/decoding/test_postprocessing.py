"""Text from tokens, by tables of cases."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

import bench.decoding.postprocessing
from bench.decoding.postprocessing import (
    decode_plain_text,
    extract_original_text,
    make_output_text,
    make_summary_text,
    rejoin_punctuation,
)

END = "<|endoftext|>"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    """Byte by byte as GPT-2's, without merges: every text has its tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({END: 0, **{c: n + 1 for n, c in enumerate(alphabet)}}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(END, normalized=False, special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=END, bos_token=END)


def ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("A pub .", "A pub."),
        ("One , two ; three ?", "One, two ; three?"),
        ("Stop !", "Stop!"),
        ("It is n't , I 'm , it 's , they 've , we 're", "It isn't, I'm, it's, they've, we're"),
        ("isn 't", "isn 't"),  # not in the list: the training targets of E2E keep it
        ("we 'll and they 'd", "we 'll and they 'd"),
        ("the ' Eagle ' pub", "the'Eagle'pub"),
        ("family - friendly , £ 20 - 25", "family - friendly, £ 20 - 25"),
        ("rated 3 . 5 ...", "rated 3. 5..."),
        ("two  . spaces", "two . spaces"),  # one space goes, once
        (" 's", "'s"),
        ("a ' . b", "a '. b"),  # the full stop first, and then no space is left after the mark
        ("a 'm ' s", "a'm's"),
        ("line\n. next", "line\n. next"),
    ],
)
def test_clean_up(text: str, expected: str) -> None:
    assert rejoin_punctuation(text) == expected


@pytest.mark.parametrize(
    ("prompt", "output", "expected"),
    [
        (
            f" name : Alimentum | area : city centre {END}",
            f" A pub , it 's nice . {END}",
            "A pub, it's nice.",
        ),
        # The prompt is shortened by the clean-up too, and by as much in both readings.
        (f" a . b , c ? {END}", f" Yes . {END}", "Yes."),
        (f" é : £ 20 - 25 {END}", f" Café £ 20 . {END}", "Café £ 20."),
        # Cut at the first end, whatever follows.
        (f" a {END}", f" Yes{END} no{END}", "Yes"),
        # No end: all of it.
        (f" a {END}", " Yes , but", "Yes, but"),
        # Empty in three ways.
        (f" a {END}", END, "Error"),
        (f" a {END}", f"   {END}", "Error"),
        (f" a {END}", "", "Error"),
        # Without a separator clean-up joins across the border; as many characters are lost.
        ("a ", ". b c", "b c"),
        ("a '", " b c", "c"),
        ("a ", "b", "b"),
    ],
)
def test_original(tokenizer: PreTrainedTokenizerBase, prompt: str, output: str, expected: str) -> None:
    given = ids(tokenizer, prompt), ids(tokenizer, output)
    assert extract_original_text(tokenizer, *given) == expected
    assert make_output_text("original", tokenizer, *given) == expected


def test_original_counts_characters_where_a_letter_is_split_across_the_border(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    first, second = ids(tokenizer, "é")
    # Alone, the half letter reads as one replacement character; together the two are one letter.
    assert extract_original_text(tokenizer, [first], [second, *ids(tokenizer, " x")]) == "x"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (f" A pub , it 's nice . {END}", "A pub , it 's nice ."),
        (f" Yes{END}", "Yes"),
        ("Yes", "Yes"),
        (f"  {END}", ""),
        ("", ""),
    ],
)
def test_plain(tokenizer: PreTrainedTokenizerBase, output: str, expected: str) -> None:
    tokens = ids(tokenizer, output)
    assert decode_plain_text(tokenizer, tokens) == expected
    assert make_output_text("plain", tokenizer, ids(tokenizer, f" a {END}"), tokens) == expected


def test_examples_in_the_module() -> None:
    assert doctest.testmod(bench.decoding.postprocessing).failed == 0


def test_gpt2_tokenizer(shared: Path) -> None:
    from transformers import AutoTokenizer

    gpt2 = AutoTokenizer.from_pretrained(shared / "tokenizers" / "gpt2")
    prompt = f" name : Blue Spice | eatType : coffee shop | area : city centre {END}"
    output = f" A coffee shop in the city centre area called Blue Spice , it 's family - friendly .  {END}"

    def encoded(text: str) -> Sequence[int]:
        return ids(gpt2, text)

    assert extract_original_text(gpt2, encoded(prompt), encoded(output)) == (
        "A coffee shop in the city centre area called Blue Spice, it's family - friendly."
    )
    assert decode_plain_text(gpt2, encoded(output)) == output.removesuffix(END).strip()


@pytest.mark.parametrize(
    ("output", "original", "plain"),
    [
        (f"{END} A pub , it 's nice . {END}", "A pub, it's nice.", "A pub , it 's nice ."),
        (f"{END}{END}", "", ""),
        ("Cut in the mid", "Cut in the mid", "Cut in the mid"),
    ],
)
def test_summaries(tokenizer: PreTrainedTokenizerBase, output: str, original: str, plain: str) -> None:
    """Special tokens anywhere are left out; what is empty stays empty."""
    tokens = ids(tokenizer, output)
    assert make_summary_text("original", tokenizer, tokens) == original
    assert make_summary_text("plain", tokenizer, tokens) == plain
