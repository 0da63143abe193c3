"""The report as a plain document: all that a page, a table or a file of numbers is made from.

``build`` asks the records once and puts what it finds into dataclasses (``reports.document.schema``) that
serialise to JSON (``Report.as_json``). The renderers (``reports.render_*``, ``reports.render.plots``) are pure
functions of it. It has no time of its making, no host and no path in it: the same records give the same
document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.errors import UnknownNameError
from reports.document import examples, overview, paper_figures, paper_tables, run_list
from reports.document.examples import Generations
from reports.document.schema import Report, Table
from reports.paper import deviations, published
from reports.records.index import CountedStatistics, RunIndex
from reports.records.values import Record


def build(
    records: Iterable[Record],
    which: Sequence[str],
    paper_only: bool = False,
    *,
    counted: CountedStatistics | None = None,
    generations: Generations | None = None,
    damaged: Sequence[str] = (),
    plan: bool = True,
) -> Report:
    """The report on ``records`` for ``which`` (names of tables and figures, ``claims``, or ``all``).

    ``counted``: what stands in the published files, for Table 1 (``reports.document.table1``). ``generations``:
    where outputs are read from for the qualitative examples; without it there are none. ``plan``: whether
    to look up what the experiments want. ``UserError`` for an unknown name.
    """
    names = chosen(which)
    whole = set(names) == set(published.WITH_CELLS) | {"claims"}
    listed = [] if paper_only else list(records)
    index = RunIndex(listed)
    entries = deviations.read_deviations()
    maker = paper_tables.Maker(index, counted or {}, entries, paper_only)
    tables = tuple(maker.table(name) for name in names if name in published.WITH_CELLS)
    figures = tuple(
        paper_figures.figure(index, name, paper_only) for name in names if name in published.FIGURES
    )
    checked = run_list.claims(index, counted or {}, paper_only) if "claims" in names else ()
    shown = () if paper_only else examples.collect_all(index, names, generations)
    return Report(
        names=names,
        paper_only=paper_only,
        overview=overview.build_overview(listed, names, tables, checked, damaged, plan and not paper_only),
        tables=tables,
        figures=figures,
        claims=checked,
        examples=shown,
        deviations=tuple(entries),
        runs=run_list.runs(index, None if whole else {run for table in tables for run in behind(table)}),
    )


def chosen(which: Sequence[str]) -> tuple[str, ...]:
    """Names as typed -> the paper's order, each once; ``all`` is everything."""
    known = (*published.WITH_CELLS, "claims")
    for name in which:
        if name not in (*known, "all"):
            raise UnknownNameError("table or figure", name, (*known, "all"))
    return tuple(name for name in known if name in which or "all" in which or not which)


def behind(table: Table) -> set[str]:
    """The runs behind a table's numbers."""
    return {
        value.run_id
        for block in (*table.blocks, *table.mini)
        for section in block.sections
        for row in section.rows
        for cell in row.cells
        if cell is not None
        for value in cell.lineage.runs
    }
