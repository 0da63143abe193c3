"""BLEU as each task's official script counts it, and what a blank reference does to it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from real_outputs import DART, E2E, WEBNLG, read

from bench.metric import Scorer, format_signature
from bench.metrics import _preprocess, bleu

ALL = [
    bleu.score_mteval,
    bleu.score_webnlg,
    bleu.score_webnlg_no_blank,
    bleu.score_dart,
    bleu.score_dart_no_blank,
]
CAT = "the cat sat on the mat today"
LONG = f"{CAT} and then it slept for a long time in the warm garden"


OFFICIAL = [
    *((case, bleu.score_webnlg, 1) for case in WEBNLG),
    *((case, bleu.score_dart, 1) for case in DART),
    *((case, bleu.score_mteval, 100) for case in E2E),
]
"""Case, scorer, and what to multiply with: mteval prints 0 to 1, multi-bleu 0 to 100."""


@pytest.mark.parametrize(("case", "scorer", "scale"), OFFICIAL)
def test_real_outputs_get_the_official_scripts_value(
    case: str, scorer: Scorer, scale: int, shared: Path
) -> None:
    real = read(shared, case)
    measured = scorer(*real.texts)
    assert measured.value == pytest.approx(scale * real.scores["BLEU"]["value"], abs=1e-9)
    assert "version:" in format_signature(measured.signature)


@pytest.mark.parametrize(
    ("case", "official", "honest", "difference"),
    [
        ("webnlg17-UPF-TALN/all-cat", bleu.score_webnlg, bleu.score_webnlg_no_blank, 0.0),
        ("webnlg17-Baseline/all-cat", bleu.score_webnlg, bleu.score_webnlg_no_blank, -0.86),
        ("dart-bart-large", bleu.score_dart, bleu.score_dart_no_blank, -0.96),
    ],
)
def test_blank_references_flatter_real_outputs_by_what_was_measured_elsewhere(
    case: str, official: Scorer, honest: Scorer, difference: float, shared: Path
) -> None:
    texts = read(shared, case).texts
    found = honest(*texts).value - official(*texts).value
    assert found == pytest.approx(difference, abs=0.005)


@pytest.mark.parametrize(
    ("official", "honest"),
    [(bleu.score_webnlg, bleu.score_webnlg_no_blank), (bleu.score_dart, bleu.score_dart_no_blank)],
)
@pytest.mark.parametrize("references", [[LONG], [LONG, ""], [" ", LONG, "\t"]])
def test_a_missing_reference_weakens_the_official_brevity_penalty_only(
    official: Scorer, honest: Scorer, references: list[str]
) -> None:
    """All n-grams match, so BLEU is the penalty: none for the reference of length 0, else exp(1 - 19/7)."""
    assert official([CAT], [references]).value == pytest.approx(100)
    assert honest([CAT], [references]).value == pytest.approx(100 * math.exp(1 - 19 / 7))
    assert format_signature(official([CAT], [references]).signature).endswith(
        "refs:first3|blank-refs:length0"
    )
    assert format_signature(honest([CAT], [references]).signature).endswith("refs:first3|blank-refs:omitted")


@pytest.mark.parametrize("scorer", [bleu.score_webnlg_no_blank, bleu.score_dart_no_blank])
def test_three_real_references_leave_nothing_to_omit(scorer: Scorer) -> None:
    official = bleu.score_webnlg if scorer is bleu.score_webnlg_no_blank else bleu.score_dart
    rows = [[LONG, CAT, "a cat slept in the sun"]]
    assert scorer(["the cat slept on the mat today"], rows).value == pytest.approx(
        official(["the cat slept on the mat today"], rows).value
    )


def test_mteval_does_not_count_blank_references() -> None:
    """The official script pads with them and ignores them."""
    assert bleu.score_mteval([CAT], [[LONG, ""]]).value == bleu.score_mteval([CAT], [[LONG]]).value
    assert bleu.score_mteval([CAT], [[LONG]]).value < 20
    assert bleu.score_mteval([CAT], [["", LONG, CAT]]).value == pytest.approx(100)


@pytest.mark.parametrize(
    ("hypothesis", "reference", "ours", "perl"),
    [
        ("the CAFÉ is on the mat today", "the café is on the mat today", 100, 0.6434588842),
        ("the cat sat", "the cat sat", 0, 1),
        ("the cat sat", "the cat sat on the mat", 0, 0.3678794412),
        ("x y z u v", "the cat sat on the mat", 0, 0.04372912657),
    ],
)
def test_where_the_perl_script_gives_another_value(
    hypothesis: str, reference: str, ours: float, perl: float
) -> None:
    """Capitals beyond A to Z, no output of four words, no word matched; ``perl``: what mteval-v13a-sig.pl gave."""
    value = bleu.score_mteval([hypothesis], [[reference]]).value
    assert value == pytest.approx(ours)
    assert abs(value - 100 * perl) > 4


def test_without_a_matching_4_gram_it_is_smoothed_as_by_the_perl_script() -> None:
    value = bleu.score_mteval(["the cat ran on the roof"], [["the cat sat on the mat"]]).value
    assert value == pytest.approx(100 * 0.2295748847)


def test_only_the_first_three_references_count() -> None:
    others = ["one thing here", "another thing there", "some third thing"]
    for scorer in (bleu.score_webnlg, bleu.score_webnlg_no_blank, bleu.score_dart, bleu.score_dart_no_blank):
        assert scorer([CAT], [[*others, CAT]]).value < 50
        assert scorer([CAT], [[*others[:2], CAT]]).value == pytest.approx(100)


@pytest.mark.parametrize("scorer", ALL)
def test_case_does_not_count(scorer: Scorer) -> None:
    assert scorer([CAT.upper()], [[CAT]]).value == pytest.approx(100)


@pytest.mark.parametrize("scorer", ALL)
@pytest.mark.parametrize("empty", ["", "  \t", "\r\n", "\u2028\u2029\x85"])
def test_an_empty_output_matches_nothing_and_costs_its_length(scorer: Scorer, empty: str) -> None:
    assert scorer([empty], [[CAT]]).value == 0
    both = scorer([CAT, empty], [[CAT] * 3, [CAT] * 3]).value
    assert both == pytest.approx(100 * math.exp(1 - 14 / 7))


@pytest.mark.parametrize("scorer", ALL)
def test_an_item_of_blank_references_only_is_still_scored(scorer: Scorer) -> None:
    """Its output matches nothing and no length is asked of it; the other item's words still match."""
    measured = scorer([CAT, "a b"], [[CAT] * 3, ["", " "]])
    assert 0 < measured.value < 100
    assert scorer(["a b"], [["", ""]]).value == 0
    assert scorer([""], [[""]]).value == 0


@pytest.mark.parametrize("scorer", ALL)
@pytest.mark.parametrize("between", ["\r\n", "\x00", "\x1c", "\x85", "\u2028", "\x0b"])
def test_odd_separators_inside_a_text_do_not_shift_the_others(scorer: Scorer, between: str) -> None:
    """Each item stays one item: the second one's match is whole."""
    measured = scorer([f"odd{between}text", CAT], [["nothing alike"] * 3, [CAT] * 3])
    alone = scorer(["odd text", CAT], [["nothing alike"] * 3, [CAT] * 3])
    assert measured.value == pytest.approx(alone.value, rel=0.2)


@pytest.mark.parametrize("scorer", ALL)
def test_combining_characters_are_scored(scorer: Scorer) -> None:
    """The WebNLG script splits references, and only them, at the marks: a text then differs from itself."""
    text = "the cafe\u0301 in A\u030angstro\u0308m street is open today"
    same = scorer([text], [[text] * 3]).value
    assert (
        same == pytest.approx(100)
        if scorer in (bleu.score_mteval, bleu.score_dart, bleu.score_dart_no_blank)
        else 0 < same < 90
    )


@pytest.mark.parametrize(
    ("scorer", "text"),
    [
        *((scorer, "a b " * 250_000) for scorer in ALL),
        *((scorer, "y" * 1_000_000) for scorer in ALL),
        (bleu.score_mteval, ".," * 500_000),
    ],
)
def test_an_output_of_a_million_characters_is_scored(scorer: Scorer, text: str) -> None:
    measured = scorer([text, CAT], [[LONG] * 3, [CAT]])
    assert 0 <= measured.value < 20


@pytest.mark.parametrize(
    ("text", "hypothesis", "reference"),
    [
        ("It's 0.05  km.", "it ' s 0 . 05 km .", "it ' s 0 . 05 km ."),
        ("Ångström – café", "angstrom - cafe", "angstrom - cafe"),
        ("", "", ""),
        ("snake_case", "snake_case", "snake_case"),
        ("½ mile", "1 / 2 mile", "1/2 mile"),
        ("5 €", "5 eur", "5 eur"),
        ("Bio™ ﬁn", "biotm fin", "bio tm fin"),
        ("İzmir ılık ŒUVRE", "izmir ilik oeuvre", "izmir ilik oeuvre"),
    ],
)
def test_preparation_of_webnlg_texts(text: str, hypothesis: str, reference: str) -> None:
    """The last row shows the order: a hypothesis is transliterated before it is split, a reference after."""
    assert _preprocess.prepare_webnlg_hypothesis(text) == hypothesis
    assert _preprocess.prepare_webnlg_reference(text) == reference


@pytest.mark.parametrize("mark", ["€", "§", "¶", "™", "№", "ʀ", "ʟ", "ϔ", "İ", "Å", "ı", "ﬁ"])
def test_capitals_that_a_transliteration_brings_are_lower_cased(mark: str) -> None:
    """``multi-bleu.perl -lc`` lower-cases both texts last: identical texts with ``mark`` as a word get 100."""
    text = f"the entry fee is 5 {mark} for adults"
    assert _preprocess.prepare_webnlg_reference(text) == _preprocess.prepare_webnlg_reference(text).lower()
    assert bleu.score_webnlg([text], [[text]]).value == pytest.approx(100)


def test_dart_is_not_transliterated_and_webnlg_is() -> None:
    text, plain = "the café in Ångström street is open", "the cafe in angstrom street is open"
    assert bleu.score_webnlg([text], [[plain]]).value == pytest.approx(100)
    assert bleu.score_dart([text], [[plain]]).value < 60
