"""The report as a plain document: all that a page, a table or a file of numbers is made from.

``build_report`` asks the records once and puts what it finds into dataclasses (``reports.document.schema``) that
serialise to JSON (``Report.to_json``). The renderers (``reports.render``) are pure functions of it. It has no
time of its making, no host and no path in it: the same records give the same document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bench.errors import UnknownNameError
from bench.system.garbage import pause_garbage_collection
from reports.document import examples, headline, overview, paper_figures, paper_tables, run_list
from reports.document.examples import Generations
from reports.document.schema import DisputeView, Report, ReportTable
from reports.paper import deviations, published
from reports.records.index import CountedStatistics, RunIndex


@pause_garbage_collection()
def build_report(
    records: Iterable[Mapping[str, Any]],
    names: Sequence[str],
    paper_only: bool = False,
    *,
    counted: CountedStatistics | None = None,
    generations: Generations | None = None,
    damaged: Sequence[str] = (),
    plan: bool = True,
) -> Report:
    """The report on ``records`` for ``names`` (tables and figures, ``claims``, or ``all``).

    ``counted``: what stands in the published files, for Table 1 (``reports.document.table1``). ``generations``:
    where outputs are read from for the qualitative examples; without it there are none. ``plan``: whether
    to look up which runs the experiments plan. ``UserError`` for an unknown name.
    """
    names = select_names(names)
    everything = set(names) == set(published.WITH_CELLS) | {"claims"}
    index = RunIndex([] if paper_only else records)
    ledger = deviations.read_deviations()
    tables = paper_tables.TableBuilder(index, counted or {}, ledger, paper_only)
    made_tables = tuple(tables.build_table(name) for name in names if name in published.WITH_CELLS)
    rows = headline.mark_repeated(made_tables)
    claims = run_list.build_claims(index, counted or {}, paper_only, generations) if "claims" in names else ()
    listed = None if everything else {run_id for table in made_tables for run_id in list_run_ids(table)}
    return Report(
        names=names,
        paper_only=paper_only,
        overview=overview.build_overview(
            index, names, made_tables, rows, claims, damaged, plan and not paper_only
        ),
        tables=made_tables,
        rows=rows,
        figures=tuple(
            paper_figures.build_figure(index, name, paper_only) for name in names if name in published.FIGURES
        ),
        claims=claims,
        examples=examples.build_examples(index, names, generations, paper_only),
        disputes=select_disputes(names, everything),
        deviations=tuple(ledger),
        runs=run_list.list_runs(index, listed),
    )


def select_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names as typed -> the paper's order, each once; ``all``, or none, is everything."""
    valid = (*published.WITH_CELLS, "claims")
    for name in names:
        if name not in (*valid, "all"):
            raise UnknownNameError("table or figure", name, (*valid, "all"))
    return tuple(name for name in valid if name in names or "all" in names or not names)


def select_disputes(names: Collection[str], everything: bool) -> tuple[DisputeView, ...]:
    """The disputes that touch the tables, figures or claims among ``names``, or all of them."""
    return tuple(
        DisputeView(
            dispute.id,
            dispute.kind,
            dispute.topic,
            dispute.paper,
            dispute.source,
            dispute.accounts,
            dispute.standing,
            tuple(name for name in dispute.tables if name in names),
            dispute.claims if "claims" in names else (),
        )
        for dispute in published.read_disputes()
        if everything or set(dispute.tables) & set(names) or (dispute.claims and "claims" in names)
    )


def list_run_ids(table: ReportTable) -> set[str]:
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
