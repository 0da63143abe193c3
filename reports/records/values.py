"""What a record says of a number of the paper: a score, or time, memory and parameters.

Values are in our units (``reports.paper``: BLEU 0-100, METEOR 0-1, ...; hours, shares, counts).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bench.store.record import Record

T = TypeVar("T")
TRAINED_ELSEWHERE = "the parameters were trained by another run, whose cost this is"


class UnstatedError(Exception):
    """A record lacks what a number is made from."""


@dataclass(frozen=True)
class MeasuredValue:
    """A value, or why there is none. ``machine``: what a value of time or memory holds for."""

    value: float | None
    reason: str = ""
    signature: str = ""
    gate: str = ""
    """What the golden gate said of the scorer, in words."""
    failed_gate: bool = False
    """Whether the scorer gave wrong values for the golden outputs."""
    machine: str = ""


def measure_value(record: Record, group: str, metric: str) -> MeasuredValue:
    """The number ``metric`` of the items in ``group``; never raises for what a record lacks."""
    measure_work = WORK_METRICS.get(metric)
    if measure_work is not None:
        try:
            return measure_work(record)
        except (UnstatedError, ZeroDivisionError):
            return MeasuredValue(None, f"the record does not say: {metric}")
    score = record.scores.get(group, {}).get(metric)
    if score is None:
        return MeasuredValue(None, f"no score {metric} of group {group} in the record")
    gate, value = score.gate or "", score.value
    if value is None or not math.isfinite(value):
        return MeasuredValue(None, score.reason or "no value", gate=gate, failed_gate=score.failed_gate)
    return MeasuredValue(float(value), "", score.signature or "", gate, score.failed_gate)


def describe_machine(record: Record) -> str:
    """What time and memory hold for: the task, on the hardware; ``UnstatedError`` where the record has none."""
    hardware = describe_hardware(record)
    if not hardware:
        raise UnstatedError("hardware")
    return f"{record.task} on {hardware}"


def describe_hardware(record: Record) -> str:
    """The accelerators, or the processor and its cores, never the machine's name; empty where it is not stated."""
    hardware = record.hardware
    if hardware is None:
        return ""
    names = " + ".join(str(accelerator.name) for accelerator in hardware.accelerators)
    if names or hardware.cpu is None or hardware.cores is None:
        return names
    return f"{hardware.cpu}, {hardware.cores} cores"


def count_stored(record: Record) -> MeasuredValue:
    """Parameters kept after training."""
    return MeasuredValue(float(_require(record.parameters).stored))


def count_trained(record: Record) -> MeasuredValue:
    """Parameters that training changed."""
    return MeasuredValue(float(_require(record.parameters).trained))


def compute_stored_share(record: Record) -> MeasuredValue:
    """Stored parameters as a share of the backbone's."""
    parameters = _require(record.parameters)
    return MeasuredValue(parameters.stored / parameters.backbone)


def compute_epoch_hours(record: Record) -> MeasuredValue:
    """Hours for one pass over the rows, from the time of all updates."""
    training = record.training
    if training is None:
        if "training" not in record:
            raise UnstatedError("training")
        return MeasuredValue(None, "nothing is trained")
    if training.taken_from:
        return MeasuredValue(None, TRAINED_ELSEWHERE)
    # Micro-batches and processes share the batch of an update.
    updates = math.ceil(training.rows / _read_batch_size(record))
    hours = training.seconds / training.updates * updates / 3600
    return MeasuredValue(hours, machine=describe_machine(record))


def read_training_loss(record: Record) -> MeasuredValue:
    """Training loss per target token, in nats, over the last whole epoch."""
    if record.training is None:
        if "training" not in record:
            raise UnstatedError("training")
        return MeasuredValue(None, "nothing is trained")
    return MeasuredValue(float(_require(record.training.last_epoch_loss)))


def compute_memory_share(record: Record) -> MeasuredValue:
    """The most memory held, as a share of the accelerator's; the paper's are for batch size 1."""
    if record.training is not None and record.training.taken_from:
        return MeasuredValue(None, TRAINED_ELSEWHERE)
    batch = _read_batch_size(record)
    if batch != 1:
        return MeasuredValue(None, f"the paper's shares are for batch size 1, this run has {batch}")
    if "accelerator_bytes" not in record.peak_memory_bytes:
        raise UnstatedError("peak memory")
    peak = record.peak_memory_bytes["accelerator_bytes"]
    if peak is None:
        return MeasuredValue(None, "no accelerator")
    accelerators = _require(record.hardware).accelerators
    if not accelerators:
        raise UnstatedError("accelerators")
    return MeasuredValue(peak / _require(accelerators[0].memory_bytes), machine=describe_machine(record))


def read_decode_seconds(record: Record) -> MeasuredValue:
    """Seconds to decode an item."""
    seconds = _require(_require(record.decoding).seconds_per_item)
    return MeasuredValue(float(seconds), machine=describe_machine(record))


def _require(part: T | None) -> T:
    if part is None:
        raise UnstatedError("a part of the record")
    return part


def _read_batch_size(record: Record) -> int:
    entry = _require(record.settings.get("batch_size"))
    batch: Any = entry.value
    return int(batch)


WORK_METRICS: Mapping[str, Callable[[Record], MeasuredValue]] = {
    "stored_parameters": count_stored,
    "trained_parameters": count_trained,
    "stored_share": compute_stored_share,
    "epoch_hours": compute_epoch_hours,
    "memory_share": compute_memory_share,
    "training_loss": read_training_loss,
    "decode_seconds": read_decode_seconds,
}
"""Numbers that are not scores of outputs."""
COUNT_METRICS = ("stored_parameters", "trained_parameters", "stored_share")
"""Numbers that do not vary between seeds."""
MACHINE_METRICS = ("epoch_hours", "memory_share", "decode_seconds", "decode_batch_seconds", "speed_gain")
"""Numbers that hold for one machine only."""
