"""What runs cost: seconds on one machine for `bench plan`, device-hours of a cluster for `bench submit`.

From past runs where there are any, else a rough guess. Three bases, best first, and every estimate says which it has:

- ``N similar runs``: the mean of finished runs that differ in seed and subset only;
- ``rates of N runs``: seconds per example trained and per item decoded of the same method, model and task,
  or else of the same method and model, times what this run has. The seconds of all these runs together over
  all their work, so that long runs say more than short ones; and runs of a few updates or items say nothing,
  because what a run costs at its start would be multiplied as if every update cost it;
- ``rough``: examples trained and items decoded, times parameters, times a constant. At scale paper the
  constants are those of §5.3: table-to-text on a TITAN X, 0.2 hours per epoch of 22K examples for
  prefix-tuning, 0.3 for fine-tuning, 1.2 seconds per sentence decoded; XSUM on a V100, 1.25 hours per epoch,
  2.6 seconds per 10 articles decoded. At scale mini they were measured with two CPU cores. A guess within a
  factor of a few: it tells hours from weeks.

Past runs may have been made on another machine. Device-hours of similar runs are the median of what those took,
several processes counted several times; of all others they are the seconds above.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

from bench.config.request import RunRequest
from bench.config.run_key import get_model_name
from bench.config.settings import DEFINITIONS_BY_NAME
from bench.config.specification import ResolvedSettings
from bench.data import subsets
from bench.data.dataset import mini_row_counts
from bench.store.record import Record, RunStatus

PARAMETERS = {"gpt2-medium": 355e6, "gpt2-large": 774e6, "bart-large": 406e6}
"""Of the published backbones: the rough estimate grows with them."""


@dataclass(frozen=True)
class RoughRates:
    """Constants of the rough estimate: seconds per example trained, and per item decoded."""

    whole: float
    """Training where the backbone itself is trained."""
    frozen: float
    """Training where it is not."""
    decoded: float
    parameters: float
    """Of the backbone that they are for."""
    tokens: float
    """Per example (source and target), in the data that they are for."""


PAPER = {
    "table-to-text": RoughRates(0.3 * 3600 / 22_000, 0.2 * 3600 / 22_000, 1.2, 355e6, 49.6 + 30.7),
    "summarization": RoughRates(1.25 * 3600 / 204_000, 1.25 * 3600 / 204_000, 0.26, 406e6, 473.3 + 28.1),
}
MINI = {
    "table-to-text": RoughRates(0.014, 0.014, 0.05, 1.5e6, 80.0),
    "summarization": RoughRates(0.028, 0.028, 0.1, 1.5e6, 80.0),
}
STARTING = {"paper": 60.0, "mini": 5.0}
"""Scale -> seconds for reading, loading and scoring."""
FEWEST_UPDATES, FEWEST_ITEMS = 20, 10
"""Work that a run must have done for its rate to count. The first update and the first batch decoded take a few
times as long as the next ones (memory is allocated, kernels are chosen): less than a fifth of this many."""
REPEATS = ("data_seed",)
"""Settings in which runs differ that take equally long."""
PAST, ROUGH = "past records", "rough"
"""Bases of an estimate, in words."""


@dataclass(frozen=True)
class RunSize:
    """What a run has to do. ``examples``: rows times the passes over them."""

    examples: int
    items: int


@dataclass(frozen=True)
class RunCost:
    """Seconds of one run, on one machine or of its devices, and in words where they come from."""

    seconds: float
    basis: str


@dataclass
class _Work:
    """What was done in how many seconds, over all runs that did enough of it."""

    seconds: float = 0.0
    amount: float = 0.0

    def add(self, seconds: float, amount: float) -> None:
        self.seconds += seconds
        self.amount += amount

    @property
    def rate(self) -> float:
        return self.seconds / self.amount


@dataclass
class _Rates:
    trained: _Work = field(default_factory=_Work)
    decoded: _Work = field(default_factory=_Work)
    runs: list[str] = field(default_factory=list)
    """Those that gave either."""


def compute_run_size(request: RunRequest, resolved: ResolvedSettings) -> RunSize | None:
    """How much a run trains and decodes; None where the task does not say how large its splits are."""
    task = request.task
    expected = mini_row_counts(task) if request.common.scale == "mini" else task.expected
    value = {name: setting.value for name, setting in resolved.settings.items()}
    if value["train_split"] not in expected or value["test_split"] not in expected:
        return None
    items = value["test_subset"] or expected[value["test_split"]].items
    rows = expected[value["train_split"]].rows
    if value["train_share"] is not None:
        rows = subsets.compute_share_size(value["train_share"], rows)
    rows = value["train_subset"] or rows
    if value["limit"] is not None:
        rows, items = min(rows, value["limit"]), min(items, value["limit"])
    if not request.method.trains:
        return RunSize(0, items)
    updates = value["max_steps"]
    if updates is None:
        return RunSize(value["epochs"] * rows, items)
    epochs, rest = divmod(updates, math.ceil(rows / value["batch_size"]))
    return RunSize(epochs * rows + min(rest * value["batch_size"], rows), items)


class RunHistory:
    """What finished runs took."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.gpu = False
        """Whether any of them had an accelerator."""
        self._seconds: dict[RunKey, list[float]] = {}
        self._device_seconds: dict[RunKey, list[float]] = {}
        self._rates: dict[tuple[str, ...], _Rates] = {}
        for record in records:
            if record.status is RunStatus.DONE:
                self._add(record)

    def _add(self, record: Record) -> None:
        training, decoding = record.training, record.decoding
        if decoding is None:
            return
        settings = {name: entry.value for name, entry in record.settings.items()}
        options = {name: entry.value for name, entry in record.options.items()}
        self.gpu = self.gpu or bool(record.hardware and record.hardware.accelerators)
        # The stages of a run that was resumed are in the products' own notes, not in the last attempt.
        trained_seconds = training.seconds if training else 0.0
        rest = decoding.seconds + record.seconds.get("score", 0.0)
        key = _make_key(
            (record.task, record.method, record.model, record.scale, record.protocol), options, settings
        )
        self._seconds.setdefault(key, []).append(trained_seconds + rest)
        processes = training.processes if training else 1
        self._device_seconds.setdefault(key, []).append(trained_seconds * processes + rest)
        self._add_rates(record, settings.get("batch_size"))

    def _add_rates(self, record: Record, batch_size: int | None) -> None:
        training, decoding = record.training, record.decoding
        trained = training is not None and training.updates >= FEWEST_UPDATES and training.rows > 0
        decoded = decoding is not None and decoding.items >= FEWEST_ITEMS
        if not (trained and batch_size) and not decoded:
            return
        for names in _list_levels(record.task, record.method, record.model):
            rates = self._rates.setdefault(names, _Rates())
            rates.runs.append(record.run_id)
            if training is not None and trained and batch_size:
                per_epoch = math.ceil(training.rows / batch_size)
                rates.trained.add(training.seconds, training.updates * training.rows / per_epoch)
            if decoding is not None and decoded:
                rates.decoded.add(decoding.seconds, decoding.items)

    def estimate_seconds(self, request: RunRequest, resolved: ResolvedSettings) -> RunCost | None:
        """What the run takes on one machine; None where nothing is known of its size."""
        similar = self._seconds.get(_make_request_key(request, resolved))
        if similar:
            return RunCost(statistics.fmean(similar), format_count(similar, "similar run"))
        size = compute_run_size(request, resolved)
        if size is None:
            return None
        scale = request.common.scale
        for level in _list_levels(request.task.name, request.method.name, get_model_name(request)):
            rates = self._rates.get(level)
            if rates and rates.decoded.amount and (rates.trained.amount or not size.examples):
                training = size.examples * rates.trained.rate if size.examples else 0.0
                seconds = training + size.items * rates.decoded.rate + STARTING[scale]
                return RunCost(seconds, f"rates of {format_count(rates.runs, 'run')}")
        return RunCost(guess_seconds(request, size), ROUGH)

    def estimate_device_seconds(self, request: RunRequest, resolved: ResolvedSettings) -> RunCost | None:
        """What the run spends of a cluster; None where nothing is known of its size."""
        similar = self._device_seconds.get(_make_request_key(request, resolved))
        if similar:
            return RunCost(statistics.median(similar), PAST)
        return self.estimate_seconds(request, resolved)


@dataclass(frozen=True)
class SubmissionCost:
    """``hours`` of devices (GPUs, or processes where there are none) for ``runs`` runs."""

    hours: float
    from_past: int
    """Runs whose likes are finished."""
    runs: int
    gpu: bool
    bases: Mapping[str, int] = field(default_factory=dict)
    """How many runs' costs are from where."""

    def to_json(self) -> dict[str, Any]:
        """For ``bench submit --json``."""
        return {
            "hours": round(self.hours, 3),
            "of": self.unit,
            "known": self.from_past,
            "runs": self.runs,
            "bases": dict(self.bases),
        }

    @property
    def unit(self) -> str:
        """What the hours are of."""
        return "GPU-hours" if self.gpu else "process-hours"

    def __str__(self) -> str:
        if not self.runs:
            return "nothing to run"
        if not self.bases:
            return f"no estimate: nothing is known of the size of these {self.runs} runs"
        parts = [
            f"{number} {'from ' if basis == PAST else ''}{basis}" for basis, number in self.bases.items()
        ]
        uncounted = self.runs - sum(self.bases.values())
        if uncounted:
            parts.append(f"{uncounted} not known and not counted")
        return f"about {self.hours:.2g} {self.unit} (runs: {', '.join(parts)})"


def sum_costs(costs: Sequence[RunCost | None], gpu: bool) -> SubmissionCost:
    """The cost of all runs together; None stands for one of which nothing is known."""
    present = [cost for cost in costs if cost is not None]
    bases = Counter(cost.basis for cost in present)
    hours = sum(cost.seconds for cost in present) / 3600
    return SubmissionCost(hours, bases[PAST], len(costs), gpu, bases)


RunKey = tuple[object, ...]


def _make_request_key(request: RunRequest, resolved: ResolvedSettings) -> RunKey:
    common = request.common
    return _make_key(
        (request.task.name, request.method.name, get_model_name(request), common.scale, common.protocol),
        {name: setting.value for name, setting in resolved.options.items()},
        {name: setting.value for name, setting in resolved.settings.items()},
    )


def _make_key(names: tuple[str, ...], options: Mapping[str, Any], settings: Mapping[str, Any]) -> RunKey:
    """The same for runs that take equally long: what is run, of whichever size; not how its work is cut."""
    deciding = {
        name: value
        for name, value in settings.items()
        if name not in REPEATS
        and value is not None
        and name in DEFINITIONS_BY_NAME
        and DEFINITIONS_BY_NAME[name].identity
    }
    return (
        *names,
        *sorted((name, repr(value)) for name, value in options.items()),
        *sorted((name, repr(value)) for name, value in deciding.items()),
    )


def _list_levels(task: str, method: str, model: str) -> tuple[tuple[str, ...], ...]:
    """Whose rates fit: those of the same task first."""
    return (task, method, model), (method, model)


def guess_seconds(request: RunRequest, size: RunSize) -> float:
    """Seconds from examples, items, parameters and lengths alone; see the module's text."""
    scale, kind = request.common.scale, request.task.kind
    by = (MINI if scale == "mini" else PAPER)[kind]
    factor = 1.0
    if scale == "paper":
        tokens = sum(request.task.paper_lengths or (by.tokens,))
        factor = PARAMETERS.get(request.model, by.parameters) / by.parameters * tokens / by.tokens
    per_example = by.whole if request.method.name == "ft-full" else by.frozen
    return STARTING[scale] + factor * (size.examples * per_example + size.items * by.decoded)


def format_count(things: Sized, name: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
