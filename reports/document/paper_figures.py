"""The figures as data: the paper's reading, our points with their intervals, and gaps where nothing ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.document.schema import Figure, Panel, Point, Series
from reports.judgement.verdicts import describe_failures
from reports.paper import published
from reports.records.index import CellEvidence, RunIndex, collect_curve
from reports.records.matching import CONDITIONS
from reports.stats.intervals import summarise


def figure(index: RunIndex, name: str, paper_only: bool) -> Figure:
    """A figure's panels in the paper's order."""
    source = published.read_table(name)
    made = tuple(panel(index, name, raw, paper_only) for raw in source.panels)
    return Figure(name, source.title, source.source, source.caption, source.notes, made)


def panel(index: RunIndex, name: str, raw: Mapping[str, Any], paper_only: bool) -> Panel:
    """One vertical axis with its curves at both scales."""
    x_values = tuple(raw["x_values"])
    drawn = [cell for cell in published.read_cells(name) if cell.section == raw["id"]]
    reading: dict[Any, tuple[float, float]] = {}
    for cell in drawn:
        if cell.low is not None and cell.high is not None:
            where = cell.settings if raw["x"] in CONDITIONS else cell.options
            reading[where[raw["x"]]] = (cell.low, cell.high)
    return Panel(
        id=raw["id"],
        task=raw["task"],
        title=raw["label"],
        metric=raw["metric"],
        x=raw["x"],
        x_values=x_values,
        ticks=tuple(raw["y_ticks"]),
        reading=tuple((x, *reading[x]) for x in x_values if x in reading),
        better=raw["better"],
        series=() if paper_only else tuple(series(index, name, raw, one, "paper") for one in raw["series"]),
        mini=() if paper_only else tuple(series(index, name, raw, one, "mini") for one in raw["series"]),
    )


def series(index: RunIndex, name: str, raw: Mapping[str, Any], one: Mapping[str, Any], scale: str) -> Series:
    """A curve: the paper's x values, each a point or a gap, and whatever else was run in between."""
    what = {
        "table": name,
        "task": raw["task"],
        "model": raw["model"],
        "method": one["method"],
        "options": one["options"],
        "settings": raw["settings"],
        "group": "all",
        "metric": raw["metric"],
        "split": raw["split"],
    }
    found = collect_curve(index, what, raw["x"], scale)
    values = list(raw["x_values"]) if scale == "paper" else []
    values += [x for x in found if x not in values]
    if all(isinstance(x, int | float) for x in values):
        values.sort()
    points = [point(x, found.get(x), float(raw["factor"])) for x in values]
    return Series(str(one["row"]), str(one["method"]), tuple(points))


def point(x: float | str, found: CellEvidence | None, factor: float) -> Point:
    """The mean of the runs at ``x`` with its interval, or why there is none."""
    if found is None or not found.replicates:
        return Point(x, None, label=why_not(found))
    summary = summarise({key: value * factor for key, value in found.replicates.items()})
    interval = summary.interval
    return Point(
        x,
        summary.mean,
        interval.low if interval else None,
        interval.high if interval else None,
        summary.over,
        summary.n,
        summary.note,
    )


def why_not(found: CellEvidence | None) -> str:
    if found is None:
        return "not run"
    if found.gate:
        return "scorer failed its gate"
    if found.missing:
        return f"not computed: {'; '.join(found.missing)}"
    if found.failures:
        return f"not run ({describe_failures(found)})"
    return "not comparable: " + "; ".join(found.excluded) if found.excluded else "not run"
