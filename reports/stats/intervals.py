"""Means and intervals over the runs behind a number.

An interval says what it is *over* (``IntervalOver``): ``SEEDS`` (trainings with different seeds on the same
data), ``SUBSETS`` (different draws of a small training set, each averaged over its seeds) or ``ITEMS`` (one
run, other test items; ``reports.stats.item_bootstrap``). These answer different questions, so nothing here
combines intervals of different kinds: it raises ``MixedError``.

Every random draw comes from a generator that the caller names (``make_generator``): same seed and name,
same interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.system.rng import derive_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class IntervalOver(StrEnum):
    """What varies between the values behind an interval."""

    SEEDS = "between seeds"
    SUBSETS = "between subsets"
    ITEMS = "over test items"
    EXACT = "exact"
    """Nothing: a count, or a printed value."""


ONE_SEED = "one seed: no interval between seeds"
LEVEL = 0.95
RESAMPLES = 2000

Replicates = Mapping[tuple[int | None, int], float]
"""(data seed or None, training seed) -> value of that run."""


class MixedError(ValueError):
    """Intervals that answer different questions were about to be combined or compared."""


def make_generator(seed: int, name: str) -> np.random.Generator:
    """A numpy generator for the purpose ``name``; the same draws for the same arguments everywhere."""
    import numpy as np

    return np.random.default_rng(derive_seed(seed, name))


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
    over: IntervalOver
    method: str
    n: int
    level: float = LEVEL

    @property
    def half_width(self) -> float:
        """Half the distance between the ends."""
        return (self.high - self.low) / 2

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def overlaps(self, interval: Interval) -> bool:
        """Whether the two have a value in common; ``MixedError`` if they are over different things."""
        require_same_kind(self.over, interval.over)
        return self.low <= interval.high and interval.low <= self.high


def require_same_kind(*kinds: IntervalOver) -> IntervalOver:
    """The single kind that all of ``kinds`` are (exact numbers go with any); ``MixedError`` otherwise."""
    varying = {kind for kind in kinds if kind is not IntervalOver.EXACT}
    if len(varying) > 1:
        raise MixedError(f"intervals {' and '.join(sorted(varying))} answer different questions")
    return varying.pop() if varying else IntervalOver.EXACT


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
    over: IntervalOver
    interval: Interval | None
    note: str

    @property
    def n(self) -> int:
        """How many values vary independently."""
        return len(self.units)


class IndependentUnits(NamedTuple):
    """What varies independently: data seed -> mean over its seeds, or seed -> value."""

    values: dict[int | None, float]
    over: IntervalOver


def group_units(replicates: Replicates) -> IndependentUnits:
    """The subsets of the data with their means over seeds; with one subset at most, the seeds."""
    subsets: dict[int | None, list[float]] = {}
    for (subset, _), value in sorted(replicates.items(), key=lambda item: (str(item[0][0]), item[0][1])):
        subsets.setdefault(subset, []).append(value)
    if len(subsets) > 1:
        means = {subset: fmean(values) for subset, values in subsets.items()}
        return IndependentUnits(means, IntervalOver.SUBSETS)
    by_seed = sorted(replicates.items(), key=lambda item: item[0][1])
    return IndependentUnits({seed: value for (_, seed), value in by_seed}, IntervalOver.SEEDS)


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
    by_unit, over = group_units(replicates)
    units = tuple(by_unit.values())
    if len(units) == 1:
        return Summary(units, len(replicates), units[0], None, over, None, ONE_SEED)
    if rng is not None and len(units) >= 10:
        interval = bootstrap_interval(units, rng, over=over, level=level, resamples=resamples)
    else:
        interval = compute_t_interval(units, over, level)
    note = f"{level:.0%} interval {over}, n = {len(units)}, {interval.method}"
    if over is IntervalOver.SUBSETS:
        note += f", {len(replicates)} runs"
    return Summary(units, len(replicates), fmean(units), stdev(units), over, interval, note)


def compute_t_interval(
    values: Sequence[float], over: IntervalOver = IntervalOver.SEEDS, level: float = LEVEL
) -> Interval:
    """Mean ± t(n-1) · s/√n; ``ValueError`` for fewer than two values."""
    if len(values) < 2:
        raise ValueError("an interval needs at least two values")
    mean = fmean(values)
    reach = t_quantile((1 + level) / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Interval(mean - reach, mean + reach, over, "Student's t", len(values), level)


# --- the bootstrap

BOOTSTRAPS = {"bca": ("BCa", "BCa bootstrap"), "percentile": ("percentile", "percentile bootstrap")}
"""Kind of bootstrap -> its name in ``scipy.stats.bootstrap``, and in words."""


class BootstrapLimits(NamedTuple):
    """Ends of an interval, the statistic's values [resamples] that they come from, and the method in words."""

    low: float
    high: float
    draws: NDArray[Any]
    method: str


def bootstrap_interval(
    values: Sequence[float],
    rng: np.random.Generator,
    statistic: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    *,
    over: IntervalOver = IntervalOver.SEEDS,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    kind: str = "bca",
) -> Interval:
    """Bootstrap interval of ``statistic`` (default the mean), by percentiles or bias-corrected (BCa).

    ``statistic`` maps samples [..., n] to values [...]. Draws come from ``rng`` alone.
    """
    import numpy as np

    if len(values) < 2:
        raise ValueError(f"a bootstrap needs at least two values, got {len(values)}")
    compute = statistic or (lambda sample: sample.mean(axis=-1))
    limits = bootstrap_limits(np.asarray(values, dtype=float), compute, rng, level, resamples, kind)
    return Interval(limits.low, limits.high, over, limits.method, len(values), level)


def bootstrap_limits(
    data: NDArray[Any],
    statistic: Callable[[NDArray[Any]], NDArray[Any]],
    rng: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    kind: str = "bca",
    batch: int | None = None,
) -> BootstrapLimits:
    """What ``scipy.stats.bootstrap`` says of ``data`` [n]; ``batch`` resamples are held at a time (default all).

    Where all draws are equal BCa has no correction to make (scipy answers NaN), and both limits are that value.
    ``ValueError`` for a kind that is not in ``BOOTSTRAPS``.
    """
    import warnings

    import numpy as np
    from scipy import stats

    if kind not in BOOTSTRAPS:
        raise ValueError(f"a bootstrap's kind is {' or '.join(BOOTSTRAPS)}, got {kind}")
    method, name = BOOTSTRAPS[kind]
    described = f"{name}, {resamples:,} resamples"
    if len(data) == 1:  # every sample is the value itself
        value = statistic(data)
        return BootstrapLimits(float(value), float(value), np.full(resamples, value), described)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (data,),
            lambda sample, **_: statistic(sample),  # the axis is always the last
            n_resamples=resamples,
            batch=batch,
            confidence_level=level,
            method=method,
            vectorized=True,
            rng=rng,
        )
    low, high = result.confidence_interval
    draws = result.bootstrap_distribution
    if np.isnan(low) or np.isnan(high):
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapLimits(float(low), float(high), draws, described)
