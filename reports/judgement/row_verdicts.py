"""The verdict of a row (a system on a task), and whether its evidence tells the row from its neighbours.

The metrics of a row are computed from the same outputs, so its cells are no independent findings: a row counts
once, by its task's main metric, and the others stand beside it. The main metric is BLEU for table-to-text (§6.1
compares systems by it) over all categories, and ROUGE-L for summarisation (§6.2 states its result by it: 36.05
against 37.25).

A number tells its row from another only if the same evidence would *not* be accepted beside the other system's
number in the same column. So the other systems' numbers are put in the cell's place, one by one, and judged by the
very rules of ``reports.judgement.verdicts``: what is neither *above* nor *below* is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from reports.judgement.verdicts import Verdict, judge_cell
from reports.paper.published import Cell
from reports.records.index import CellEvidence

MAIN_METRICS: Mapping[str, str] = {
    "e2e": "bleu",
    "webnlg": "bleu",
    "dart": "bleu",
    "xsum": "rougeL",
    "xsum-news-to-sports": "rougeL",
    "xsum-within-news": "rougeL",
}
MAIN_GROUP = "all"
"""Of WebNLG's three groups of items; seen and unseen are parts of it."""


@dataclass(frozen=True)
class AcceptedNumber:
    """A number of another system of the paper that the same evidence would accept in the cell's place."""

    section: str | None
    row: str
    printed: str
    verdict: Verdict
    """What the evidence comes to beside it."""
    difference: float
    """Ours less it, in the printed unit."""


class Direction(StrEnum):
    """Which way a verdict points."""

    SAME = "same"
    BETTER = "better"
    WORSE = "worse"
    OPEN = "open"
    """Too little evidence to point anywhere."""


def list_neighbours(cell: Cell, cells: Iterable[Cell]) -> list[Cell]:
    """The other systems' numbers of what ``cell`` is a number of, among ``cells`` (those of its table)."""
    measure = (cell.task, cell.group, cell.metric, cell.split, cell.settings)
    return [
        other
        for other in cells
        if (other.task, other.group, other.metric, other.split, other.settings) == measure
        and (other.section, other.row) != (cell.section, cell.row)
        and other.value is not None
    ]


def list_accepted(cell: Cell, evidence: CellEvidence, cells: Iterable[Cell]) -> tuple[AcceptedNumber, ...]:
    """The neighbours' numbers that ``evidence`` would accept, the nearest to ours first.

    Empty where the paper prints no number or there is nothing to compare it with.
    """
    if cell.value is None or not evidence.replicates or not judge_cell(cell, evidence).verdict.scientific:
        return ()
    accepted = []
    for other in list_neighbours(cell, cells):
        judged = judge_cell(replace(cell, printed=other.printed, value=other.value), evidence)
        if find_direction(judged.verdict, cell.better) in (Direction.SAME, Direction.OPEN):
            accepted.append(
                AcceptedNumber(
                    other.section,
                    other.row,
                    str(other.printed),
                    judged.verdict,
                    judged.difference or 0.0,
                )
            )
    return tuple(sorted(accepted, key=lambda number: abs(number.difference)))


def find_direction(verdict: Verdict | None, better: str | None) -> Direction | None:
    """Where a verdict points, in terms of quality; None where it says nothing about the paper's number."""
    if verdict is None or not verdict.scientific:
        return None
    if verdict in (Verdict.REPRODUCED, Verdict.CONSISTENT):
        return Direction.SAME
    if verdict is Verdict.INCONCLUSIVE:
        return Direction.OPEN
    return Direction.BETTER if (verdict is Verdict.ABOVE) == (better != "lower") else Direction.WORSE
