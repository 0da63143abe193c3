"""A small calculus for claims: differences, ratios and averages of numbers that vary between runs.

What is combined must vary between the same things (``reports.stats.intervals``), or ``MixedError`` is raised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

from reports.stats.intervals import (
    EXACT,
    LEVEL,
    ONE_SEED,
    SEEDS,
    SUBSETS,
    Interval,
    Replicates,
    independent,
    same_kind,
    summarise,
    t_quantile,
)


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
