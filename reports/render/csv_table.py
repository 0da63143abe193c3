"""One line per number of the paper, ours in the same line; safe to open in a spreadsheet.

A text that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line break) gets a
quotation mark in front, as OWASP recommends; line breaks and other controls stand as escapes. Numbers are
written as numbers, signs and all.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bench.foreign_text import show_foreign
from reports.document import headline
from reports.document.schema import (
    CellView,
    Lineage,
    OurNumber,
    Report,
    ReportTable,
    TableRow,
    TableSection,
    UnpairedView,
)

NAMES = ("table", "section", "row", "column", "task", "group", "metric", "model", "method")
"""Fields of a cell that say which number it is."""
COLUMNS: tuple[str, ...] = (*NAMES, "scale")
COLUMNS += (
    "printed",
    "paper",
    "paper_low",
    "paper_high",
    "ours",
    "low",
    "high",
    "interval",
    "n",
    "runs",
    "dirty",
)
COLUMNS += (
    "difference",
    "tolerance",
    "limit",
    "matters",
    "detectable",
    "seeds_needed",
    "verdict",
    "reason",
    "also_accepts",
    "signature",
    "run_ids",
    "left_out",
)
ROW_NAMES: tuple[str, ...] = ("table", "section", "row", "task", "metric", "split", "counted", "repeats")
ROW_NAMES += ("paper", "ours", "verdict")
EXAMPLE_NAMES = ("place", "scale", "item", "group", "label", "facts", "system", "run")
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CSV_LENGTH = 8_000
"""Characters of a value, room for the names of a hundred runs; the JSON has all."""


def guard_value(value: object) -> str:
    """The value as text that no spreadsheet evaluates; None is empty."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:.10g}" if isinstance(value, float) else str(value)
    text = str(value)
    # A blank before the sign does not stop every program.
    risky = text.startswith(RISKY) or text[:CSV_LENGTH].lstrip().startswith(RISKY)
    return ("'" if risky else "") + show_foreign(text, CSV_LENGTH)


def format_lines(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV, every value guarded."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    for row in rows:
        writer.writerow([guard_value(value) for value in row])
    return buffer.getvalue()


def render_csv(report: Report) -> str:
    """All tables, one after the other."""
    return format_lines([COLUMNS, *(row for table in report.tables for row in list_rows(table))])


def render_rows(report: Report) -> str:
    """One line per row of the paper (a system on a task), judged by its main metric."""
    head = [*ROW_NAMES, "agreeing", "conflicting", "judged_others", "telling", "also_accepts"]
    body = [
        (
            *(row.table, row.section, row.row, row.task, row.metric, row.split, row.counted, row.repeats),
            *(row.paper_text, row.ours_text, row.verdict, row.agreeing, row.conflicting, row.judged_others),
            row.telling,
            headline.spell_accepted(row.also_accepts, row.section),
        )
        for row in report.rows
    ]
    return format_lines([head, *body])


def render_examples(report: Report) -> str:
    """One line per output of an item that the paper shows."""
    head = [*EXAMPLE_NAMES, "output", "gap", "missing", "false", "paper_output"]
    body = [
        (
            *(group.id, group.scale, example.item, example.group, example.label),
            "; ".join(" | ".join(fact) for fact in example.facts) or example.fact_count,
            *(output.label, output.run_id, output.text, output.gap),
            *("; ".join(output.missing), "; ".join(output.false), output.paper),
        )
        for group in report.examples
        for example in group.examples
        for output in example.outputs
    ]
    return format_lines([head, *body])


def render_disputes(report: Report) -> str:
    """One line per account that disagrees with the paper."""
    head = [*("dispute", "kind", "topic", "paper", "source"), *("account", "says", "printed", "standing")]
    body = [
        (
            *(dispute.id, dispute.kind, dispute.topic, dispute.paper, dispute.source),
            *(account.source, account.says, account.printed, dispute.standing),
            " ".join(dispute.tables),
            " ".join(dispute.claims),
        )
        for dispute in report.disputes
        for account in dispute.accounts
    ]
    return format_lines([[*head, "tables", "claims"], *body])


def render_claims(report: Report) -> str:
    """One line per claim."""
    head = ("claim", "sentence", "source", "records", "explanation", "mini", "paper", "paper_explanation")
    body = [
        (
            claim.id,
            claim.sentence,
            claim.source,
            claim.records.outcome,
            claim.records.explanation,
            claim.mini.label,
            claim.on_paper.outcome,
            claim.on_paper.explanation,
        )
        for claim in report.claims
    ]
    return format_lines([head, *body])


def list_rows(table: ReportTable) -> list[tuple[object, ...]]:
    """A table's cells, those of others among them, then what there is at scale mini in lines of its own."""
    rows: list[tuple[object, ...]] = []
    for block in (*table.blocks, *table.mini):
        for section in block.sections:
            for row in section.rows:
                for column, cell in zip(block.columns, row.cells, strict=True):
                    if isinstance(cell, CellView):
                        rows.append(make_paper_row(cell))
                    elif cell is not None:
                        rows.append(make_unpaired_row(table, section, row, column, cell))
    return rows


def make_paper_row(cell: CellView) -> tuple[object, ...]:
    """A number of the paper with ours."""
    names = (getattr(cell, name) for name in NAMES)
    paper = ("paper", cell.printed, cell.value, cell.low, cell.high)
    rule: tuple[float | None, ...] = (None, None, None)
    if cell.rule is not None:
        rule = (cell.rule.tolerance, cell.rule.limit, cell.rule.matters)
    judged = (cell.difference, *rule, cell.detectable, cell.seeds_needed, cell.verdict, cell.reason)
    accepted = headline.spell_accepted(cell.also_accepts, cell.section)
    return (*names, *paper, *list_ours(cell.ours), *judged, accepted, *list_lineage(cell.lineage))


def make_unpaired_row(
    table: ReportTable, section: TableSection, row: TableRow, column: str, cell: UnpairedView
) -> tuple[object, ...]:
    """A number that has none of the paper beside it."""
    model, method = (row.system.model, row.system.method) if row.system is not None else (None, None)
    measure = (cell.task, cell.group, cell.metric, model, method)
    names = (table.id, section.label, row.label, column, *measure, cell.scale)
    no_paper = (None, None, None, None)
    verdict = (None,) * 6 + (cell.label, None, None)
    return (*names, *no_paper, *list_ours(cell.ours), *verdict, *list_lineage(cell.lineage))


def list_ours(ours: OurNumber | None) -> tuple[object, ...]:
    """Our number's columns."""
    if ours is None:
        return (None,) * 7
    return ours.mean, ours.low, ours.high, ours.note, ours.n, ours.runs, ours.dirty


def list_lineage(lineage: Lineage) -> tuple[object, ...]:
    """Signatures and runs behind a number."""
    left_out = "; ".join(unlike.to_text() for unlike in lineage.unlike)
    return "; ".join(lineage.signatures), " ".join(value.run_id for value in lineage.runs), left_out
