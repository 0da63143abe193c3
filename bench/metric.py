"""What a scorer returns."""

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


class GateStatus(StrEnum):
    """How a scorer did on the golden outputs."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_COMPUTED = "not-computed"
    ABSENT = "absent"
    """There are no golden outputs for it."""


@dataclass(frozen=True)
class Measured:
    """A corpus score.

    ``signature`` names implementation, version, tokenisation, casing and reference handling.
    ``segments`` holds named values per item, in the items' order, for metrics that have them
    (``{"meteor": [...]}``, ``{"ter_edits": [...], "ter_reflen": [...]}``).
    """

    value: float
    signature: str
    segments: Mapping[str, Sequence[float]] = field(default_factory=dict)
