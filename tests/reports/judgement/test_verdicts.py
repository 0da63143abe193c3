"""The rules for verdicts: examples of each, and what must hold for any numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import cell, failed, record, scores, seeds, webnlg_prefix

from reports.document.table1 import make_exact
from reports.judgement.comparison import JUDGED_METRICS, find_rule
from reports.judgement.verdicts import Judgement, Verdict, count_verdicts, judge_cell
from reports.paper import published
from reports.records.index import CellEvidence, RunIndex, collect_evidence
from reports.stats.intervals import ONE_SEED

CELL = webnlg_prefix()  # 55.0


def of(values: list[float], where: published.Cell = CELL) -> Judgement:
    return judge_cell(
        where, CellEvidence("paper", {(None, seed): value for seed, value in enumerate(values)})
    )


def on(records: list[dict[str, Any]], where: published.Cell = CELL, scale: str = "paper") -> Judgement:
    return judge_cell(where, collect_evidence(RunIndex(records), where, scale))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([55.2, 54.9, 55.1], Verdict.REPRODUCED),
        ([55.0], Verdict.CONSISTENT),  # one seed proves nothing, whatever it gives
        ([55.6], Verdict.CONSISTENT),
        ([53.5], Verdict.INCONCLUSIVE),  # further off than a usual run, but a single one
        ([57.5], Verdict.INCONCLUSIVE),
        ([54.3, 54.35, 54.4], Verdict.CONSISTENT),  # seeds that happen to agree do not make the noise vanish
        ([55.2, 56.3, 55.0, 56.1, 55.5], Verdict.INCONCLUSIVE),
        ([61.0, 52.0], Verdict.INCONCLUSIVE),
        ([52.4, 52.5, 52.3, 52.4, 52.5], Verdict.BELOW),
        ([58.4, 58.5, 58.3, 58.4, 58.5], Verdict.ABOVE),
    ],
)
def test_examples(values: list[float], verdict: str) -> None:
    assert of(values).verdict == verdict, of(values)


@pytest.mark.parametrize(
    ("values", "verdict", "seeds_needed"),
    [
        ([67.0, 67.4, 67.8], Verdict.BELOW, None),
        ([66.8, 67.4, 68.0], Verdict.INCONCLUSIVE, 23),  # the same mean, more scatter
        ([66.0, 71.6], Verdict.INCONCLUSIVE, None),
        ([60.0, 68.8, 77.6], Verdict.INCONCLUSIVE, None),
        ([68.7, 68.9, 69.1], Verdict.REPRODUCED, None),
        ([68.8], Verdict.CONSISTENT, None),
        ([60.0], Verdict.INCONCLUSIVE, 2),
    ],
)
def test_scatter_is_no_evidence(values: list[float], verdict: Verdict, seeds_needed: int | None) -> None:
    fine_tuned = cell(task="e2e", method="ft-full", model="gpt2-medium", metric="bleu")
    assert fine_tuned.printed == "68.8"
    got = of(values, fine_tuned)
    assert (got.verdict, got.seeds_needed) == (verdict, seeds_needed), got.reason


def test_the_judgement_shows_its_numbers() -> None:
    got = of([57.4, 57.6])
    assert got.verdict == got.label == Verdict.ABOVE and got.difference == pytest.approx(2.5)
    assert got.yardstick is not None and got.yardstick.tolerance == pytest.approx(0.55)
    assert got.limit is not None and got.limit < 2.5
    assert got.detectable is not None and got.detectable > got.limit
    assert "57.5" in got.reason and "55.0" in got.reason and "above" in got.reason
    assert got.summary is not None and "between seeds, n = 2" in got.summary.note
    alone = of([55.1])
    assert alone.summary is not None and alone.summary.note == ONE_SEED
    assert "one seed, judged by the usual spread" in alone.reason


def test_an_undecided_cell_says_what_would_decide_it() -> None:
    wide = of([54.0, 55.0, 56.0])
    assert wide.verdict == Verdict.INCONCLUSIVE and wide.seeds_needed is None
    assert "no number of seeds is enough, since the paper's number is a single run" in wide.reason
    narrow = of([54.7, 55.3])
    assert narrow.seeds_needed == 5 and "5 seeds with this spread are enough" in narrow.reason
    alone = of([53.5])
    assert alone.seeds_needed == 2 and "one seed decides nothing; 2 seeds" in alone.reason


def test_values_are_compared_in_the_printed_unit() -> None:
    meteor = cell(task="e2e", method="prefix", model="gpt2-medium", metric="meteor")  # 46.3, ours 0 to 1
    assert of([0.463, 0.464], meteor).verdict == Verdict.REPRODUCED
    got = of([0.43, 0.43], meteor)
    assert (
        got.verdict == Verdict.BELOW and got.summary is not None and got.summary.mean == pytest.approx(43.0)
    )


@pytest.mark.parametrize(
    ("records", "verdict", "label"),
    [
        ([], Verdict.NOT_RUN, "not run"),
        ([failed(), failed(seed=2)], Verdict.NOT_RUN, "not run (2 failed: out-of-memory)"),
        ([failed("time-out")], Verdict.NOT_RUN, "not run (1 failed: time-out)"),
        ([failed("cancelled")], Verdict.NOT_RUN, "not run (1 cancelled)"),
        (
            [failed(), failed("diverged", seed=2), failed("cancelled", seed=3)],
            Verdict.NOT_RUN,
            "not run (2 failed: 1 out-of-memory, 1 diverged; 1 cancelled)",
        ),
        (
            [record(scores=scores({"bleu": None}, reason="no java"))],
            Verdict.NOT_RUN,
            "not run (not computed: no java)",
        ),
        ([record(scores=scores({"bleu": 55.0}, gate="failed: off by 2"))], Verdict.NOT_COMPARABLE, None),
        ([record(protocol="plain", not_comparable=["protocol plain"])], Verdict.NOT_COMPARABLE, None),
    ],
)
def test_gaps_are_never_results(records: list[dict[str, Any]], verdict: str, label: str | None) -> None:
    got = on(records)
    assert got.verdict == verdict and (label is None or got.label == label)


def test_a_failure_beside_results_is_mentioned() -> None:
    got = on([*seeds([55.0, 55.1, 54.9]), failed(seed=4)])
    assert got.verdict == Verdict.REPRODUCED and "1 failed: out-of-memory" in got.reason


def test_mini_is_shown_and_never_judged() -> None:
    runs = seeds([55.0, 55.0], scale="mini", model="mini-gpt2")
    got = on(runs, scale="mini")
    assert got.verdict == Verdict.NOT_COMPARABLE and got.label == "not comparable (mini)"
    assert got.summary is not None and got.summary.mean == 55.0 and got.difference is None
    assert on(runs).verdict == Verdict.NOT_RUN


def test_what_the_paper_does_not_print_is_not_judged_inside_its_range() -> None:
    low = published.find_cells(
        {"table": "figure6", "metric": "bleu", "settings": {"train_share": 0.4}, "method": "prefix"}
    )[0]
    assert (low.low, low.high) == (64, 70)
    assert of([67.0, 67.2], low).verdict == Verdict.NOT_COMPARABLE
    assert of([60.0, 60.2], low).verdict == Verdict.BELOW
    assert of([74.0, 74.2], low).verdict == Verdict.ABOVE
    assert of([70.1, 70.05, 70.15], low).verdict == Verdict.REPRODUCED
    assert of([70.3], low).verdict == Verdict.CONSISTENT


def test_other_kinds_of_cells() -> None:
    cited = cell("table2", row="SOTA", column="E2E BLEU")
    assert judge_cell(cited, CellEvidence("paper")).verdict == Verdict.NOT_COMPARABLE
    lewis = cell("table3", method="ft-full", metric="rouge1")
    assert of([0.4514, 0.4515, 0.4513], lewis).verdict == Verdict.REPRODUCED
    setting = cell("table6", task="e2e", method="prefix", metric="lr")
    assert judge_cell(setting, CellEvidence("paper")).verdict == Verdict.NOT_COMPARABLE
    hours = cell("efficiency", metric="epoch_hours", method="prefix")
    assert "authors'" in of([0.2], hours).reason and of([0.2], hours).verdict == Verdict.NOT_COMPARABLE
    assert of([1.4], cell("efficiency", metric="speed_gain")).verdict == Verdict.NOT_COMPARABLE
    stored = cell("efficiency", metric="stored_parameters", task="webnlg")
    assert of([245_760.0], stored).verdict == Verdict.REPRODUCED
    assert of([25_744_896.0], stored).verdict == Verdict.ABOVE  # the MLP of training counted
    share = cell("efficiency", metric="stored_share", row="PREFIX(0.1%)", task=None)
    assert of([0.00069], share).verdict == Verdict.REPRODUCED and of([0.03], share).verdict == Verdict.ABOVE


def test_statistics_of_the_data() -> None:
    size = cell("table1", task="e2e", metric="examples")
    assert judge_cell(size, CellEvidence("paper")).label == "not run (the published files were not counted)"
    assert judge_cell(size, make_exact(51_426)).verdict == Verdict.REPRODUCED
    assert judge_cell(size, make_exact(42_061)).verdict == Verdict.BELOW
    length = cell("table1", task="e2e", metric="output_length")
    assert judge_cell(length, make_exact(27.84)).verdict == Verdict.REPRODUCED
    assert judge_cell(length, make_exact(26.96)).verdict == Verdict.BELOW  # targets that were not tokenised


def test_every_score_of_the_paper_has_a_rule_with_a_reason() -> None:
    measured = {
        c.metric
        for n in published.WITH_CELLS
        for c in published.read_cells(n)
        if c.kind in ("measured", "read off")
    }
    assert measured <= set(JUDGED_METRICS)
    rules = [find_rule(metric) for metric in JUDGED_METRICS]
    assert all(rule.why and rule.matters >= rule.tolerance > 0 for rule in rules)


def test_all_cells_get_a_verdict_without_records() -> None:
    every = [one for name in published.WITH_CELLS for one in published.read_cells(name)]
    index = RunIndex([])
    counts = count_verdicts(judge_cell(one, collect_evidence(index, one)).verdict for one in every)
    assert list(counts) == list(Verdict) and sum(counts.values()) == len(every)
    assert not any(counts[verdict] for verdict in Verdict if verdict.scientific)


# --- for any numbers

SPREAD = st.lists(st.floats(-2, 2), min_size=1, max_size=8)


@given(SPREAD, st.integers(0, 4), st.integers(0, 4))
def test_failures_never_change_a_verdict(spread: list[float], memory: int, cancelled: int) -> None:
    values = {(None, seed): 55.0 + value for seed, value in enumerate(spread)}
    with_failures = CellEvidence("paper", values, failures={"out-of-memory": memory, "cancelled": cancelled})
    assert judge_cell(CELL, with_failures).verdict == judge_cell(CELL, CellEvidence("paper", values)).verdict
    alone = judge_cell(CELL, replace(with_failures, replicates={}))
    assert alone.verdict == Verdict.NOT_RUN


@given(st.floats(0, 100), st.sampled_from(["mini", "plain", "limit", "typed"]))
def test_what_is_not_comparable_gets_no_other_verdict(bleu: float, what: str) -> None:
    if what == "mini":
        made = record(bleu=bleu, scale="mini", model="mini-gpt2")
        assert on([made], scale="mini").verdict == Verdict.NOT_COMPARABLE
    elif what == "plain":
        made = record(bleu=bleu, protocol="plain", not_comparable=["protocol plain"])
    elif what == "typed":
        made = record(bleu=bleu, not_comparable=["settings from the command line: lr"])
        made["settings"]["lr"] = {"value": 1e-3, "origin": "command line"}
    else:
        made = record(bleu=bleu)
        made["settings"]["limit"] = {"value": 10, "origin": "command line"}
    assert on([made]).verdict in (Verdict.NOT_COMPARABLE, Verdict.NOT_RUN)


@given(SPREAD)
def test_scale_mini_never_reaches_a_verdict_whatever_the_values(spread: list[float]) -> None:
    got = judge_cell(
        CELL, CellEvidence("mini", {(None, seed): 55 + value for seed, value in enumerate(spread)})
    )
    assert got.verdict == Verdict.NOT_COMPARABLE
