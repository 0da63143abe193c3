"""Scores of outputs: groups, signatures, and that what could not be computed says so."""

from __future__ import annotations

import pytest

from bench import metrics
from bench.errors import UserError
from bench.metric import Measured
from bench.registry import get_task
from bench.scoring import golden
from bench.scoring.evaluation import score, unanswered
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
    assert "no reference" in scores["all"]["bleu"]["reason"]


def test_one_failing_score_does_not_lose_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(hypotheses: object, references: object) -> Measured:
        raise ZeroDivisionError("no luck")

    monkeypatch.setitem(metrics.SCORERS, ("webnlg", "meteor"), broken)
    scores = score(get_task("webnlg"), ITEMS, ["the cat sat", "the dog ran"])
    assert scores["all"]["meteor"]["reason"] == "failed: ZeroDivisionError: no luck"
    assert scores["all"]["bleu"]["value"] is not None
    assert "no luck" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["find", "verdict"])
def test_a_scorer_or_gate_that_cannot_be_had_does_not_lose_the_others(
    where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = metrics if where == "find" else golden
    as_before = getattr(module, where)

    def without_a_module(task: str, metric: str) -> object:
        if metric == "meteor":
            raise ModuleNotFoundError("No module named 'nowhere'")
        return as_before(task, metric)

    monkeypatch.setattr(module, where, without_a_module)
    scores = score(get_task("webnlg"), ITEMS, ["the cat sat", "the dog ran"])
    assert scores["all"]["meteor"]["reason"] == "failed: ModuleNotFoundError: No module named 'nowhere'"
    assert scores["all"]["bleu"]["value"] is not None
    assert "nowhere" in capsys.readouterr().err


def test_which_absent_scores_are_a_failure() -> None:
    there, absent = {"value": 1.0}, {"value": None, "reason": "no weights"}
    broken = {"value": None, "reason": "failed: ZeroDivisionError: no luck"}
    assert unanswered({"bleu": there, "ter": absent}) == []
    assert unanswered({"bleu": there, "ter": absent}, ["bleu"]) == []
    assert unanswered({"bleu": there, "ter": absent}, ["bleu", "ter"]) == ["ter"]
    assert unanswered({"bleu": there, "ter": absent, "nist": broken}) == ["nist"]
    assert unanswered({"bleu": absent, "ter": absent}) == ["bleu", "ter"]
    assert unanswered({"bleu": absent, "ter": absent}, some_lack_references=True) == []
    assert unanswered({"bleu": absent, "ter": absent}, ["ter"], some_lack_references=True) == ["ter"]
