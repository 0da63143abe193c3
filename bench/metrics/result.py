"""What a scorer returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


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
