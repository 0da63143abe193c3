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
class Measured:
    """A value, or why there is none. ``machine``: what a value of time or memory holds for."""

    value: float | None
    reason: str = ""
    signature: str = ""
    gate: str = ""
    machine: str = ""

    @property
    def failed_gate(self) -> bool:
        return self.gate.startswith(FAILED_GATE)


def plain(one: Any) -> Any:
    """The value of a setting or option, stored with its origin (records) or bare (committed records)."""
    return one["value"] if isinstance(one, dict) else one


def measure(record: Record, group: str, metric: str) -> Measured:
    """The number ``metric`` of the items in ``group``; never raises for what a record lacks."""
    work = WORK.get(metric)
    if work is not None:
        try:
            return work(record)
        except (KeyError, TypeError, ZeroDivisionError):
            return Measured(None, f"the record does not say: {metric}")
    score = ((record.get("scores") or {}).get(group) or {}).get(metric)
    if score is None:
        return Measured(None, f"no score {metric} of group {group} in the record")
    gate = str(score.get("gate") or "")
    value = score.get("value")
    if value is None or not math.isfinite(value):
        return Measured(None, str(score.get("reason") or "no value"), gate=gate)
    return Measured(float(value), signature=str(score.get("signature") or ""), gate=gate)


def machine_of(record: Record) -> str:
    """What time and memory hold for: the task, on the accelerators or the processor and its cores."""
    hardware = record["hardware"]
    names = [str(one["name"]) for one in hardware["accelerators"]]
    return f"{record['task']} on " + (" + ".join(names) or f"{hardware['cpu']}, {hardware['cores']} cores")


def stored(record: Record) -> Measured:
    return Measured(float(record["parameters"]["stored"]))


def trained(record: Record) -> Measured:
    return Measured(float(record["parameters"]["trained"]))


def stored_share(record: Record) -> Measured:
    return Measured(record["parameters"]["stored"] / record["parameters"]["backbone"])


def epoch_hours(record: Record) -> Measured:
    """Hours for one pass over the rows, from the time of all updates."""
    training = record["training"]
    if training is None:
        return Measured(None, "nothing is trained")
    if training.get("taken_from"):
        return Measured(None, TRAINED_ELSEWHERE)
    # Micro-batches and processes share the batch of an update.
    updates = math.ceil(training["rows"] / plain(record["settings"]["batch_size"]))
    hours = training["seconds"] / training["updates"] * updates / 3600
    return Measured(hours, machine=machine_of(record))


def memory_share(record: Record) -> Measured:
    """The most memory held, as a share of the accelerator's; the paper's are for batch size 1."""
    if (record["training"] or {}).get("taken_from"):
        return Measured(None, TRAINED_ELSEWHERE)
    batch = plain(record["settings"]["batch_size"])
    if batch != 1:
        return Measured(None, f"the paper's shares are for batch size 1, this run has {batch}")
    peak = record["peak_memory_bytes"]["accelerator_bytes"]
    if peak is None:
        return Measured(None, "no accelerator")
    total = record["hardware"]["accelerators"][0]["memory_bytes"]
    return Measured(peak / total, machine=machine_of(record))


def decode_seconds(record: Record) -> Measured:
    return Measured(float(record["decoding"]["seconds_per_item"]), machine=machine_of(record))


WORK: Mapping[str, Callable[[Record], Measured]] = {
    "stored_parameters": stored,
    "trained_parameters": trained,
    "stored_share": stored_share,
    "epoch_hours": epoch_hours,
    "memory_share": memory_share,
    "decode_seconds": decode_seconds,
}
"""Numbers that are not scores of outputs."""
COUNTS = ("stored_parameters", "trained_parameters", "stored_share")
"""Numbers that do not vary between seeds."""
OF_MACHINE = ("epoch_hours", "memory_share", "decode_seconds", "decode_batch_seconds", "speed_gain")
"""Numbers that hold for one machine only."""
