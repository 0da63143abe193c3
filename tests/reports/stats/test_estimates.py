"""Differences, ratios and averages: against scipy, and by how often their intervals hold the truth."""

from __future__ import annotations

from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import VALUES, of_seeds
from scipy import stats

from reports.stats.estimates import (
    average_estimates,
    combine_linearly,
    estimate_contrast,
    estimate_difference,
    estimate_mean,
    estimate_ratio,
    estimate_spread,
    make_exact,
    scale_estimate,
)
from reports.stats.intervals import (
    ONE_SEED,
    Interval,
    IntervalOver,
    MixedError,
    compute_t_interval,
    require_same_kind,
)


def test_difference_is_welchs() -> None:
    a, b = VALUES, [53.0, 52.1, 53.9]
    found = estimate_difference(of_seeds(a), of_seeds(b)).interval()
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found is not None and (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.over, found.method) == (IntervalOver.SEEDS, "Welch's t")


def test_difference_on_the_same_subsets_is_paired() -> None:
    a = {(0, 1): 50.0, (0, 2): 52.0, (1, 1): 60.0, (1, 2): 62.0, (2, 1): 55.0}
    b = {(0, 1): 49.0, (1, 1): 59.5, (2, 1): 53.0, (3, 1): 10.0}
    found = estimate_difference(a, b)
    theirs = stats.ttest_rel([51.0, 61.0, 55.0], [49.0, 59.5, 53.0]).confidence_interval()
    interval = found.interval()
    assert interval is not None and (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high))
    assert found.method == "paired t over 3 subsets"


def test_different_kinds_never_mix() -> None:
    seeds, subsets = of_seeds(VALUES), {(0, 1): 50.0, (1, 1): 52.0}
    with pytest.raises(MixedError, match="between seeds and between subsets"):
        estimate_difference(seeds, subsets)
    with pytest.raises(MixedError):
        combine_linearly([(1.0, estimate_mean(seeds)), (1.0, estimate_mean(subsets))])
    items = Interval(1, 2, IntervalOver.ITEMS, "bootstrap", 100)
    with pytest.raises(MixedError, match="over test items"):
        compute_t_interval(VALUES).overlaps(items)
    assert items.overlaps(Interval(1.5, 3, IntervalOver.ITEMS, "bootstrap", 100))
    assert (
        require_same_kind(IntervalOver.EXACT, IntervalOver.SEEDS) == IntervalOver.SEEDS
        and require_same_kind(IntervalOver.EXACT) is IntervalOver.EXACT
    )


def test_one_seed_makes_the_difference_uncertain() -> None:
    found = estimate_difference(of_seeds(VALUES), of_seeds([50.0]))
    assert found.value == pytest.approx(fmean(VALUES) - 50.0)
    assert found.variance is None and found.interval() is None and found.method == ONE_SEED


def test_a_set_that_counts_twice_is_not_independent_of_itself() -> None:
    # (a - c)/2 + (b - c)/2 has c with weight 1.
    a, b, c = (of_seeds([value + shift for value in VALUES]) for shift in (1.0, 2.0, 0.0))
    found = estimate_contrast([(0.5, a), (0.5, b), (-1.0, c)])
    variance = stdev(VALUES) ** 2 / 5
    assert found.value == pytest.approx(1.5) and found.variance == pytest.approx(1.5 * variance)


def test_exact_numbers_have_no_width() -> None:
    interval = make_exact(3.0).interval()
    assert interval is not None and (interval.low, interval.high) == (3.0, 3.0)
    found = combine_linearly([(1.0, estimate_mean(of_seeds(VALUES))), (-1.0, make_exact(50.0))])
    assert found.over == IntervalOver.SEEDS and found.df == pytest.approx(4)
    assert average_estimates([make_exact(1.0), make_exact(2.0)]).value == 1.5


def test_ratio_by_the_delta_method() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(10, 0.2, size=(2000, 6)), rng.normal(20, 0.4, size=(2000, 6))
    found = [
        estimate_ratio(estimate_mean(of_seeds(x.tolist())), estimate_mean(of_seeds(y.tolist())))
        for x, y in zip(a, b, strict=True)
    ]
    intervals = [one.interval() for one in found]
    assert fmean(0.5 in one for one in intervals if one) == pytest.approx(0.95, abs=0.02)
    with pytest.raises(ValueError, match="ratio to 0"):
        estimate_ratio(make_exact(1.0), make_exact(0.0))


def test_spread_needs_three_runs() -> None:
    assert estimate_spread(of_seeds([1.0, 2.0])).interval() is None
    found = estimate_spread(of_seeds(VALUES))
    assert found.value == pytest.approx(stdev(VALUES)) and found.interval() is not None


@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=8),
    st.floats(-50, 50),
    st.floats(-3, 3).filter(lambda factor: abs(factor) > 0.01),
)
def test_intervals_move_and_scale_with_the_values(values: list[float], shift: float, factor: float) -> None:
    plain, moved = (
        compute_t_interval(values),
        compute_t_interval([factor * value + shift for value in values]),
    )
    ends = sorted((factor * plain.low + shift, factor * plain.high + shift))
    assert (moved.low, moved.high) == pytest.approx(ends, abs=1e-6)
    one = scale_estimate(estimate_mean(of_seeds(values)), factor).interval()
    assert one is not None and (one.low, one.high) == pytest.approx(
        sorted((factor * plain.low, factor * plain.high)), abs=1e-6
    )
