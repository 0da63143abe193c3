"""BLEU as each task's official script counts it, and what a blank reference does to it."""

from __future__ import annotations

import gzip
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import metrics
from bench.metrics import bleu, preprocess
from bench.metrics.result import Measured

Case = tuple[list[str], list[list[str]], dict[str, Any]]
ALL = [bleu.mteval, bleu.webnlg, bleu.webnlg_no_blank, bleu.dart, bleu.dart_no_blank]
CAT = "the cat sat on the mat today"
LONG = f"{CAT} and then it slept for a long time in the warm garden"


def read(shared: Path, name: str) -> Case:
    """Hypotheses and references of a case, and the official scores stored for it."""
    folder = shared / "metric_cases"
    entry = json.loads((folder / "scores.json").read_text())["cases"][name]
    with gzip.open(folder / entry["file"], "rt") as lines:
        rows = [json.loads(line) for line in lines]
    if entry["subset"] != "all":
        rows = [row for row in rows if row["seen"] == (entry["subset"] == "seen")]
    assert len(rows) == entry["n"]
    return [row["hyp"] for row in rows], [row["refs"] for row in rows], entry["scores"]


OFFICIAL = [
    ("webnlg17-UPF-TALN/all-cat", bleu.webnlg, 1),
    ("webnlg17-UPF-TALN/old-cat", bleu.webnlg, 1),
    ("webnlg17-UPF-TALN/new-cat", bleu.webnlg, 1),
    ("webnlg17-Baseline/all-cat", bleu.webnlg, 1),
    ("webnlg17-Baseline/old-cat", bleu.webnlg, 1),
    ("webnlg17-Baseline/new-cat", bleu.webnlg, 1),
    ("dart-bart-large", bleu.dart, 1),
    ("e2e-dev-ukp-mlp-seed1-epoch16", bleu.mteval, 100),
    ("e2e-test-tgen", bleu.mteval, 100),
    ("e2e-test-zhaw1", bleu.mteval, 100),
]
"""Case, scorer, and what to multiply with: mteval prints 0 to 1, multi-bleu 0 to 100."""


@pytest.mark.parametrize(("case", "scorer", "scale"), OFFICIAL)
def test_real_outputs_get_the_official_scripts_value(
    case: str, scorer: metrics.Scorer, scale: int, shared: Path
) -> None:
    hypotheses, references, scores = read(shared, case)
    measured = scorer(hypotheses, references)
    assert measured.value == pytest.approx(scale * scores["BLEU"]["value"], abs=1e-9)
    assert "version:" in measured.signature


@pytest.mark.parametrize(
    ("case", "official", "honest", "difference"),
    [
        ("webnlg17-UPF-TALN/all-cat", bleu.webnlg, bleu.webnlg_no_blank, 0.0),
        ("webnlg17-Baseline/all-cat", bleu.webnlg, bleu.webnlg_no_blank, -0.86),
        ("dart-bart-large", bleu.dart, bleu.dart_no_blank, -0.96),
    ],
)
def test_blank_references_flatter_real_outputs_by_what_was_measured_elsewhere(
    case: str, official: metrics.Scorer, honest: metrics.Scorer, difference: float, shared: Path
) -> None:
    hypotheses, references, _ = read(shared, case)
    found = honest(hypotheses, references).value - official(hypotheses, references).value
    assert found == pytest.approx(difference, abs=0.005)


@pytest.mark.parametrize(
    ("official", "honest"), [(bleu.webnlg, bleu.webnlg_no_blank), (bleu.dart, bleu.dart_no_blank)]
)
@pytest.mark.parametrize("references", [[LONG], [LONG, ""], [" ", LONG, "\t"]])
def test_a_missing_reference_weakens_the_official_brevity_penalty_only(
    official: metrics.Scorer, honest: metrics.Scorer, references: list[str]
) -> None:
    """All n-grams match, so BLEU is the penalty: none for the reference of length 0, else exp(1 - 19/7)."""
    assert official([CAT], [references]).value == pytest.approx(100)
    assert honest([CAT], [references]).value == pytest.approx(100 * math.exp(1 - 19 / 7))
    assert official([CAT], [references]).signature.endswith("refs:first3|blank-refs:length0")
    assert honest([CAT], [references]).signature.endswith("refs:first3|blank-refs:omitted")


@pytest.mark.parametrize("scorer", [bleu.webnlg_no_blank, bleu.dart_no_blank])
def test_three_real_references_leave_nothing_to_omit(scorer: metrics.Scorer) -> None:
    official = bleu.webnlg if scorer is bleu.webnlg_no_blank else bleu.dart
    rows = [[LONG, CAT, "a cat slept in the sun"]]
    assert scorer(["the cat slept on the mat today"], rows).value == pytest.approx(
        official(["the cat slept on the mat today"], rows).value
    )


def test_mteval_does_not_count_blank_references() -> None:
    """The official script pads with them and ignores them."""
    assert bleu.mteval([CAT], [[LONG, ""]]).value == bleu.mteval([CAT], [[LONG]]).value
    assert bleu.mteval([CAT], [[LONG]]).value < 20
    assert bleu.mteval([CAT], [["", LONG, CAT]]).value == pytest.approx(100)


def test_only_the_first_three_references_count() -> None:
    others = ["one thing here", "another thing there", "some third thing"]
    for scorer in (bleu.webnlg, bleu.webnlg_no_blank, bleu.dart, bleu.dart_no_blank):
        assert scorer([CAT], [[*others, CAT]]).value < 50
        assert scorer([CAT], [[*others[:2], CAT]]).value == pytest.approx(100)


@pytest.mark.parametrize("scorer", ALL)
def test_case_does_not_count(scorer: metrics.Scorer) -> None:
    assert scorer([CAT.upper()], [[CAT]]).value == pytest.approx(100)


@pytest.mark.parametrize("scorer", ALL)
@pytest.mark.parametrize("empty", ["", "  \t", "\r\n", "\u2028\u2029\x85"])
def test_an_empty_output_matches_nothing_and_costs_its_length(scorer: metrics.Scorer, empty: str) -> None:
    assert scorer([empty], [[CAT]]).value == 0
    both = scorer([CAT, empty], [[CAT] * 3, [CAT] * 3]).value
    assert both == pytest.approx(100 * math.exp(1 - 14 / 7))


@pytest.mark.parametrize("scorer", ALL)
def test_an_item_of_blank_references_only_is_still_scored(scorer: metrics.Scorer) -> None:
    """Its output matches nothing and no length is asked of it; the other item's words still match."""
    measured = scorer([CAT, "a b"], [[CAT] * 3, ["", " "]])
    assert 0 < measured.value < 100
    assert scorer(["a b"], [["", ""]]).value == 0
    assert scorer([""], [[""]]).value == 0


@pytest.mark.parametrize("scorer", ALL)
@pytest.mark.parametrize("between", ["\r\n", "\x00", "\x1c", "\x85", "\u2028", "\x0b"])
def test_odd_separators_inside_a_text_do_not_shift_the_others(scorer: metrics.Scorer, between: str) -> None:
    """Each item stays one item: the second one's match is whole."""
    measured = scorer([f"odd{between}text", CAT], [["nothing alike"] * 3, [CAT] * 3])
    alone = scorer(["odd text", CAT], [["nothing alike"] * 3, [CAT] * 3])
    assert measured.value == pytest.approx(alone.value, rel=0.2)


@pytest.mark.parametrize("scorer", ALL)
def test_combining_characters_are_scored(scorer: metrics.Scorer) -> None:
    """The WebNLG script splits references, and only them, at the marks: a text then differs from itself."""
    text = "the cafe\u0301 in A\u030angstro\u0308m street is open today"
    same = scorer([text], [[text] * 3]).value
    assert (
        same == pytest.approx(100)
        if scorer in (bleu.mteval, bleu.dart, bleu.dart_no_blank)
        else 0 < same < 90
    )


@pytest.mark.parametrize(
    ("scorer", "text"),
    [
        *((scorer, "a b " * 250_000) for scorer in ALL),
        *((scorer, "y" * 1_000_000) for scorer in ALL),
        (bleu.mteval, ".," * 500_000),
    ],
)
def test_an_output_of_a_million_characters_is_scored_in_time(scorer: metrics.Scorer, text: str) -> None:
    started = time.monotonic()
    measured = scorer([text, CAT], [[LONG] * 3, [CAT]])
    assert 0 <= measured.value < 20
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("text", "hypothesis", "reference"),
    [
        ("It's 0.05  km.", "it ' s 0 . 05 km .", "it ' s 0 . 05 km ."),
        ("Ångström – café", "angstrom - cafe", "angstrom - cafe"),
        ("", "", ""),
        ("snake_case", "snake_case", "snake_case"),
        ("½ mile", "1 / 2 mile", "1/2 mile"),
    ],
)
def test_preparation_of_webnlg_texts(text: str, hypothesis: str, reference: str) -> None:
    """The last row shows the order: a hypothesis is transliterated before it is split, a reference after."""
    assert preprocess.webnlg_hypothesis(text) == hypothesis
    assert preprocess.webnlg_reference(text) == reference


def test_dart_is_not_transliterated_and_webnlg_is() -> None:
    text, plain = "the café in Ångström street is open", "the cafe in angstrom street is open"
    score: Callable[[metrics.Scorer], Measured] = lambda scorer: scorer([text], [[plain]])  # noqa: E731
    assert score(bleu.webnlg).value == pytest.approx(100)
    assert score(bleu.dart).value < 60
