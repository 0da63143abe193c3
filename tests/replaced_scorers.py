"""A scorer replaced in a test the way a task would do it: the task brings its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from bench.metric import Metric, MetricResult, Scorer
from bench.registry import get_task


@dataclass(frozen=True)
class FunctionMetric(Metric):
    """A function as a metric."""

    function: Scorer

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        return self.function(hypotheses, references)


def replace_scorer(monkeypatch: pytest.MonkeyPatch, task: str, metric: str, function: Scorer) -> None:
    """From now on ``function`` computes the metric of that task, in this test."""
    plugin = get_task(task)
    scorers = {**plugin.scorers, metric: FunctionMetric(function)}
    monkeypatch.setattr(type(plugin), "scorers", scorers)
