"""A small calculus for claims: differences, ratios and averages of numbers that vary between runs.

What is combined must vary between the same things (``reports.stats.intervals``), or ``MixedError`` is raised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev

from reports.stats.intervals import (
    LEVEL,
    ONE_SEED,
    Interval,
    IntervalOver,
    Replicates,
    group_units,
    require_same_kind,
    summarise,
    t_quantile,
)

STUDENT_T, WELCH_T = "Student's t", "Welch's t"


@dataclass(frozen=True)
class PointEstimate:
    """A number with its sampling variance and the degrees of freedom behind that variance.

    ``variance`` None: unknown, because something in it has one seed only.
    """

    value: float
    variance: float | None
    df: float
    over: IntervalOver
    method: str

    def interval(self, level: float = LEVEL) -> Interval | None:
        """The t interval; None where the variance is unknown."""
        if self.variance is None:
            return None
        reach = t_quantile((1 + level) / 2, self.df) * math.sqrt(self.variance) if self.variance else 0.0
        n = 0 if math.isinf(self.df) else math.floor(self.df) + 1
        return Interval(self.value - reach, self.value + reach, self.over, self.method, n, level)


def make_exact(value: float) -> PointEstimate:
    """A number that does not vary between runs (a parameter count, a printed value)."""
    return PointEstimate(value, 0.0, math.inf, IntervalOver.EXACT, "exact")


def estimate_mean(replicates: Replicates) -> PointEstimate:
    """The mean over the runs as an estimate."""
    summary = summarise(replicates)
    if summary.sd is None:
        return PointEstimate(summary.mean, None, 0, summary.over, ONE_SEED)
    variance = summary.sd**2 / summary.n
    return PointEstimate(summary.mean, variance, summary.n - 1, summary.over, STUDENT_T)


def estimate_spread(replicates: Replicates) -> PointEstimate:
    """The standard deviation over all runs as an estimate (normal approximation; at least 3 runs)."""
    values = list(replicates.values())
    if len(values) < 3:
        value = stdev(values) if len(values) > 1 else 0.0
        return PointEstimate(value, None, 0, IntervalOver.SEEDS, "a spread needs at least three runs")
    sd = stdev(values)
    df = len(values) - 1
    return PointEstimate(
        sd, sd**2 / (2 * df), df, IntervalOver.SEEDS, "normal approximation for standard deviations"
    )


def estimate_contrast(terms: Sequence[tuple[float, Replicates]]) -> PointEstimate:
    """Σ weight · mean of several sets of runs; each set should come once, with its whole weight.

    Where all were trained on the same subsets of the data, subset by subset, so that what makes a
    subset easy for all of them cancels; otherwise as independent sets. ``MixedError`` for sets of
    which some vary between subsets and others only between seeds.
    """
    units = [group_units(replicates) for _, replicates in terms]
    kind = require_same_kind(*(over for _, over in units))
    common = set.intersection(*(set(by_unit) for by_unit, _ in units))
    if kind is IntervalOver.SUBSETS and len(common) >= 2:
        weights = [weight for weight, _ in terms]
        gaps = {
            (subset, 0): math.fsum(
                w * by_unit[subset] for w, (by_unit, _) in zip(weights, units, strict=True)
            )
            for subset in common
        }
        estimate = estimate_mean(gaps)
        method = f"paired t over {len(common)} subsets" if len(terms) > 1 else estimate.method
        return PointEstimate(estimate.value, estimate.variance, estimate.df, IntervalOver.SUBSETS, method)
    return combine_linearly([(weight, estimate_mean(replicates)) for weight, replicates in terms])


def estimate_difference(a: Replicates, b: Replicates) -> PointEstimate:
    """a - b: paired by subset where both were trained on the same ones, Welch's otherwise."""
    return estimate_contrast([(1.0, a), (-1.0, b)])


def combine_linearly(terms: Sequence[tuple[float, PointEstimate]]) -> PointEstimate:
    """Σ weight · estimate of independent estimates; degrees of freedom by Welch and Satterthwaite.

    ``MixedError`` if they are over different things.
    """
    over = require_same_kind(*(estimate.over for _, estimate in terms))
    value = math.fsum(weight * estimate.value for weight, estimate in terms)
    unknown = next((estimate for _, estimate in terms if estimate.variance is None), None)
    if unknown is not None:
        return PointEstimate(value, None, 0, over, unknown.method)
    parts = [(weight**2 * (estimate.variance or 0.0), estimate.df) for weight, estimate in terms]
    variance = math.fsum(part for part, _ in parts)
    noise = math.fsum(part**2 / df for part, df in parts if part > 0)
    df = variance**2 / noise if noise > 0 else math.inf
    methods = {estimate.method for _, estimate in terms if estimate.over is not IntervalOver.EXACT}
    method = WELCH_T if methods == {STUDENT_T} and len(terms) > 1 else ", ".join(sorted(methods))
    return PointEstimate(value, variance, df, over, method or "exact")


def average_estimates(estimates: Sequence[PointEstimate]) -> PointEstimate:
    """The mean of independent estimates (of different tasks, say)."""
    return combine_linearly([(1 / len(estimates), estimate) for estimate in estimates])


def estimate_ratio(a: PointEstimate, b: PointEstimate) -> PointEstimate:
    """a / b of independent estimates, variance by the delta method; ``ValueError`` for b = 0."""
    if b.value == 0:
        raise ValueError("a ratio to 0")
    value = a.value / b.value
    # d(a/b) = da/b - a/b² db
    slope = combine_linearly([(1 / b.value, a), (-a.value / b.value**2, b)])
    return PointEstimate(value, slope.variance, slope.df, slope.over, slope.method)


def scale_estimate(estimate: PointEstimate, factor: float) -> PointEstimate:
    """``estimate`` in another unit, or with its sign turned."""
    variance = None if estimate.variance is None else estimate.variance * factor**2
    return PointEstimate(estimate.value * factor, variance, estimate.df, estimate.over, estimate.method)
