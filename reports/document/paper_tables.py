"""Tables in the paper's layout, ours beside: which rows and columns, and what stands in each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from reports.document.schema import (
    Block,
    CellView,
    Deviation,
    Lineage,
    MiniView,
    Ours,
    Row,
    RunValue,
    Section,
    Table,
)
from reports.judgement.verdicts import count_verdicts, judge_cell, summarise_cell
from reports.paper import published
from reports.paper.deviations import list_touching
from reports.paper.published import Cell, PaperNumber
from reports.records.index import CellEvidence, CountedStatistics, RunIndex, collect_evidence
from reports.records.matching import resolve_defaults, sort_items
from reports.records.values import measure_value
from reports.stats.intervals import IntervalOver, Summary

T = TypeVar("T")
DIGITS = 4
"""Of our means where the paper's cell has no printed digits to follow."""
OPEN = ("our choice",)
"""How the origin of a setting begins that neither the paper nor the authors' code decides."""
MINOR = frozenset({"eval_every", "patience", "train_subset", "train_share", "dev_subset", "test_subset"})
MINOR |= {"train_split", "test_split", "data_seed", "limit", "checkpoint_seconds", "device", "decode_batch"}
"""Settings of which "our choice" only says that they are not used, or that changes no result."""


class Maker:
    """Makes tables from one index of records."""

    def __init__(
        self, index: RunIndex, counted: CountedStatistics, ledger: Sequence[Deviation], paper_only: bool
    ) -> None:
        self.index, self.counted, self.ledger, self.paper_only = index, counted, ledger, paper_only

    def table(self, name: str) -> Table:
        """The table, or the numbers behind a figure."""
        source = published.read_table(name)
        made = {cell.place: self.cell(cell, number) for number, cell in enumerate(source.cells, 1)}
        minis = {} if self.paper_only else self.minis(source.cells)
        return Table(
            id=name,
            title=source.title,
            source=source.source,
            caption=source.caption,
            notes=source.notes,
            blocks=blocks(source.cells, lambda cell: made[cell.place]),
            facts=source.facts,
            verdicts={}
            if self.paper_only
            else count_verdicts(one.verdict for one in made.values() if counts(one)),
            mini=blocks([cell for cell in source.cells if cell.place in minis], lambda c: minis[c.place]),
        )

    def cell(self, cell: Cell, number: int) -> CellView:
        view = CellView(
            id=f"{cell.table}-{number}",
            **{one.name: getattr(cell, one.name) for one in fields(PaperNumber)},
            paper_text=paper_text(cell),
            note=cell.note,
            elsewhere=tuple(vars(one) for one in published.list_accounts(cell)),
        )
        if self.paper_only:
            return view
        if cell.kind == "setting":
            return replace(view, reason=used(cell), label="a setting, not a result")
        found = self.found(cell)
        judged = judge_cell(cell, found)
        return replace(
            view,
            ours=ours(cell, judged.summary) if judged.summary else None,
            verdict=judged.verdict,
            label=judged.label,
            reason=judged.reason,
            difference=judged.difference,
            lineage=self.lineage(cell, found),
        )

    def found(self, cell: Cell) -> CellEvidence:
        """The runs of the cell, or what was counted in the published files."""
        if cell.kind == "statistic":
            return self.counted.get((str(cell.task), cell.metric), CellEvidence("paper"))
        return collect_evidence(self.index, cell)

    def minis(self, cells: Iterable[Cell]) -> dict[published.CellPlace, MiniView]:
        """What there is at scale mini, by the place of the cell that it resembles."""
        made: dict[published.CellPlace, MiniView] = {}
        for number, cell in enumerate(cells, 1):
            if cell.kind in ("setting", "statistic") or cell.method is None:
                continue
            found = collect_evidence(self.index, cell, "mini")
            summary = summarise_cell(cell, found)
            if summary is not None:
                view = MiniView(f"mini-{cell.table}-{number}", ours(cell, summary), self.lineage(cell, found))
                made[cell.place] = view
        return made

    def lineage(self, cell: Cell, found: CellEvidence) -> Lineage:
        """What stands behind a found number."""
        read = [(run, measure_value(run.record, cell.group, cell.metric)) for run in found.runs]
        gates = dict.fromkeys(one.gate for _, one in read if one.gate)
        if found.gate:
            gates[found.gate] = None
        first = found.runs[0].record if found.runs else None
        return Lineage(
            runs=tuple(
                RunValue(run.run_id, run.seed, run.data_seed, one.value * cell.factor)
                for run, one in read
                if one.value is not None
            ),
            signatures=tuple(dict.fromkeys(one.signature for _, one in read if one.signature)),
            gates=tuple(gates),
            choices=choices(first) if first else (),
            deviations=list_touching(self.ledger, first) if first else (),
            notes=(*found.notes, *found.missing),
        )


def counts(view: CellView) -> bool:
    """Whether the cell is a result that could come out or not."""
    return view.kind != "setting" and (view.kind != "cited" or view.method is not None)


def used(cell: Cell) -> str:
    """What our runs have where the paper names a setting; empty where we have no such setting."""
    if cell.task is None or cell.method is None or cell.model is None:
        return ""
    usual = resolve_defaults(cell.task, cell.method, cell.model, "paper", sort_items(cell.options))
    if usual is None or cell.settings:
        return ""
    values = {**usual.settings, **usual.options}
    return f"Our runs have {values[cell.metric]}." if values.get(cell.metric) is not None else ""


def choices(record: published.Selector) -> tuple[str, ...]:
    """``decode_batch = 16 (our choice)``: what neither the paper nor the authors' code decides."""
    both = {**(record.get("settings") or {}), **(record.get("options") or {})}
    return tuple(
        f"{name} = {one['value']} ({one['origin']})"
        for name, one in both.items()
        if isinstance(one, dict)
        and str(one.get("origin", "")).startswith(OPEN)
        and name not in MINOR
        and one["value"] is not None
    )


# --- numbers as text


def paper_text(cell: Cell) -> str:
    if cell.printed is not None:
        return cell.printed
    return f"{cell.low:g} to {cell.high:g}" if cell.low is not None else ""


def decimals(cell: Cell) -> int:
    """How many decimals the paper prints there; figures: one more than their ticks need."""
    if cell.printed is not None:
        digits = cell.printed.rstrip("%KMx")
        return len(digits.partition(".")[2])
    return max(len(f"{bound:g}".partition(".")[2]) for bound in (cell.low or 0.0, cell.high or 0.0)) + 1


def number(value: float, cell: Cell) -> str:
    """``value`` as the paper writes numbers of this cell: 0.0069 is 0.7%, 250000 is 250K."""
    printed = cell.printed or ""
    for sign, unit in (("%", 0.01), ("K", 1e3), ("M", 1e6)):
        if printed.endswith(sign):
            return f"{value / unit:.{max(decimals(cell), 1)}f}{sign}"
    if cell.metric.endswith("_parameters") or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{decimals(cell)}f}"


def ours(cell: Cell, summary: Summary) -> Ours:
    """The summary as text and as numbers."""
    interval = summary.interval
    text = number(summary.mean, cell)
    if cell.kind == "statistic":
        return Ours(
            text, summary.mean, None, None, IntervalOver.EXACT, "counted in the published files", n=1, runs=0
        )
    if interval is not None and interval.half_width > 0:
        text += f" ± {number(interval.half_width, cell)}"
    return Ours(
        text=text,
        mean=summary.mean,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        over=summary.over,
        note=summary.note,
        n=summary.n,
        runs=summary.runs,
    )


# --- rows and columns


def blocks(cells: Sequence[Cell], view: Callable[[Cell], CellView | MiniView]) -> tuple[Block, ...]:
    """Consecutive sections share a block where one's columns are among the other's."""
    sections: list[tuple[str | None, list[Cell]]] = []
    for cell in cells:
        if not sections or sections[-1][0] != cell.section:
            sections.append((cell.section, []))
        sections[-1][1].append(cell)
    together: list[tuple[list[str], list[tuple[str | None, list[Cell]]]]] = []
    for section, members in sections:
        columns = unique(cell.column for cell in members)
        if together and set(columns) <= set(together[-1][0]):
            together[-1][1].append((section, members))
        elif together and set(columns) >= set(together[-1][0]):
            together[-1] = (columns, [*together[-1][1], (section, members)])
        else:
            together.append((columns, [(section, members)]))
    return tuple(
        Block(
            tuple(columns),
            head(columns),
            tuple(Section(name, rows(members, columns, view)) for name, members in parts),
        )
        for columns, parts in together
    )


def rows(
    cells: Sequence[Cell], columns: Sequence[str], view: Callable[[Cell], CellView | MiniView]
) -> tuple[Row, ...]:
    by_row: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        by_row.setdefault(cell.row, {})[cell.column] = cell
    return tuple(
        Row(label, tuple(view(own[column]) if column in own else None for column in columns))
        for label, own in by_row.items()
    )


def head(columns: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """``E2E BLEU``, ``E2E NIST``, ``DART BLEU`` -> (E2E, 2), (DART, 1); empty where words are not shared."""
    first = [column.partition(" ")[0] for column in columns]
    named = all(" " in column for column in columns)
    if not named or len(columns) < 4 or len(set(first)) == len(first) or any("," in c for c in columns):
        return ()
    groups: list[tuple[str, int]] = []
    for word in first:
        if groups and groups[-1][0] == word:
            groups[-1] = (word, groups[-1][1] + 1)
        else:
            groups.append((word, 1))
    return tuple(groups)


def short(block: Block) -> tuple[str, ...]:
    """Column labels without the group that stands above them."""
    if not block.groups:
        return block.columns
    return tuple(column.partition(" ")[2] for column in block.columns)


def unique(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))
