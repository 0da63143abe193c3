r"""The report in LaTeX: a document that compiles by itself, or single tables for ``\input``.

What it looks like is in ``reports/templates/latex``; it needs booktabs, amssymb, longtable, graphicx and
geometry, which every TeX has. Every text a template puts out goes through ``escape_latex``: specials are
spelled out, and a character that pdfLaTeX's usual fonts lack is written as its number, so that no output of a
model can stop the typesetting or reach TeX as a command.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from jinja2 import Environment

from bench.foreign_text import REPORT_LENGTH, show_foreign
from reports.document import gaps, headline
from reports.document.paper_tables import shorten_columns
from reports.document.schema import ExampleOutput, Report, TableBlock, TableRow, TableSection, UnpairedView
from reports.render.symbols import DETECTABLE_MEANING, NOT_TELLING_MEANING, format_heading
from reports.render.templates import make_latex_environment

SPECIAL: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # at the start of a row it would be an argument of the line break before
    "]": "{]}",
    "*": "{*}",
    "-": "{-}",  # no dashes out of two or three
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "−": r"$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "·": r"$\cdot$",
    "√": r"$\surd$",
    "…": r"\dots{}",
    "‘": "{`}",
    "’": "{'}",
    "“": "{``}",
    "”": "{''}",
    "§": r"\S{}",
    "£": r"\pounds{}",
    "€": r"\texteuro{}",
    "°": r"\textdegree{}",
    "\u00a0": "~",
}
ACCENTED = set(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœŠšŽžČčĆćĐđŁłŃńŘřŚśŞşŮůŰűŐőŻżŹźĄąĘęĞğ"
)
"""Letters that T1 fonts and inputenc know."""
MAX_COLUMNS = 9
"""Columns that fit on a page; wider blocks are cut by their groups."""
MAX_LISTED_RUNS = 100


class DrawingPath(NamedTuple):
    """A drawing's file, relative to the document."""

    path: str
    mini: bool


class ColumnGroup(NamedTuple):
    """A head over several columns; ``first`` and ``last`` count from the column of labels, which is 1."""

    label: str
    width: int
    first: int
    last: int


class TablePart(NamedTuple):
    """What of a block fits on a page."""

    columns: tuple[str, ...]
    groups: tuple[ColumnGroup, ...]
    sections: tuple[TableSection, ...]


def render_latex(report: Report, drawings: Mapping[str, str] | None = None) -> str:
    """A document. ``drawings``: figure (``figure3``, ``figure3-mini``) -> relative path of a PDF."""
    paths = drawings or {}
    prepared = {
        table.id: [
            DrawingPath(paths[name], name != table.id)
            for name in (table.id, f"{table.id}-mini")
            if name in paths
        ]
        for table in report.tables
    }
    failures_first = sorted(report.runs, key=lambda run: run.status == "done")
    return (
        latex_environment()
        .get_template("latex/report.tex")
        .render(report=report, drawings=prepared, listed_runs=failures_first[:MAX_LISTED_RUNS])
    )


@cache
def latex_environment() -> Environment:
    """The document's templates with their filters, compiled once."""
    environment = make_latex_environment(escape_latex)
    environment.keep_trailing_newline = True
    environment.globals["not_telling_meaning"] = NOT_TELLING_MEANING
    environment.globals["detectable_meaning"] = DETECTABLE_MEANING
    environment.globals["max_listed_runs"] = MAX_LISTED_RUNS
    environment.filters |= {
        "accepted": headline.spell_accepted,
        "fact_marks": fact_marks,
        "headline": headline.spell_headline,
        "row_name": headline.spell_row,
        "row_others": headline.spell_others,
        "gaps": gaps.collect_gaps,
        "left_out": gaps.collect_left_out,
        "has_ours": has_ours,
        "heading": format_heading,
        "table_parts": table_parts,
    }
    environment.tests["contains"] = lambda names, name: name in names
    environment.tests["unpaired"] = lambda cell: isinstance(cell, UnpairedView)
    return environment


def escape_latex(text: str) -> str:
    """Text for LaTeX, one line, cut where it is very long."""
    one_line = show_foreign(" ".join(text.split()), REPORT_LENGTH)
    return "".join(SPECIAL[c] if c in SPECIAL else _spell_letter(c) for c in one_line)


def _spell_letter(c: str) -> str:
    """A letter that T1 fonts have, or the nearest that they have, or its number."""
    if ord(c) < 128 or c in ACCENTED:
        return c
    plain = "".join(p for p in unicodedata.normalize("NFKD", c) if ord(p) < 128)
    if plain and all(p.isalnum() for p in plain):
        return plain
    return rf"{{\ttfamily[U+{ord(c):04X}]}}"


# --- filters of the templates


def table_parts(blocks: Sequence[TableBlock]) -> list[TablePart]:
    """The blocks; one that is too wide for a page by its column groups, one by one."""
    return [part for block in blocks for part in _split_block(block)]


def _split_block(block: TableBlock) -> list[TablePart]:
    columns = shorten_columns(block)
    if len(columns) <= MAX_COLUMNS:
        return [TablePart(columns, _number_columns(block.groups), block.sections)]
    spans = block.groups or tuple(
        ("", min(MAX_COLUMNS, len(columns) - start)) for start in range(0, len(columns), MAX_COLUMNS)
    )
    parts, start = [], 0
    for label, width in spans:
        end = start + width
        sections = tuple(
            TableSection(
                section.label, tuple(TableRow(row.label, row.cells[start:end]) for row in section.rows)
            )
            for section in block.sections
        )
        groups = _number_columns([(label, width)] if label else [])
        parts.append(TablePart(columns[start:end], groups, sections))
        start = end
    return parts


def _number_columns(groups: Sequence[tuple[str, int]]) -> tuple[ColumnGroup, ...]:
    numbered, first = [], 2
    for label, width in groups:
        numbered.append(ColumnGroup(label, width, first, first + width - 1))
        first += width
    return tuple(numbered)


def has_ours(row: TableRow) -> bool:
    """Whether a row has anything to say below the paper's numbers."""
    return any(
        cell is not None and (isinstance(cell, UnpairedView) or cell.verdict is not None)
        for cell in row.cells
    )


def fact_marks(output: ExampleOutput) -> str:
    """What the output leaves out and what it adds: ``missing: ...; false: ...``."""
    marks = [f"missing: {'; '.join(output.missing)}"] if output.missing else []
    marks += [f"false: {'; '.join(output.false)}"] if output.false else []
    return ". ".join(marks)
