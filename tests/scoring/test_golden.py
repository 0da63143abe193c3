"""The gate: golden outputs are there for every proven scorer, and a wrong scorer does not pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from replaced_scorers import replace_scorer

from bench import registry
from bench.metric import MetricResult
from bench.metrics import bleu
from bench.registry import get_task
from bench.scoring import evaluation, golden
from bench.scoring.score import GateStatus
from bench.task import Item, Task

CASES = [
    (task, metric)
    for task in golden.list_golden_tasks()
    for metric in golden.read_golden_outputs(task)["expected"]
]
BY_MODEL = ("moverscore", "bertscore", "bleurt")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Outcomes are remembered per process; these tests change scorers."""
    golden.check_scorer.cache_clear()
    yield
    golden.check_scorer.cache_clear()


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_every_scorer_gives_the_known_values(task: str, metric: str) -> None:
    outcome = golden.check_scorer(task, metric)
    assert outcome.verdict.status is GateStatus.PASSED, outcome.verdict.problem
    assert outcome.checked >= 1
    assert outcome.source


def test_every_scorer_without_a_model_has_golden_outputs() -> None:
    missing = {
        (task.name, name)
        for task in registry.tasks().values()
        for name in evaluation.choose_metrics(task)
        if golden.find_golden_task(task.name, name) is None and name not in BY_MODEL
    }
    # Nobody's official number, or one that hangs on random draws.
    assert {name for _, name in missing} == {
        "bleu_no_blank",
        "rouge1_original",
        "rouge2_original",
        "rougeL_original",
    }


def score(task: Task, items: Sequence[Item], outputs: Sequence[str], only: Sequence[str]) -> dict[str, Any]:
    """What a record keeps."""
    return evaluation.make_score_documents(evaluation.score_outputs(task, items, outputs, only))


def off_by_little(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    found = bleu.score_webnlg([text.upper() + " ." for text in hypotheses], references)
    return replace(found, value=found.value)


def test_a_wrong_scorer_fails_and_its_scores_are_marked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_scorer(monkeypatch, "webnlg", "bleu", off_by_little)
    assert golden.check_scorer("webnlg", "bleu").verdict.status is GateStatus.FAILED
    items = [Item("1", "s", ("a text",), ("all", "seen"))]
    scores = score(get_task("webnlg"), items, ["a text"], only=["bleu"])
    assert scores["all"]["bleu"]["gate"].startswith("failed: value is ")
    assert scores["all"]["bleu"]["gate_status"] == GateStatus.FAILED
    assert evaluation.warn_of_failed_gates(scores) == ["bleu"]
    assert "must not be believed" not in capsys.readouterr().out


def test_a_wrong_segment_is_found_even_where_the_total_is_right() -> None:
    wanted = {"value": [1.0], "meteor": [0.5, 0.25]}
    assert golden.find_difference(wanted, {"value": [1.0], "meteor": [0.25, 0.5]}) == (
        "meteor of item 1 is 0.25, expected 0.5"
    )
    assert golden.find_difference(wanted, {"value": [1.0]}) == "no values per segment called meteor"
    assert golden.find_difference(wanted, {"value": [1.0], "meteor": [0.5]}) == "meteor: 1 values, expected 2"
    assert golden.find_difference(wanted, {"value": [1.0 + 1e-9], "meteor": [0.5, 0.25]}) is None


def test_a_changed_scorer_is_seen_in_old_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item("1", "s", ("a text of some words",), ("all", "seen"))]
    scores = score(get_task("webnlg"), items, ["a text of other words"], only=["bleu", "meteor"])
    assert golden.list_changed_scorers("webnlg", scores) == []

    def renamed(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        found = bleu.score_webnlg(hypotheses, references)
        return replace(found, signature={**found.signature, "another": None})

    replace_scorer(monkeypatch, "webnlg", "bleu", renamed)
    golden.check_scorer.cache_clear()
    assert golden.list_changed_scorers("webnlg", scores) == ["bleu"]
