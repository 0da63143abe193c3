"""Rows without a number of the paper beside them: methods that the paper does not have, and scale mini.

A method of somebody else gets its row in every table of a task that it ran on at the paper's scale, below the
paper's rows of the same model. What ran at scale mini is a table of its own, by the names of its own systems
(``reports.document.systems``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from reports.document.schema import (
    Lineage,
    OurNumber,
    RunValue,
    SystemName,
    TableBlock,
    TableRow,
    TableSection,
    UnpairedView,
)
from reports.document.systems import (
    Measure,
    System,
    list_paper_methods,
    list_systems,
    make_measure,
    spell_method,
    spell_system,
)
from reports.paper.published import Cell, PaperTable
from reports.records.index import CellEvidence, RunIndex
from reports.records.matching import CONDITIONS
from reports.records.runs import Profile
from reports.records.values import WORK_METRICS
from reports.stats.intervals import IntervalOver

NOT_THE_PAPERS = "Not the paper's"
SCORES = ("measured", "cited", "read off")
"""Kinds of numbers that a run of another system could have, too."""
ViewBuilder = Callable[[Measure, CellEvidence, str], UnpairedView]
"""Evidence of a measure, with the id that a page links to -> what stands in the cell."""
ColumnMeasures = Mapping[str, Measure]


class _SystemRow(NamedTuple):
    system: System
    row: TableRow


class UnpairedRows:
    """Builds the rows of a table that are not the paper's."""

    def __init__(self, index: RunIndex, source: PaperTable, build_view: ViewBuilder) -> None:
        self._index, self._source, self._build_view = index, source, build_view
        self._varied = {str(panel["id"]): str(panel["x"]) for panel in source.panels}
        self._number = 0

    def extend_blocks(self, blocks: Sequence[TableBlock]) -> tuple[TableBlock, ...]:
        """The paper's blocks with the rows of methods that it does not have, each below those of its model."""
        if self._source.id == "efficiency":
            return (*blocks, *self._build_work_block("paper"))
        if self._source.id == "table6":
            sections = build_setting_sections(self._index, self._source.cells, blocks[0].columns)
            return (replace(blocks[0], sections=(*blocks[0].sections, *sections)), *blocks[1:])
        return tuple(replace(block, sections=self._extend_sections(block)) for block in blocks)

    def _extend_sections(self, block: TableBlock) -> tuple[TableSection, ...]:
        """The block's sections, the last of each model (in a figure every panel) with the rows of others below."""
        models = [
            {cell.model for cell in self._list_cells(section.label) if cell.model is not None}
            for section in block.sections
        ]
        sections: list[TableSection] = []
        for number, section in enumerate(block.sections):
            later = set() if self._varied else set().union(*models[number + 1 :])
            measures = self._list_measures(self._list_cells(section.label))
            rows = self._build_rows("paper", measures, block.columns, (), models[number] - later)
            sections += [section, *group_rows_by_model(rows, section.label if self._varied else None)]
        return (*sections, *self._build_elsewhere(block, set().union(*models)))

    def _build_elsewhere(self, block: TableBlock, placed: Collection[str]) -> tuple[TableSection, ...]:
        """Systems on a model that no section of the block is about."""
        if self._varied:
            return ()
        cells = [cell for section in block.sections for cell in self._list_cells(section.label)]
        rows = self._build_rows("paper", self._list_measures(cells), block.columns, (), None)
        return group_rows_by_model([row for row in rows if row.system.model not in placed], None)

    def build_mini_blocks(self) -> tuple[TableBlock, ...]:
        """All that ran at scale mini of what the table measures, as blocks of their own."""
        if self._source.id == "efficiency":
            return self._build_work_block("mini")
        if self._varied:
            return tuple(block for panel in self._source.panels for block in self._build_mini_panel(panel))
        measures = self._list_measures(self._source.cells)
        columns = list(measures)
        rows = self._build_rows("mini", measures, columns, list_paper_methods(), None)
        return build_block_of_systems(columns, rows)

    def _build_mini_panel(self, panel: Mapping[str, Any]) -> tuple[TableBlock, ...]:
        cells = self._list_cells(str(panel["id"]))
        measures = {
            spell_position(str(panel["x"]), value): make_measure(cells[0], str(panel["x"]), value)
            for value in list_positions(self._index, panel, "mini")
        }
        methods = {str(series["method"]) for series in panel["series"]}
        rows = self._build_rows("mini", measures, list(measures), methods, None, str(panel["x"]))
        return build_block_of_systems(list(measures), rows, f"{panel['label']} on {panel['task']}")

    def _build_work_block(self, scale: str) -> tuple[TableBlock, ...]:
        """Parameters, time and memory, a row for each system and task."""
        prototypes: dict[str, Cell] = {}
        for cell in self._source.cells:
            if cell.metric in WORK_METRICS:
                prototypes.setdefault(cell.metric, cell)
        columns = [metric.replace("_", " ") for metric in prototypes]
        methods = {cell.method for cell in self._source.cells if cell.method is not None}
        rows = []
        for task in dict.fromkeys(profile.task for profile in self._index.profiles):
            measures = {
                column: make_measure(replace(cell, task=task, split=None, settings={}))
                for column, cell in zip(columns, prototypes.values(), strict=True)
            }
            only = methods if scale == "mini" else ()
            for system_row in self._build_rows(scale, measures, columns, only, None):
                row = system_row.row
                label = f"{system_row.system.label}, {task}"  # the share is a column
                rows.append(_SystemRow(system_row.system, replace(row, label=label)))
        rows.sort(key=lambda system_row: system_row.system.model)
        return build_block_of_systems(columns, rows, "" if scale == "mini" else NOT_THE_PAPERS)

    def _list_cells(self, section: str | None) -> list[Cell]:
        return [cell for cell in self._source.cells if cell.section == section]

    def _list_measures(self, cells: Sequence[Cell]) -> dict[str, Measure]:
        """By column; empty where a column's cells measure different things (settings, counts)."""
        measures: dict[str, Measure] = {}
        for cell in cells:
            if cell.kind not in SCORES or cell.task is None:
                return {}
            measure = make_measure(cell, self._varied.get(str(cell.section)))
            first = measures.setdefault(cell.column, measure)
            if replace(measure, cell=first.cell) != first:
                return {}
        return measures

    def _build_rows(
        self,
        scale: str,
        measures: ColumnMeasures,
        columns: Sequence[str],
        methods: Collection[str],
        models: Collection[str] | None,
        varied: str | None = None,
    ) -> list[_SystemRow]:
        """A row for each system that has anything to say; ``models``: only systems on these."""
        tasks = {measure.task for measure in measures.values()}
        varies = varied or next(
            (measure.options[0][0] for measure in measures.values() if measure.options), None
        )
        rows = []
        for system in list_systems(self._index, scale, tasks, methods, varies):
            if models is not None and system.model not in models:
                continue
            cells = tuple(
                self._build_cell(scale, system, measures[column]) if column in measures else None
                for column in columns
            )
            if any(cell is not None for cell in cells):
                name = system.name_with_share(self._index, scale, measures.values())
                rows.append(_SystemRow(system, TableRow(spell_system(name), cells, name)))
        return rows

    def _build_cell(self, scale: str, system: System, measure: Measure) -> UnpairedView | None:
        evidence = system.collect(self._index, scale, measure)
        if evidence is None or not has_content(evidence, with_gaps=scale == "paper"):
            return None
        self._number += 1
        prefix = "mini" if scale == "mini" else "other"
        return self._build_view(measure, evidence, f"{prefix}-{measure.table}-{self._number}")


def build_setting_sections(
    index: RunIndex, cells: Sequence[Cell], columns: Sequence[str]
) -> tuple[TableSection, ...]:
    """The hyperparameters of methods that the paper does not have, a row for each task trained with all data."""
    names = {cell.column: cell.metric for cell in cells}
    tasks = {cell.task for cell in cells}
    rows: dict[tuple[str, str, tuple[str, ...]], _SystemRow] = {}
    for profile in index.profiles:
        whole = all(profile.settings.get(name) is None for name in CONDITIONS.values())
        ours = profile.method in list_paper_methods() or profile.scale != "paper" or profile.reasons
        if ours or not whole or profile.task not in tasks:
            continue
        chosen = {name: value for name, value in profile.chosen_options.items() if value is not None}
        label = spell_method(profile.method, chosen)
        named = SystemName(profile.model, profile.method, chosen, (), "paper", in_paper=False)
        views = tuple(build_setting_view(profile, names[column]) for column in columns)
        system = System(profile.model, profile.method, label, chosen)
        row = TableRow(f"{label}, {profile.task}", views, named)
        texts = tuple(view.ours.text if view is not None and view.ours is not None else "" for view in views)
        rows.setdefault((profile.model, row.label, texts), _SystemRow(system, row))  # decoded twice: once
    return group_rows_by_model(list(rows.values()), None)


def build_setting_view(profile: Profile, name: str) -> UnpairedView | None:
    """What the profile's runs have there; None where it is no number."""
    value = {**profile.settings, **profile.options}.get(name)
    if not isinstance(value, int | float):
        return None
    count = len(profile.runs)
    note = "a setting of its runs"
    return UnpairedView(
        id=f"other-table6-{profile.number}-{name}",
        scale="paper",
        task=profile.task,
        group="all",
        metric=name,
        ours=OurNumber(f"{value:g}", value, None, None, IntervalOver.EXACT, note, count, count),
        label="not the paper's",
        lineage=Lineage(tuple(RunValue(run.run_id, run.seed, run.data_seed, value) for run in profile.runs)),
    )


def has_content(evidence: CellEvidence, with_gaps: bool) -> bool:
    """Whether there is a number, or with ``with_gaps`` a reason why runs have none."""
    reasons = (evidence.failures, evidence.missing, evidence.excluded, evidence.gate)
    return bool(evidence.replicates) or (with_gaps and any(reasons))


def group_rows_by_model(rows: Sequence[_SystemRow], label: str | None) -> tuple[TableSection, ...]:
    """A section for each model: ``Not the paper's (gpt2-medium)``; ``label``: of the section that it follows."""
    by_model: dict[str, list[TableRow]] = {}
    for system, row in rows:
        by_model.setdefault(system.model, []).append(row)
    before = f"{label}: " if label else ""
    return tuple(
        TableSection(f"{before}{NOT_THE_PAPERS} ({model})", tuple(model_rows))
        for model, model_rows in by_model.items()
    )


def build_block_of_systems(
    columns: Sequence[str], rows: Sequence[_SystemRow], label: str = ""
) -> tuple[TableBlock, ...]:
    """A block with a section for each model, without the columns that have no number; none without rows."""
    from reports.document.paper_tables import group_columns

    used = [number for number in range(len(columns)) if any(row.cells[number] for _, row in rows)]
    if not used:
        return ()
    by_model: dict[str, list[TableRow]] = {}
    for system, row in rows:
        narrowed = replace(row, cells=tuple(row.cells[number] for number in used))
        by_model.setdefault(system.model, []).append(narrowed)
    before = f"{label}, " if label else ""
    sections = tuple(
        TableSection(f"{before}{model}", tuple(model_rows)) for model, model_rows in by_model.items()
    )
    names = tuple(columns[number] for number in used)
    return (TableBlock(names, group_columns(names), sections),)


# --- what a figure varies


def list_positions(index: RunIndex, panel: Mapping[str, Any], scale: str) -> list[Any]:
    """The values of what the panel varies that anything on its task was run with, in order."""
    x = str(panel["x"])
    values = {
        profile.settings.get(CONDITIONS[x]) if x in CONDITIONS else profile.options.get(x)
        for profile in index.profiles
        if profile.scale == scale and profile.task == panel["task"]
    }
    return sorted(values - {None}, key=lambda value: (isinstance(value, str), value))


def spell_position(x: str, value: float | str) -> str:
    """``size=50``, ``10%``, ``length=5``, or the word itself."""
    if isinstance(value, str):
        return value
    if x == "train_share":
        return f"{value:.0%}"
    return f"{x.removeprefix('train_')}={value}"
