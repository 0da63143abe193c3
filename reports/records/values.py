"""What one record says of one number of the paper: a score, or time, memory and parameters.

Values are in our units (``reports.paper``: BLEU 0-100, METEOR 0-1, ...; hours, shares, counts).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
FAILED_GATE = "failed"
"""How the gate of a score begins whose scorer gave wrong values for the golden outputs."""


TRAINED_ELSEWHERE = "the parameters were trained by another run, whose cost this is"


@dataclass(frozen=True)
class MeasuredValue:
    """A value, or why there is none. ``machine``: what a value of time or memory holds for."""

    value: float | None
    reason: str = ""
    signature: str = ""
    gate: str = ""
    machine: str = ""

    @property
    def failed_gate(self) -> bool:
        return self.gate.startswith(FAILED_GATE)


def plain_value(one: Any) -> Any:
    """The value of a setting or option, stored with its origin (records) or bare (committed records)."""
    return one["value"] if isinstance(one, dict) else one


def measure_value(record: Record, group: str, metric: str) -> MeasuredValue:
    """The number ``metric`` of the items in ``group``; never raises for what a record lacks."""
    work = WORK_METRICS.get(metric)
    if work is not None:
        try:
            return work(record)
        except (KeyError, TypeError, ZeroDivisionError):
            return MeasuredValue(None, f"the record does not say: {metric}")
    score = ((record.get("scores") or {}).get(group) or {}).get(metric)
    if score is None:
        return MeasuredValue(None, f"no score {metric} of group {group} in the record")
    gate = str(score.get("gate") or "")
    value = score.get("value")
    if value is None or not math.isfinite(value):
        return MeasuredValue(None, str(score.get("reason") or "no value"), gate=gate)
    return MeasuredValue(float(value), signature=str(score.get("signature") or ""), gate=gate)


def describe_machine(record: Record) -> str:
    """What time and memory hold for: the task, on the accelerators or the processor and its cores."""
    return f"{record['task']} on {_name_hardware(record)}"


def describe_hardware(record: Record) -> str:
    """The accelerators, or the processor and its cores, never the machine's name; empty where no record says."""
    try:
        return _name_hardware(record)
    except (KeyError, TypeError):
        return ""


def _name_hardware(record: Record) -> str:
    hardware = record["hardware"]
    names = [str(accelerator["name"]) for accelerator in hardware["accelerators"]]
    return " + ".join(names) or f"{hardware['cpu']}, {hardware['cores']} cores"


def count_stored(record: Record) -> MeasuredValue:
    return MeasuredValue(float(record["parameters"]["stored"]))


def count_trained(record: Record) -> MeasuredValue:
    return MeasuredValue(float(record["parameters"]["trained"]))


def compute_stored_share(record: Record) -> MeasuredValue:
    return MeasuredValue(record["parameters"]["stored"] / record["parameters"]["backbone"])


def compute_epoch_hours(record: Record) -> MeasuredValue:
    """Hours for one pass over the rows, from the time of all updates."""
    training = record["training"]
    if training is None:
        return MeasuredValue(None, "nothing is trained")
    if training.get("taken_from"):
        return MeasuredValue(None, TRAINED_ELSEWHERE)
    # Micro-batches and processes share the batch of an update.
    updates = math.ceil(training["rows"] / plain_value(record["settings"]["batch_size"]))
    hours = training["seconds"] / training["updates"] * updates / 3600
    return MeasuredValue(hours, machine=describe_machine(record))


def compute_memory_share(record: Record) -> MeasuredValue:
    """The most memory held, as a share of the accelerator's; the paper's are for batch size 1."""
    if (record["training"] or {}).get("taken_from"):
        return MeasuredValue(None, TRAINED_ELSEWHERE)
    batch = plain_value(record["settings"]["batch_size"])
    if batch != 1:
        return MeasuredValue(None, f"the paper's shares are for batch size 1, this run has {batch}")
    peak = record["peak_memory_bytes"]["accelerator_bytes"]
    if peak is None:
        return MeasuredValue(None, "no accelerator")
    total = record["hardware"]["accelerators"][0]["memory_bytes"]
    return MeasuredValue(peak / total, machine=describe_machine(record))


def read_decode_seconds(record: Record) -> MeasuredValue:
    return MeasuredValue(float(record["decoding"]["seconds_per_item"]), machine=describe_machine(record))


WORK_METRICS: Mapping[str, Callable[[Record], MeasuredValue]] = {
    "stored_parameters": count_stored,
    "trained_parameters": count_trained,
    "stored_share": compute_stored_share,
    "epoch_hours": compute_epoch_hours,
    "memory_share": compute_memory_share,
    "decode_seconds": read_decode_seconds,
}
"""Numbers that are not scores of outputs."""
COUNT_METRICS = ("stored_parameters", "trained_parameters", "stored_share")
"""Numbers that do not vary between seeds."""
MACHINE_METRICS = ("epoch_hours", "memory_share", "decode_seconds", "decode_batch_seconds", "speed_gain")
"""Numbers that hold for one machine only."""
