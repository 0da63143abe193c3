"""The figures as data: the paper's reading, our points with their intervals, and gaps where nothing ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.document.schema import Curve, CurvePoint, FigurePanel, ReportFigure
from reports.judgement.verdicts import GapKind, find_evidence_gap
from reports.paper import published
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

    def build_curves(scale: str) -> tuple[Curve, ...]:
        series = () if paper_only else raw["series"]
        return tuple(build_curve(index, name, raw, system, scale) for system in series)

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
        series=build_curves("paper"),
        mini=build_curves("mini"),
    )


def build_curve(
    index: RunIndex, name: str, raw: Mapping[str, Any], system: Mapping[str, Any], scale: str
) -> Curve:
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
    evidence = collect_curve(index, selector, raw["x"], scale)
    values = list(raw["x_values"]) if scale == "paper" else []
    values += [x for x in evidence if x not in values]
    if all(isinstance(x, int | float) for x in values):
        values.sort()
    points = [build_point(x, evidence.get(x), float(raw["factor"])) for x in values]
    return Curve(str(system["row"]), str(system["method"]), tuple(points))


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
        summary.note,
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
