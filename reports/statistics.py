"""Means and intervals over the runs behind a number, and a small calculus of estimates for claims.

An interval says what it is *over*: ``SEEDS`` (trainings with different seeds on the same data),
``SUBSETS`` (different draws of a small training set, each averaged over its seeds) or ``ITEMS`` (one
run, other test items; ``reports.items``). These answer different questions, so nothing here combines
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

from bench.rng import derive

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


# --- one cell


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


# --- differences, ratios and averages of cells


@dataclass(frozen=True)
class Estimate:
    """A number with its sampling variance and the degrees of freedom behind that variance.

    ``variance`` None: unknown, because something in it has one seed only.
    """

    value: float
    variance: float | None
    df: float
    over: str
    method: str

    def interval(self, level: float = LEVEL) -> Interval | None:
        """The t interval; None where the variance is unknown."""
        if self.variance is None:
            return None
        reach = t_quantile((1 + level) / 2, self.df) * math.sqrt(self.variance) if self.variance else 0.0
        n = 0 if math.isinf(self.df) else math.floor(self.df) + 1
        return Interval(self.value - reach, self.value + reach, self.over, self.method, n, level)


def exact(value: float) -> Estimate:
    """A number that does not vary between runs (a parameter count, a printed value)."""
    return Estimate(value, 0.0, math.inf, EXACT, "exact")


def estimate(replicates: Replicates) -> Estimate:
    """The mean over the runs as an estimate."""
    summary = summarise(replicates)
    if summary.sd is None:
        return Estimate(summary.mean, None, 0, summary.over, ONE_SEED)
    variance = summary.sd**2 / summary.n
    return Estimate(summary.mean, variance, summary.n - 1, summary.over, "Student's t")


def spread_of(replicates: Replicates) -> Estimate:
    """The standard deviation over all runs as an estimate (normal approximation; at least 3 runs)."""
    values = list(replicates.values())
    if len(values) < 3:
        value = stdev(values) if len(values) > 1 else 0.0
        return Estimate(value, None, 0, SEEDS, "a spread needs at least three runs")
    sd = stdev(values)
    df = len(values) - 1
    return Estimate(sd, sd**2 / (2 * df), df, SEEDS, "normal approximation for standard deviations")


def contrast(terms: Sequence[tuple[float, Replicates]]) -> Estimate:
    """Σ weight · mean of several sets of runs; each set should come once, with its whole weight.

    Where all were trained on the same subsets of the data, subset by subset, so that what makes a
    subset easy for all of them cancels; otherwise as independent sets. ``MixedError`` for sets of
    which some vary between subsets and others only between seeds.
    """
    units = [independent(replicates) for _, replicates in terms]
    kind = same_kind(*(over for _, over in units))
    common = set.intersection(*(set(by_unit) for by_unit, _ in units))
    if kind == SUBSETS and len(common) >= 2:
        weights = [weight for weight, _ in terms]
        gaps = {
            (subset, 0): math.fsum(
                w * by_unit[subset] for w, (by_unit, _) in zip(weights, units, strict=True)
            )
            for subset in common
        }
        one = estimate(gaps)
        method = f"paired t over {len(common)} subsets" if len(terms) > 1 else one.method
        return Estimate(one.value, one.variance, one.df, SUBSETS, method)
    return linear([(weight, estimate(replicates)) for weight, replicates in terms])


def difference(a: Replicates, b: Replicates) -> Estimate:
    """a - b: paired by subset where both were trained on the same ones, Welch's otherwise."""
    return contrast([(1.0, a), (-1.0, b)])


def linear(terms: Sequence[tuple[float, Estimate]]) -> Estimate:
    """Σ weight · estimate of independent estimates; degrees of freedom by Welch and Satterthwaite.

    ``MixedError`` if they are over different things.
    """
    over = same_kind(*(one.over for _, one in terms))
    value = math.fsum(weight * one.value for weight, one in terms)
    unknown = next((one for _, one in terms if one.variance is None), None)
    if unknown is not None:
        return Estimate(value, None, 0, over, unknown.method)
    parts = [(weight**2 * (one.variance or 0.0), one.df) for weight, one in terms]
    variance = math.fsum(part for part, _ in parts)
    noise = math.fsum(part**2 / df for part, df in parts if part > 0)
    df = variance**2 / noise if noise > 0 else math.inf
    methods = {one.method for _, one in terms if one.over != EXACT}
    method = "Welch's t" if methods == {"Student's t"} and len(terms) > 1 else ", ".join(sorted(methods))
    return Estimate(value, variance, df, over, method or "exact")


def average(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of independent estimates (of different tasks, say)."""
    return linear([(1 / len(estimates), one) for one in estimates])


def ratio(a: Estimate, b: Estimate) -> Estimate:
    """a / b of independent estimates, variance by the delta method; ``ValueError`` for b = 0."""
    if b.value == 0:
        raise ValueError("a ratio to 0")
    value = a.value / b.value
    # d(a/b) = da/b - a/b² db
    slope = linear([(1 / b.value, a), (-a.value / b.value**2, b)])
    return Estimate(value, slope.variance, slope.df, slope.over, slope.method)


def scaled(one: Estimate, factor: float) -> Estimate:
    """``one`` in another unit, or with its sign turned."""
    variance = None if one.variance is None else one.variance * factor**2
    return Estimate(one.value * factor, variance, one.df, one.over, one.method)
