"""The arithmetic of verdicts: what must hold for any numbers."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_up import cell

from reports.judgement.comparison import (
    MOST_SEEDS,
    Comparison,
    Verdict,
    Yardstick,
    compute_half_unit,
    judge_mean,
    judge_values,
    make_yardstick,
    plan_seeds,
)
from reports.judgement.operating_characteristics import list_yardsticks
from reports.stats.equivalence import RunSpread, join_spreads

E2E = make_yardstick(cell(task="e2e", method="ft-full", model="gpt2-medium", metric="bleu"))
COUNT = make_yardstick(cell("efficiency", metric="stored_parameters", task="webnlg"))
YARDSTICKS = (*list_yardsticks().values(), COUNT)

STRENGTH = {
    Verdict.REPRODUCED: 2,
    Verdict.ABOVE: 2,
    Verdict.BELOW: 2,
    Verdict.CONSISTENT: 1,
    Verdict.INCONCLUSIVE: 0,
}
DISTANCE = {
    Verdict.REPRODUCED: 0,
    Verdict.CONSISTENT: 1,
    Verdict.INCONCLUSIVE: 1,  # at one distance from the paper it depends on the evidence which of the two it is
    Verdict.ABOVE: 2,
    Verdict.BELOW: 2,
}

yardsticks = st.sampled_from(YARDSTICKS)
scatters = st.floats(0, 30)  # in usual spreads
offsets = st.floats(-30, 30)  # in tolerances
patterns = st.lists(st.floats(-3, 3), min_size=1, max_size=8)  # of runs around their mean


def judge(yardstick: Yardstick, offset: float, scatter: float, n: int) -> Comparison:
    mean = yardstick.low + offset * yardstick.tolerance
    return judge_mean(mean, scatter * yardstick.usual.sd if n > 1 else 0.0, n, yardstick)


@given(yardsticks, offsets, scatters, scatters, st.integers(2, 40))
def test_more_scatter_never_strengthens_and_nothing_comes_back(
    yardstick: Yardstick, offset: float, scatter: float, more: float, n: int
) -> None:
    calm, wild = judge(yardstick, offset, scatter, n), judge(yardstick, offset, scatter + more, n)
    assert STRENGTH[wild.verdict] <= STRENGTH[calm.verdict]
    assert wild.verdict == calm.verdict or STRENGTH[wild.verdict] < STRENGTH[calm.verdict]
    assert wild.detectable >= calm.detectable
    assert (wild.seeds_needed or MOST_SEEDS) >= (calm.seeds_needed or 0)


@given(yardsticks, st.floats(0, 30), st.floats(0, 30), st.booleans(), scatters, st.integers(1, 40))
def test_moving_away_never_brings_a_verdict_closer(
    yardstick: Yardstick, offset: float, step: float, up: bool, scatter: float, n: int
) -> None:
    way = 1 if up else -1
    closer = judge(yardstick, way * offset, scatter, n)
    further = judge(yardstick, way * (offset + step), scatter, n)
    assert DISTANCE[further.verdict] >= DISTANCE[closer.verdict]
    if closer.verdict is Verdict.INCONCLUSIVE:
        assert further.verdict in (Verdict.INCONCLUSIVE, Verdict.ABOVE, Verdict.BELOW)


@given(yardsticks, offsets, scatters, st.integers(2, 40))
def test_both_directions_alike(yardstick: Yardstick, offset: float, scatter: float, n: int) -> None:
    up, down = judge(yardstick, offset, scatter, n), judge(yardstick, -offset, scatter, n)
    turned = {Verdict.ABOVE: Verdict.BELOW, Verdict.BELOW: Verdict.ABOVE}
    assert down.verdict == turned.get(up.verdict, up.verdict)


@given(yardsticks, st.floats(-1, 1), scatters, st.integers(1, 40))
def test_nothing_within_the_tolerance_is_above_or_below(
    yardstick: Yardstick, offset: float, scatter: float, n: int
) -> None:
    assert judge(yardstick, offset, scatter, n).verdict not in (Verdict.ABOVE, Verdict.BELOW)


@given(yardsticks, offsets)
def test_one_seed_is_consistent_at_most(yardstick: Yardstick, offset: float) -> None:
    assume(yardstick.usual.sd > 0)
    assert judge(yardstick, offset, 0, 1).verdict in (Verdict.CONSISTENT, Verdict.INCONCLUSIVE)


@given(yardsticks, offsets, st.integers(2, 40))
def test_seeds_that_agree_do_not_make_the_noise_vanish(yardstick: Yardstick, offset: float, n: int) -> None:
    assume(yardstick.usual.sd > 0)
    alike, usual = judge(yardstick, offset, 0, n), judge(yardstick, offset, 1, n)
    assert alike == usual and alike.limit > yardstick.usual.sd


def assert_no_evidence_is_lost(before: Comparison, after: Comparison) -> None:
    assert STRENGTH[after.verdict] >= STRENGTH[before.verdict], (before, after)
    if STRENGTH[before.verdict] == 2:
        assert after.verdict == before.verdict
    assert after.detectable <= before.detectable + 1e-12


@given(yardsticks, offsets, patterns, st.integers(2, 5))
def test_the_same_values_again_lose_nothing(
    yardstick: Yardstick, offset: float, pattern: list[float], times: int
) -> None:
    values = spread_around(yardstick, offset, pattern)
    assert_no_evidence_is_lost(judge_values(values, yardstick), judge_values(values * times, yardstick))


@given(yardsticks, offsets, patterns, st.integers(1, 5))
def test_further_seeds_at_the_mean_lose_nothing(
    yardstick: Yardstick, offset: float, pattern: list[float], more: int
) -> None:
    values = spread_around(yardstick, offset, pattern)
    longer = values + [fmean(values)] * more
    assert_no_evidence_is_lost(judge_values(values, yardstick), judge_values(longer, yardstick))


@given(yardsticks, offsets, scatters, st.integers(2, 40), st.integers(1, 40))
def test_more_seeds_of_the_same_mean_and_spread_lose_nothing(
    yardstick: Yardstick, offset: float, scatter: float, n: int, more: int
) -> None:
    assert_no_evidence_is_lost(
        judge(yardstick, offset, scatter, n), judge(yardstick, offset, scatter, n + more)
    )


def spread_around(yardstick: Yardstick, offset: float, pattern: list[float]) -> list[float]:
    centre = yardstick.low + offset * yardstick.tolerance
    centred = [value - fmean(pattern) for value in pattern]
    return [centre + value * yardstick.usual.sd for value in centred]


@given(yardsticks, offsets, patterns, st.randoms(use_true_random=False))
def test_the_order_of_seeds_is_irrelevant(
    yardstick: Yardstick, offset: float, pattern: list[float], rng: object
) -> None:
    values = spread_around(yardstick, offset, pattern)
    mixed = list(values)
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    assert judge_values(mixed, yardstick).verdict == judge_values(values, yardstick).verdict


@given(yardsticks, offsets, scatters, st.integers(1, 40), st.sampled_from([0.01, 0.1, 10.0, 100.0]))
def test_units_are_irrelevant(
    yardstick: Yardstick, offset: float, scatter: float, n: int, factor: float
) -> None:
    usual = RunSpread(yardstick.usual.sd * factor, yardstick.usual.df)
    scaled = Yardstick(
        yardstick.low * factor,
        yardstick.high * factor,
        yardstick.tolerance * factor,
        yardstick.matters * factor,
        yardstick.half_unit * factor,
        usual,
    )
    here, there = judge(yardstick, offset, scatter, n), judge(scaled, offset, scatter, n)
    # At the very edge of a rule the last bit of a number decides.
    edges = (here.limit, yardstick.tolerance - here.mean_reach, yardstick.tolerance)
    assume(all(abs(abs(here.difference) - edge) > 1e-5 * yardstick.tolerance for edge in edges))
    assume(abs(here.detectable - yardstick.matters) > 1e-5 * yardstick.tolerance)
    assert there.verdict == here.verdict
    assert there.detectable == pytest.approx(here.detectable * factor)


@given(scatters, scatters, st.integers(1, 40), st.floats(1, 20))
def test_a_joined_spread_grows_with_ours(scatter: float, more: float, n: int, df: float) -> None:
    calm, wild = (join_spreads(sd, n, RunSpread(1.0, df)) for sd in (scatter, scatter + more))
    assert wild.sd >= calm.sd >= 1.0 and wild.df <= calm.df
    assert calm.df >= n - 1


def test_what_does_not_vary_is_reproduced_or_not_by_a_single_count() -> None:
    assert judge_values([245_760.0], COUNT).verdict is Verdict.REPRODUCED
    far = judge_values([25_744_896.0], COUNT)
    assert far.verdict is Verdict.ABOVE and far.detectable == COUNT.tolerance and far.seeds_needed is None


def test_seeds_are_planned_by_what_a_plan_can_find() -> None:
    assert plan_seeds(E2E) == 2
    assert plan_seeds(E2E, sd=0.6, more_than=3) == 23
    assert judge_mean(68.8, 0.6, 23, E2E).verdict is not Verdict.INCONCLUSIVE
    assert judge_mean(67.8, 0.6, 22, E2E).verdict is Verdict.INCONCLUSIVE
    assert plan_seeds(E2E, sd=3.0) is None
    assert plan_seeds(replace(E2E, usual=RunSpread(3.0, 4.0))) is None


def test_no_values_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="no values"):
        judge_values([], E2E)


@pytest.mark.parametrize(
    ("printed", "half"),
    [("70.3", 0.05), ("0.46", 0.005), ("2.46", 0.005), ("3.0%", 0.0005), ("1%", 0.005), ("250K", 500.0),
     ("50K", 500.0), ("1000x", 0.5), ("30", 0.5), ("-0.3", 0.05), (None, 0.0), ("?", 0.0)],
)  # fmt: skip
def test_half_a_unit_of_the_last_digit(printed: str | None, half: float) -> None:
    assert compute_half_unit(printed) == pytest.approx(half)
