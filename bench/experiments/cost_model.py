"""How long a run will take on one machine, for `bench plan`: from past runs where there are any, else a rough guess.

What a submission spends of a cluster is in ``bench.cluster.budget``.

Three bases, best first, and every estimate says which it has:

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

Past runs may have been made on another machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field
from typing import Any

from bench.config.request import RunRequest
from bench.config.specification import ResolvedSettings
from bench.data import subsets
from bench.data.dataset import mini_row_counts

PARAMETERS = {"gpt2-medium": 355e6, "gpt2-large": 774e6, "bart-large": 406e6}
"""Of the published backbones: the rough estimate grows with them."""


@dataclass(frozen=True)
class Rough:
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
    "table-to-text": Rough(0.3 * 3600 / 22_000, 0.2 * 3600 / 22_000, 1.2, 355e6, 49.6 + 30.7),
    "summarization": Rough(1.25 * 3600 / 204_000, 1.25 * 3600 / 204_000, 0.26, 406e6, 473.3 + 28.1),
}
MINI = {
    "table-to-text": Rough(0.014, 0.014, 0.05, 1.5e6, 80.0),
    "summarization": Rough(0.028, 0.028, 0.1, 1.5e6, 80.0),
}
STARTING = {"paper": 60.0, "mini": 5.0}
"""Scale -> seconds for reading, loading and scoring."""
FEWEST_UPDATES, FEWEST_ITEMS = 20, 10
"""Work that a run must have done for its rate to count. The first update and the first batch decoded take a few
times as long as the next ones (memory is allocated, kernels are chosen): less than a fifth of this many."""
REPEATS = ("data_seed",)


@dataclass(frozen=True)
class Size:
    """What a run has to do. ``examples``: rows times the passes over them."""

    examples: int
    items: int


@dataclass(frozen=True)
class Estimate:
    """Seconds on one machine, and in words where they come from."""

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


def size_of(request: RunRequest, resolved: ResolvedSettings) -> Size | None:
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
        return Size(0, items)
    updates = value["max_steps"]
    if updates is None:
        return Size(value["epochs"] * rows, items)
    epochs, rest = divmod(updates, math.ceil(rows / value["batch_size"]))
    return Size(epochs * rows + min(rest * value["batch_size"], rows), items)


class History:
    """What finished runs took."""

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self.whole: dict[tuple[Any, ...], list[float]] = {}
        self.rates: dict[tuple[Any, ...], _Rates] = {}
        for record in records:
            if record.get("status") == "done":
                self._add(record)

    def _add(self, record: Mapping[str, Any]) -> None:
        options = {name: one["value"] for name, one in record["options"].items()}
        settings = {name: one["value"] for name, one in record["settings"].items()}
        stages = record.get("seconds") or {}
        if record.get("training") is None and record.get("decoding") is None:
            return
        training, decoding = record.get("training") or {}, record.get("decoding") or {}
        # The stages of a run that was resumed are in the products' own notes, not in the last attempt.
        seconds = training.get("seconds", 0.0) + decoding.get("seconds", 0.0)
        alike = _alike(record["task"], record["method"], record["model"], record["scale"], options, settings)
        self.whole.setdefault(alike, []).append(seconds + stages.get("score", 0.0))
        updates, batch_size = training.get("updates", 0), settings.get("batch_size")
        trained = updates >= FEWEST_UPDATES and batch_size and training["rows"] > 0
        decoded = decoding.get("items", 0) >= FEWEST_ITEMS
        for names in _levels(record["task"], record["method"], record["model"]):
            if not trained and not decoded:
                continue
            rates = self.rates.setdefault(names, _Rates())
            rates.runs.append(record["run_id"])
            if trained:
                per_epoch = math.ceil(training["rows"] / batch_size)
                rates.trained.add(training["seconds"], updates * training["rows"] / per_epoch)
            if decoded:
                rates.decoded.add(decoding["seconds"], decoding["items"])

    def estimate(self, request: RunRequest, resolved: ResolvedSettings) -> Estimate | None:
        """Seconds that the run will take; None where nothing is known of its size."""
        options = {name: one.value for name, one in resolved.options.items()}
        settings = {name: one.value for name, one in resolved.settings.items()}
        names = (request.task.name, request.method.name, request.model)
        alike = _alike(*names, request.common.scale, options, settings)
        if past := self.whole.get(alike):
            return Estimate(_mean(past), counted(past, "similar run"))
        size = size_of(request, resolved)
        if size is None:
            return None
        scale = request.common.scale
        for level in _levels(*names):
            rates = self.rates.get(level)
            if rates and rates.decoded.amount and (rates.trained.amount or not size.examples):
                training = size.examples * rates.trained.rate if size.examples else 0.0
                seconds = training + size.items * rates.decoded.rate + STARTING[scale]
                return Estimate(seconds, f"rates of {counted(rates.runs, 'run')}")
        return Estimate(rough(request, size), "rough")


def _alike(
    task: str,
    method: str,
    model: str,
    scale: str,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> tuple[Any, ...]:
    kept = sorted((n, repr(v)) for n, v in settings.items() if n not in REPEATS and v is not None)
    return (task, method, model, scale, *sorted((n, repr(v)) for n, v in options.items()), *kept)


def _levels(task: str, method: str, model: str) -> tuple[tuple[str, ...], ...]:
    """Whose rates fit: those of the same task first."""
    return (task, method, model), (method, model)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def rough(request: RunRequest, size: Size) -> float:
    """Seconds from examples, items, parameters and lengths alone; see the module's text."""
    scale, kind = request.common.scale, request.task.kind
    by = (MINI if scale == "mini" else PAPER)[kind]
    factor = 1.0
    if scale == "paper":
        tokens = sum(request.task.paper_lengths or (by.tokens,))
        factor = PARAMETERS.get(request.model, by.parameters) / by.parameters * tokens / by.tokens
    per_example = by.whole if request.method.name == "ft-full" else by.frozen
    return STARTING[scale] + factor * (size.examples * per_example + size.items * by.decoded)


def counted(things: Sized, name: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def in_words(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
