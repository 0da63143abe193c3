"""What a sentence of the paper allows of its number: an interval, open on one side for an ordering."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a sentence allows of its number; an end that is None is not limited."""

    low: float | None
    high: float | None
    strict: bool = False
    """Whether the ends themselves are not allowed: nothing is better than its equal."""

    def hold(self, number: float) -> bool:
        """Whether the number is as the sentence says."""
        return not (self.lies_below(number) or self.lies_above(number))

    def lies_below(self, number: float) -> bool:
        """Whether the number is too low."""
        gap = math.inf if self.low is None else self._round(number - self.low)
        return gap < 0 or (self.strict and gap == 0)

    def lies_above(self, number: float) -> bool:
        """Whether the number is too high."""
        gap = math.inf if self.high is None else self._round(self.high - number)
        return gap < 0 or (self.strict and gap == 0)

    def measure_margin(self, number: float) -> float:
        """How far inside the number is, from the nearer end; negative outside."""
        gaps = [math.inf] if self.low is None else [number - self.low]
        return min(gaps if self.high is None else [*gaps, self.high - number])

    def describe(self) -> str:
        """``more than 0``, ``at least -1``, ``-1 to 2.5``, ``between -1.94 and 0`` (without its ends)."""
        if self.low is not None and self.high is not None:
            if self.low == self.high:
                return f"{self.low:g}"
            if self.strict:
                return f"between {self.low:g} and {self.high:g}"
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"{'more than' if self.strict else 'at least'} {self.low:g}"
        if self.high is not None:
            return f"{'less than' if self.strict else 'at most'} {self.high:g}"
        return "any number"

    @staticmethod
    def _round(gap: float) -> float:
        return round(gap, 9)  # sums of printed decimals are not exact
