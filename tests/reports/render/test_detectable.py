"""Every format shows the detectable difference of a cell, and what the verdict was reached by."""

from __future__ import annotations

import csv
import io
import json

import pytest
from made_up import record

from reports.document import builder
from reports.document.schema import CellView, Report
from reports.render import output_files


def report() -> Report:
    runs = [record("ft-full", "e2e", seed, bleu=bleu) for seed, bleu in enumerate((66.8, 67.4, 68.0))]
    return builder.build_report(runs, ["table2"], plan=False)


def bleu_cell() -> CellView:
    rows = [
        row for block in report().find_table("table2").blocks for part in block.sections for row in part.rows
    ]
    cells = [cell for row in rows for cell in row.cells if isinstance(cell, CellView)]
    (cell,) = [cell for cell in cells if cell.verdict == "inconclusive"]
    assert (cell.row, cell.column) == ("FT-FULL", "E2E BLEU")
    return cell


def test_a_cell_says_what_it_could_have_found_and_by_which_rule() -> None:
    cell = bleu_cell()
    assert cell.detectable == pytest.approx(3.37, abs=0.01) and cell.detectable_text == "3.4"
    assert cell.seeds_needed == 23 and cell.rule is not None
    assert (cell.rule.tolerance, cell.rule.matters) == (pytest.approx(0.55), pytest.approx(1.85))
    assert cell.rule.usual_spread == pytest.approx(0.322, abs=5e-4) and "LoRA Table 3" in cell.rule.source


@pytest.mark.parametrize(
    ("form", "shown"), [("html", "Δ 3.4"), ("md", "? (Δ 3.4)"), ("tex", r"($\Delta$ 3.4)")]
)
def test_pages_show_it_in_the_cell(form: str, shown: str) -> None:
    text = output_files.render_text(report(), form)
    assert shown in text and "docs/verdicts.md" in text


def test_tables_for_programs_have_the_number() -> None:
    parsed = json.loads(output_files.render_text(report(), "json"))
    assert '"detectable": 3.36' in json.dumps(parsed) and '"seeds_needed": 23' in json.dumps(parsed)
    lines = list(csv.DictReader(io.StringIO(output_files.render_text(report(), "csv"))))
    line = next(line for line in lines if line["verdict"] == "inconclusive")
    assert (line["seeds_needed"], line["row"], line["column"]) == ("23", "FT-FULL", "E2E BLEU")
    assert float(line["detectable"]) == pytest.approx(3.37, abs=0.01)
    assert float(line["tolerance"]) == pytest.approx(0.55) and float(line["matters"]) == pytest.approx(1.85)
