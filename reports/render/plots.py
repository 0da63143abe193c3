"""Figures 3 to 8 in the paper's form, ours in them and the paper's reading behind.

    files = draw_figure(report.figures[0], "paper")      # {"svg": b"...", "pdf": b"...", "png": b"..."}

The grey band is what the paper's drawing lets one read (between its axis's bounds); our points have
bars of their interval, our curves a band where there are several seeds. Where nothing ran the panel says
so. The same figure gives the same bytes: no date, no random ids. Colours are Okabe and Ito's, which
colour-blind readers can tell apart; markers and dashes say the same in grey.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reports.document.schema import FigurePanel, ReportFigure
from reports.render.plot_panels import (
    BACKGROUND,
    BAND_LABEL,
    GAP_LABEL,
    INK,
    XPositions,
    draw_panel,
    has_any_points,
    keep_drawable,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

FORMATS = ("svg", "pdf", "png")
TWO_AXES = ("figure4",)
"""Figures that draw the two scores of a task over one another, on a left and a right axis."""
COLUMNS = {"figure3": 2, "figure4": 2, "figure5": 1, "figure6": 2, "figure7": 3, "figure8": 2}
TASKS = {"e2e": "E2E", "webnlg": "WebNLG", "dart": "DART", "xsum": "XSUM"}
MAX_SHORT_LABEL = 32
"""Letters of a legend's label of which three stand in a line."""
LEGEND_LINE = 0.19
"""Inches that a line of the legend takes, beyond two that have their place."""
MAX_WORD_LETTERS = 24
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


def has_points(figure: ReportFigure, scale: str) -> bool:
    """Whether anything of the figure was run at that scale."""
    return has_any_points(figure.panels, scale)


def draw_figure(figure: ReportFigure, scale: str, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """The figure at a scale (``paper`` or ``mini``) as files by format."""
    import matplotlib as mpl

    files = {}
    with mpl.rc_context(RC):
        canvas = compose_figure(figure, scale)
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
            files[name] = buffer.getvalue()
    return files


def compose_figure(figure: ReportFigure, scale: str) -> Canvas:
    """All panels on one canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    groups = group_panels(figure)
    if scale == "mini":  # of mini only what there is; at the paper's scale gaps are drawn too
        groups = [group for group in groups if has_any_points(group, scale)]
    columns = min(COLUMNS.get(figure.id, 2), len(groups))
    rows = -(-len(groups) // columns)
    has_words = any(isinstance(x, str) for panel in figure.panels for x in panel.x_values)
    width = max(3.4 * columns, 6.4)
    canvas = Canvas(figsize=(width, (3.1 if has_words else 2.6) * rows + 0.5), layout="constrained")
    FigureCanvasAgg(canvas)
    handles: dict[str, Any] = {}
    for number, panels in enumerate(groups, 1):
        axes = canvas.add_subplot(rows, columns, number)
        positions = XPositions(panels, scale)
        for side, panel in enumerate(panels):
            panel_axes = axes if side == 0 else axes.twinx()
            draw_panel(panel_axes, panel, scale, positions, side if len(panels) > 1 else None, handles)
        label_axes(axes, panels, positions, scale)
    handles |= {name: handles.pop(name) for name in (BAND_LABEL, GAP_LABEL) if name in handles}  # last
    columns = 3 if all(len(label) <= MAX_SHORT_LABEL for label in handles) else 1
    lines = -(-len(handles) // columns)
    canvas.set_figheight(canvas.get_figheight() + LEGEND_LINE * max(0, lines - 2))
    canvas.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns, frameon=False)
    return canvas


def group_panels(figure: ReportFigure) -> list[tuple[FigurePanel, ...]]:
    """Panels that share a drawing: two of one task where the figure has two axes, else each alone."""
    if figure.id not in TWO_AXES:
        return [(panel,) for panel in figure.panels]
    tasks = list(dict.fromkeys(panel.task for panel in figure.panels))
    return [tuple(panel for panel in figure.panels if panel.task == task) for task in tasks]


def shorten_word(x: float | str) -> str:
    """A word of the horizontal axis, short enough for its place."""
    text = keep_drawable(str(x))
    return text if len(text) <= MAX_WORD_LETTERS else text[: MAX_WORD_LETTERS - 1] + "…"


def label_axes(axes: Axes, panels: Sequence[FigurePanel], positions: XPositions, scale: str) -> None:
    """Title and horizontal axis."""
    panel = panels[0]
    task = TASKS.get(panel.task, panel.task) if scale == "paper" else f"scale mini, {panel.task}"
    title = f"{task}: {' and '.join(panel.title for panel in panels)}"
    axes.set_title(keep_drawable(title), fontsize=9, loc="left")
    axes.set_xlabel(X_LABELS.get(panel.x, panel.x))
    if positions.has_words:
        words = [shorten_word(x) for x in positions.values]
        axes.set_xticks(range(len(words)), words, rotation=35, ha="right")
        axes.set_xlim(-0.6, len(positions.values) - 0.4)
    elif panel.x == "length":
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    elif panel.x == "train_share":
        axes.set_xticks([float(x) for x in positions.values], [f"{float(x):.0%}" for x in positions.values])
    elif panel.x == "train_size":
        labels = [f"{x:g}" for x in positions.values]
        axes.set_xticks([float(x) for x in positions.values], labels, rotation=0)


def inline_svg(svg: bytes, name: str) -> str:
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
