"""Scores of outputs: groups, signatures, and that what could not be computed says so."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from replaced_scorers import replace_scorer

from bench import registry
from bench.errors import UserError
from bench.metric import MetricResult
from bench.registry import get_task
from bench.scoring import golden
from bench.scoring.evaluation import list_missing_scores, make_score_documents, score_outputs
from bench.scoring.score import ScoreStatus
from bench.task import Item, Task

ITEMS = [
    Item("1", "s", ("the cat sat on the mat .", "a cat sat on a mat ."), ("all", "seen")),
    Item("2", "s", ("the dog ran to the park today .",), ("all", "unseen")),
]


def score(task: Task, items: Sequence[Item], outputs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What a record keeps."""
    return make_score_documents(score_outputs(task, items, outputs))


def test_perfect_outputs_score_100_in_every_group() -> None:
    scores = score(get_task("webnlg"), ITEMS, [item.references[0] for item in ITEMS])
    assert list(scores) == ["all", "seen", "unseen"]
    for group in scores.values():
        assert group["bleu"]["value"] == pytest.approx(100)
        assert "refs:first3" in group["bleu"]["signature"]


def test_what_is_not_implemented_says_so() -> None:
    scores = score(get_task("dart"), ITEMS, ["x", "y"])
    for name, one in scores["all"].items():
        assert (one["value"] is None) == ("reason" in one) == (one["status"] != ScoreStatus.COMPUTED)
        if registry.find_metric("dart", name) is None:
            assert one["reason"] == "not implemented yet"


def test_a_wrong_number_of_outputs_names_both() -> None:
    with pytest.raises(UserError, match="3 outputs for 2 items of e2e"):
        score(get_task("e2e"), ITEMS, ["a", "b", "c"])


def test_an_empty_group_and_a_missing_reference_have_reasons() -> None:
    scores = score(get_task("webnlg"), ITEMS[:1], ["the cat"])
    assert scores["unseen"]["bleu"]["reason"] == "no items in this group"
    assert scores["unseen"]["bleu"]["status"] == ScoreStatus.EMPTY
    scores = score(get_task("e2e"), [Item("1", "s", ())], ["x"])
    assert "no reference" in scores["all"]["bleu"]["reason"]
    assert scores["all"]["bleu"]["status"] == ScoreStatus.NO_REFERENCES


def test_one_failing_score_does_not_lose_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(hypotheses: object, references: object) -> MetricResult:
        raise ZeroDivisionError("no luck")

    replace_scorer(monkeypatch, "webnlg", "meteor", broken)
    scores = score(get_task("webnlg"), ITEMS, ["the cat sat", "the dog ran"])
    assert scores["all"]["meteor"]["reason"] == "failed: ZeroDivisionError: no luck"
    assert scores["all"]["meteor"]["status"] == ScoreStatus.FAILED
    assert scores["all"]["bleu"]["value"] is not None
    assert "no luck" in capsys.readouterr().err


@pytest.mark.parametrize(("module", "where"), [(registry, "find_metric"), (golden, "judge_scorer")])
def test_a_scorer_or_gate_that_cannot_be_had_does_not_lose_the_others(
    module: ModuleType, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    as_before = getattr(module, where)

    def without_a_module(task: object, metric: str) -> object:
        if metric == "meteor":
            raise ModuleNotFoundError("No module named 'nowhere'")
        return as_before(task, metric)

    monkeypatch.setattr(module, where, without_a_module)
    scores = score(get_task("webnlg"), ITEMS, ["the cat sat", "the dog ran"])
    assert scores["all"]["meteor"]["reason"] == "failed: ModuleNotFoundError: No module named 'nowhere'"
    assert scores["all"]["bleu"]["value"] is not None
    assert "nowhere" in capsys.readouterr().err


def test_which_absent_scores_are_a_failure() -> None:
    there = {"value": 1.0, "status": ScoreStatus.COMPUTED}
    absent = {"value": None, "status": ScoreStatus.UNAVAILABLE, "reason": "no weights"}
    broken = {"value": None, "status": "failed", "reason": "failed: ZeroDivisionError: no luck"}
    assert list_missing_scores({"bleu": there, "ter": absent}) == []
    assert list_missing_scores({"bleu": there, "ter": absent}, ["bleu"]) == []
    assert list_missing_scores({"bleu": there, "ter": absent}, ["bleu", "ter"]) == ["ter"]
    assert list_missing_scores({"bleu": there, "ter": absent, "nist": broken}) == ["nist"]
    assert list_missing_scores({"bleu": absent, "ter": absent}) == ["bleu", "ter"]
    assert list_missing_scores({"bleu": absent, "ter": absent}, some_lack_references=True) == []
    assert list_missing_scores({"bleu": absent, "ter": absent}, ["ter"], some_lack_references=True) == ["ter"]
