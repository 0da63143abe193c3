"""Scores, one file per metric: a function from texts to a ``Measured`` with its signature.

``SCORERS`` says which metrics exist and how each task's official pipeline calls them; a metric that a
task names and that is not here is reported as not computed, never as 0 and never left out silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.metrics import bleu
from bench.metrics.result import Measured


@dataclass(frozen=True)
class Score:
    """A value with what made it; ``value`` None and ``reason`` where it could not be computed."""

    value: float | None
    signature: str | None
    reason: str | None = None
    segments: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, float | str | None]:
        shown: dict[str, float | str | None] = {"value": self.value, "signature": self.signature}
        if self.reason is not None:
            shown["reason"] = self.reason
        return shown


Scorer = Callable[[Sequence[str], Sequence[Sequence[str]]], Measured]
"""(hypotheses, references of each) -> value, signature and, where defined, values per segment."""

SCORERS: dict[tuple[str, str], Scorer] = {
    ("e2e", "bleu"): bleu.mteval,
    ("webnlg", "bleu"): bleu.webnlg,
    ("dart", "bleu"): bleu.dart,
}
"""(task, metric) -> how that task's official pipeline computes it."""
DEFAULTS: dict[str, Scorer] = {"bleu": bleu.mteval}
"""For tasks from elsewhere: the metric as its library defines it."""


def find(task: str, metric: str) -> Scorer | None:
    """The scorer of a task's metric, or None if there is none yet."""
    return SCORERS.get((task, metric)) or DEFAULTS.get(metric)
