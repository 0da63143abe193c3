"""The document: everything of the paper is in it, ours beside, gaps as gaps, mini apart."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from made_site import NASTY, generations, records, report, webnlg
from made_up import failed, record

from bench.errors import DataError, UserError
from reports.document import builder
from reports.document.schema import CellView, ReportTable, UnpairedView
from reports.paper import published


def cells(table: ReportTable) -> list[CellView]:
    return [
        cell
        for block in table.blocks
        for section in block.sections
        for row in section.rows
        for cell in row.cells
        if isinstance(cell, CellView)
    ]


def the(table: ReportTable, **fields: object) -> CellView:
    (matching,) = [cell for cell in cells(table) if all(getattr(cell, n) == v for n, v in fields.items())]
    return matching


@pytest.mark.parametrize("name", published.WITH_CELLS)
def test_every_cell_of_the_paper_stands_in_its_table_once(name: str) -> None:
    in_table = cells(report().find_table(name))
    assert sorted((c.section or "", c.row, c.column) for c in in_table) == sorted(
        (c.section or "", c.row, c.column) for c in published.read_cells(name)
    )
    assert len({cell.id for cell in in_table}) == len(in_table)


def test_a_cell_has_both_numbers_its_interval_and_what_stands_behind() -> None:
    cell = the(
        report().find_table("table2"), column="WebNLG BLEU A", row="PREFIX(0.1%)", section="GPT-2 Medium"
    )
    assert cell.printed == "55.0" and cell.verdict == "reproduced"
    assert cell.ours is not None and cell.ours.n == 3
    assert cell.ours.text == "55.2 ± 0.5" and "between seeds" in cell.ours.note
    assert [value.seed for value in cell.lineage.runs] == [1, 2, 3]
    assert cell.lineage.signatures and cell.lineage.deviations
    assert any(account.printed == "55.1" for account in cell.elsewhere)  # arXiv v1
    runs = {run.run_id: run for run in report().runs}
    assert all(runs[value.run_id].command.startswith("bench run") for value in cell.lineage.runs)


def test_one_seed_has_no_interval_and_says_so() -> None:
    cell = the(report().find_table("table2"), column="WebNLG BLEU A", row="FT-TOP2")
    assert cell.ours is not None and cell.ours.low is None and "±" not in cell.ours.text
    assert "one seed" in cell.ours.note


def test_failures_are_gaps() -> None:
    cell = the(report().find_table("table2"), column="DART BLEU", row="FT-FULL", section="GPT-2 Medium")
    assert cell.label == "not run (1 failed: out-of-memory)" and cell.ours is None


def test_mini_never_stands_in_a_cell_of_the_paper() -> None:
    only_mini = builder.build_report(
        [webnlg(1, "prefix", 66.0, model="mini-gpt2", scale="mini")], ["table2"], plan=False
    )
    table = only_mini.find_table("table2")
    assert all(cell.ours is None for cell in cells(table))
    beside = [c for b in table.mini for s in b.sections for r in s.rows for c in r.cells if c]
    assert beside and all(isinstance(cell, UnpairedView) for cell in beside)


def test_nothing_run_is_a_report_too() -> None:
    empty = builder.build_report([], ["all"], generations=generations)
    assert set(empty.overview.verdicts) >= {"reproduced", "not run"}
    assert empty.overview.verdicts["reproduced"] == 0 and empty.runs == ()
    assert all(claim.records.outcome == "not run" for claim in empty.claims)
    assert empty.overview.claims_on_paper["supported"] > 10
    assert any(
        progress.experiment == "table2" and progress.planned > 10 for progress in empty.overview.progress
    )
    assert all(
        output.text is None for group in empty.examples for e in group.examples for output in e.outputs
    )


def test_progress_counts_an_experiments_own_runs() -> None:
    from bench.experiments.expansion import expand_experiments

    request = expand_experiments("table5", "mini").requests[0]
    options = {name: values[0] for name, values in request.preset.items() if name in ("length", "size")}
    made = record(request.method.name, "e2e", request.seed, options=options, model="mini-gpt2", scale="mini")
    counted = builder.build_report([made, failed(method="ft-full")], ["table5"]).overview.progress
    assert [(entry.scale, entry.done) for entry in counted] == [("paper", 0), ("mini", 1)]


def test_paper_only_has_nothing_of_ours() -> None:
    paper = builder.build_report(records(), ["table2", "figure3", "claims"], paper_only=True)
    assert paper.runs == () and paper.rows == ()
    outputs = [output for group in paper.examples for example in group.examples for output in example.outputs]
    assert outputs and all(output.text is None and output.paper for output in outputs)
    assert all(cell.verdict is None and cell.ours is None for cell in cells(paper.find_table("table2")))
    assert all(claim.on_paper.outcome and not claim.records.outcome for claim in paper.claims)


def test_names_are_checked_and_put_in_order() -> None:
    assert builder.select_names(["figure3", "table2", "table2"]) == ("table2", "figure3")
    assert builder.select_names([]) == builder.select_names(["all"])
    with pytest.raises(UserError, match="table2"):
        builder.select_names(["tabel2"])


def test_it_is_plain_data_and_the_same_for_the_same_records() -> None:
    first = json.dumps(report().to_json(), allow_nan=False)
    again = builder.build_report(records_of_report(), ["all"], generations=generations, damaged=[NASTY[0]])
    assert len(json.dumps(again.to_json(), allow_nan=False)) == len(first)


def test_a_cell_as_data_says_which_it_is_before_what_is_known_of_it() -> None:
    cell = the(
        report().find_table("table2"), column="WebNLG BLEU A", row="PREFIX(0.1%)", section="GPT-2 Medium"
    )
    place = ["id", "table", "section", "row", "column", "task", "group", "metric", "model", "method"]
    printed = ["kind", "better", "printed", "value", "low", "high", "paper_text", "note", "elsewhere"]
    printed += ["disputes"]
    ours = ["ours", "verdict", "label", "reason", "gap", "difference"]
    ours += ["also_accepts", "detectable", "detectable_text", "seeds_needed", "rule", "lineage"]
    assert list(asdict(cell)) == [*place, *printed, *ours]


def test_disputes_are_in_the_report_and_at_the_cells_that_they_touch() -> None:
    assert len(report().disputes) == 41
    cell = the(report().find_table("table2"), column="E2E BLEU", row="FT-FULL", section="GPT-2 Medium")
    assert cell.disputes == ("a-ft-full-e2e-bleu",)
    claims = {claim.id: claim.disputes for claim in report().claims}
    assert claims["adapter-4.1-bleu"] == ("4.1-bleu",)
    paper = builder.build_report([], ["table4"], paper_only=True)
    assert [dispute.id for dispute in paper.disputes][-2:] == ["code-length-penalty", "code-beams"]
    assert all(dispute.claims == () and dispute.tables == ("table4",) for dispute in paper.disputes)


def records_of_report() -> list[dict[str, object]]:
    return records()


def test_examples_show_ours_with_marks_and_survive_damage() -> None:
    table10 = next(group for group in report().examples if group.id == "table10")
    first = table10.examples[0]
    assert [output.label for output in first.outputs] == ["Prefix-tuning, seed 1", "Fine-tuning, seed 1"]
    assert "A Place | leader | A Person" in first.outputs[0].missing
    assert first.outputs[1].paper.startswith("leaves out fact 2, 4")
    assert table10.examples[-1].outputs[0].gap == "the run has no item " + table10.examples[-1].item

    def torn(_run_id: str) -> list[dict[str, object]]:
        raise DataError("generations.jsonl is damaged")

    broken = builder.build_report(records(), ["table10"], generations=torn, plan=False)
    assert "damaged" in broken.examples[0].examples[0].outputs[0].gap
