"""Tables in the paper's layout, ours beside: which rows and columns, and what stands in each cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import NamedTuple

from bench.config.settings import DEFINITIONS
from bench.method import OriginSource
from bench.store.record import Record
from reports.document.headline import judge_rows
from reports.document.schema import (
    CellRule,
    CellView,
    Lineage,
    OurNumber,
    ReportTable,
    RunValue,
    TableBlock,
    TableRow,
    TableSection,
    UnpairedView,
)
from reports.document.systems import Measure
from reports.document.unpaired_rows import UnpairedRows
from reports.judgement.comparison import find_rule
from reports.judgement.row_verdicts import list_accepted
from reports.judgement.verdicts import (
    Judgement,
    Verdict,
    count_verdicts,
    find_evidence_gap,
    judge_cell,
    summarise_cell,
)
from reports.paper import published
from reports.paper.deviations import Deviation, list_touching
from reports.paper.published import Cell, PaperNumber
from reports.records.grouping import DIRTY
from reports.records.index import CellEvidence, CountedStatistics, RunIndex, collect_evidence
from reports.records.matching import resolve_defaults, sort_items
from reports.records.values import measure_value
from reports.stats.intervals import IntervalOver, Summary

MINOR = {definition.name for definition in DEFINITIONS if not definition.identity} | {
    *("eval_every", "patience", "dev_subset", "dev_limit", "train_subset", "train_share", "data_seed"),
    *("train_split", "test_split", "test_subset", "limit"),
}
"""Settings of which "our choice" only says that they are not used, or that changes no result."""


class TableBuilder:
    """Builds tables from one index of records."""

    def __init__(
        self, index: RunIndex, counted: CountedStatistics, ledger: Sequence[Deviation], paper_only: bool
    ) -> None:
        self._index, self._counted, self._ledger, self._paper_only = index, counted, ledger, paper_only

    def build_table(self, name: str) -> ReportTable:
        """The table, or the numbers behind a figure."""
        source = published.read_table(name)
        views = {
            cell.place: self._build_cell(cell, number, source.cells)
            for number, cell in enumerate(source.cells, 1)
        }
        verdicts = [view.verdict for view in views.values() if is_result(view)]
        blocks = build_blocks(source.cells, lambda cell: views[cell.place])
        unpaired = UnpairedRows(self._index, source, self._build_unpaired_cell)
        return ReportTable(
            id=name,
            title=source.title,
            source=source.source,
            caption=source.caption,
            notes=source.notes,
            blocks=blocks if self._paper_only else unpaired.extend_blocks(blocks),
            facts=source.facts,
            verdicts={} if self._paper_only else count_verdicts(verdicts),
            mini=() if self._paper_only else unpaired.build_mini_blocks(),
            rows=judge_rows(source.cells, views),
        )

    def _build_cell(self, cell: Cell, number: int, cells: Sequence[Cell]) -> CellView:
        view = CellView(
            id=f"{cell.table}-{number}",
            **{field.name: getattr(cell, field.name) for field in fields(PaperNumber)},
            paper_text=format_printed(cell),
            note=cell.note,
            elsewhere=published.list_accounts(cell),
            disputes=published.list_disputes(cell),
        )
        if self._paper_only:
            return view
        if cell.kind == "setting":
            return replace(view, reason=describe_used_setting(cell), label="a setting, not a result")
        evidence = self._collect(cell)
        judgement = judge_cell(cell, evidence)
        return replace(
            view,
            ours=build_our_number(cell, judgement.summary, evidence.dirty) if judgement.summary else None,
            verdict=judgement.verdict,
            label=judgement.label,
            reason=judgement.reason,
            gap=judgement.gap,
            difference=judgement.difference,
            also_accepts=list_accepted(cell, evidence, cells),
            detectable=judgement.detectable,
            detectable_text="" if judgement.detectable is None else format_number(judgement.detectable, cell),
            seeds_needed=judgement.seeds_needed,
            rule=build_rule(cell, judgement),
            lineage=self._build_lineage(cell, evidence),
        )

    def _collect(self, cell: Cell) -> CellEvidence:
        """The runs of the cell, or what was counted in the published files."""
        if cell.kind == "statistic":
            return self._counted.get((str(cell.task), cell.metric), CellEvidence("paper"))
        return collect_evidence(self._index, cell)

    def _build_unpaired_cell(self, measure: Measure, evidence: CellEvidence, anchor: str) -> UnpairedView:
        """A number of a system that has no row in the paper, or why there is none."""
        cell, mini = measure.cell, evidence.scale == "mini"
        summary = summarise_cell(cell, evidence)
        if summary is None:
            gap = find_evidence_gap(evidence)
            label = f"{gap.kind.verdict} ({gap.text})" if gap.text else str(gap.kind.verdict)
        else:
            label = f"{Verdict.NOT_COMPARABLE} (mini)" if mini else "not the paper's"
        return UnpairedView(
            id=anchor,
            scale=evidence.scale,
            task=measure.task,
            group=measure.group,
            metric=measure.metric,
            ours=build_our_number(cell, summary, evidence.dirty) if summary is not None else None,
            label=label,
            lineage=self._build_lineage(cell, evidence),
        )

    def _build_lineage(self, cell: Cell, evidence: CellEvidence) -> Lineage:
        """What stands behind a number."""
        measured = [(run, measure_value(run.record, cell.group, cell.metric)) for run in evidence.runs]
        gates = dict.fromkeys(value.gate for _, value in measured if value.gate)
        if evidence.gate:
            gates[evidence.gate] = None
        first = evidence.runs[0].record if evidence.runs else None
        return Lineage(
            runs=tuple(
                RunValue(run.run_id, run.seed, run.data_seed, value.value * cell.factor)
                for run, value in measured
                if value.value is not None
            ),
            signatures=tuple(dict.fromkeys(value.signature for _, value in measured if value.signature)),
            gates=tuple(gates),
            choices=list_choices(first) if first else (),
            deviations=list_touching(self._ledger, first) if first else (),
            notes=(*evidence.notes, *evidence.missing),
            unlike=evidence.unlike,
        )


def is_result(view: CellView) -> bool:
    """Whether the cell is a result that could come out or not."""
    return view.kind != "setting" and (view.kind != "cited" or view.method is not None)


def describe_used_setting(cell: Cell) -> str:
    """What our runs have where the paper names a setting; empty where we have no such setting."""
    if cell.task is None or cell.method is None or cell.model is None:
        return ""
    usual = resolve_defaults(cell.task, cell.method, cell.model, "paper", sort_items(cell.options))
    if usual is None or cell.settings:
        return ""
    values = {**usual.settings, **usual.options}
    return f"Our runs have {values[cell.metric]}." if values.get(cell.metric) is not None else ""


def list_choices(record: Record) -> tuple[str, ...]:
    """``beam_size = 5 (our choice)``: what neither the paper nor the authors' code decides."""
    return tuple(
        f"{name} = {entry.value} ({entry.origin})"
        for name, entry in {**record.settings, **record.options}.items()
        if entry.source is OriginSource.OURS and name not in MINOR and entry.value is not None
    )


def build_rule(cell: Cell, judgement: Judgement) -> CellRule | None:
    """What the verdict was reached by; None where nothing was compared."""
    yardstick = judgement.yardstick
    if yardstick is None or judgement.limit is None:
        return None
    return CellRule(
        yardstick.tolerance,
        judgement.limit,
        yardstick.matters,
        yardstick.usual.sd,
        find_rule(cell.metric).why,
    )


# --- numbers as text


def format_printed(cell: Cell) -> str:
    """What the paper prints; a range where it has only a drawing."""
    if cell.printed is not None:
        return cell.printed
    return f"{cell.low:g} to {cell.high:g}" if cell.low is not None else ""


def count_decimals(cell: Cell) -> int:
    """How many decimals the paper prints there; figures: one more than their ticks need."""
    if cell.printed is not None:
        digits = cell.printed.rstrip("%KMx")
        return len(digits.partition(".")[2])
    return max(len(f"{bound:g}".partition(".")[2]) for bound in (cell.low or 0.0, cell.high or 0.0)) + 1


def format_number(value: float, cell: Cell) -> str:
    """``value`` as the paper writes numbers of this cell: 0.0069 is 0.7%, 250000 is 250K."""
    printed = cell.printed or ""
    for sign, unit in (("%", 0.01), ("K", 1e3), ("M", 1e6)):
        if printed.endswith(sign):
            return f"{value / unit:.{max(count_decimals(cell), 1)}f}{sign}"
    if cell.metric.endswith("_parameters") or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{count_decimals(cell)}f}"


def build_our_number(cell: Cell, summary: Summary, dirty: bool = False) -> OurNumber:
    """The summary as text and as numbers; ``dirty``: of code with changes that were not committed."""
    interval = summary.interval
    text = format_number(summary.mean, cell)
    if cell.kind == "statistic":
        note = "counted in the published files"
        return OurNumber(text, summary.mean, None, None, IntervalOver.EXACT, note, n=1, runs=0)
    if interval is not None and interval.half_width > 0:
        text += f" ± {format_number(interval.half_width, cell)}"
    text += f" ({DIRTY})" if dirty else ""
    return OurNumber(
        text=text,
        mean=summary.mean,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        over=summary.over,
        note=summary.note,
        n=summary.n,
        runs=summary.runs,
        dirty=dirty,
    )


# --- rows and columns


class _SectionCells(NamedTuple):
    label: str | None
    cells: list[Cell]


class _BlockLayout(NamedTuple):
    columns: list[str]
    sections: list[_SectionCells]


def build_blocks(cells: Sequence[Cell], view: Callable[[Cell], CellView]) -> tuple[TableBlock, ...]:
    """Consecutive sections share a block where the columns of either are among the other's."""
    return tuple(
        TableBlock(
            tuple(columns),
            group_columns(columns),
            tuple(
                TableSection(section.label, build_rows(section.cells, columns, view)) for section in sections
            ),
        )
        for columns, sections in _lay_out_blocks(cells)
    )


def _lay_out_blocks(cells: Sequence[Cell]) -> list[_BlockLayout]:
    sections: list[_SectionCells] = []
    for cell in cells:
        if not sections or sections[-1].label != cell.section:
            sections.append(_SectionCells(cell.section, []))
        sections[-1].cells.append(cell)
    blocks: list[_BlockLayout] = []
    for section in sections:
        columns = list(dict.fromkeys(cell.column for cell in section.cells))
        if blocks and set(columns) <= set(blocks[-1].columns):
            blocks[-1].sections.append(section)
        elif blocks and set(columns) >= set(blocks[-1].columns):
            blocks[-1] = _BlockLayout(columns, [*blocks[-1].sections, section])
        else:
            blocks.append(_BlockLayout(columns, [section]))
    return blocks


def build_rows(
    cells: Sequence[Cell], columns: Sequence[str], view: Callable[[Cell], CellView]
) -> tuple[TableRow, ...]:
    """A section's rows in the paper's order, with a place for every column."""
    by_row: dict[str, dict[str, Cell]] = {}
    for cell in cells:
        by_row.setdefault(cell.row, {})[cell.column] = cell
    return tuple(
        TableRow(label, tuple(view(row[column]) if column in row else None for column in columns))
        for label, row in by_row.items()
    )


def group_columns(columns: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """``E2E BLEU``, ``E2E NIST``, ``DART BLEU`` -> (E2E, 2), (DART, 1); empty where words are not shared."""
    words = [column.partition(" ")[0] for column in columns]
    named = all(" " in column for column in columns)
    if not named or len(columns) < 4 or len(set(words)) == len(words) or any("," in c for c in columns):
        return ()
    groups: list[tuple[str, int]] = []
    for word in words:
        if groups and groups[-1][0] == word:
            groups[-1] = (word, groups[-1][1] + 1)
        else:
            groups.append((word, 1))
    return tuple(groups)


def shorten_columns(block: TableBlock) -> tuple[str, ...]:
    """Column labels without the group that stands above them."""
    if not block.groups:
        return block.columns
    return tuple(column.partition(" ")[2] for column in block.columns)
