"""The verdict on a mean of ours beside a number of the paper: pure arithmetic, no records.

``docs/verdicts.md`` explains it to a reader, with its sources and what it gets wrong how often. In short,
for the mean m of n runs, the paper's value p, the metric's tolerance T (with half a unit of the paper's last
digit) and the spread between single runs, ours or the usual, whichever is larger:

- **reproduced**: the 90 % interval of m lies within p ± T (two one-sided tests at 5 %); two runs at least.
- **above**, **below**: |m - p| is more than T, and more than the paper's own run and its rounding could be
  from m 95 of 100 times; two runs at least.
- **consistent**: neither, and a true difference that matters would have been found 80 of 100 times.
- **inconclusive**: neither, and it would not; or a single run that would be above or below.

What does not vary (parameter counts, lengths) is reproduced within its tolerance, else above or below.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from statistics import fmean, stdev

from reports.judgement import repeated_runs
from reports.paper.published import Cell
from reports.stats.equivalence import (
    RunSpread,
    join_spreads,
    measure_mean_reach,
    measure_power_margin,
    measure_run_reach,
)


class Verdict(StrEnum):
    """What our runs say of a cell of the paper; the rules are at the head of this file."""

    REPRODUCED = "reproduced"
    CONSISTENT = "consistent"
    INCONCLUSIVE = "inconclusive"
    ABOVE = "above"
    BELOW = "below"
    NOT_RUN = "not run"
    NOT_COMPARABLE = "not comparable"

    @property
    def scientific(self) -> bool:
        """Whether it says something about the paper's number."""
        return self not in (Verdict.NOT_RUN, Verdict.NOT_COMPARABLE)


ROUNDING = 1e-9
"""Sums of decimals are not exact: 55.55 - 55.0 is not 0.55."""
MOST_SEEDS = 1000
"""What more seeds than that do not decide, no number of seeds is said to."""


@dataclass(frozen=True)
class MetricRule:
    """``tolerance``: what we call the same number. ``matters``: the difference that evidence must be able to find.

    Both in our unit, or with ``relative`` in shares of the paper's value. ``varies``: between seeds.
    """

    tolerance: float
    matters: float
    why: str
    varies: bool = True
    relative: bool = False


COUNTED = "a count, printed rounded; our choice: 5 %"
TOKENISED = "a mean over the published file, whose tokenisation is exact; our choice: the printed digit"
EXACT_RULES: Mapping[str, MetricRule] = {
    "stored_parameters": MetricRule(0.05, 0.05, COUNTED, varies=False, relative=True),
    "trained_parameters": MetricRule(0.05, 0.05, COUNTED, varies=False, relative=True),
    "stored_share": MetricRule(0.05, 0.05, COUNTED, varies=False, relative=True),
    "examples": MetricRule(0.05, 0.05, f"{COUNTED} (51.4 thousand as 50K)", varies=False, relative=True),
    "input_length": MetricRule(0.1, 0.1, TOKENISED, varies=False),
    "output_length": MetricRule(0.1, 0.1, TOKENISED, varies=False),
}
SCORES: tuple[str, ...] = (
    "bleu",
    "nist",
    "meteor",
    "rouge_l",
    "cider",
    "ter",
    "moverscore",
    "bertscore",
    "bleurt",
)
SCORES += ("rouge1", "rouge2", "rougeL")
"""Metrics that vary between seeds; their rules rest on published repetitions."""
JUDGED_METRICS: tuple[str, ...] = (*SCORES, *EXACT_RULES)


@cache
def find_rule(metric: str) -> MetricRule:
    """The rule of a metric of ``JUDGED_METRICS``; ``KeyError`` for any other."""
    if metric not in SCORES:
        return EXACT_RULES[metric]
    return MetricRule(
        repeated_runs.derive_tolerance(metric),
        repeated_runs.derive_difference_that_matters(metric),
        repeated_runs.describe_spread(metric),
    )


@dataclass(frozen=True)
class Yardstick:
    """What a number of ours is held against, in one unit (a cell's printed one).

    ``low`` and ``high`` are the paper's value, or its range; ``tolerance`` and ``matters`` include
    ``half_unit``, half a unit of the paper's last digit. ``usual``: what single runs usually spread; 0 for
    what does not vary.
    """

    low: float
    high: float
    tolerance: float
    matters: float
    half_unit: float
    usual: RunSpread

    def measure_difference(self, mean: float) -> float:
        """``mean`` less the paper's value; to the nearer end where that is a range, 0 inside."""
        return max(mean - self.high, 0.0) + min(mean - self.low, 0.0)


@dataclass(frozen=True)
class Comparison:
    """A verdict with what decided it, in the yardstick's unit.

    ``mean_reach``: half the 90 % interval of our mean. ``limit``: what rounding, tolerance and seeds explain.
    ``detectable``: the smallest true difference that runs of this number and spread find 80 of 100 times.
    ``seeds_needed``: of an inconclusive one, how many seeds with this spread would find a difference that
    matters; None where ``MOST_SEEDS`` do not suffice, and for the other verdicts.
    """

    verdict: Verdict
    difference: float
    mean_reach: float
    limit: float
    detectable: float
    seeds_needed: int | None = None

    @property
    def excluded(self) -> bool:
        """Whether the paper's value lies outside of what tolerance, rounding and seeds explain."""
        return abs(self.difference) - ROUNDING > self.limit


def make_yardstick(cell: Cell) -> Yardstick:
    """The cell's, in its printed unit; ``KeyError`` for a metric without a rule, ``ValueError`` without a number."""
    rule = find_rule(cell.metric)
    low, high = find_bounds(cell)
    size = abs(cell.value or 0.0) if rule.relative else cell.factor
    half_unit = compute_half_unit(cell.printed)
    usual = RunSpread(0.0, 0.0)
    if rule.varies:
        usual = repeated_runs.find_usual_spread(cell.metric, cell.task, cell.group)
    return Yardstick(
        low=low,
        high=high,
        tolerance=rule.tolerance * size + half_unit,
        matters=rule.matters * size + half_unit,
        half_unit=half_unit,
        usual=RunSpread(usual.sd * size, usual.df),
    )


def judge_values(values: Sequence[float], yardstick: Yardstick) -> Comparison:
    """The verdict on independent runs; ``ValueError`` for none."""
    if not values:
        raise ValueError("no values to judge")
    sd = stdev(values) if len(values) > 1 else 0.0
    return judge_mean(fmean(values), sd, len(values), yardstick)


def judge_mean(mean: float, sd: float, n: int, yardstick: Yardstick) -> Comparison:
    """The verdict on the mean of ``n`` independent runs with that standard deviation (0 for a single run)."""
    difference = yardstick.measure_difference(mean)
    comparison = _compare(difference, sd, n, yardstick)
    if comparison.verdict is not Verdict.INCONCLUSIVE:
        return comparison
    return replace(comparison, seeds_needed=plan_seeds(yardstick, sd, more_than=n))


def _compare(difference: float, sd: float, n: int, yardstick: Yardstick) -> Comparison:
    tolerance, distance = yardstick.tolerance, abs(difference) - ROUNDING
    side = Verdict.ABOVE if difference > 0 else Verdict.BELOW
    if yardstick.usual.sd == 0:
        verdict = Verdict.REPRODUCED if distance <= tolerance else side
        return Comparison(verdict, difference, 0.0, tolerance, tolerance)
    spread = join_spreads(sd, n, yardstick.usual)
    mean_reach = measure_mean_reach(spread, n)
    limit = max(tolerance, measure_run_reach(spread, n) + yardstick.half_unit)
    detectable = limit + measure_power_margin(spread, n)
    if n > 1 and distance + mean_reach <= tolerance:
        verdict = Verdict.REPRODUCED
    elif distance > limit:
        verdict = side if n > 1 else Verdict.INCONCLUSIVE
    else:
        useful = detectable <= yardstick.matters + ROUNDING
        verdict = Verdict.CONSISTENT if useful else Verdict.INCONCLUSIVE
    return Comparison(verdict, difference, mean_reach, limit, detectable)


def plan_seeds(yardstick: Yardstick, sd: float = 0.0, more_than: int = 1) -> int | None:
    """The least number of seeds that would find a difference that matters 80 of 100 times.

    ``sd``: the spread to expect where it is larger than the usual one. ``more_than``: seeds that there are. None
    where ``MOST_SEEDS`` do not suffice: the paper's number is a single run, whose own spread no number of ours
    takes away.
    """

    def suffices(n: int) -> bool:
        return _compare(0.0, sd, n, yardstick).detectable <= yardstick.matters + ROUNDING

    if more_than >= MOST_SEEDS or not suffices(MOST_SEEDS):
        return None
    # What suffices keeps sufficing with more, so halving finds the least.
    low, high = more_than, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def find_bounds(cell: Cell) -> tuple[float, float]:
    """The paper's value, or its range; ``ValueError`` for a cell with neither."""
    if cell.value is not None:
        return cell.value, cell.value
    if cell.low is None or cell.high is None:
        raise ValueError(f"{cell.place} has neither a value nor a range")
    return cell.low, cell.high


def compute_half_unit(printed: str | None) -> float:
    """Half a unit of the last printed digit: 0.05 of ``70.3``, 0.005 of ``1%``, 500 of ``250K``."""
    match = re.fullmatch(r"[^\d]*\d[\d,]*(?:\.(\d+))?\s*([%KMx]?)", printed or "")
    if match is None:
        return 0.0
    unit = {"%": 0.01, "K": 1e3, "M": 1e6}.get(match[2], 1.0)
    return unit * 10.0 ** -len(match[1] or "") / 2
