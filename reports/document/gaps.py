"""Why cells of a table have no number of ours, and which runs were left out of a number, for formats whose cells
only have room for a sign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reports.document.schema import CellView, ReportTable, TableBlock, TableRow
from reports.judgement.verdicts import Verdict
from reports.records.grouping import DIRTY_MEANING

MAX_NAMED_ROWS = 6
"""Rows that are named for one reason; of more only how many."""


@dataclass(frozen=True)
class TableGap:
    """``cells``: where it holds, in words: rows, each with its columns unless it holds for the whole row."""

    verdict: Verdict
    why: str
    cells: str


class _Reason(NamedTuple):
    verdict: Verdict
    text: str


class _Place(NamedTuple):
    name: str
    whole_row: bool


class _NamedRow(NamedTuple):
    name: str
    columns: tuple[str, ...]
    row: TableRow


def collect_gaps(table: ReportTable) -> tuple[TableGap, ...]:
    """The distinct reasons; that nobody ran it yet is none, the sign says so."""
    places: dict[_Reason, list[_Place]] = {}
    judged_rows = 0
    for name, columns, row in _iterate_rows(table):
        row_reasons: dict[_Reason, list[str]] = {}
        judged_cells = 0
        for column, cell in zip(columns, row.cells, strict=True):
            if isinstance(cell, CellView) and cell.verdict is not None:
                judged_cells += 1
                if cell.gap is not None and cell.gap.text:
                    row_reasons.setdefault(_Reason(cell.verdict, cell.gap.text), []).append(column)
        judged_rows += bool(judged_cells)
        for reason, names in row_reasons.items():
            whole = len(names) == judged_cells
            place = _Place(name if whole else f"{name} ({', '.join(names)})", whole)
            places.setdefault(reason, []).append(place)
    return tuple(
        TableGap(reason.verdict, reason.text, _name_places(names, judged_rows))
        for reason, names in places.items()
    )


def collect_left_out(table: ReportTable) -> tuple[str, ...]:
    """``PREFIX(0.1%) (E2E BLEU): 2 runs left out: other weights (…)``, each sentence with the cells it holds for.

    A row stands alone where the sentence holds for all numbers of ours in it.
    """
    places: dict[str, list[str]] = {}
    dirty = False
    for name, columns, row in _iterate_rows(table, (*table.blocks, *table.mini)):
        sentences: dict[str, list[str]] = {}
        numbers = 0
        for column, cell in zip(columns, row.cells, strict=True):
            if cell is not None:
                numbers += cell.ours is not None
                dirty = dirty or (cell.ours is not None and cell.ours.dirty)
                for unlike in cell.lineage.unlike:
                    sentences.setdefault(unlike.to_text(), []).append(column)
        for sentence, names in sentences.items():
            place = name if len(names) == numbers else f"{name} ({', '.join(names)})"
            places.setdefault(sentence, []).append(place)
    named = [
        f"{_name_places([_Place(place, False) for place in cells], 0)}: {sentence}"
        for sentence, cells in places.items()
    ]
    return (*named, *([DIRTY_MEANING] if dirty else []))


def _iterate_rows(table: ReportTable, blocks: Sequence[TableBlock] = ()) -> Iterator[_NamedRow]:
    """Every row with its full name, and its block's columns; of ``blocks``, the table's by default."""
    several = sum(len(block.sections) for block in table.blocks) > 1
    for block in blocks or table.blocks:
        for section in block.sections:
            for row in section.rows:
                before = f"{section.label}, " if several and section.label else ""
                yield _NamedRow(f"{before}{row.label}", block.columns, row)


def _name_places(places: Sequence[_Place], judged_rows: int) -> str:
    if len(places) == judged_rows > 1 and all(place.whole_row for place in places):
        return "all rows"
    more = f" and {len(places) - MAX_NAMED_ROWS} more rows" if len(places) > MAX_NAMED_ROWS else ""
    return "; ".join(place.name for place in places[:MAX_NAMED_ROWS]) + more
