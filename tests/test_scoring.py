"""Scores of outputs: groups, signatures, and that what could not be computed says so."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from bench import metrics
from bench.errors import UserError
from bench.metrics import bleu
from bench.registry import get_task
from bench.scoring import score
from bench.task import Item

ITEMS = [
    Item("1", "s", ("the cat sat on the mat .", "a cat sat on a mat ."), ("all", "seen")),
    Item("2", "s", ("the dog ran to the park today .",), ("all", "unseen")),
]


def test_perfect_outputs_score_100_in_every_group() -> None:
    scores = score(get_task("webnlg"), ITEMS, [item.references[0] for item in ITEMS])
    assert list(scores) == ["all", "seen", "unseen"]
    for group in scores.values():
        assert group["bleu"]["value"] == pytest.approx(100)
        assert "refs:first3" in group["bleu"]["signature"]


def test_what_is_not_implemented_says_so() -> None:
    scores = score(get_task("dart"), ITEMS, ["x", "y"])
    for name, one in scores["all"].items():
        assert (one["value"] is None) == ("reason" in one)
        if metrics.find("dart", name) is None:
            assert one["reason"] == "not implemented yet"


def test_a_wrong_number_of_outputs_names_both() -> None:
    with pytest.raises(UserError, match="3 outputs for 2 items of e2e"):
        score(get_task("e2e"), ITEMS, ["a", "b", "c"])


def test_an_empty_group_and_a_missing_reference_have_reasons() -> None:
    scores = score(get_task("webnlg"), ITEMS[:1], ["the cat"])
    assert scores["unseen"]["bleu"]["reason"] == "no items in this group"
    scores = score(get_task("e2e"), [Item("1", "s", ())], ["x"])
    assert scores["all"]["bleu"]["reason"] == "an item has no reference"


def test_one_failing_score_does_not_lose_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(hypotheses: object, references: object) -> tuple[float, str]:
        raise ZeroDivisionError("no luck")

    monkeypatch.setitem(metrics.SCORERS, ("webnlg", "meteor"), broken)
    scores = score(get_task("webnlg"), ITEMS, ["the cat sat", "the dog ran"])
    assert scores["all"]["meteor"]["reason"] == "failed: ZeroDivisionError: no luck"
    assert scores["all"]["bleu"]["value"] is not None
    assert "no luck" in capsys.readouterr().err


OFFICIAL = [
    ("webnlg17-UPF-TALN", "all-cat", bleu.webnlg),
    ("webnlg17-UPF-TALN", "old-cat", bleu.webnlg),
    ("webnlg17-UPF-TALN", "new-cat", bleu.webnlg),
    ("webnlg17-Baseline", "all-cat", bleu.webnlg),
    ("webnlg17-Baseline", "old-cat", bleu.webnlg),
    ("webnlg17-Baseline", "new-cat", bleu.webnlg),
    ("dart-bart-large", None, bleu.dart),
    ("e2e-dev-ukp-mlp-seed1-epoch16", None, bleu.mteval),
    ("e2e-test-tgen", None, bleu.mteval),
    ("e2e-test-zhaw1", None, bleu.mteval),
]


@pytest.mark.parametrize(("case", "subset", "scorer"), OFFICIAL)
def test_bleu_is_the_official_scripts_on_real_outputs(
    case: str, subset: str | None, scorer: metrics.Scorer, shared: Path
) -> None:
    folder = shared / "metric_cases"
    document = json.loads((folder / "scores.json").read_text())
    entry = document["cases"][case if subset is None else f"{case}/{subset}"]
    with gzip.open(folder / entry["file"], "rt") as lines:
        rows = [json.loads(line) for line in lines]
    if entry["subset"] != "all":
        rows = [row for row in rows if row["seen"] == (entry["subset"] == "seen")]
    assert len(rows) == entry["n"]
    value, signature = scorer([row["hyp"] for row in rows], [row["refs"] for row in rows])
    official = entry["scores"]["BLEU"]["value"]
    # mteval prints 0 to 1, multi-bleu 0 to 100.
    assert value == pytest.approx(official if subset or case.startswith("dart") else 100 * official, abs=1e-9)
    assert "version:" in signature


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
    assert bleu.preprocess.webnlg_hypothesis(text) == hypothesis
    assert bleu.preprocess.webnlg_reference(text) == reference
