"""One vertical axis of a figure: the band of the paper's drawing, our curves, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.foreign_text import show_foreign
from reports.document.schema import Curve, CurvePoint, FigurePanel
from reports.judgement.verdicts import GapKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class CurveStyle(NamedTuple):
    """As matplotlib names them."""

    colour: str
    marker: str
    dashes: str | tuple[int, tuple[int, ...]]


STYLES = {
    "prefix": CurveStyle("#0072B2", "o", "-"),
    "ft-full": CurveStyle("#D55E00", "s", "--"),
}
"""By method."""
RIGHT_AXIS_STYLE = CurveStyle("#009E73", "^", "-.")
OTHER_STYLES = (
    CurveStyle("#CC79A7", "D", ":"),
    CurveStyle("#E69F00", "v", (0, (5, 1, 1, 1, 1, 1))),
    CurveStyle("#56B4E9", "P", (0, (1, 2))),
    CurveStyle("#7A5C00", "X", (0, (6, 2))),
    CurveStyle("#5B3A8C", "<", (0, (3, 1, 1, 1))),
    CurveStyle("#3F7F3F", ">", (0, (2, 2))),
)
"""Of systems that the paper does not draw, one after the other."""
MAX_DRAWN_LETTERS = 120
"""Of any text in a drawing."""
MAX_LABEL_LETTERS = 60
"""Of a system's name in the legend."""
INK, BACKGROUND = "#1a1a1b", "#fefefd"
"""Unusual on purpose: a page replaces them by its own colours (``reports.render.plots.inline_svg``)."""
BAND = "#8c8c8c"
BAND_LABEL, GAP_LABEL = "range of the paper's drawing", "not run"


def select_curves(panel: FigurePanel, scale: str) -> tuple[Curve, ...]:
    """The panel's curves at a scale."""
    return panel.series if scale == "paper" else panel.mini


def list_points(panels: Sequence[FigurePanel], scale: str) -> list[CurvePoint]:
    """All points at a scale, gaps among them."""
    return [point for panel in panels for curve in select_curves(panel, scale) for point in curve.points]


def has_any_points(panels: Sequence[FigurePanel], scale: str) -> bool:
    """Whether anything of the panels was run at that scale."""
    return any(point.mean is not None for point in list_points(panels, scale))


class XPositions:
    """Where x values stand: numbers where they are, words in the order of the paper's axis."""

    def __init__(self, panels: Sequence[FigurePanel], scale: str) -> None:
        values: list[float | str] = []
        for panel in panels:
            of_paper = panel.x_values if scale == "paper" else ()
            values += (*of_paper, *(point.x for point in list_points([panel], scale)))
        values = list(dict.fromkeys(values))
        self.has_words = any(isinstance(x, str) for x in values)
        self.values = values if self.has_words else sorted(values)

    def __call__(self, x: float | str) -> float:
        return float(self.values.index(x)) if self.has_words else float(x)


def draw_panel(
    axes: Axes,
    panel: FigurePanel,
    scale: str,
    positions: XPositions,
    side: int | None,
    handles: dict[str, Any],
) -> None:
    """One vertical axis: the paper's band, ours, and what is missing.

    ``side``: None alone, 0 and 1 for the left and the right axis of a drawing with two.
    ``handles``: what the legend explains, by its words; filled here.
    """
    if scale == "paper" and panel.reading and side != 1:
        handles[BAND_LABEL] = draw_band(axes, panel, positions)
    drawn = False
    for curve, style in style_curves(select_curves(panel, scale), side):
        label = describe_curve(curve) + (f" ({panel.title})" if side is not None else "")
        drawn |= draw_curve(axes, curve, positions, style, keep_drawable(label), handles)
    axes.set_ylabel(keep_drawable(panel.title) + (" (lower is better)" if panel.better == "lower" else ""))
    if scale == "paper" and panel.ticks:
        scale_vertical_axis(axes, panel)
    elif not drawn:
        axes.set_yticks([])
    if not drawn:
        height = 0.5 if side is None else 0.62 - 0.24 * side
        write_gap(axes, panel.title, select_curves(panel, scale), height)
    axes.spines["right"].set_visible(side == 1)


def style_curves(curves: Sequence[Curve], side: int | None) -> list[tuple[Curve, CurveStyle]]:
    """Each curve with how it is drawn: the paper's methods always the same, of others one after the other."""
    styled, others = [], 0
    taken: set[str] = set()
    for curve in curves:
        if side == 1 and curve.system is None:
            style = RIGHT_AXIS_STYLE
        elif curve.method in STYLES and curve.method not in taken and side != 1:
            style = STYLES[curve.method]
            taken.add(curve.method)
        else:
            style = OTHER_STYLES[(others + 3 * (side or 0)) % len(OTHER_STYLES)]
            others += 1
        styled.append((curve, style))
    return styled


def describe_curve(curve: Curve) -> str:
    """What the legend calls it: never by a name of the paper where it is not the paper's."""
    if curve.system is None:
        return f"ours: {curve.label}"
    scale = "mini" if curve.system.scale == "mini" else "not the paper's"
    label = curve.label
    if len(label) > MAX_LABEL_LETTERS:
        label = label[: MAX_LABEL_LETTERS - 1] + "…"
    return f"{scale}: {label}"


def draw_band(axes: Axes, panel: FigurePanel, positions: XPositions) -> Any:
    """What the paper's drawing lets one read, between its axis's bounds."""
    x = [positions(value) for value, _, _ in panel.reading]
    low, high = [low for _, low, _ in panel.reading], [high for _, _, high in panel.reading]
    pad = 0.4 if positions.has_words else 0.0
    edges = (x[0] - pad, *x[1:-1], x[-1] + pad) if len(x) > 1 else (x[0] - 0.5, x[0] + 0.5)
    axes.fill_between(edges, low, high, facecolor=BAND, alpha=0.14, linewidth=0)
    # Apart from the fill: an SVG pattern of both would be one grey.
    return axes.fill_between(
        edges, low, high, facecolor="none", hatch="///", edgecolor=BAND, linewidth=0, alpha=0.45
    )


def scale_vertical_axis(axes: Axes, panel: FigurePanel) -> None:
    """The paper's ticks, one step of room around them, and more where ours lie further out."""
    step = panel.ticks[1] - panel.ticks[0] if len(panel.ticks) > 1 else 1.0
    bottom, top = panel.ticks[0] - step, panel.ticks[-1] + step
    ours = [
        value
        for point in list_points([panel], "paper")
        for value in (point.mean, point.low, point.high)
        if value is not None
    ]
    axes.set_ylim(min([bottom, *ours]), max([top, *ours]))
    axes.set_yticks(panel.ticks)


def draw_curve(
    axes: Axes,
    curve: Curve,
    positions: XPositions,
    style: CurveStyle,
    label: str,
    handles: dict[str, Any],
) -> bool:
    """Points with bars, joined where x is a number; gaps as crosses on the axis. Whether any point is drawn."""
    draw_intervals(axes, curve, positions, style.colour)
    means = [(positions(point.x), point.mean) for point in curve.points if point.mean is not None]
    if means:
        x, values = zip(*means, strict=True)
        (handles[label],) = axes.plot(
            x,
            values,
            color=style.colour,
            marker=style.marker,
            markersize=4.5,
            linestyle="none" if positions.has_words else style.dashes,
            label=label,
        )
    missing = [positions(point.x) for point in curve.points if point.mean is None]
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


def draw_intervals(axes: Axes, curve: Curve, positions: XPositions, colour: str) -> None:
    """A bar for each interval, and a band over them where x is a number."""
    bars = [
        (positions(point.x), point.low, point.high)
        for point in curve.points
        if point.low is not None and point.high is not None
    ]
    for x, low, high in bars:
        axes.plot([x, x], [low, high], color=colour, linewidth=1.2)
    if len(bars) > 1 and not positions.has_words:
        x_values, lows, highs = zip(*bars, strict=True)
        axes.fill_between(x_values, lows, highs, color=colour, alpha=0.15, linewidth=0)


def write_gap(axes: Axes, title: str, curves: Sequence[Curve], height: float) -> None:
    """Why a panel is empty, in it: the reasons of its points."""
    points = [point for curve in curves for point in curve.points]
    labels = [point.label for point in points if point.label and point.gap is not GapKind.NOT_RUN]
    stated = "; ".join(list(dict.fromkeys(labels))[:2]) or "not run"
    text = shorten(keep_drawable(f"{title}: {stated}"), 90, placeholder=" …")
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


def keep_drawable(text: str) -> str:
    """The text without what the font cannot draw: values that somebody typed may hold anything, at any length."""
    shown = show_foreign(text, MAX_DRAWN_LETTERS)
    return "".join(c if c < "\u0250" or c == "…" else "?" for c in shown)
