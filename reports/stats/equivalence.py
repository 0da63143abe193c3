"""How far a mean of a few runs reaches: for equivalence, for exclusion, and what it could have detected.

All of it is Student's t with a standard deviation and degrees of freedom that join our runs with the usual
spread of such runs (``RunSpread``, ``join_spreads``). Everything grows with the spread of our runs and falls
with their number, so nothing that rests on it gets stronger by more scatter or weaker by more runs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from reports.stats.intervals import LEVEL, t_quantile

EQUIVALENCE_LEVEL = 0.95
"""Of each of the two one-sided tests; the interval that must lie inside is the 90 % one."""
POWER = 0.80
"""How surely a difference is found that is called detectable (the convention since Cohen 1988)."""


class RunSpread(NamedTuple):
    """Standard deviation between single runs, and the degrees of freedom behind it."""

    sd: float
    df: float


def join_spreads(own_sd: float, n: int, usual: RunSpread) -> RunSpread:
    """The spread to judge ``n`` runs by: theirs or the usual, whichever is larger.

    Runs that happen to agree do not make the noise vanish. The usual spread lends its degrees of freedom
    while ours is not larger, and loses them with the fourth power of the ratio where it is: what scatters far
    more than published runs do is judged by itself.
    """
    sd = max(own_sd, usual.sd)
    if sd == 0:
        return RunSpread(0.0, math.inf)
    return RunSpread(sd, n - 1 + usual.df * (usual.sd / sd) ** 4)


def measure_mean_reach(spread: RunSpread, n: int) -> float:
    """Half the 90 % interval of the mean of ``n`` runs: t(.95) · sd / √n."""
    return _scale(EQUIVALENCE_LEVEL, spread) / math.sqrt(n)


def measure_run_reach(spread: RunSpread, n: int) -> float:
    """How far a further run may lie from the mean of ``n``, 95 of 100 times: t(.975) · sd · √(1 + 1/n)."""
    return _scale((1 + LEVEL) / 2, spread) * math.sqrt(1 + 1 / n)


def measure_power_margin(spread: RunSpread, n: int) -> float:
    """How much beyond a limit the truth must lie for ``n`` runs to pass the limit 80 of 100 times."""
    return _scale(POWER, spread) * math.sqrt(1 + 1 / n)


def _scale(probability: float, spread: RunSpread) -> float:
    return t_quantile(probability, spread.df) * spread.sd if spread.sd else 0.0
