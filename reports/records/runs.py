"""Records as runs: which record of a run counts, and which runs are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.config.comparability import Incomparable
from bench.config.settings import SettingLayer
from bench.store.frame import choose_attempts, find_end_time
from bench.store.record import Record, RunStatus, SettingEntry

REPLICATE_SETTINGS = ("data_seed",)
"""Settings that number repetitions of the same thing, like the seed."""
CHOSEN_LAYERS = frozenset(
    {SettingLayer.COMMAND_LINE, SettingLayer.EXPERIMENT, SettingLayer.OPTION, SettingLayer.PROTOCOL}
)
"""Layers that decide an option because somebody chose something for this run."""


@dataclass(frozen=True)
class Run:
    """A run by its record that counts: the latest that is done, else the latest attempt."""

    record: Record
    run_id: str
    seed: int
    data_seed: int | None
    status: RunStatus
    ended: str
    attempts: int
    seconds: float | None
    """Of all attempts together; None where no record says."""

    @property
    def replicate(self) -> tuple[int | None, int]:
        """(data seed, seed): which repetition of the same thing it is."""
        return self.data_seed, self.seed


@dataclass
class Profile:
    """Runs that are alike in all but seed and data seed."""

    task: str
    method: str
    model: str
    scale: str
    protocol: str
    options: dict[str, Any]
    settings: dict[str, Any]
    """Without those that number repetitions."""
    entries: Mapping[str, SettingEntry]
    """Options and settings with where their values come from."""
    experiment: str | None
    """The experiment that prescribed some of them."""
    reasons: tuple[Incomparable, ...]
    """Why none of them is comparable."""
    number: int
    """Its place among all profiles, in the order of the records."""
    runs: list[Run] = field(default_factory=list)

    @property
    def reason_texts(self) -> tuple[str, ...]:
        """``reasons`` in words."""
        return tuple(reason.text for reason in self.reasons)

    @property
    def chosen_options(self) -> dict[str, Any]:
        """The options that somebody chose for these runs, on the command line or in an experiment."""
        return {name: value for name, value in self.options.items() if self._is_chosen(self.entries[name])}

    def _is_chosen(self, entry: SettingEntry) -> bool:
        # An excerpt without origins hides nothing.
        return not entry.origin or entry.layer in CHOSEN_LAYERS


def select_attempts(records: Sequence[Record]) -> list[Run]:
    """A run per run id: its latest record that is done, else its latest attempt."""
    return [
        make_run(records[attempt.position], attempt.attempts, attempt.seconds)
        for attempt in choose_attempts(records).itertuples()
    ]


def make_run(record: Record, attempts: int, seconds: float) -> Run:
    """The run that counts by ``record``; ``seconds`` of all its attempts, NaN where no record says."""
    data_seed = record.settings.get("data_seed")
    return Run(
        record=record,
        run_id=record.run_id,
        seed=record.seed,
        data_seed=None if data_seed is None else data_seed.value,
        status=record.status,
        ended=find_end_time(record),
        attempts=int(attempts),
        seconds=None if seconds != seconds else float(seconds),
    )


def find_failure_kind(run: Run) -> str:
    """``out-of-memory``, ``time-out``, ``cancelled``, ...: how a run ended that was never done."""
    if run.status is RunStatus.CANCELLED:
        return RunStatus.CANCELLED.value
    return run.record.error.failure_kind.value if run.record.error is not None else "error"
