"""Why cells of a table have no number of ours, for formats whose cells only have room for a sign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports.document.schema import CellView, Row, Table
from reports.judgement.verdicts import Verdict

MOST = 6
"""Rows that are named for one reason; of more only how many."""


@dataclass(frozen=True)
class Reason:
    """``cells``: where it holds, in words: rows, each with its columns unless it holds for the whole row."""

    verdict: str
    why: str
    cells: str


def of_table(table: Table) -> tuple[Reason, ...]:
    """The distinct reasons; that nobody ran it yet is none, the sign says so."""
    found: dict[tuple[str, str], list[str]] = {}
    judged = 0
    for label, columns, row in rows(table):
        own: dict[tuple[str, str], list[str]] = {}
        counted = 0
        for column, cell in zip(columns, row.cells, strict=True):
            if isinstance(cell, CellView) and cell.verdict is not None:
                counted += 1
                if why := reason(cell):
                    own.setdefault((str(cell.verdict), why), []).append(column)
        judged += bool(counted)
        for key, names in own.items():
            where = label if len(names) == counted else f"{label} ({', '.join(names)})"
            found.setdefault(key, []).append(where)
    return tuple(Reason(verdict, why, named(places, judged)) for (verdict, why), places in found.items())


def rows(table: Table) -> Iterator[tuple[str, tuple[str, ...], Row]]:
    """Every row with its full name, and its block's columns."""
    several = sum(len(block.sections) for block in table.blocks) > 1
    for block in table.blocks:
        for section in block.sections:
            for row in section.rows:
                before = f"{section.label}, " if several and section.label else ""
                yield f"{before}{row.label}", block.columns, row


def reason(cell: CellView) -> str:
    """What stands in brackets behind the verdict: ``2 failed: out-of-memory``; empty without any."""
    if cell.verdict not in (Verdict.NOT_RUN, Verdict.NOT_COMPARABLE):
        return ""
    return cell.label.removeprefix(cell.verdict).strip().removeprefix("(").removesuffix(")")


def named(places: list[str], judged: int) -> str:
    if len(places) == judged > 1 and not any(place.endswith(")") for place in places):
        return "all rows"
    more = f" and {len(places) - MOST} more rows" if len(places) > MOST else ""
    return "; ".join(places[:MOST]) + more
