"""The rows of the paper (a system on a task) by their main metric, and how many of them came out.

A row counts once, however many metrics and tables print it: rows of development sets, and rows that repeat
another table's, are listed and not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from reports.document.schema import CellView, Headline, JudgedRow, ReportTable
from reports.judgement.row_verdicts import (
    MAIN_GROUP,
    MAIN_METRICS,
    AcceptedNumber,
    Direction,
    find_direction,
)
from reports.judgement.verdicts import Verdict, count_verdicts
from reports.paper.published import Cell, CellPlace

POINTING = frozenset({Direction.SAME, Direction.BETTER, Direction.WORSE})
"""Directions that a metric can have against another's."""
RowKey = tuple[str | None, str, str]
"""(section, row, task)."""


def judge_rows(cells: Sequence[Cell], views: Mapping[CellPlace, CellView]) -> tuple[JudgedRow, ...]:
    """A table's rows whose main metric the paper prints, in its order."""
    rows: dict[RowKey, list[Cell]] = {}
    for cell in cells:
        if cell.method is not None and cell.kind in ("measured", "cited") and cell.task in MAIN_METRICS:
            rows.setdefault((cell.section, cell.row, str(cell.task)), []).append(cell)
    judged = []
    for row_cells in rows.values():
        main = [cell for cell in row_cells if is_main(cell)]
        if main and views[main[0].place].verdict is not None:
            others = [views[cell.place] for cell in row_cells if cell is not main[0]]
            judged.append(make_row(main[0], views[main[0].place], others))
    return tuple(judged)


def is_main(cell: Cell) -> bool:
    """Whether the row is counted by this cell."""
    return cell.metric == MAIN_METRICS[str(cell.task)] and cell.group == MAIN_GROUP


def make_row(cell: Cell, view: CellView, others: Sequence[CellView]) -> JudgedRow:
    """The row of ``cell``, its main metric's, with what the other metrics say."""
    assert view.verdict is not None
    direction = find_direction(view.verdict, view.better)
    directions = [find_direction(other.verdict, other.better) for other in others]
    against = POINTING - {direction}
    return JudgedRow(
        table=cell.table,
        section=cell.section,
        row=cell.row,
        task=str(cell.task),
        metric=cell.metric,
        split=str(cell.split),
        model=cell.model,
        method=str(cell.method),
        options=cell.options,
        cell_id=view.id,
        paper_text=view.paper_text,
        ours_text=view.ours.text if view.ours is not None else "",
        verdict=view.verdict,
        label=view.label,
        agreeing=sum(other == direction for other in directions) if direction is not None else 0,
        conflicting=sum(other in against for other in directions) if direction in POINTING else 0,
        judged_others=sum(other is not None for other in directions),
        others=dict(Counter(other.verdict for other in others if other.verdict is not None)),
        also_accepts=view.also_accepts,
        telling=None if direction is None else not view.also_accepts,
    )


def mark_repeated(tables: Iterable[ReportTable]) -> tuple[JudgedRow, ...]:
    """The rows of all tables, those that repeat an earlier one with its table's name."""
    first: dict[tuple[object, ...], str] = {}
    rows = []
    for row in (row for table in tables for row in table.rows):
        options = tuple(sorted(row.options.items()))
        table = first.setdefault((row.task, row.split, row.model, row.method, options), row.table)
        repeats = None if table == row.table else table
        rows.append(replace(row, repeats=repeats, counted=repeats is None and row.split == "test"))
    return tuple(rows)


def count_rows(rows: Sequence[JudgedRow]) -> Headline:
    """How many rows came out, and how far that goes."""
    counted = [row for row in rows if row.counted]
    return Headline(
        rows=len(counted),
        verdicts=count_verdicts(row.verdict for row in counted),
        telling=sum(row.verdict is Verdict.REPRODUCED and bool(row.telling) for row in counted),
        conflicting=sum(row.conflicting > 0 for row in counted),
        dev=count_verdicts(row.verdict for row in rows if row.split == "dev" and row.repeats is None),
    )


def count_row_verdicts(rows: Iterable[JudgedRow]) -> dict[Verdict, int]:
    """How many of a table's rows have each verdict."""
    return count_verdicts(row.verdict for row in rows)


# --- in words

MAX_NAMED = 3
"""Other systems that are named; of more only how many."""


def spell_headline(headline: Headline) -> str:
    """``34 rows (...): 2 reproduced, 1 of them told apart ...; 32 not run.``"""
    if not headline.rows:
        return "No row of the paper's results was asked for."
    parts = []
    for verdict, number in headline.verdicts.items():
        qualified = ""
        if verdict is Verdict.REPRODUCED and number:
            qualified = f" ({headline.telling} of them told apart from every other system in the column)"
        if number:
            parts.append(f"{number} {verdict}{qualified}")
    text = f"{headline.rows} rows (a system on a task, by the task's main metric): {', '.join(parts)}."
    if headline.conflicting:
        text += f" In {headline.conflicting} of them other metrics point another way."
    dev = [f"{number} {verdict}" for verdict, number in headline.dev.items() if number]
    if dev:
        text += f" On development sets, not counted again: {', '.join(dev)}."
    return text


def spell_row(row: JudgedRow) -> str:
    """``GPT-2 Medium, PREFIX(0.1%)``, and why it is not counted."""
    name = f"{row.section}, {row.row}" if row.section else row.row
    if row.repeats is not None:
        return f"{name} (repeats {row.repeats})"
    return name if row.counted else f"{name} ({row.split} set)"


def spell_others(row: JudgedRow) -> str:
    """``3 of 4 agree (1 below)``: what the other metrics say; empty where none was judged."""
    if not row.judged_others:
        return "none judged"
    differing = [
        f"{number} {verdict}"
        for verdict, number in row.others.items()
        if verdict is not row.verdict and number
    ]
    more = f" ({', '.join(differing)})" if differing and row.agreeing < row.judged_others else ""
    return f"{row.agreeing} of {row.judged_others} agree{more}"


def spell_accepted(accepted: Sequence[AcceptedNumber], section: str | None) -> str:
    """``would also accept ADAPTER(3%) 68.9, GPT-2 Large FT-FULL 68.5``; empty without any."""
    if not accepted:
        return ""
    names = [
        f"{number.section + ' ' if number.section and number.section != section else ''}"
        f"{number.row} {number.printed}"
        for number in accepted[:MAX_NAMED]
    ]
    more = f" and {len(accepted) - MAX_NAMED} more" if len(accepted) > MAX_NAMED else ""
    return f"would also accept {', '.join(names)}{more}"
