"""The headline: rows by their main metric, and whether what came out tells a row from its neighbours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import cell, of_printed, of_seeds, record, scores

from reports.document import builder, headline
from reports.document.schema import JudgedRow, Report
from reports.judgement.row_verdicts import list_accepted, list_neighbours
from reports.judgement.verdicts import Verdict
from reports.paper import published
from reports.records.index import CellEvidence

MEDIUM = "GPT-2 Medium"
PREFIX = (MEDIUM, "PREFIX(0.1%)")
SYSTEMS = list(
    dict.fromkeys((c.section, c.row) for c in published.read_cells("table2") if c.method is not None)
)


def report_on(records: list[dict[str, Any]], *names: str) -> Report:
    return builder.build_report(records, names or ("table2",), plan=False)


def judged(report: Report) -> dict[tuple[str, str], JudgedRow]:
    """The rows with evidence, by row and task."""
    return {(row.row, row.task): row for row in report.rows if row.telling is not None}


def test_a_row_counts_once_by_its_main_metric() -> None:
    report = report_on([record for system in SYSTEMS for record in of_printed(system)])
    assert report.overview.headline.rows == 21, "seven systems on three tasks, not 140 cells"
    assert report.overview.headline.verdicts[Verdict.REPRODUCED] == 21
    assert {(row.task, row.metric) for row in report.rows} == {
        ("e2e", "bleu"), ("webnlg", "bleu"), ("dart", "bleu"),
    }  # fmt: skip
    webnlg = judged(report)["PREFIX(0.1%)", "webnlg"]
    assert webnlg.paper_text == "55.0", "all categories; seen and unseen are parts of them"
    assert (webnlg.agreeing, webnlg.judged_others) == (8, 8)


def test_the_numbers_of_another_system_are_not_called_told_apart() -> None:
    """ADAPTER(3%)'s numbers in PREFIX(0.1%)'s row."""
    report = report_on(of_printed(PREFIX, (MEDIUM, "ADAPTER(3%)")))
    rows = judged(report)
    assert len(rows) == 3 and not any(row.telling for row in rows.values())
    for row in rows.values():
        nearest = row.also_accepts[0]
        assert (nearest.section, nearest.row, nearest.verdict) == (MEDIUM, "ADAPTER(3%)", "reproduced")
    assert rows["PREFIX(0.1%)", "e2e"].verdict is Verdict.BELOW
    assert rows["PREFIX(0.1%)", "webnlg"].conflicting == 4, "what its other metrics say is not hidden"
    counted = report.overview.headline
    assert counted.telling == 0 and counted.conflicting == 3
    assert counted.verdicts[Verdict.REPRODUCED] == 1, "54.8 beside 55.0, of three rows"
    text = headline.spell_headline(counted)
    assert "0 of them told apart" in text and "other metrics point another way" in text


def test_a_shift_of_the_main_metric_alone_is_all_that_the_headline_speaks_of() -> None:
    """BLEU 1.7 lower in every row, all other metrics as printed: 105 of 140 cells are reproduced, and no row."""
    report = report_on([record for system in SYSTEMS for record in of_printed(system, bleu=-1.7)])
    counted = report.overview.headline
    assert report.overview.verdicts[Verdict.REPRODUCED] > 100
    assert counted.verdicts[Verdict.REPRODUCED] == counted.verdicts[Verdict.CONSISTENT] == 0
    assert counted.conflicting == counted.rows == 21
    assert headline.spell_others(judged(report)["FT-FULL", "e2e"]).startswith("0 of 4 agree (4 reproduced")


def test_what_is_printed_twice_counts_once() -> None:
    report = report_on(of_printed(PREFIX), "table2", "table5", "table9")
    rows = [row for row in report.rows if row.telling is not None and row.task == "e2e"]
    assert [(row.table, row.counted, row.repeats) for row in rows] == [
        ("table2", True, None), ("table5", False, "table2"),
    ]  # fmt: skip
    assert report.overview.headline.rows == 21 + 6
    assert report.overview.headline.dev[Verdict.NOT_RUN] == 21
    alone = report_on(of_printed(PREFIX), "table5")
    assert alone.overview.headline.rows == 7 and alone.rows[0].counted


def test_summarisation_is_counted_by_rouge_l_as_the_paper_states_its_result() -> None:
    report = report_on([], "table3", "table4", "table7")
    assert {row.metric for row in report.rows} == {"rougeL"}
    assert report.overview.headline.rows == 7 and report.overview.headline.dev[Verdict.NOT_RUN] == 2


def test_figures_and_settings_have_no_rows() -> None:
    assert report_on([], "table1", "table6", "table8", "figure3", "efficiency").rows == ()


def test_lower_is_better_is_the_same_direction() -> None:
    """BLEU too low and TER too high say the same."""
    low = {"bleu": 40.0, "meteor": 0.30, "ter": 0.60}
    runs = [record("prefix", "webnlg", seed, scores=scores(low)) for seed in (1, 2, 3)]
    row = judged(report_on(runs))["PREFIX(0.1%)", "webnlg"]
    assert row.verdict is Verdict.BELOW and (row.agreeing, row.conflicting, row.judged_others) == (2, 0, 2)


def test_neighbours_are_the_other_systems_of_the_same_column() -> None:
    prefix = cell(task="webnlg", method="prefix", model="gpt2-medium", metric="bleu", group="unseen")
    rows = [(other.section, other.row) for other in list_neighbours(prefix, published.read_cells("table2"))]
    assert (None, "SOTA") in rows and PREFIX not in rows and len(rows) == len(SYSTEMS)


@given(st.floats(40, 80), st.floats(0.05, 3.0))
def test_evidence_accepts_what_it_hits_and_not_what_is_far(mean: float, spread: float) -> None:
    prefix = cell(task="e2e", method="prefix", model="gpt2-medium", metric="bleu")
    evidence = CellEvidence("paper", of_seeds([mean - spread, mean, mean + spread]))
    accepted = list_accepted(prefix, evidence, published.read_cells("table2"))
    distances = [abs(number.difference) for number in accepted]
    assert distances == sorted(distances)
    printed = {(number.section, number.row) for number in accepted}
    for other in list_neighbours(prefix, published.read_cells("table2")):
        assert other.value is not None
        if abs(other.value - mean) < 0.05:
            assert (other.section, other.row) in printed
        if abs(other.value - mean) > 30:
            assert (other.section, other.row) not in printed


@pytest.mark.parametrize("form", ["html", "md", "tex", "csv", "json"])
def test_every_format_says_it(form: str) -> None:
    from reports.render import output_files

    text = output_files.render_text(report_on(of_printed(PREFIX, (MEDIUM, "ADAPTER(3%)"))), form)
    if form == "json":
        assert '"telling": false' in text and '"row": "ADAPTER(3%)"' in text
    else:
        plain = text.replace(chr(92), "")
        assert "would also accept ADAPTER(3%) 68.9" in plain
