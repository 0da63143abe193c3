"""What a submission will spend of a cluster, for `bench submit`: device-hours of all its runs together.

How long each run takes on one machine, guessed where nothing is known, is in ``bench.estimate``. Here several
processes count several times, and a run that is like no finished one is left out and counted as such: a
guess must not become a budget.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.spec import RunSpec
from bench.store import Store


@dataclass(frozen=True)
class Estimate:
    """``hours`` of devices (GPUs, or processes where there are none) for ``known`` of ``runs`` runs."""

    hours: float
    known: int
    runs: int
    gpu: bool

    def to_json(self) -> dict[str, Any]:
        return {"hours": round(self.hours, 3), "of": self.unit, "known": self.known, "runs": self.runs}

    @property
    def unit(self) -> str:
        return "GPU-hours" if self.gpu else "process-hours"

    def __str__(self) -> str:
        if not self.runs:
            return "nothing to run"
        if not self.known:
            return f"no estimate: no finished run here is like these {self.runs}"
        some = (
            ""
            if self.known == self.runs
            else f" for {self.known} of {self.runs} runs (nothing like the others is done)"
        )
        return f"about {self.hours:.2g} {self.unit}{some}, from past records"


class Past:
    """Durations of the finished runs of a store."""

    def __init__(self, runs: Path) -> None:
        self.seconds: dict[tuple[object, ...], list[float]] = {}
        self.gpu = False
        for record in Store(runs).done_records():
            if (spent := device_seconds(record)) is None:
                continue
            self.gpu = self.gpu or bool(record.get("hardware", {}).get("accelerators"))
            for key in keys(
                record["task"], record["method"], record["model"], record["scale"], size_of(record)
            ):
                self.seconds.setdefault(key, []).append(spent)

    def hours(self, spec: RunSpec) -> float | None:
        """Median of the runs most like this one: the same settings first, then any; None if none is."""
        size = (spec["limit"], spec["epochs"], spec["max_steps"])
        for key in keys(spec.task, spec.method, spec.model, spec.scale, size):
            if key in self.seconds:
                return statistics.median(self.seconds[key]) / 3600
        return None

    def estimate(self, hours: Sequence[float | None]) -> Estimate:
        known = [one for one in hours if one is not None]
        return Estimate(sum(known), len(known), len(hours), self.gpu)


def keys(task: str, method: str, model: str, scale: str, size: object) -> list[tuple[object, ...]]:
    """The closest first."""
    return [(task, method, model, scale, size), (task, method, model, scale)]


def size_of(record: Mapping[str, Any]) -> tuple[object, ...]:
    settings = record.get("settings", {})
    return tuple(settings.get(name, {}).get("value") for name in ("limit", "epochs", "max_steps"))


def device_seconds(record: Mapping[str, Any]) -> float | None:
    """Training (over all attempts, times its processes) and the last attempt's decoding and scoring."""
    try:
        training = record["training"] or {"seconds": 0.0, "processes": 1}
        decoding = record["decoding"]["seconds"]
        return float(
            training["seconds"] * training["processes"] + decoding + record["seconds"].get("score", 0.0)
        )
    except (KeyError, TypeError):
        return None
