"""A score as records and tables have it: a value or the reason why there is none, and what the gate said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class ScoreStatus(StrEnum):
    """Whether a score has a value, or why not."""

    COMPUTED = "computed"
    UNAVAILABLE = "unavailable"
    """Something from outside (weights, a package) could not be had."""
    FAILED = "failed"
    """The scorer broke."""
    NOT_IMPLEMENTED = "not-implemented"
    EMPTY = "empty"
    """The group has no items."""
    NO_REFERENCES = "no-references"
    """Some item of the group has none."""


class GateStatus(StrEnum):
    """How a scorer did on the golden outputs."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_COMPUTED = "not-computed"
    ABSENT = "absent"
    """There are no golden outputs for it."""


@dataclass(frozen=True)
class GateVerdict:
    """What the golden outputs say of a scorer. ``fingerprint``: of the values that it gave, where it gave any."""

    status: GateStatus
    fingerprint: str | None = None
    problem: str | None = None
    """The first wrong value, or why there is none, in words."""

    def __str__(self) -> str:
        """As records hold it: ``passed FINGERPRINT``, ``failed: …``, ``not computed``, ``no golden outputs``."""
        match self.status:
            case GateStatus.PASSED:
                return f"passed {self.fingerprint}"
            case GateStatus.FAILED:
                return f"failed: {self.problem}"
            case GateStatus.NOT_COMPUTED:
                return "not computed"
            case GateStatus.ABSENT:
                return "no golden outputs"


@dataclass(frozen=True)
class Score:
    """A value with what made it; ``value`` None and ``reason`` in words where it has another status."""

    status: ScoreStatus
    value: float | None = None
    signature: str | None = None
    reason: str | None = None
    segments: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Named values per item, in the items' order."""
    gate: GateVerdict | None = None

    def to_json(self) -> dict[str, float | str | None]:
        """What a record keeps: all but the values per item."""
        document: dict[str, float | str | None] = {
            "value": self.value,
            "signature": self.signature,
            "status": self.status.value,
        }
        if self.reason is not None:
            document["reason"] = self.reason
        if self.gate is not None:
            document["gate"] = str(self.gate)
            document["gate_status"] = self.gate.status.value
        return document
