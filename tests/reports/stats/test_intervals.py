"""Intervals against closed forms, against scipy, and by how often they hold the truth."""

from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev

import numpy as np
import pytest
from made_up import VALUES, of_seeds
from scipy import stats

from reports.stats.intervals import (
    ONE_SEED,
    Interval,
    IntervalOver,
    bootstrap_interval,
    compute_t_interval,
    make_generator,
    summarise,
    t_quantile,
)


def test_quantiles_are_students() -> None:
    assert t_quantile(0.975, 4) == pytest.approx(2.7764451, abs=1e-6)
    assert t_quantile(0.975, math.inf) == pytest.approx(1.9599640, abs=1e-6)
    # One degree of freedom is Cauchy's distribution: tan(pi (p - 1/2)).
    assert t_quantile(0.9, 1) == pytest.approx(math.tan(math.pi * 0.4))


def test_t_interval_is_scipys() -> None:
    low, high = stats.t.interval(0.95, 4, loc=fmean(VALUES), scale=stats.sem(VALUES))
    found = compute_t_interval(VALUES)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.over, found.n, found.method) == (IntervalOver.SEEDS, 5, "Student's t")
    with pytest.raises(ValueError, match="two values"):
        compute_t_interval([1.0])


def test_one_seed_has_no_interval_and_says_so() -> None:
    found = summarise(of_seeds([55.0]))
    assert (found.mean, found.sd, found.interval, found.note) == (55.0, None, None, ONE_SEED)
    with pytest.raises(ValueError, match="no runs"):
        summarise({})


def test_subsets_vary_not_their_seeds() -> None:
    runs = {(0, 1): 50.0, (0, 2): 52.0, (1, 1): 60.0, (1, 2): 62.0, (2, 1): 55.0}
    found = summarise(runs)
    assert found.units == (51.0, 61.0, 55.0)
    assert (found.n, found.runs, found.over) == (3, 5, IntervalOver.SUBSETS)
    assert found.mean == pytest.approx(fmean([51, 61, 55])) and found.sd == pytest.approx(stdev([51, 61, 55]))
    assert "between subsets" in found.note and "5 runs" in found.note
    assert summarise({(0, 1): 50.0, (0, 2): 52.0}).over == IntervalOver.SEEDS


def test_bootstrap_needs_ten_values_and_a_generator() -> None:
    many = of_seeds([float(value) for value in range(12)])
    assert summarise(many).interval == compute_t_interval(list(many.values()))
    found = summarise(many, rng=make_generator(1, "cell")).interval
    assert found is not None and found.method == "BCa bootstrap, 2,000 resamples"
    few = summarise(of_seeds(VALUES), rng=make_generator(1, "cell")).interval
    assert few is not None and few.method == "Student's t"


def textbook_limits(data: list[float], seed: int, kind: str, resamples: int) -> tuple[float, float]:
    """Efron and Tibshirani 1993, chapters 13 and 14, on the draws that a generator with that seed makes."""
    values, normal = np.asarray(data), NormalDist()
    n = len(values)
    draws = values[make_generator(seed, "x").integers(0, n, size=(resamples, n))].mean(axis=-1)
    tails = [0.025, 0.975]
    if kind == "bca":
        bias = normal.inv_cdf(float(np.mean(draws < values.mean()) + np.mean(draws == values.mean()) / 2))
        left_out = np.array([np.delete(values, i).mean() for i in range(n)])
        gaps = left_out.mean() - left_out
        acceleration = float((gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5))
        shifted = [bias + normal.inv_cdf(tail) for tail in tails]
        tails = [normal.cdf(bias + z / (1 - acceleration * z)) for z in shifted]
    low, high = np.quantile(draws, tails)
    return float(low), float(high)


@pytest.mark.parametrize("kind", ["bca", "percentile"])
def test_bootstrap_is_the_textbooks(kind: str) -> None:
    data = np.random.default_rng(3).exponential(size=40).tolist()
    found = bootstrap_interval(data, make_generator(1, "x"), resamples=20_000, kind=kind)
    assert (found.low, found.high) == pytest.approx(textbook_limits(data, 1, kind, 20_000), abs=1e-9)
    theirs = textbook_limits(data, 0, kind, 20_000)
    assert (found.low, found.high) == pytest.approx(theirs, abs=0.015)


def test_same_seed_same_interval() -> None:
    data = np.random.default_rng(3).normal(size=15).tolist()
    first, again = (bootstrap_interval(data, make_generator(7, "table2/e2e")) for _ in range(2))
    assert first == again
    assert bootstrap_interval(data, make_generator(8, "table2/e2e")) != first
    assert bootstrap_interval(data, make_generator(7, "table2/dart")) != first
    with pytest.raises(ValueError, match="kind"):
        bootstrap_interval(data, make_generator(1, "x"), kind="basic")


def test_bootstrap_of_equal_values() -> None:
    found = bootstrap_interval([2.0] * 12, make_generator(1, "x"))
    assert (found.low, found.high) == (2.0, 2.0)


def covered(intervals: list[Interval], truth: float) -> float:
    return fmean(truth in one for one in intervals)


def test_t_interval_holds_the_truth_95_times_of_100() -> None:
    samples = np.random.default_rng(11).normal(70.0, 0.5, size=(4000, 5))
    assert covered([compute_t_interval(row.tolist()) for row in samples], 70.0) == pytest.approx(
        0.95, abs=0.012
    )


def test_bootstrap_holds_the_truth_of_skewed_values() -> None:
    samples = np.random.default_rng(12).exponential(size=(600, 60))
    rng = make_generator(5, "coverage")
    found = [bootstrap_interval(row.tolist(), rng, resamples=400) for row in samples]
    assert covered(found, 1.0) == pytest.approx(0.94, abs=0.025)
