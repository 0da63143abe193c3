"""One vertical axis of a figure: the band of the paper's drawing, our curves, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Any

from reports.document.schema import Panel, Point, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: dict[str, tuple[str, str, str]] = {
    # method -> colour, marker, dashes
    "prefix": ("#0072B2", "o", "-"),
    "ft-full": ("#D55E00", "s", "--"),
}
SECOND = ("#009E73", "^", "-.")
"""Of the right axis."""
OTHER = ("#CC79A7", "D", ":")
INK, BACKGROUND = "#1a1a1b", "#fefefd"
"""Unusual on purpose: a page replaces them by its own colours (``reports.render.plots.inline``)."""
BAND = "#8c8c8c"
BAND_LABEL, GAP_LABEL = "range of the paper's drawing", "not run"


def curves(panel: Panel, scale: str) -> tuple[Series, ...]:
    return panel.series if scale == "paper" else panel.mini


def points(panels: Sequence[Panel], scale: str) -> list[Point]:
    return [point for panel in panels for one in curves(panel, scale) for point in one.points]


def any_points(panels: Sequence[Panel], scale: str) -> bool:
    """Whether anything of the panels was run at that scale."""
    return any(point.mean is not None for point in points(panels, scale))


class Places:
    """Where x values stand: numbers where they are, words in the order of the paper's axis."""

    def __init__(self, panels: Sequence[Panel], scale: str) -> None:
        values: list[float | str] = []
        for panel in panels:
            of_paper = panel.x_values if scale == "paper" else ()
            values += (*of_paper, *(point.x for point in points([panel], scale)))
        values = list(dict.fromkeys(values))
        self.words = any(isinstance(x, str) for x in values)
        self.values = values if self.words else sorted(values)

    def __call__(self, x: float | str) -> float:
        return float(self.values.index(x)) if self.words else float(x)


def draw_panel(
    axes: Axes, panel: Panel, scale: str, place: Places, side: int | None, handles: dict[str, Any]
) -> None:
    """One vertical axis: the paper's band, ours, and what is missing.

    ``side``: None alone, 0 and 1 for the left and the right axis of a drawing with two.
    ``handles``: what the legend explains, by its words; filled here.
    """
    if scale == "paper" and panel.reading and side != 1:
        handles[BAND_LABEL] = band(axes, panel, place)
    shown = False
    for one in curves(panel, scale):
        style = STYLES.get(one.method, OTHER) if side != 1 else SECOND
        label = one.label + (f" ({panel.title})" if side is not None else "")
        label = drawable(("mini: " if scale == "mini" else "ours: ") + label)
        shown |= curve(axes, one, place, style, label, handles)
    axes.set_ylabel(drawable(panel.title) + (" (lower is better)" if panel.better == "lower" else ""))
    if scale == "paper" and panel.ticks:
        vertical(axes, panel)
    elif not shown:
        axes.set_yticks([])
    if not shown:
        say_gap(axes, panel.title, curves(panel, scale), 0.5 if side is None else 0.62 - 0.24 * side)
    axes.spines["right"].set_visible(side == 1)


def band(axes: Axes, panel: Panel, place: Places) -> Any:
    """What the paper's drawing lets one read, between its axis's bounds."""
    x = [place(at) for at, _, _ in panel.reading]
    low, high = [low for _, low, _ in panel.reading], [high for _, _, high in panel.reading]
    pad = 0.4 if place.words else 0.0
    ends = (x[0] - pad, *x[1:-1], x[-1] + pad) if len(x) > 1 else (x[0] - 0.5, x[0] + 0.5)
    axes.fill_between(ends, low, high, facecolor=BAND, alpha=0.14, linewidth=0)
    # Apart from the fill: an SVG pattern of both would be one grey.
    return axes.fill_between(
        ends, low, high, facecolor="none", hatch="///", edgecolor=BAND, linewidth=0, alpha=0.45
    )


def vertical(axes: Axes, panel: Panel) -> None:
    """The paper's ticks, one step of room around them, and more where ours lie further out."""
    step = panel.ticks[1] - panel.ticks[0] if len(panel.ticks) > 1 else 1.0
    bottom, top = panel.ticks[0] - step, panel.ticks[-1] + step
    ours = [v for p in points([panel], "paper") for v in (p.mean, p.low, p.high) if v is not None]
    axes.set_ylim(min([bottom, *ours]), max([top, *ours]))
    axes.set_yticks(panel.ticks)


def curve(
    axes: Axes,
    series: Series,
    place: Places,
    style: tuple[str, str, str],
    label: str,
    handles: dict[str, Any],
) -> bool:
    """Points with bars, joined where x is a number; gaps as crosses on the axis. Whether anything is shown."""
    colour, marker, dashes = style
    means = [(place(p.x), p.mean) for p in series.points if p.mean is not None]
    bars = [(place(p.x), p.low, p.high) for p in series.points if p.low is not None and p.high is not None]
    for x, low, high in bars:
        axes.plot([x, x], [low, high], color=colour, linewidth=1.2)
    if len(bars) > 1 and not place.words:
        at, lows, highs = zip(*bars, strict=True)
        axes.fill_between(at, lows, highs, color=colour, alpha=0.15, linewidth=0)
    if means:
        at, values = zip(*means, strict=True)
        (handles[label],) = axes.plot(
            at,
            values,
            color=colour,
            marker=marker,
            markersize=4.5,
            linestyle="none" if place.words else dashes,
            label=label,
        )
    missing = [place(point.x) for point in series.points if point.mean is None]
    if means and missing:
        (handles[GAP_LABEL],) = axes.plot(
            missing,
            [0.02] * len(missing),
            transform=axes.get_xaxis_transform(),
            color=INK,
            marker="x",
            linestyle="none",
            markersize=5,
            clip_on=False,
        )
    return bool(means)


def say_gap(axes: Axes, title: str, series: Sequence[Series], height: float) -> None:
    """Why a panel is empty, in it: the reasons of its points."""
    reasons = dict.fromkeys(point.label for one in series for point in one.points)
    told = [reason for reason in reasons if reason not in ("", "not run")]
    text = shorten(drawable(f"{title}: {'; '.join(told[:2]) or 'not run'}"), 90, placeholder=" …")
    axes.text(
        0.5,
        height,
        fill(text, 30),
        fontsize=8,
        transform=axes.transAxes,
        ha="center",
        va="center",
        bbox={"facecolor": BACKGROUND, "edgecolor": BAND, "boxstyle": "round,pad=0.4"},
    )


def drawable(text: str) -> str:
    """The text without what the font cannot draw: values that somebody typed may hold anything."""
    return "".join(c if " " <= c < "\u0250" and c != "\x7f" else "…" if c == "…" else "?" for c in text)
