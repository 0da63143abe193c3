"""The report as one page that needs no network: styles, script and drawings are inside it.

What the page looks like is in ``reports/templates/html``; here is what its templates are given. Every text is
escaped by Jinja (``reports.render.templates``). As a second wall the page allows no script but its own, by its
hash, and loads nothing (Content-Security-Policy).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment
from markupsafe import Markup

from reports.document import headline
from reports.document.paper_tables import shorten_columns
from reports.document.schema import CellView, ExampleOutput, Report, UnpairedView
from reports.render.symbols import (
    DETECTABLE_MEANING,
    MEANINGS,
    NOT_TELLING,
    NOT_TELLING_MEANING,
    find_symbol,
    format_heading,
)
from reports.render.templates import make_html_environment

ASSETS = Path(__file__).parent / "assets"
ROW_HEADINGS = {"table1": "Data set"}
"""What the rows of a table are where they are not systems."""
TITLE = "Prefix-Tuning, reproduced: the paper's numbers and ours"
MAX_LISTED_RUNS = 8
"""Runs whose commands a cell shows; the rest are in the list of runs."""


class FileLink(NamedTuple):
    """A file of a figure that the page links to."""

    path: str
    form: str


class InlineDrawing(NamedTuple):
    """A figure's drawing as it stands in the page."""

    title: str
    mini: bool
    svg_tail: Markup
    """The drawing behind ``<svg ``, where the template adds attributes of its own."""
    files: tuple[FileLink, ...]


class SortKeys(NamedTuple):
    """What a cell sorts by: the paper's number, ours, and ours less the paper's; empty where there is none."""

    paper: str
    ours: str
    difference: str


class TextPiece(NamedTuple):
    """A part of an output; ``false``: whether the facts do not have it."""

    text: str
    false: bool


def render_html(
    report: Report,
    drawings: Mapping[str, str] | None = None,
    downloads: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The whole page.

    ``drawings``: figure (``figure3``, ``figure3-mini``) -> ``plots.inline_svg``; ``downloads``: figure
    -> relative paths of its files, linked below it.
    """
    script = read_asset("report.js")
    prepared = {
        table.id: table_drawings(table.id, drawings or {}, downloads or {}) for table in report.tables
    }
    return (
        html_environment()
        .get_template("html/page.html")
        .render(
            report=report,
            runs={run.run_id: run for run in report.runs},
            disputes={dispute.id: dispute for dispute in report.disputes},
            drawings=prepared,
            title=TITLE,
            policy=content_security_policy(script),
            style=Markup(read_asset("report.css")),  # noqa: S704 - a file of ours
            script=Markup(script),  # noqa: S704 - a file of ours
            meanings=MEANINGS,
        )
    )


@cache
def html_environment() -> Environment:
    """The page's templates with their filters, compiled once."""
    environment = make_html_environment()
    environment.globals["max_listed_runs"] = MAX_LISTED_RUNS
    environment.globals["not_telling"] = NOT_TELLING
    environment.globals["not_telling_meaning"] = NOT_TELLING_MEANING
    environment.globals["detectable_meaning"] = DETECTABLE_MEANING
    environment.filters |= {
        "anchor": anchor_id,
        "accepted": headline.spell_accepted,
        "css_class": css_class,
        "headline": headline.spell_headline,
        "heading": format_heading,
        "marked_pieces": marked_pieces,
        "row_counts": headline.count_row_verdicts,
        "row_name": headline.spell_row,
        "row_others": headline.spell_others,
        "row_heading": lambda table_id: ROW_HEADINGS.get(table_id, "System"),
        "short_columns": shorten_columns,
        "sort_keys": sort_keys,
        "symbol": find_symbol,
    }
    environment.tests["unpaired"] = lambda cell: isinstance(cell, UnpairedView)
    return environment


@cache
def read_asset(name: str) -> str:
    """A style sheet or script of the page."""
    return (ASSETS / name).read_text(encoding="utf-8")


def content_security_policy(script: str) -> str:
    """What the page may do: run this one script, by its hash, use its own styles, and load nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def table_drawings(
    table_id: str, drawings: Mapping[str, str], downloads: Mapping[str, Sequence[str]]
) -> list[InlineDrawing]:
    """A figure's drawings: at the paper's scale, then at scale mini, as far as there are any.

    They come from ``reports.render.plots`` and hold no text that is not escaped.
    """
    prepared = []
    for name in (table_id, f"{table_id}-mini"):
        if name not in drawings:
            continue
        mini = name != table_id
        title = f"{format_heading(table_id)}{', scale mini: not comparable with the paper' if mini else ''}"
        tail = Markup(drawings[name].removeprefix("<svg "))  # noqa: S704 - drawn by us
        files = tuple(FileLink(path, path.rpartition(".")[2].upper()) for path in downloads.get(name, ()))
        prepared.append(InlineDrawing(title, mini, tail, files))
    return prepared


# --- filters of the templates


def anchor_id(name: str, kind: str) -> str:
    """An id from any name: letters, digits, - . _ and = stay, the rest is spelled by its number."""
    return f"{kind}-" + re.sub(r"[^A-Za-z0-9._=-]", lambda match: f"_{ord(match[0]):x}_", name)


def css_class(verdict: str | None) -> str:
    """A verdict as part of a class name."""
    return re.sub(r"[^a-z]+", "-", (verdict or "none").lower())


def sort_keys(cell: CellView | UnpairedView) -> SortKeys:
    """What a cell sorts by; where the paper has no number ours stands for it, so that either way sorts."""
    ours = cell.ours.mean if cell.ours else None
    if isinstance(cell, UnpairedView):
        return SortKeys(_sort_key(ours), _sort_key(ours), "")
    paper = cell.low if cell.value is None else cell.value
    return SortKeys(_sort_key(paper), _sort_key(ours), _sort_key(cell.difference))


def _sort_key(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"


def marked_pieces(output: ExampleOutput) -> list[TextPiece]:
    """The output's text in pieces: those that no fact has, and what stands between them."""
    text = output.text or ""
    if not output.false:
        return [TextPiece(text, False)]
    longest_first = sorted(output.false, key=len, reverse=True)
    pattern = "|".join(re.escape(words) for words in longest_first)
    pieces = re.split(f"({pattern})", text, flags=re.IGNORECASE)
    return [TextPiece(piece, number % 2 == 1) for number, piece in enumerate(pieces)]
