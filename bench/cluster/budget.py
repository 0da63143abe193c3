"""What a submission will spend of a cluster, for `bench submit`: device-hours of all its runs together.

Where runs that differ in seed and subset only are finished, it is what they took, several processes counted
several times. For all others it is the guess of `bench plan` (``bench.experiments.cost_model``), named as such.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.config.request import RunRequest
from bench.config.settings import DEFINITIONS_BY_NAME
from bench.config.specification import RunSpec
from bench.experiments.cost_model import History
from bench.store.store import Store

PAST = "past records"
REPEATS = ("data_seed",)
"""Settings in which runs differ that take equally long."""


@dataclass(frozen=True)
class Cost:
    """Of one run. ``basis``: past records, rates of N runs, or rough."""

    hours: float
    basis: str


@dataclass(frozen=True)
class Estimate:
    """``hours`` of devices (GPUs, or processes where there are none) for ``runs`` runs."""

    hours: float
    known: int
    """Runs whose likes are finished."""
    runs: int
    gpu: bool
    bases: Mapping[str, int] = field(default_factory=dict)
    """How many runs' costs are from where."""

    def to_json(self) -> dict[str, Any]:
        told = {"hours": round(self.hours, 3), "of": self.unit, "known": self.known, "runs": self.runs}
        return {**told, "bases": dict(self.bases)}

    @property
    def unit(self) -> str:
        return "GPU-hours" if self.gpu else "process-hours"

    def __str__(self) -> str:
        if not self.runs:
            return "nothing to run"
        if not self.bases:
            return f"no estimate: nothing is known of the size of these {self.runs} runs"
        parts = [
            f"{number} {'from ' if basis == PAST else ''}{basis}" for basis, number in self.bases.items()
        ]
        if unknown := self.runs - sum(self.bases.values()):
            parts.append(f"{unknown} not known and not counted")
        return f"about {self.hours:.2g} {self.unit} (runs: {', '.join(parts)})"


class Past:
    """Durations of the finished runs of a store."""

    def __init__(self, runs: Path) -> None:
        self.seconds: dict[tuple[object, ...], list[float]] = {}
        self.gpu = False
        records = list(Store(runs).done_records())
        self.history = History(records)
        for record in records:
            if (spent := device_seconds(record)) is None:
                continue
            self.gpu = self.gpu or bool(record.get("hardware", {}).get("accelerators"))
            options = {name: one["value"] for name, one in record["options"].items()}
            settings = {name: one["value"] for name, one in record["settings"].items()}
            key = alike(record, options, settings)
            self.seconds.setdefault(key, []).append(spent)

    def cost(self, request: RunRequest, spec: RunSpec | None = None) -> Cost | None:
        """Median of the runs that differ in seed and subset only, or else the guess of `bench plan`.

        ``spec``: the run, where its data and weights are here.
        """
        if spec is not None:
            options = {name: one.value for name, one in spec.options.items()}
            settings = {name: one.value for name, one in spec.settings.items()}
            if past := self.seconds.get(alike(spec.to_json(), options, settings)):
                return Cost(statistics.median(past) / 3600, PAST)
        guess = self.history.estimate(request, request.resolve(spec.model if spec else request.model))
        return None if guess is None else Cost(guess.seconds / 3600, guess.basis)

    def estimate(self, costs: Sequence[Cost | None]) -> Estimate:
        found = [one for one in costs if one is not None]
        bases = Counter(one.basis for one in found)
        return Estimate(sum(one.hours for one in found), bases[PAST], len(costs), self.gpu, bases)


def alike(
    run: Mapping[str, Any], options: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[object, ...]:
    """The same for runs that take equally long: what is run, of whichever size; not how its work is cut."""
    told = {
        name: value
        for name, value in settings.items()
        if name in DEFINITIONS_BY_NAME and DEFINITIONS_BY_NAME[name].identity
    }
    sizes = sorted((n, repr(v)) for n, v in told.items() if n not in REPEATS and v is not None)
    names = [run[name] for name in ("task", "method", "model", "scale", "protocol")]
    return (*names, *sorted((n, repr(v)) for n, v in options.items()), *sizes)


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
