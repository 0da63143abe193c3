"""Means and intervals over the runs behind a number.

An interval says what it is *over*: ``SEEDS`` (trainings with different seeds on the same data),
``SUBSETS`` (different draws of a small training set, each averaged over its seeds) or ``ITEMS`` (one
run, other test items; ``reports.stats.item_bootstrap``). These answer different questions, so nothing here combines
intervals of different kinds: it raises ``MixedError``.

Every random draw comes from a generator that the caller names (``generator``): same seed and name,
same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Any

from bench.system.rng import derive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEEDS, SUBSETS, ITEMS, EXACT = "between seeds", "between subsets", "over test items", "exact"
ONE_SEED = "one seed: no interval between seeds"
LEVEL = 0.95
RESAMPLES = 2000

Replicates = Mapping[tuple[int | None, int], float]
"""(data seed or None, training seed) -> value of that run."""


class MixedError(ValueError):
    """Intervals that answer different questions were about to be combined or compared."""


def generator(seed: int, name: str) -> np.random.Generator:
    """A numpy generator for the purpose ``name``; the same draws for the same arguments everywhere."""
    import numpy as np

    return np.random.default_rng(derive(seed, name))


@lru_cache(maxsize=1024)
def t_quantile(probability: float, df: float) -> float:
    """Student's t quantile; the normal one for infinite ``df``."""
    if math.isinf(df):
        return NormalDist().inv_cdf(probability)
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


@dataclass(frozen=True)
class Interval:
    """A confidence interval, what it is over, how it was made and from how many values."""

    low: float
    high: float
    over: str
    method: str
    n: int
    level: float = LEVEL

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def overlaps(self, other: Interval) -> bool:
        """Whether the two have a value in common; ``MixedError`` if they are over different things."""
        same_kind(self.over, other.over)
        return self.low <= other.high and other.low <= self.high


def same_kind(*kinds: str) -> str:
    """The one kind that all of ``kinds`` are (exact numbers go with any); ``MixedError`` otherwise."""
    varying = {kind for kind in kinds if kind != EXACT}
    if len(varying) > 1:
        raise MixedError(f"intervals {' and '.join(sorted(varying))} answer different questions")
    return varying.pop() if varying else EXACT


@dataclass(frozen=True)
class Summary:
    """The runs behind a number: their mean, how they spread, and an interval where there can be one.

    ``units`` are what varies independently: the runs, or where several subsets of the data were drawn,
    each subset's mean over its seeds. ``mean``, ``sd`` and ``n`` are theirs; ``runs`` counts all runs.
    """

    units: tuple[float, ...]
    runs: int
    mean: float
    sd: float | None
    over: str
    interval: Interval | None
    note: str

    @property
    def n(self) -> int:
        return len(self.units)


def independent(replicates: Replicates) -> tuple[dict[int | None, float], str]:
    """What varies independently: data seed -> mean over seeds; with one subset at most, seed -> value."""
    subsets: dict[int | None, list[float]] = {}
    for (subset, _), value in sorted(replicates.items(), key=lambda one: (str(one[0][0]), one[0][1])):
        subsets.setdefault(subset, []).append(value)
    if len(subsets) > 1:
        return {subset: fmean(values) for subset, values in subsets.items()}, SUBSETS
    return {seed: value for (_, seed), value in sorted(replicates.items(), key=lambda o: o[0][1])}, SEEDS


def summarise(
    replicates: Replicates,
    level: float = LEVEL,
    rng: np.random.Generator | None = None,
    resamples: int = RESAMPLES,
) -> Summary:
    """Mean with Student's t interval, or with ``rng`` and at least 10 values a BCa bootstrap interval.

    Raises ``ValueError`` for no runs. One value has no interval, and ``note`` says so.
    """
    if not replicates:
        raise ValueError("no runs to summarise")
    by_unit, over = independent(replicates)
    units = tuple(by_unit.values())
    if len(units) == 1:
        return Summary(units, len(replicates), units[0], None, over, None, ONE_SEED)
    if rng is not None and len(units) >= 10:
        interval = bootstrap(units, rng, over=over, level=level, resamples=resamples)
    else:
        interval = t_interval(units, over, level)
    note = f"{level:.0%} interval {over}, n = {len(units)}, {interval.method}"
    if over == SUBSETS:
        note += f", {len(replicates)} runs"
    return Summary(units, len(replicates), fmean(units), stdev(units), over, interval, note)


def t_interval(values: Sequence[float], over: str = SEEDS, level: float = LEVEL) -> Interval:
    """Mean ± t(n-1) · s/√n; ``ValueError`` for fewer than two values."""
    if len(values) < 2:
        raise ValueError("an interval needs at least two values")
    mean = fmean(values)
    reach = t_quantile((1 + level) / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(mean - reach, mean + reach, over, "Student's t", len(values), level)


def bootstrap(
    values: Sequence[float],
    rng: np.random.Generator,
    statistic: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    *,
    over: str = SEEDS,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    kind: str = "bca",
) -> Interval:
    """Bootstrap interval of ``statistic`` (default the mean), by percentiles or bias-corrected (BCa).

    ``statistic`` maps samples [..., n] to values [...]. Draws come from ``rng`` alone.
    """
    import numpy as np

    if len(values) < 2 or kind not in ("bca", "percentile"):
        raise ValueError(f"bootstrap needs two values and kind bca or percentile, got {len(values)}, {kind}")
    data = np.asarray(values, dtype=float)
    stat = statistic or (lambda sample: sample.mean(axis=-1))
    n = len(data)
    draws = stat(data[rng.integers(0, n, size=(resamples, n))])
    jackknife = stat(data[without_each(n)]) if kind == "bca" else None
    low, high = bootstrap_limits(draws, float(stat(data)), jackknife, level)
    name = "BCa bootstrap" if kind == "bca" else "percentile bootstrap"
    return Interval(low, high, over, f"{name}, {resamples:,} resamples", n, level)


def without_each(n: int) -> NDArray[Any]:
    """Indices of the n samples that leave one value out, [n, n - 1]."""
    import numpy as np

    columns = np.arange(n - 1)
    return columns[None, :] + (columns[None, :] >= np.arange(n)[:, None])


def bootstrap_limits(
    draws: NDArray[Any], point: float, jackknife: NDArray[Any] | None, level: float
) -> tuple[float, float]:
    """Percentile limits of ``draws``; with the leave-one-out values of the statistic, BCa limits.

    Efron 1987: z0 corrects the bias of the draws around the point, the acceleration their skewness.
    """
    import numpy as np

    tails = [(1 - level) / 2, (1 + level) / 2]
    if jackknife is not None and float(np.ptp(draws)) > 0:
        normal = NormalDist()
        below = float(np.mean(draws < point) + np.mean(draws == point) / 2)
        edge = 0.5 / len(draws)
        z0 = normal.inv_cdf(min(max(below, edge), 1 - edge))
        centred = jackknife.mean() - jackknife
        spread = float((centred**2).sum())
        skew = float((centred**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

        def adjusted(tail: float) -> float:
            z = z0 + normal.inv_cdf(tail)
            return normal.cdf(z0 + z / (1 - skew * z))

        tails = [adjusted(tail) for tail in tails]
    low, high = np.quantile(draws, tails)
    return float(low), float(high)
