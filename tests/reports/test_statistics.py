"""Intervals against closed forms, against scipy, and by how often they hold the truth."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.statistics import (
    ITEMS,
    ONE_SEED,
    SEEDS,
    SUBSETS,
    Interval,
    MixedError,
    average,
    bootstrap,
    contrast,
    difference,
    estimate,
    exact,
    generator,
    linear,
    ratio,
    same_kind,
    scaled,
    spread_of,
    summarise,
    t_interval,
    t_quantile,
    without_each,
)

VALUES = [54.1, 55.0, 55.3, 54.6, 56.2]


def of_seeds(values: list[float], subset: int | None = None) -> dict[tuple[int | None, int], float]:
    return {(subset, seed): value for seed, value in enumerate(values)}


def test_quantiles_are_students() -> None:
    assert t_quantile(0.975, 4) == pytest.approx(2.7764451, abs=1e-6)
    assert t_quantile(0.975, math.inf) == pytest.approx(1.9599640, abs=1e-6)
    # One degree of freedom is Cauchy's distribution: tan(pi (p - 1/2)).
    assert t_quantile(0.9, 1) == pytest.approx(math.tan(math.pi * 0.4))


def test_t_interval_is_scipys() -> None:
    low, high = stats.t.interval(0.95, 4, loc=fmean(VALUES), scale=stats.sem(VALUES))
    found = t_interval(VALUES)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.over, found.n, found.method) == (SEEDS, 5, "Student's t")
    with pytest.raises(ValueError, match="two values"):
        t_interval([1.0])


def test_one_seed_has_no_interval_and_says_so() -> None:
    found = summarise(of_seeds([55.0]))
    assert (found.mean, found.sd, found.interval, found.note) == (55.0, None, None, ONE_SEED)
    with pytest.raises(ValueError, match="no runs"):
        summarise({})


def test_subsets_vary_not_their_seeds() -> None:
    runs = {(0, 1): 50.0, (0, 2): 52.0, (1, 1): 60.0, (1, 2): 62.0, (2, 1): 55.0}
    found = summarise(runs)
    assert found.units == (51.0, 61.0, 55.0)
    assert (found.n, found.runs, found.over) == (3, 5, SUBSETS)
    assert found.mean == pytest.approx(fmean([51, 61, 55])) and found.sd == pytest.approx(stdev([51, 61, 55]))
    assert "between subsets" in found.note and "5 runs" in found.note
    assert summarise({(0, 1): 50.0, (0, 2): 52.0}).over == SEEDS


def test_bootstrap_needs_ten_values_and_a_generator() -> None:
    many = of_seeds([float(value) for value in range(12)])
    assert summarise(many).interval == t_interval(list(many.values()))
    found = summarise(many, rng=generator(1, "cell")).interval
    assert found is not None and found.method == "BCa bootstrap, 2,000 resamples"
    few = summarise(of_seeds(VALUES), rng=generator(1, "cell")).interval
    assert few is not None and few.method == "Student's t"


@pytest.mark.parametrize("kind", ["bca", "percentile"])
def test_bootstrap_is_scipys(kind: str) -> None:
    data = np.random.default_rng(3).exponential(size=40)
    found = bootstrap(data.tolist(), generator(1, "x"), resamples=20_000, kind=kind)
    method = {"bca": "BCa", "percentile": "percentile"}[kind]
    theirs = stats.bootstrap(
        (data,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_same_seed_same_interval() -> None:
    data = np.random.default_rng(3).normal(size=15).tolist()
    first, again = (bootstrap(data, generator(7, "table2/e2e")) for _ in range(2))
    assert first == again
    assert bootstrap(data, generator(8, "table2/e2e")) != first
    assert bootstrap(data, generator(7, "table2/dart")) != first
    with pytest.raises(ValueError, match="kind"):
        bootstrap(data, generator(1, "x"), kind="basic")


def test_bootstrap_of_equal_values() -> None:
    found = bootstrap([2.0] * 12, generator(1, "x"))
    assert (found.low, found.high) == (2.0, 2.0)


def test_leaving_one_out() -> None:
    assert without_each(3).tolist() == [[1, 2], [0, 2], [0, 1]]


def covered(intervals: list[Interval], truth: float) -> float:
    return fmean(truth in one for one in intervals)


def test_t_interval_holds_the_truth_95_times_of_100() -> None:
    samples = np.random.default_rng(11).normal(70.0, 0.5, size=(4000, 5))
    assert covered([t_interval(row.tolist()) for row in samples], 70.0) == pytest.approx(0.95, abs=0.012)


def test_bootstrap_holds_the_truth_of_skewed_values() -> None:
    samples = np.random.default_rng(12).exponential(size=(600, 60))
    rng = generator(5, "coverage")
    found = [bootstrap(row.tolist(), rng, resamples=400) for row in samples]
    assert covered(found, 1.0) == pytest.approx(0.94, abs=0.025)


def test_difference_is_welchs() -> None:
    a, b = VALUES, [53.0, 52.1, 53.9]
    found = difference(of_seeds(a), of_seeds(b)).interval()
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found is not None and (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.over, found.method) == (SEEDS, "Welch's t")


def test_difference_on_the_same_subsets_is_paired() -> None:
    a = {(0, 1): 50.0, (0, 2): 52.0, (1, 1): 60.0, (1, 2): 62.0, (2, 1): 55.0}
    b = {(0, 1): 49.0, (1, 1): 59.5, (2, 1): 53.0, (3, 1): 10.0}
    found = difference(a, b)
    theirs = stats.ttest_rel([51.0, 61.0, 55.0], [49.0, 59.5, 53.0]).confidence_interval()
    interval = found.interval()
    assert interval is not None and (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high))
    assert found.method == "paired t over 3 subsets"


def test_different_kinds_never_mix() -> None:
    seeds, subsets = of_seeds(VALUES), {(0, 1): 50.0, (1, 1): 52.0}
    with pytest.raises(MixedError, match="between seeds and between subsets"):
        difference(seeds, subsets)
    with pytest.raises(MixedError):
        linear([(1.0, estimate(seeds)), (1.0, estimate(subsets))])
    items = Interval(1, 2, ITEMS, "bootstrap", 100)
    with pytest.raises(MixedError, match="over test items"):
        t_interval(VALUES).overlaps(items)
    assert items.overlaps(Interval(1.5, 3, ITEMS, "bootstrap", 100))
    assert same_kind("exact", SEEDS) == SEEDS and same_kind("exact") == "exact"


def test_one_seed_makes_the_difference_uncertain() -> None:
    found = difference(of_seeds(VALUES), of_seeds([50.0]))
    assert found.value == pytest.approx(fmean(VALUES) - 50.0)
    assert found.variance is None and found.interval() is None and found.method == ONE_SEED


def test_a_set_that_counts_twice_is_not_independent_of_itself() -> None:
    # (a - c)/2 + (b - c)/2 has c with weight 1.
    a, b, c = (of_seeds([value + shift for value in VALUES]) for shift in (1.0, 2.0, 0.0))
    found = contrast([(0.5, a), (0.5, b), (-1.0, c)])
    variance = stdev(VALUES) ** 2 / 5
    assert found.value == pytest.approx(1.5) and found.variance == pytest.approx(1.5 * variance)


def test_exact_numbers_have_no_width() -> None:
    interval = exact(3.0).interval()
    assert interval is not None and (interval.low, interval.high) == (3.0, 3.0)
    found = linear([(1.0, estimate(of_seeds(VALUES))), (-1.0, exact(50.0))])
    assert found.over == SEEDS and found.df == pytest.approx(4)
    assert average([exact(1.0), exact(2.0)]).value == 1.5


def test_ratio_by_the_delta_method() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(10, 0.2, size=(2000, 6)), rng.normal(20, 0.4, size=(2000, 6))
    found = [
        ratio(estimate(of_seeds(x.tolist())), estimate(of_seeds(y.tolist())))
        for x, y in zip(a, b, strict=True)
    ]
    intervals = [one.interval() for one in found]
    assert covered([one for one in intervals if one], 0.5) == pytest.approx(0.95, abs=0.02)
    with pytest.raises(ValueError, match="ratio to 0"):
        ratio(exact(1.0), exact(0.0))


def test_spread_needs_three_runs() -> None:
    assert spread_of(of_seeds([1.0, 2.0])).interval() is None
    found = spread_of(of_seeds(VALUES))
    assert found.value == pytest.approx(stdev(VALUES)) and found.interval() is not None


@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=8),
    st.floats(-50, 50),
    st.floats(-3, 3).filter(lambda factor: abs(factor) > 0.01),
)
def test_intervals_move_and_scale_with_the_values(values: list[float], shift: float, factor: float) -> None:
    plain, moved = t_interval(values), t_interval([factor * value + shift for value in values])
    ends = sorted((factor * plain.low + shift, factor * plain.high + shift))
    assert (moved.low, moved.high) == pytest.approx(ends, abs=1e-6)
    one = scaled(estimate(of_seeds(values)), factor).interval()
    assert one is not None and (one.low, one.high) == pytest.approx(
        sorted((factor * plain.low, factor * plain.high)), abs=1e-6
    )
