"""Which parameters of a training are kept. Imports no torch."""

from __future__ import annotations

from enum import StrEnum


class KeepRule(StrEnum):
    """Values of the setting ``keep``."""

    LAST = "last"
    BEST = "best"
    """Of the lowest loss on the dev split."""
    BEST_ROUGE2 = "best-dev-rouge2"
    """Of the highest ROUGE-2 of outputs for the dev split."""

    @property
    def other(self) -> KeepRule:
        """What ``store_both`` stores beside the parameters that are kept."""
        return KeepRule.BEST if self is KeepRule.LAST else KeepRule.LAST
