"""The joining of pairs, with a byte-level tokenizer made here and with GPT-2's where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data import encoding
from bench.data.encoding import (
    compute_mean_lengths,
    encode_framed,
    encode_pairs,
    encode_source,
    encode_sources,
    encode_target,
    fit_pairs,
)
from bench.errors import DataError
from bench.mini import mini_model_dir
from bench.models.loading import load_tokenizer
from tasks._triples import TripleEntry
from tasks.webnlg import linearise

END = "<|endoftext|>"


def byte_tokenizer(eos: str | None = END) -> Any:
    """GPT-2's tokenizer without merges: one token per byte, 256 the end of text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({**{c: n for n, c in enumerate(alphabet)}, END: 256}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token=eos)


@pytest.fixture(scope="module")
def bytewise() -> Any:
    return byte_tokenizer()


@pytest.fixture(scope="module")
def gpt2(shared: Path) -> Any:
    from bench.models.tokenizers import find_tokenizer

    return find_tokenizer(shared / "tokenizers" / "gpt2")


def test_frame(bytewise: Any) -> None:
    blank = bytewise.convert_tokens_to_ids("Ġ")
    a, b = bytewise.convert_tokens_to_ids(["a", "b"])
    assert encode_source(bytewise, "ab") == [blank, a, b, blank, 256]
    assert encode_target(bytewise, "b ") == [blank, b, blank, blank, 256]
    assert encode_sources(bytewise, []) == []


def test_a_literal_end_of_text_is_only_text(bytewise: Any) -> None:
    ids = encode_source(bytewise, f"a {END} b")
    assert ids.index(256) == len(ids) - 1
    assert bytewise.decode(ids[:-1]) == f" a {END} b "
    # What was done for these calls changes nothing for others.
    assert bytewise(END, add_special_tokens=False)["input_ids"] == [256]


def test_no_end_of_text(bytewise: Any) -> None:
    with pytest.raises(DataError, match="no end-of-text token; expected"):
        encode_source(byte_tokenizer(None), "a")


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=6))
@settings(deadline=None)
def test_batches_equal_single_texts(texts: list[str]) -> None:
    tokenizer = TOKENIZER
    assert encode_sources(tokenizer, texts) == [encode_source(tokenizer, text) for text in texts]
    for ids, text in zip(encode_sources(tokenizer, texts), texts, strict=True):
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == f" {text} {END}"
        assert ids.count(256) == 1


TOKENIZER = byte_tokenizer()
MINI_BART = load_tokenizer(mini_model_dir("mini-bart"))


@pytest.mark.parametrize(
    ("room", "expected", "cut"),
    [
        (7, [([1, 2, 0], [3, 4, 5, 0]), ([1, 0], [6, 0])], 0),
        (6, [([1, 2, 0], [3, 4, 5]), ([1, 0], [6, 0])], 1),
        (4, [([1, 2, 0], [3]), ([1, 0], [6, 0])], 1),
    ],
)
def test_fit(room: int, expected: list[object], cut: int) -> None:
    pairs = [([1, 2, 0], [3, 4, 5, 0]), ([1, 0], [6, 0])]
    assert fit_pairs(pairs, room) == (expected, cut)
    assert pairs[0][1] == [3, 4, 5, 0]


def test_no_room_for_a_target() -> None:
    with pytest.raises(DataError, match=r"row 2: its source has 3 tokens.*expected fewer than 3"):
        fit_pairs([([1, 0], [6, 0]), ([1, 2, 0], [3, 0])], 3)


def test_pairs(bytewise: Any) -> None:
    whole, cut = encode_pairs(bytewise, ["a", "bc"], ["d", "e"])
    assert ([len(source) for source, _ in whole], cut) == ([4, 5], 0)
    shorter, cut = encode_pairs(bytewise, ["a", "bc"], ["d", "e"], room=8)
    assert ([len(target) for _, target in shorter], cut) == ([4, 3], 1)
    assert compute_mean_lengths(whole) == (3.5, 5.0)
    assert compute_mean_lengths([]) == (0.0, 0.0)


def test_gpt2_sees_what_the_authors_trained_on(gpt2: Any) -> None:
    entry = TripleEntry("Id1", "Food", (("Pie", "country", "Kymria"),), (), "here")
    source = encode_source(gpt2, linearise(entry))
    tokens = gpt2.convert_ids_to_tokens(source)
    assert tokens[:3] == ["Ġ", "Ġ|", "ĠPie"]
    assert tokens[-2:] == ["Ġ", END]
    assert (gpt2.eos_token_id, source[-1]) == (50256, 50256)
    target = gpt2.convert_ids_to_tokens(encode_target(gpt2, "Pie is from Kymria."))
    assert target[0] == "ĠPie"
    assert target[-3:] == [".", "Ġ", END]
    e2e = gpt2.convert_ids_to_tokens(encode_target(gpt2, "It is near . "))
    assert e2e[-4:] == ["Ġ.", "Ġ", "Ġ", END]


def test_apart_equals_joined(gpt2: Any) -> None:
    source, target = ' | A_b : is : "c d"', "It 's £ 20 - 25 . "
    joined = gpt2(f" {source} {END} {target} {END}", add_special_tokens=False)["input_ids"]
    assert encode_source(gpt2, source) + encode_target(gpt2, target) == joined


def test_a_long_text_warns_of_nothing(gpt2: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert len(encode_source(gpt2, "word " * 2_000)) > 2_000
    assert not caplog.records


@pytest.fixture(scope="module")
def barts() -> Any:
    from byte_tokens import byte_tokenizer

    return byte_tokenizer(
        ["<s>", "<pad>", "</s>", "<unk>"],
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def test_framed(barts: Any) -> None:
    """Nothing but <s> and </s>: no blank before, none after; cut texts keep </s>."""
    (whole, cut), lost = encode_framed(barts, ["ab", "abcd"], 4)
    assert barts.convert_ids_to_tokens(whole) == ["<s>", "a", "b", "</s>"]
    assert barts.convert_ids_to_tokens(cut) == ["<s>", "a", "b", "</s>"]
    assert lost == [False, True]
    assert encode_framed(barts, [], 9) == ([], [])
    assert encode_framed(barts, [""], 9) == ([[0, 2]], [False])


def test_framed_text_is_only_text(barts: Any) -> None:
    [[*ids]], _ = encode_framed(barts, ["a</s><s>b<pad>"], 50)
    assert (ids.count(0), ids.count(1), ids.count(2)) == (1, 0, 1)
    assert barts.decode(ids, skip_special_tokens=True) == "a</s><s>b<pad>"


def test_a_tokenizer_without_bos_cannot_frame() -> None:
    with pytest.raises(DataError, match="no <s> and </s>; expected BART's tokenizer"):
        encode_framed(byte_tokenizer(), ["a"], 9)


TEXTS = st.text(st.sampled_from("ab '\n\t\xa0\u3000\x1f\x85.,1é😀́</s>-"), max_size=60)


@given(
    st.lists(TEXTS | st.text(st.characters(codec="utf-8"), max_size=60), max_size=6),
    st.integers(3, 12),
)
@settings(max_examples=500)
def test_framing_is_tokenising_everything_and_then_cutting(texts: list[str], longest: int) -> None:
    whole = [
        MINI_BART(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] for text in texts
    ]
    first, last = MINI_BART.bos_token_id, MINI_BART.eos_token_id
    framed, cut = encode_framed(MINI_BART, texts, longest)
    assert framed == [[first, *ids[: longest - 2], last] for ids in whole]
    assert cut == [len(ids) > longest - 2 for ids in whole]


def test_a_long_text_is_not_tokenised_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    characters = []
    real = encoding._tokenize
    monkeypatch.setattr(
        encoding,
        "_tokenize",
        lambda tokenizer, texts: characters.append(sum(map(len, texts))) or real(tokenizer, texts),
    )
    texts = [f"{number} " + "zyx wvu " * 5_000 for number in range(20)]
    assert all(len(ids) == 50 for ids in encode_framed(MINI_BART, texts, 50)[0])
    assert sum(characters) < 20 * 500


def test_texts_are_tokenised_some_at_a_time(bytewise: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["abc", "d" * 50, "e", "", "fg" * 4]
    expected = encode_sources(bytewise, texts)
    monkeypatch.setattr(encoding, "BATCH_CHARACTERS", 8)
    assert [len(batch) for batch in encoding._batches(texts)] == [1, 1, 2, 1]
    assert encode_sources(bytewise, texts) == expected
