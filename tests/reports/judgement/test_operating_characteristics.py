"""How often verdicts are wrong: simulated anew, and as docs/verdicts.md prints it."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import NormalDist

import pytest
from made_up import cell

from reports.judgement.comparison import Verdict, judge_mean, judge_values, make_yardstick
from reports.judgement.operating_characteristics import (
    DRAWS,
    SPREADS,
    Setting,
    list_tables,
    list_yardsticks,
    share_off,
    simulate_verdicts,
)

PAGE = Path(__file__).parents[3] / "docs" / "verdicts.md"
E2E = make_yardstick(cell(task="e2e", method="ft-full", model="gpt2-medium", metric="bleu"))
FEW = 1000
SLACK = 3.5 * (0.05 * 0.95 / FEW) ** 0.5
"""What chance adds to 5 % in ``FEW`` draws."""


def read_tables() -> dict[str, list[list[str]]]:
    """The page's tables between marks, as cells without the head."""
    found = re.findall(
        r"<!-- ([a-z ]+) -->\n(.*?)\n<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    return {name: split_table(text) for name, text in found}


def split_table(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_gap_of_twice_the_tolerance_is_hardly_ever_reproduced(spread: float, n: int) -> None:
    shares = simulate_verdicts(E2E, Setting(2 * E2E.tolerance, spread, n, single_run=False), FEW)
    assert shares[Verdict.REPRODUCED] <= 0.05


@pytest.mark.parametrize("place", list_yardsticks())
def test_that_holds_for_every_metric(place: str) -> None:
    yardstick = list_yardsticks()[place]
    for spread, n in [(2.0, 2), (3.0, 2), (3.0, 3), (2.0, 10)]:
        gap = 2 * yardstick.tolerance
        shares = simulate_verdicts(yardstick, Setting(gap, spread, n, single_run=False), FEW)
        assert shares[Verdict.REPRODUCED] <= 0.05, (spread, n)
    same = simulate_verdicts(yardstick, Setting(0.0, 1.0, 3, single_run=True), FEW)
    assert share_off(same) <= 0.05


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_seeds_of_published_spread_are_hardly_ever_above_or_below_without_a_gap(n: int) -> None:
    assert share_off(simulate_verdicts(E2E, Setting(0.0, 1.0, n, single_run=True), FEW)) <= 0.05


def test_many_seeds_are_hardly_ever_above_or_below_whatever_their_spread() -> None:
    for spread in (2.0, 5.0, 20.0):
        assert share_off(simulate_verdicts(E2E, Setting(0.0, spread, 10, True), FEW)) <= 0.05 + SLACK


def test_a_gap_that_matters_is_found() -> None:
    assert share_off(simulate_verdicts(E2E, Setting(E2E.matters, 1.0, 3, True), FEW)) >= 0.8
    assert share_off(simulate_verdicts(E2E, Setting(E2E.matters, 1.0, 1, True), FEW)) == 0


def test_the_same_draws_give_the_same_shares() -> None:
    setting = Setting(0.0, 1.0, 3, True)
    assert simulate_verdicts(E2E, setting, 50) == simulate_verdicts(E2E, setting, 50)


def test_the_page_has_what_a_small_simulation_gives() -> None:
    tables, few = read_tables(), list_tables(FEW // 4)
    assert list(tables) == list(few)
    for name in ("sources", "yardsticks"):
        assert tables[name] == split_table(few[name])
    for name in ("false reproductions", "false alarms", "power"):
        again = split_table(few[name])
        assert [line[0] for line in tables[name]] == [line[0] for line in again]
        for there, here in zip(tables[name], again, strict=True):
            for page, share in zip(there[1:], here[1:], strict=True):
                noise = 100 * (max(float(page), 1) / 100 * (1 - float(page) / 101) / (FEW // 4)) ** 0.5
                assert abs(float(page) - float(share)) <= 4.5 * noise, (name, there, here)


@pytest.mark.slow
def test_the_page_has_what_the_simulation_gives() -> None:
    tables, again = read_tables(), list_tables(DRAWS)
    for name in ("false reproductions", "false alarms", "power"):
        for there, here in zip(tables[name], split_table(again[name]), strict=True):
            for page, share in zip(there, here, strict=True):
                assert float(page) == pytest.approx(float(share), abs=0.11), (name, there, here)


def test_the_pages_limits_hold_in_its_own_tables() -> None:
    tables = read_tables()
    assert all(float(share) <= 5 for line in tables["false reproductions"] for share in line[1:])
    alarms = {float(line[0]): [float(share) for share in line[1:]] for line in tables["false alarms"]}
    assert max(alarms[1.0]) <= 5
    assert max(share for line in alarms.values() for share in line[1:]) <= 7
    assert max(line[0] for line in alarms.values()) <= 100 / 8 + 0.4


def test_the_worked_examples_are_as_the_page_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    lines = re.findall(
        r"^\| ((?:\d\d\.\d ?)+)\| (\S+) \| (\S+) \| (\S+) \| (\S+) \| (\w+)", text, re.MULTILINE
    )
    assert len(lines) == 7
    for seeds, difference, _, limit, detectable, verdict in lines:
        got = judge_values([float(value) for value in seeds.split()], E2E)
        assert got.verdict == verdict, (seeds, got)
        assert got.difference == pytest.approx(float(difference.replace("−", "-")), abs=1e-9)
        assert got.limit == pytest.approx(float(limit), rel=0.005)
        assert got.detectable == pytest.approx(float(detectable), rel=0.005)


@pytest.mark.parametrize("n", [2, 3, 5, 10])
@pytest.mark.parametrize("scatter", [1.0, 1.5, 5.0])
def test_the_detectable_difference_is_found_four_times_out_of_five_at_the_spread_that_it_is_stated_for(
    n: int, scatter: float
) -> None:
    sd = scatter * E2E.usual.sd
    stated = judge_mean(E2E.low, sd, n, E2E)
    distance = sd * (1 + 1 / n) ** 0.5
    found = 1 - NormalDist(stated.detectable, distance).cdf(stated.limit)
    assert 0.8 <= found <= 0.97
