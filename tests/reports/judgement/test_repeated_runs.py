"""Usual spreads and tolerances follow from published repeated runs, and the texts from the numbers used."""

from __future__ import annotations

import math
import re
from statistics import stdev

import pytest

from reports.judgement import repeated_runs
from reports.judgement.comparison import SCORES, find_rule
from reports.judgement.repeated_runs import (
    RepeatedRuns,
    compare_versions,
    derive_difference_that_matters,
    derive_tolerance,
    find_typical_gap,
    find_usual_spread,
    list_repeated_runs,
    pool_metric,
    pool_spreads,
    round_up,
)


def test_every_published_repetition_names_its_source_and_its_runs() -> None:
    rows = list_repeated_runs()
    assert {row.source for row in rows} == {
        "LoRA Table 3", "LoRA Table 13", "LoRA Table 14", "arXiv v1 against ACL",
    }  # fmt: skip
    assert all(row.runs >= 2 and row.sd >= 0 and row.metric in SCORES for row in rows)
    assert len(set(rows)) == len(rows)


def test_lora_prints_these_on_e2e() -> None:
    rows = [row for row in list_repeated_runs() if row.source == "LoRA Table 3" and row.metric == "bleu"]
    assert [row.sd for row in rows] == [0.6, 0.1, 0.1, 0.3, 0.1]
    assert {row.runs for row in rows} == {3}


def test_a_row_trained_again_is_two_runs() -> None:
    prefix = [row for row in compare_versions() if row.task == "e2e" and row.metric == "bleu"]
    assert [(row.system, row.runs) for row in prefix] == [("PREFIX(0.1%)", 2)]
    assert prefix[0].sd == pytest.approx(stdev([69.7, 70.3]))
    seen = [row for row in compare_versions() if row.group == "seen" and row.metric == "bleu"]
    assert sorted(round(row.sd, 9) for row in seen) == [0.0, round(stdev([60.4, 60.5]), 9)]
    assert not any(row.system.startswith("FT") for row in compare_versions())


def test_spreads_are_pooled_by_degrees_of_freedom() -> None:
    rows = [
        RepeatedRuns("bleu", "e2e", "all", "", 3, 0.3, ""),
        RepeatedRuns("bleu", "e2e", "all", "", 2, 0.6, ""),
    ]
    pooled = pool_spreads(rows)
    assert pooled.df == 3 and pooled.sd == pytest.approx(math.sqrt((2 * 0.09 + 0.36) / 3))
    with pytest.raises(ValueError, match="no repeated runs"):
        pool_spreads([])


def test_the_spread_of_a_setting_is_its_own_where_that_is_larger_and_known() -> None:
    overall = pool_metric("bleu")
    assert find_usual_spread("bleu", "e2e", "all").sd == pytest.approx(0.322, abs=5e-4)
    assert find_usual_spread("bleu", "webnlg", "unseen").sd > overall.sd
    assert find_usual_spread("bleu", "dart", "all").sd == overall.sd
    assert find_usual_spread("bleu", None, "all").sd == overall.sd
    # Two pairs that are printed to 0.01 say little of a setting.
    assert find_usual_spread("meteor", "webnlg", "unseen").sd == pool_metric("meteor").sd


def test_what_is_our_choice_counts_less_than_what_is_published() -> None:
    assert find_usual_spread("bleu", "e2e", "all").df == repeated_runs.MAX_DF
    assert find_usual_spread("rouge2", "xsum", "all").df == repeated_runs.CHOSEN_DF < repeated_runs.MAX_DF
    assert all("our choice" in find_rule(metric).why for metric in repeated_runs.CHOSEN_SPREADS)
    assert not any("our choice" in find_rule(m).why for m in SCORES if m not in repeated_runs.CHOSEN_SPREADS)


@pytest.mark.parametrize(
    ("metric", "tolerance"),
    [("bleu", 0.5), ("nist", 0.08), ("meteor", 0.005), ("rouge_l", 0.005), ("cider", 0.04), ("ter", 0.02),
     ("rouge1", 0.003), ("bleurt", 0.02)],
)  # fmt: skip
def test_a_tolerance_is_twice_the_spread_rounded_up(metric: str, tolerance: float) -> None:
    assert derive_tolerance(metric) == tolerance >= 2 * pool_metric(metric).sd - 1e-9
    assert find_rule(metric).tolerance == tolerance


@pytest.mark.parametrize("metric", SCORES)
def test_the_text_has_the_numbers_that_are_used(metric: str) -> None:
    why = find_rule(metric).why
    spread, tolerance = re.findall(r"(?:spread|tolerance) ([\d.]+)", why)
    assert float(tolerance) == find_rule(metric).tolerance
    assert float(spread) == pytest.approx(pool_metric(metric).sd, rel=0.05)


def test_what_matters_is_what_lies_between_the_papers_systems_or_three_tolerances() -> None:
    assert find_typical_gap("bleu") == derive_difference_that_matters("bleu") == 1.8
    assert find_typical_gap("cider") == 0.02 and derive_difference_that_matters("cider") == 0.12
    assert find_typical_gap("stored_share") == 0.0


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.44, 0.5), (0.4, 0.4), (0.041, 0.05), (1.1, 2.0), (9.5, 10.0)]
)
def test_rounding_up(value: float, rounded: float) -> None:
    assert round_up(value) == pytest.approx(rounded)
