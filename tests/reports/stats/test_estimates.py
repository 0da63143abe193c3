"""Differences, ratios and averages: against scipy, and by how often their intervals hold the truth."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import VALUES, of_seeds
from scipy import stats

from reports.stats.estimates import (
    BANERJEE_T,
    ContrastTerm,
    NoSpreadError,
    average_estimates,
    combine_linearly,
    compare_spreads,
    estimate_contrast,
    estimate_difference,
    estimate_mean,
    estimate_ratio,
    estimate_total_variance,
    make_exact,
    scale_estimate,
)
from reports.stats.intervals import (
    ONE_SEED,
    Interval,
    IntervalOver,
    MixedError,
    Replicates,
    compute_t_interval,
    require_same_kind,
)


def test_difference_adds_the_squared_half_widths_of_the_two_means() -> None:
    a, b = VALUES, [53.0, 52.1, 53.9]
    found = estimate_difference(of_seeds(a), of_seeds(b)).interval()
    reach = math.hypot(*(stats.t(len(x) - 1).ppf(0.975) * stats.sem(x) for x in (a, b)))
    assert found is not None and found.half_width == pytest.approx(reach)
    assert (found.over, found.method) == (IntervalOver.SEEDS, BANERJEE_T)
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert found.low < theirs.low and theirs.high < found.high  # Welch's is narrower


@pytest.mark.parametrize("sizes", [(3, 3), (3, 5), (2, 2), (3, 30), (3, 3, 3, 3)])
@pytest.mark.parametrize("sds", [(1.0, 1.0), (1.0, 3.0), (1.0, 0.01)])
def test_the_interval_of_a_sum_holds_its_level_whatever_the_spreads(
    sizes: tuple[int, ...], sds: tuple[float, float]
) -> None:
    """Each end is wrong at most 5 % of the time at 90 %."""
    rng = np.random.default_rng(1)
    draws = [rng.normal(0, sds[i % 2], (20_000, n)) for i, n in enumerate(sizes)]
    quantiles = [stats.t(n - 1).ppf(0.95) for n in sizes]
    squares = sum(q**2 * x.var(1, ddof=1) / x.shape[1] for q, x in zip(quantiles, draws, strict=True))
    value = sum(x.mean(1) for x in draws)
    assert np.mean(value > np.sqrt(squares)) <= 0.055
    terms = [ContrastTerm(1.0, of_seeds(x[0].tolist())) for x in draws]
    one = estimate_contrast(terms).interval(0.9)
    assert one is not None and one.half_width == pytest.approx(math.sqrt(squares[0]))


SEED_VALUES = st.lists(st.floats(-5, 5), min_size=2, max_size=6)


@given(SEED_VALUES, SEED_VALUES, st.floats(1, 10), st.sampled_from([0.0, 0.5]))
def test_more_scatter_never_narrows_and_more_of_the_same_never_widens(
    a: list[float], b: list[float], factor: float, floor: float
) -> None:
    def reach(first: list[float], second: list[float]) -> float:
        terms = [ContrastTerm(1.0, of_seeds(first), floor), ContrastTerm(-1.0, of_seeds(second), floor)]
        found = estimate_contrast(terms).interval()
        return math.inf if found is None else found.half_width

    middle = fmean(a)
    scattered = [middle + factor * (value - middle) for value in a]
    assert reach(scattered, b) >= reach(a, b) - 1e-9 or max(a) - min(a) < 1e-9
    assert reach([*a, middle], b) <= reach(a, b) + 1e-9
    assert reach([*a, *a], b) <= reach(a, b) + 1e-9


def test_equal_values_have_the_usual_spread_or_none() -> None:
    same = of_seeds([50.0, 50.0, 50.0])
    assert estimate_mean(same).interval() is None and "proves nothing" in estimate_mean(same).method
    usual = estimate_mean(same, floor=0.5)
    assert (
        usual.interval() == estimate_mean(of_seeds([49.5, 50.0, 50.5]), floor=0.1).interval() or usual.floored
    )
    assert usual.variance == pytest.approx(0.25 / 3) and "usual" in usual.description
    assert estimate_mean(of_seeds([40.0, 50.0, 60.0]), floor=0.5).variance == pytest.approx(100 / 3)
    # Of subsets each is a mean over its seeds; paired, the floor is that of the difference.
    subsets = {(subset, seed): 50.0 for subset in range(5) for seed in (1, 2)}
    assert estimate_mean(subsets, floor=1.0).variance == pytest.approx(0.5 / 5)
    paired = estimate_contrast([ContrastTerm(1.0, subsets, 1.0), ContrastTerm(-1.0, subsets, 1.0)])
    assert paired.variance == pytest.approx(2 * 0.5 / 5) and paired.df == 4


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
    found = estimate_contrast([ContrastTerm(0.5, a), ContrastTerm(0.5, b), ContrastTerm(-1.0, c)])
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


# --- spreads


def test_runs_of_one_subset_are_compared_by_fishers_f() -> None:
    a, b = of_seeds(VALUES), of_seeds([54.9, 55.0, 55.2, 55.1])
    found = compare_spreads(a, b)
    assert found.value == pytest.approx(stdev(a.values()) / stdev(b.values()))
    interval = found.interval()
    ratio = found.value**2
    assert interval.low == pytest.approx(math.sqrt(ratio / stats.f(4, 3).ppf(0.975)))
    assert interval.high == pytest.approx(math.sqrt(ratio / stats.f(4, 3).ppf(0.025)))
    turned = compare_spreads(b, a).interval()
    assert (turned.low, turned.high) == pytest.approx((1 / interval.high, 1 / interval.low))


def test_equal_values_say_nothing_of_a_spread() -> None:
    same, varied = of_seeds([50.0] * 5), of_seeds(VALUES)
    for pair in ((same, varied), (varied, same), (same, same)):
        with pytest.raises(NoSpreadError, match="proves nothing"):
            compare_spreads(*pair, 0.5)
    with pytest.raises(NoSpreadError, match="one seed"):
        compare_spreads(varied, of_seeds([50.0]))
    # Nearly equal values are no better: the ratio is to the usual spread.
    near = of_seeds([50.0, 50.0, 50.0, 50.0, 50.000001])
    assert compare_spreads(varied, near, 0.5).value == pytest.approx(stdev(VALUES) / 0.5)


def draw_nested(
    rng: np.random.Generator, between: float, within: float, shared: np.ndarray, correlation: float
) -> Replicates:
    own = rng.normal(size=5)
    effects = between * (correlation * shared + math.sqrt(1 - correlation**2) * own)
    return {(s, seed): float(effects[s] + within * rng.normal()) for s in range(5) for seed in (1, 2)}


@pytest.mark.parametrize(
    ("between", "within", "correlation"),
    [(0.0, 1.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1.0, 0.8), (1.0, 0.2, 0.0), (1.0, 0.2, 0.9)],
)
def test_subsets_and_seeds_are_not_ten_independent_runs(
    between: float, within: float, correlation: float
) -> None:
    """Equal spreads are called different at most 2.5 % of the time each way; ten runs taken as independent: 13 %."""
    rng = np.random.default_rng(5)
    wrong = naive = 0
    limit = stats.f(9, 9).ppf(0.95)
    for _ in range(1500):
        shared = rng.normal(size=5)
        a, b = (draw_nested(rng, between, within, shared, correlation) for _ in range(2))
        found = compare_spreads(a, b)
        wrong += found.interval().low > 1
        naive += (stdev(a.values()) / stdev(b.values())) ** 2 > limit
    assert wrong / 1500 <= 0.035
    if (within, correlation) == (0.2, 0.0):
        assert naive / 1500 >= 0.10


def test_the_total_variance_is_unbiased_and_counts_its_degrees_of_freedom() -> None:
    rng = np.random.default_rng(6)
    found = [
        total
        for _ in range(1500)
        if (total := estimate_total_variance(draw_nested(rng, 2.0, 1.0, np.zeros(5), 0.0))) is not None
    ]
    assert fmean(total.variance for total in found) == pytest.approx(5.0, rel=0.06)
    assert all(4 <= total.df <= 9 for total in found)
    one_each = estimate_total_variance({(subset, 1): float(subset) for subset in range(4)})
    assert one_each is not None and (one_each.variance, one_each.df) == (pytest.approx(5 / 3), 3)


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
    if one is None:  # equal values
        assert plain.half_width == pytest.approx(0, abs=1e-9)
        return
    assert one is not None and (one.low, one.high) == pytest.approx(
        sorted((factor * plain.low, factor * plain.high)), abs=1e-6
    )
