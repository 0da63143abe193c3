"""Figures 3 to 8 in the paper's form, ours in them and the paper's reading behind.

    files = draw(report.figures[0], "paper")      # {"svg": b"...", "pdf": b"...", "png": b"..."}

The grey band is what the paper's drawing lets one read (between its axis's bounds); our points have
bars of their interval, our curves a band where there are several seeds. Where nothing ran the panel says
so. The same figure gives the same bytes: no date, no random ids. Colours are Okabe and Ito's, which
colour-blind readers can tell apart; markers and dashes say the same in grey.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Any

from reports.shapes import Figure, Panel, Point, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

FORMATS = ("svg", "pdf", "png")
TWO_AXES = ("figure4",)
"""Figures that draw the two scores of a task over one another, on a left and a right axis."""
COLUMNS = {"figure3": 2, "figure4": 2, "figure5": 1, "figure6": 2, "figure7": 3, "figure8": 2}
STYLES: dict[str, tuple[str, str, str]] = {
    # method -> colour, marker, dashes
    "prefix": ("#0072B2", "o", "-"),
    "ft-full": ("#D55E00", "s", "--"),
}
SECOND = ("#009E73", "^", "-.")
"""Of the right axis."""
OTHER = ("#CC79A7", "D", ":")
INK, BACKGROUND = "#1a1a1b", "#fefefd"
"""Unusual on purpose: a page replaces them by its own colours (``inline``)."""
BAND = "#8c8c8c"
BAND_LABEL, GAP_LABEL = "range of the paper's drawing", "not run"
TASKS = {"e2e": "E2E", "webnlg": "WebNLG", "dart": "DART", "xsum": "XSUM"}
LONGEST = 24
"""Letters of a word on the horizontal axis."""
X_LABELS = {
    "train_size": "size of the training subset",
    "train_share": "share of the training set",
    "length": "prefix length",
    "init": "initialisation",
}
RC = {
    "svg.hashsalt": "prefix-bench",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.usetex": False,
    "text.parse_math": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": BACKGROUND,
    "figure.facecolor": BACKGROUND,
    "savefig.facecolor": BACKGROUND,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
}


def has_points(figure: Figure, scale: str) -> bool:
    """Whether anything of the figure was run at that scale."""
    return any(point.mean is not None for point in points(figure.panels, scale))


def points(panels: Sequence[Panel], scale: str) -> list[Point]:
    both = [one for panel in panels for one in (panel.series if scale == "paper" else panel.mini)]
    return [point for one in both for point in one.points]


def draw(figure: Figure, scale: str, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """The figure at a scale (``paper`` or ``mini``) as files by format."""
    import matplotlib as mpl

    made = {}
    with mpl.rc_context(RC):
        canvas = compose(figure, scale)
        canvas.draw_without_rendering()  # places everything, once for all formats
        canvas.set_layout_engine("none")
        for name in formats:
            buffer = io.BytesIO()
            # Nothing of the time, the machine or the library's version goes into the file.
            metadata: dict[str, Any] = {
                "svg": {"Date": None, "Creator": None},
                "png": {"Software": None},
            }.get(name, {"CreationDate": None, "Creator": None, "Producer": None})
            canvas.savefig(buffer, format=name, metadata=metadata, dpi=150)
            made[name] = buffer.getvalue()
    return made


def compose(figure: Figure, scale: str) -> Canvas:
    """All panels on one canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    groups = grouped(figure)
    if scale == "mini":  # of mini only what there is; at the paper's scale gaps are shown
        groups = [group for group in groups if any(p.mean is not None for p in points(group, scale))]
    columns = min(COLUMNS.get(figure.id, 2), len(groups))
    lines = -(-len(groups) // columns)
    words = any(isinstance(x, str) for panel in figure.panels for x in panel.x_values)
    width = max(3.4 * columns, 6.4)
    canvas = Canvas(figsize=(width, (3.1 if words else 2.6) * lines + 0.5), layout="constrained")
    FigureCanvasAgg(canvas)
    handles: dict[str, Any] = {}
    for number, panels in enumerate(groups, 1):
        axes = canvas.add_subplot(lines, columns, number)
        place = Places(panels, scale)
        for side, panel in enumerate(panels):
            own = axes if side == 0 else axes.twinx()
            draw_panel(own, panel, scale, place, side if len(panels) > 1 else None, handles)
        finish(axes, panels, place)
    handles |= {name: handles.pop(name) for name in (BAND_LABEL, GAP_LABEL) if name in handles}  # last
    canvas.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    return canvas


def grouped(figure: Figure) -> list[tuple[Panel, ...]]:
    """Panels that share a drawing: two of one task where the figure has two axes, else each alone."""
    if figure.id not in TWO_AXES:
        return [(panel,) for panel in figure.panels]
    tasks = list(dict.fromkeys(panel.task for panel in figure.panels))
    return [tuple(panel for panel in figure.panels if panel.task == task) for task in tasks]


class Places:
    """Where x values stand: numbers where they are, words in the order of the paper's axis."""

    def __init__(self, panels: Sequence[Panel], scale: str) -> None:
        values: list[float | str] = []
        for panel in panels:
            of_paper = panel.x_values if scale == "paper" else ()
            values += (*of_paper, *(point.x for point in points([panel], scale)))
        values = list(dict.fromkeys(values))
        self.words = any(isinstance(x, str) for x in values)
        self.values = values if self.words else sorted(values)  # type: ignore[type-var]

    def __call__(self, x: float | str) -> float:
        return float(self.values.index(x)) if self.words else float(x)


def draw_panel(
    axes: Axes, panel: Panel, scale: str, place: Places, side: int | None, handles: dict[str, Any]
) -> None:
    """One vertical axis: the paper's band, ours, and what is missing."""
    if scale == "paper" and panel.reading and side != 1:
        x = [place(at) for at, _, _ in panel.reading]
        low, high = [low for _, low, _ in panel.reading], [high for _, _, high in panel.reading]
        pad = 0.4 if place.words else 0.0
        ends = (x[0] - pad, *x[1:-1], x[-1] + pad) if len(x) > 1 else (x[0] - 0.5, x[0] + 0.5)
        axes.fill_between(ends, low, high, facecolor=BAND, alpha=0.14, linewidth=0)
        # Apart from the fill: an SVG pattern of both would be one grey.
        band = axes.fill_between(
            ends, low, high, facecolor="none", hatch="///", edgecolor=BAND, linewidth=0, alpha=0.45
        )
        handles[BAND_LABEL] = band
    series = panel.series if scale == "paper" else panel.mini
    shown = False
    for one in series:
        style = STYLES.get(one.method, OTHER) if side != 1 else SECOND
        label = one.label + (f" ({panel.title})" if side is not None else "")
        label = drawable(("mini: " if scale == "mini" else "ours: ") + label)
        shown = curve(axes, one, place, style, label, handles) or shown
    axes.set_ylabel(drawable(panel.title) + (" (lower is better)" if panel.better == "lower" else ""))
    if scale == "paper" and panel.ticks:
        step = panel.ticks[1] - panel.ticks[0] if len(panel.ticks) > 1 else 1.0
        bottom, top = panel.ticks[0] - step, panel.ticks[-1] + step
        found = [v for one in series for p in one.points for v in (p.mean, p.low, p.high) if v is not None]
        axes.set_ylim(min([bottom, *found]), max([top, *found]))
        axes.set_yticks(panel.ticks)
    elif not shown:
        axes.set_yticks([])
    if not shown:
        say_gap(axes, gap(series), 0.5 if side is None else 0.62 - 0.24 * side, panel.title)
    if side == 1:
        axes.spines["right"].set_visible(True)
    else:
        axes.spines["right"].set_visible(False)


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
    there = [point for point in series.points if point.mean is not None]
    x, y = [place(point.x) for point in there], [point.mean or 0.0 for point in there]
    for point in there:
        if point.low is not None and point.high is not None:
            axes.plot([place(point.x)] * 2, [point.low, point.high], color=colour, linewidth=1.2)
    several = [p for p in there if p.low is not None and p.high is not None]
    if len(several) > 1 and not place.words:
        low, high = [p.low or 0.0 for p in several], [p.high or 0.0 for p in several]
        axes.fill_between([place(p.x) for p in several], low, high, color=colour, alpha=0.15, linewidth=0)
    if there:
        (line,) = axes.plot(
            x,
            y,
            color=colour,
            marker=marker,
            markersize=4.5,
            linestyle="none" if place.words else dashes,
            label=label,
        )
        handles[label] = line
    missing = [place(point.x) for point in series.points if point.mean is None]
    if there and missing:
        (cross,) = axes.plot(
            missing,
            [0.02] * len(missing),
            transform=axes.get_xaxis_transform(),
            color=INK,
            marker="x",
            linestyle="none",
            markersize=5,
            clip_on=False,
        )
        handles[GAP_LABEL] = cross
    return bool(there)


def drawable(text: str) -> str:
    """The text without what the font cannot draw: values that somebody typed may hold anything."""
    return "".join(c if " " <= c < "\u0250" and c != "\x7f" else "…" if c == "…" else "?" for c in text)


def word(x: float | str) -> str:
    """A word of the horizontal axis, short enough for its place."""
    text = drawable(str(x))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def gap(series: Sequence[Series]) -> str:
    """Why a panel is empty: the reasons of its points."""
    reasons = list(dict.fromkeys(point.label for one in series for point in one.points if point.label))
    told = [reason for reason in reasons if reason != "not run"]
    return "; ".join(told[:2]) or "not run"


def say_gap(axes: Axes, why: str, height: float, title: str) -> None:
    text = shorten(drawable(f"{title}: {why}"), 90, placeholder=" …")
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


def finish(axes: Axes, panels: Sequence[Panel], place: Places) -> None:
    """Title and horizontal axis."""
    panel = panels[0]
    told = f"{TASKS.get(panel.task, panel.task)}: {' and '.join(one.title for one in panels)}"
    axes.set_title(drawable(told), fontsize=9, loc="left")
    axes.set_xlabel(X_LABELS.get(panel.x, panel.x))
    if place.words:
        words = [word(x) for x in place.values]
        axes.set_xticks(range(len(words)), words, rotation=35, ha="right")
        axes.set_xlim(-0.6, len(place.values) - 0.4)
    elif panel.x == "train_share":
        axes.set_xticks([float(x) for x in place.values], [f"{float(x):.0%}" for x in place.values])
    elif panel.x == "train_size":
        axes.set_xticks([float(x) for x in place.values], [f"{x:g}" for x in place.values], rotation=0)


def inline(svg: bytes, name: str) -> str:
    """The drawing for a page: no prologue, ids of its own, the page's colours for ink and background."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = text.replace(INK, "currentColor").replace(BACKGROUND, "var(--card, #fff)")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', text)
    if size is not None:
        text = text.replace(size[0], f'width="{float(size[1]) * 4 / 3:.0f}"', 1)
    return text.strip()


def fingerprint(files: dict[str, bytes]) -> dict[str, str]:
    """SHA-256 by format."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


__all__ = ["FORMATS", "Point", "draw", "fingerprint", "has_points", "inline"]
