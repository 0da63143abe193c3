"""One row per run: what `bench status` shows of it, and what the other verbs act on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from bench.store.run_dir import RunProgress


class RunState(StrEnum):
    """How a run is, by scheduler, record and lease together."""

    SUBMITTING = "submitting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    VANISHED = "vanished"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    UNREADABLE = "unreadable"
    """It left records, and none can be read."""
    UNKNOWN = "unknown"


OPEN = (RunState.SUBMITTING, RunState.QUEUED, RunState.RUNNING)
"""States of runs that the scheduler still has, or is being given."""
ENDED_BADLY = (RunState.FAILED, RunState.VANISHED, RunState.CANCELLED, RunState.UNREADABLE)
HELD = "held"
"""Kind of a job that waits until somebody releases it."""


class MainScore(NamedTuple):
    """A run's score by the task's main metric, over all items."""

    metric: str
    value: float

    def to_text(self) -> str:
        return f"{self.metric.upper()} {self.value:.4g}"


@dataclass
class RunRow:
    """One run. ``kind``: the kind of a failure (``FailureKind``), or ``held``."""

    run_id: str
    state: RunState
    kind: str | None = None
    message: str | None = None
    job: str | None = None
    launch: str | None = None
    cluster: str | None = None
    node: str | None = None
    reason: str | None = None
    attempts: int = 0
    task: str | None = None
    method: str | None = None
    model: str | None = None
    seed: int | None = None
    continued: bool = False
    """Parts of the run were computed under other conditions: it cannot be repeated byte for byte."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the latest attempt: how its work was cut."""
    elapsed_seconds: float | None = None
    """Of the latest attempt, so far where it runs."""
    progress: RunProgress | None = None
    """Of a run that is being carried out."""
    score: MainScore | None = None
    """Of a run that is done."""
    advice: str | None = None
    """What to type in place of the same again."""

    def to_json(self) -> dict[str, Any]:
        """For ``bench status --json``."""
        named = {"progress": self.progress, "score": self.score}
        return {
            **asdict(self),
            **{name: None if value is None else value._asdict() for name, value in named.items()},
        }

    def set_state(self, state: RunState, kind: str | None = None, message: str | None = None) -> None:
        """Note how the run is, and why."""
        self.state, self.kind, self.message = state, kind, message
