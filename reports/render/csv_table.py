"""One line per number of the paper, ours in the same line; safe to open in a spreadsheet.

A text that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line break) gets a
quotation mark in front, as OWASP recommends. Numbers are written as numbers, signs and all.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from reports.document.schema import CellView, Lineage, MiniView, Ours, Report, Row, Section, Table

NAMES = ("table", "section", "row", "column", "task", "group", "metric", "model", "method")
"""Fields of a cell that say which number it is."""
COLUMNS: tuple[str, ...] = (*NAMES, "scale")
COLUMNS += ("printed", "paper", "paper_low", "paper_high", "ours", "low", "high", "interval", "n", "runs")
COLUMNS += ("difference", "verdict", "reason", "signature", "run_ids")
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_HALVES = re.compile(r"[\ud800-\udfff]")
"""Half characters, as in the name of a file in another encoding: no file of text can hold them."""


def guarded(value: object) -> str:
    """The value as text that no spreadsheet evaluates; None is empty."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:.10g}" if isinstance(value, float) else str(value)
    text = _HALVES.sub("�", str(value).replace("\x00", ""))
    # A blank before the sign does not stop every program.
    return "'" + text if text.lstrip(" ").startswith(RISKY) or text.startswith(RISKY) else text


def lines(rows: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([guarded(value) for value in row])
    return out.getvalue()


def page(report: Report) -> str:
    """All tables, one after the other."""
    return lines([COLUMNS, *(row for table in report.tables for row in rows(table))])


def claims(report: Report) -> str:
    """One line per claim."""
    head = ("claim", "sentence", "source", "records", "explanation", "mini", "paper", "paper_explanation")
    body = [
        (
            one.id,
            one.sentence,
            one.source,
            one.records.outcome,
            one.records.explanation,
            one.mini.label,
            one.on_paper.outcome,
            one.on_paper.explanation,
        )
        for one in report.claims
    ]
    return lines([head, *body])


def rows(table: Table) -> list[tuple[object, ...]]:
    """A table's cells, then what there is at scale mini in lines of its own."""
    made: list[tuple[object, ...]] = []
    for block in (*table.blocks, *table.mini):
        for section in block.sections:
            for row in section.rows:
                for column, cell in zip(block.columns, row.cells, strict=True):
                    if isinstance(cell, CellView):
                        made.append(of_paper(cell))
                    elif cell is not None:
                        made.append(of_mini(table, section, row, column, cell))
    return made


def of_paper(cell: CellView) -> tuple[object, ...]:
    names = (getattr(cell, name) for name in NAMES)
    paper = ("paper", cell.printed, cell.value, cell.low, cell.high)
    judged = (cell.difference, cell.verdict, cell.reason)
    return (*names, *paper, *ours(cell.ours), *judged, *behind(cell.lineage))


def of_mini(table: Table, section: Section, row: Row, column: str, cell: MiniView) -> tuple[object, ...]:
    names = (table.id, section.label, row.label, column, None, None, None, None, None, "mini")
    nothing = (None, None, None, None)
    verdict = (None, "not comparable", "mini")
    return (*names, *nothing, *ours(cell.ours), *verdict, *behind(cell.lineage))


def ours(one: Ours | None) -> tuple[object, ...]:
    if one is None:
        return (None,) * 6
    return one.mean, one.low, one.high, one.note, one.n, one.runs


def behind(lineage: Lineage) -> tuple[object, ...]:
    return "; ".join(lineage.signatures), " ".join(value.run_id for value in lineage.runs)
