"""The figures as data: the paper's reading, our points with their intervals, and gaps where nothing ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.document.schema import Curve, CurvePoint, FigurePanel, ReportFigure
from reports.document.systems import list_systems, make_measure, spell_system
from reports.document.unpaired_rows import list_positions
from reports.judgement.verdicts import GapKind, find_evidence_gap
from reports.paper import published
from reports.paper.published import Cell
from reports.records.grouping import DIRTY
from reports.records.index import CellEvidence, RunIndex, collect_curve
from reports.records.matching import CONDITIONS
from reports.stats.intervals import summarise


def build_figure(index: RunIndex, name: str, paper_only: bool) -> ReportFigure:
    """A figure's panels in the paper's order."""
    source = published.read_table(name)
    panels = tuple(build_panel(index, name, raw, paper_only) for raw in source.panels)
    return ReportFigure(name, source.title, source.source, source.caption, source.notes, panels)


def build_panel(index: RunIndex, name: str, raw: Mapping[str, Any], paper_only: bool) -> FigurePanel:
    """One vertical axis with its curves at both scales."""
    x_values = tuple(raw["x_values"])
    reading: dict[Any, tuple[float, float]] = {}
    for cell in published.read_cells(name):
        if cell.section == raw["id"] and cell.low is not None and cell.high is not None:
            values = cell.settings if raw["x"] in CONDITIONS else cell.options
            reading[values[raw["x"]]] = (cell.low, cell.high)

    own = () if paper_only else tuple(build_curve(index, name, raw, system) for system in raw["series"])
    of_others = () if paper_only else build_unpaired_curves(index, name, raw, "paper")
    return FigurePanel(
        id=raw["id"],
        task=raw["task"],
        title=raw["label"],
        metric=raw["metric"],
        x=raw["x"],
        x_values=x_values,
        ticks=tuple(raw["y_ticks"]),
        reading=tuple((x, *reading[x]) for x in x_values if x in reading),
        better=raw["better"],
        series=(*own, *of_others),
        mini=() if paper_only else build_unpaired_curves(index, name, raw, "mini"),
    )


def build_curve(index: RunIndex, name: str, raw: Mapping[str, Any], system: Mapping[str, Any]) -> Curve:
    """The paper's x values, each a point or a gap, and whatever else was run in between."""
    selector = {
        "table": name,
        "task": raw["task"],
        "model": raw["model"],
        "method": system["method"],
        "options": system["options"],
        "settings": raw["settings"],
        "group": "all",
        "metric": raw["metric"],
        "split": raw["split"],
    }
    evidence = collect_curve(index, selector, raw["x"])
    values = list(raw["x_values"])
    values += [x for x in evidence if x not in values]
    if all(isinstance(x, int | float) for x in values):
        values.sort()
    points = [build_point(x, evidence.get(x), float(raw["factor"])) for x in values]
    return Curve(str(system["row"]), str(system["method"]), tuple(points))


def build_unpaired_curves(
    index: RunIndex, name: str, raw: Mapping[str, Any], scale: str
) -> tuple[Curve, ...]:
    """The curves of systems that the paper does not draw: methods of others, and all at scale mini.

    Each is called by its own name (``reports.document.systems``), whatever the paper's legend has.
    """
    x, prototype = str(raw["x"]), find_prototype(name, raw)
    methods = {str(series["method"]) for series in raw["series"]} if scale == "mini" else set()
    positions = list_positions(index, raw, scale)
    measures = [make_measure(prototype, x, position) for position in positions]
    curves = []
    for system in list_systems(index, scale, {str(raw["task"])}, methods, x):
        if scale == "paper" and system.model != raw["model"]:
            continue
        evidence = [system.collect(index, scale, measure) for measure in measures]
        points = tuple(
            build_point(position, runs, float(raw["factor"]))
            for position, runs in zip(positions, evidence, strict=True)
            if runs is not None and runs.replicates
        )
        if points:
            named = system.name_with_share(index, scale, measures)
            curves.append(Curve(spell_system(named, with_model=True), system.method, points, named))
    return tuple(curves)


def find_prototype(name: str, raw: Mapping[str, Any]) -> Cell:
    """A cell of the panel, which says what all of them measure."""
    return next(cell for cell in published.read_cells(name) if cell.section == raw["id"])


def build_point(x: float | str, evidence: CellEvidence | None, factor: float) -> CurvePoint:
    """The mean of the runs at ``x`` with its interval, or why there is none."""
    if evidence is None or not evidence.replicates:
        return build_gap(x, evidence)
    summary = summarise({key: value * factor for key, value in evidence.replicates.items()})
    interval = summary.interval
    return CurvePoint(
        x,
        summary.mean,
        interval.low if interval else None,
        interval.high if interval else None,
        summary.over,
        summary.n,
        f"{summary.note} ({DIRTY})" if evidence.dirty else summary.note,
    )


def build_gap(x: float | str, evidence: CellEvidence | None) -> CurvePoint:
    """A point without a number of ours."""
    gap = find_evidence_gap(evidence or CellEvidence("paper"))
    label = {
        GapKind.FAILED_GATE: "scorer failed its gate",
        GapKind.NOT_COMPUTED: gap.text,
        GapKind.FAILED_RUNS: f"not run ({gap.text})",
        GapKind.EXCLUDED_RUNS: f"not comparable: {gap.text}",
    }.get(gap.kind, "not run")
    return CurvePoint(x, None, label=label, gap=gap.kind)
