"""TER: hand-counted edits, a plain re-statement on texts that are full of ties, and tercom's own values."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_outputs import DART, WEBNLG, read

from bench.metric import NoReferenceError, format_signature
from bench.metrics import ter
from bench.metrics.ter import edit_path
from benchmarks.ter import Limits, plain_edits, table


def edits(hypothesis: str, reference: str) -> int:
    ter.count_edits.cache_clear()  # limits differ between tests
    return ter.count_edits(hypothesis, reference)


def numbered(letter: str, count: int) -> str:
    return " ".join(f"{letter}{number}" for number in range(count))


@pytest.mark.parametrize(
    ("hypothesis", "references", "wanted_edits", "length"),
    [
        ("the cat sat", ["the cat sat"], 0, 3),
        ("the dog sat", ["the cat sat"], 1, 3),
        ("the big cat sat", ["the cat sat"], 1, 3),
        ("the sat", ["the cat sat"], 1, 3),
        # A pair that swapped is one shift, not two word edits; so is a block, of whatever length up to ten.
        ("cat the sat", ["the cat sat"], 1, 3),
        ("on the mat the cat sat", ["the cat sat on the mat"], 1, 6),
        (f"{numbered('b', 15)} {numbered('a', 10)}", [f"{numbered('a', 10)} {numbered('b', 15)}"], 1, 25),
        (f"{numbered('b', 15)} {numbered('a', 11)}", [f"{numbered('a', 11)} {numbered('b', 15)}"], 2, 26),
        # A word moves by 50 words, not by 51: then it is deleted here and inserted there.
        (f"last {numbered('a', 50)}", [f"{numbered('a', 50)} last"], 1, 51),
        (f"last {numbered('a', 51)}", [f"{numbered('a', 51)} last"], 2, 52),
        # A shift, and a word edit that is left.
        ("d e f a b c x", ["a b c d e f"], 2, 6),
        # Two shifts would do, but the first of them alone saves nothing, so it is not made.
        ("e f c d a b", ["a b c d e f"], 4, 6),
        # The nearest reference, the average length; blank references do not count, nor does a fourth.
        ("the cat", ["the cat sat down", "the dog"], 1, 3),
        ("the cat", ["the cat sat down", "", " "], 2, 4),
        ("the cat", ["a", "b b", "c c c", "the cat"], 2, 2),
        ("", ["the cat sat", "the cat"], 2, 2.5),
        # Case does not matter; points and apostrophes are words.
        ("The CAT's hat.", ["the cat ' s hat ."], 0, 6),
    ],
)
@pytest.mark.parametrize("scorer", [ter.score_webnlg, ter.score_dart])
def test_hand_counted(
    scorer: object, hypothesis: str, references: list[str], wanted_edits: int, length: float
) -> None:
    assert callable(scorer)
    measured = scorer([hypothesis], [references])
    assert measured.segments == {"ter_edits": [wanted_edits], "ter_reflen": [length]}
    assert measured.value == wanted_edits / length


@pytest.mark.parametrize("blanks", [[], [""], [" ", "\u200b", "\0"]])
def test_an_item_with_blank_references_alone_has_none(blanks: list[str]) -> None:
    """tercom stops at it. What the transliteration leaves nothing of is blank too."""
    with pytest.raises(NoReferenceError) as caught:
        ter.score_webnlg(["a", "b", "c"], [["a"], blanks, blanks])
    assert caught.value.items == (2, 3)


def test_the_corpus_value_is_a_ratio_of_sums() -> None:
    measured = ter.score_dart(["the dog sat", "a b", ""], [["the cat sat"], ["a b", "a b c d"], ["x"]])
    assert measured.segments == {"ter_edits": [1, 0, 1], "ter_reflen": [3, 3, 1]}
    assert measured.value == pytest.approx(2 / 7, abs=1e-15)
    assert "tercom-0.7.25" in format_signature(measured.signature)
    assert "blank-refs:skipped" in format_signature(measured.signature)


def test_what_the_tasks_prepare_differently() -> None:
    """WebNLG goes to ASCII and tercom lower-cases what comes of it; DART keeps the letters as they are."""
    assert ter.score_webnlg(["cafe 5 mhz"], [["Café 5 ㎒"]]).value == 0
    assert ter.score_dart(["cafe"], [["café"]]).value == 1


def test_the_beam_keeps_a_good_start_even_if_it_ends_badly() -> None:
    """Fifty words repeated in front: matching them first leads by 40 and loses by 20 later.

    Dropping the 50 is the cheapest way, but after them it is 50 behind 10 (which skip to the copy), further
    than the beam looks. Within it: 10 words missed, 50 matched, 60 inserted, 40 matched.
    """
    reference = [chr(number) for number in range(100, 200)]
    hypothesis = "".join(reference[10:60] + reference)
    assert edit_path.find_path(hypothesis, "".join(reference)).edits == 70
    with patch.object(edit_path, "BEAM", 60):
        assert edit_path.find_path(hypothesis, "".join(reference)).edits == 50


@st.composite
def texts(draw: st.DrawFn, longest: int) -> tuple[list[str], list[str]]:
    """A reference of few different words; a hypothesis that is made of it, block by block, or unrelated."""
    letters = st.sampled_from("abcdefgh"[: draw(st.integers(1, 8))])
    reference = draw(st.lists(letters, min_size=1, max_size=longest))
    words = draw(st.lists(st.one_of(letters, st.just("x")), max_size=longest))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(reference)))
        to = draw(st.integers(0, len(words)))
        words[to:to] = reference[start : start + draw(st.integers(1, 12))]
    return words[: 2 * longest], reference


@settings(max_examples=400, deadline=None)
@given(texts(14))
def test_a_plain_restatement_gives_the_same(pair: tuple[list[str], list[str]]) -> None:
    words, reference = pair
    assert edits(" ".join(words), " ".join(reference)) == plain_edits(words, reference)


@settings(max_examples=400, deadline=None)
@given(texts(12), st.integers(0, 4), st.integers(1, 8), st.integers(1, 4))
def test_a_plain_restatement_gives_the_same_within_narrow_limits(
    pair: tuple[list[str], list[str]], beam: int, far: int, most: int
) -> None:
    """Limits that cut on short texts, so that the ways around the bit table and its bounds are all taken."""
    words, reference = pair
    with (
        patch.multiple(ter, BEAM=beam, MAX_DISTANCE=far, MAX_WORDS=most),
        patch.object(edit_path, "BEAM", beam),
    ):
        found = edits(" ".join(words), " ".join(reference))
    assert found == plain_edits(words, reference, Limits(beam, far, most))


@settings(max_examples=600, deadline=None)
@given(texts(12), st.sampled_from([0, 1, 2, 3, 20]))
def test_every_step_of_the_path_is_that_of_a_plain_table(
    pair: tuple[list[str], list[str]], beam: int
) -> None:
    words, reference = "".join(pair[0]), "".join(pair[1])
    with patch.object(edit_path, "BEAM", beam):
        path = edit_path.find_path(words, reference)
    wanted_edits, steps = table(words, reference, Limits(beam))
    passed, place = 0, []
    for step in steps:
        passed += step != "D"
        if step != "I":
            place.append(passed - 1)
    assert path.edits == wanted_edits
    assert list(path.wrong) == [step != "=" for step in steps if step != "D"]
    assert list(path.missed) == [step != "=" for step in steps if step != "I"]
    assert path.alignment == place


@settings(max_examples=15, deadline=None)
@given(texts(45))
def test_a_plain_restatement_gives_the_same_on_long_texts(pair: tuple[list[str], list[str]]) -> None:
    words, reference = pair
    assert edits(" ".join(words), " ".join(reference)) == plain_edits(words, reference)


def test_very_long_texts_are_compared_without_shifts() -> None:
    with patch.object(ter, "LONGEST", 5):
        assert edits("d e a b c", "a b c d e") == 1
        assert edits("d e f a b c", "a b c d e f") == 6
        assert edits("", "a b c d e f") == 6
    ter.count_edits.cache_clear()


REFERENCES = ["The cat sat on the mat, and it slept.", "A cat's nap on a mat."]


@pytest.mark.parametrize(
    "text",
    [
        "the cat sat on the mat " * 43_500,
        "on mat the cat sat the" + " junk" * 19_000,
        "!" * 1_000_000,
        "w" * 1_000_000,
        "é\u0301 " * 333_000,
        "\0" * 1_000_000,
    ],
    ids=["repeated", "just below the limit", "points", "one word", "combining", "nul"],
)
def test_a_runaway_output_is_scored(text: str) -> None:
    for scorer in (ter.score_webnlg, ter.score_dart):
        assert scorer([text, "the cat"], [REFERENCES, ["the cat"]]).value > 0


@pytest.mark.parametrize("mark", ["\r\n", "\n", "\u2028", "\u0085", "\x1c", "\t", "\u00a0", " \0"])
def test_no_mark_splits_a_segment(mark: str) -> None:
    """Marks between words are blanks; NUL is a character, but none at the ends of a text."""
    for scorer in (ter.score_webnlg, ter.score_dart):
        measured = scorer([f"the cat{mark}", f"{mark}the cat"], [["the cat"], [f"the cat{mark}", mark]])
        assert list(measured.segments["ter_edits"]) == [0, 0]


@pytest.mark.parametrize("case", [*WEBNLG, *DART])
def test_every_segment_is_tercoms_on_real_outputs(case: str, shared: Path) -> None:
    real = read(shared, case)
    scorer = ter.score_dart if case in DART else ter.score_webnlg
    measured = scorer(*real.texts)
    assert sum(measured.segments["ter_edits"]) == real.scores["TER"]["edits"]
    assert measured.value == pytest.approx(real.scores["TER"]["value"], abs=1e-12)
    assert real.segments["TER_edits"] == list(measured.segments["ter_edits"])
    assert real.segments["TER_reflen"] == list(measured.segments["ter_reflen"])
