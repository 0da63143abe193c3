"""The figures: the same bytes for the same points, two axes where the paper has them, gaps that are seen."""

from __future__ import annotations

import re

import pytest
from made_site import NASTY, report

from reports.document import builder
from reports.document.schema import Curve, CurvePoint, FigurePanel, ReportFigure
from reports.paper import published
from reports.render import plots


def figure(name: str) -> ReportFigure:
    return next(drawn for drawn in report().figures if drawn.id == name)


@pytest.mark.parametrize(("name", "scale"), [("figure3", "paper"), ("figure4", "mini"), ("figure5", "paper")])
def test_the_same_points_give_the_same_bytes(name: str, scale: str) -> None:
    first, again = (plots.draw_figure(figure(name), scale) for _ in range(2))
    assert set(first) == set(plots.FORMATS)
    assert [name for name in first if first[name] != again[name]] == []
    assert first["png"].startswith(b"\x89PNG") and first["pdf"].startswith(b"%PDF")
    assert not re.search(rb"CreationDate|ModDate|<dc:date>", first["pdf"] + first["svg"])


def test_every_figure_of_the_paper_is_there_with_its_panels() -> None:
    assert [drawn.id for drawn in report().figures] == list(published.FIGURES)
    for drawn in report().figures:
        assert [panel.id for panel in drawn.panels] == [
            raw["id"] for raw in published.read_table(drawn.id).panels
        ]
        assert all(panel.reading and panel.x_values for panel in drawn.panels)


def test_two_axes_where_the_paper_has_them() -> None:
    import matplotlib as mpl

    with mpl.rc_context(plots.RC):
        four = plots.compose_figure(figure("figure4"), "paper").axes
        assert len(four) == 4 and four[0].bbox.bounds == four[1].bbox.bounds
        assert [axes.get_ylabel() for axes in four] == ["ROUGE-2", "ROUGE-L", "BLEU", "TER (lower is better)"]
        three = plots.compose_figure(figure("figure3"), "paper").axes
        assert len(three) == 4 and len({axes.bbox.bounds for axes in three}) == 4


def test_points_gaps_and_bands() -> None:
    panel = next(panel for panel in figure("figure3").panels if panel.id == "BLEU")
    prefix = next(drawn for drawn in panel.series if drawn.method == "prefix")
    assert [point.x for point in prefix.points] == [50, 100, 200, 500]
    assert prefix.points[0].n == 3 and prefix.points[0].over == "between subsets"
    first = prefix.points[0]
    assert first.low is not None and first.mean is not None and first.high is not None
    assert first.low < first.mean < first.high
    assert prefix.points[-1].mean is None and prefix.points[-1].label == "not run"
    svg = plots.draw_figure(figure("figure3"), "paper", ["svg"])["svg"].decode()
    assert "ROUGE-1: not run" in svg and ">not run<" in svg and "paper's drawing" in svg


def test_nothing_run_draws_all_the_same() -> None:
    empty = builder.build_report([], ["figure5", "figure4"], plan=False)
    for drawn in empty.figures:
        assert not plots.has_points(drawn, "paper") and not plots.has_points(drawn, "mini")
        assert b"not run" in plots.draw_figure(drawn, "paper", ["svg"])["svg"]


@pytest.mark.parametrize("text", NASTY)
def test_texts_in_a_drawing_are_only_texts(text: str) -> None:
    series = Curve(text, "x", (CurvePoint(text, 1.0), CurvePoint("b", None, label=text)))
    panel = FigurePanel("p", text, text, "bleu", "init", (text, "b"), (), (), "higher", (series,), ())
    svg = plots.draw_figure(ReportFigure("figure5", "", "", "", (), (panel,)), "paper", ["svg"])["svg"]
    import defusedxml.ElementTree

    names = {element.tag.partition("}")[2] for element in defusedxml.ElementTree.fromstring(svg).iter()}
    assert not names & {"script", "img", "image", "foreignObject"}


def test_inline_drawings_do_not_share_ids() -> None:
    svg = plots.draw_figure(figure("figure5"), "paper", ["svg"])["svg"]
    first, second = plots.inline_svg(svg, "a"), plots.inline_svg(svg, "b")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    assert set(re.findall(r"url\(#([^)]+)\)", first)) <= ids[0]
    assert plots.INK not in first and "<?xml" not in first
