r"""The report in LaTeX: a document that compiles by itself, or single tables for ``\input``.

Needs booktabs, amssymb, longtable, graphicx and geometry, which every TeX has. Every text goes through
``t``: specials are spelled out, and a character that pdfLaTeX's usual fonts lack is written as its number,
so that no output of a model can stop the typesetting or reach TeX as a command.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reports.document import gaps
from reports.document.paper_tables import short
from reports.document.schema import (
    Block,
    CellView,
    ClaimView,
    Examples,
    MiniView,
    Report,
    Row,
    RunView,
    Table,
)
from reports.judgement.verdicts import ABOVE, BELOW, NOT_COMPARABLE, NOT_RUN, REPRODUCED, WITHIN_NOISE
from reports.render.symbols import heading

SPECIAL = {
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
    "\u200b": "",
}
SYMBOLS = {
    REPRODUCED: r"$\checkmark$",
    WITHIN_NOISE: r"$\approx$",
    ABOVE: r"$\blacktriangle$",
    BELOW: r"$\blacktriangledown$",
    NOT_RUN: r"$\circ$",
    NOT_COMPARABLE: r"$\oslash$",
    "supported": r"$\checkmark$",
    "contradicted": r"$\times$",
    "undecided": "?",
}
ACCENTED = set(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœŠšŽžČčĆćĐđŁłŃńŘřŚśŞşŮůŰűŐőŻżŹźĄąĘęĞğ"
)
"""Letters that T1 fonts and inputenc know."""
WIDEST = 9
"""Columns that fit on a page; wider blocks are cut by their groups."""
MOST_RUNS = 100
PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage[a4paper,landscape,margin=1.5cm]{geometry}
\usepackage{amsmath,amssymb,booktabs,longtable,array,graphicx}
\setlength{\tabcolsep}{4pt}
\sloppy
\begin{document}
\title{Prefix-Tuning, reproduced: the paper's numbers and ours}
\author{}
\date{}
\maketitle
"""


def t(text: str) -> str:
    """Text for LaTeX, one line."""
    flat = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()
    return "".join(SPECIAL[c] if c in SPECIAL else letter(c) for c in flat)


def letter(c: str) -> str:
    if ord(c) < 128 or c in ACCENTED:
        return c
    plain = "".join(p for p in unicodedata.normalize("NFKD", c) if ord(p) < 128)
    if plain and all(p.isalnum() for p in plain):
        return plain
    return rf"{{\ttfamily[U+{ord(c):04X}]}}"


def page(report: Report, drawings: Mapping[str, str] | None = None) -> str:
    """A document. ``drawings``: figure -> relative path of a PDF."""
    parts = [PREAMBLE]
    if not report.paper_only:
        signs = ", ".join(f"{SYMBOLS[v]} {v} ({n})" for v, n in report.overview.verdicts.items())
        parts.append(f"Each cell: the paper's number, below it ours. {signs}.\n")
    for one in report.tables:
        parts.append(f"\\section*{{{heading(one.id)}: {t(one.title)}}}\n{t(one.caption)} ({t(one.source)})\n")
        for name in (one.id, f"{one.id}-mini"):
            if drawings and name in drawings:
                parts.append(picture(drawings[name], name != one.id))
        parts += tables(one, report.paper_only)
    if report.claims:
        parts.append(claims(report.claims, report.paper_only))
    parts += [examples(one) for one in report.examples]
    if not report.paper_only:
        parts.append(runs(report.runs))
    return "\n".join([*parts, "\\end{document}\n"])


def picture(path: str, mini: bool) -> str:
    said = "At scale mini: not comparable with the paper.\n\n" if mini else ""
    size = "width=.9\\linewidth,height=.8\\textheight,keepaspectratio"
    return f"\n{said}\\noindent\\includegraphics[{size}]{{{path}}}\n"


def tables(one: Table, paper_only: bool) -> list[str]:
    """The table's parts as ``tabular``s."""
    made = [tabular(part, paper_only) for block in one.blocks for part in cut(block)]
    for each in gaps.of_table(one):
        made.append(
            f"\\noindent{{\\footnotesize {t(each.cells)}: {SYMBOLS[each.verdict]} {t(each.why)}}}\\par"
        )
    if one.mini:
        made.append("\\subsection*{The same at scale mini: not comparable with the paper}\n")
        made += [tabular(part, False) for block in one.mini for part in cut(block)]
    return made


def cut(block: Block) -> list[Block]:
    """The block, or its column groups one by one where it is too wide for a page."""
    if len(block.columns) <= WIDEST:
        return [block]
    spans = block.groups or tuple(
        ("", min(WIDEST, len(block.columns) - at)) for at in range(0, len(block.columns), WIDEST)
    )
    made, at = [], 0
    for label, width in spans:
        sections = tuple(
            replace(
                section,
                rows=tuple(Row(row.label, row.cells[at : at + width]) for row in section.rows),
            )
            for section in block.sections
        )
        groups = ((label, width),) if label else ()
        made.append(Block(block.columns[at : at + width], groups, sections))
        at += width
    return made


def tabular(block: Block, paper_only: bool) -> str:
    width = len(block.columns) + 1
    lines = [
        "",
        "\\begin{center}\\small",
        f"\\begin{{tabular}}{{@{{}}l{'r' * (width - 1)}@{{}}}}",
        "\\toprule",
    ]
    if block.groups:
        spans = [f"\\multicolumn{{{n}}}{{c}}{{{t(label)}}}" for label, n in block.groups]
        lines.append(" & ".join(["", *spans]) + r" \\")
        at = 2
        for _, n in block.groups:
            lines.append(f"\\cmidrule(lr){{{at}-{at + n - 1}}}")
            at += n
    lines += [" & ".join(["", *(t(column) for column in short(block))]) + r" \\", "\\midrule"]
    for number, section in enumerate(block.sections):
        if number:
            lines.append("\\midrule")
        if section.label:
            lines.append(f"\\multicolumn{{{width}}}{{@{{}}l}}{{\\textit{{{t(section.label)}}}}} \\\\")
        for row in section.rows:
            lines.append(" & ".join([t(row.label), *(first(one) for one in row.cells)]) + r" \\")
            second = [] if paper_only else [ours(one) for one in row.cells]
            if any(second):
                lines.append(" & ".join(["", *second]) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{center}", ""])


def first(one: CellView | MiniView | None) -> str:
    return "" if one is None else t(one.ours.text if isinstance(one, MiniView) else one.paper_text)


def ours(one: CellView | MiniView | None) -> str:
    if one is None:
        return ""
    if isinstance(one, MiniView):
        return f"{{\\footnotesize $n={one.ours.n}$}}"
    if one.verdict is None:
        return ""
    number = t(one.ours.text) + " " if one.ours else ""
    return f"{{\\footnotesize {number}{SYMBOLS[one.verdict]}}}"


def long_table(columns: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["", f"\\begin{{longtable}}{{@{{}}{columns}@{{}}}}", "\\toprule"]
    lines += [" & ".join(head) + r" \\", "\\midrule", "\\endhead"]
    lines += [" & ".join(row) + r" \\" for row in rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{longtable}", ""])


def claims(found: Sequence[ClaimView], paper_only: bool) -> str:
    rows = []
    for one in found:
        sides = [one.on_paper] if paper_only else [one.records, one.on_paper]
        told = [f"{SYMBOLS.get(side.outcome, '')} {t(side.explanation)}" for side in sides]
        rows.append([f"{t(one.sentence)} ({t(one.source)})", *told])
    head = ["the sentence", *([] if paper_only else ["on our records"]), "on the paper's own numbers"]
    return "\\section*{Claims}\n" + long_table("p{8cm}" * len(head), head, rows)


def examples(found: Examples) -> str:
    rows = []
    for one in found.examples:
        for output in one.outputs:
            text = output.text if output.text is not None else f"({output.gap})"
            marks = [f"missing: {'; '.join(output.missing)}"] if output.missing else []
            marks += [f"false: {'; '.join(output.false)}"] if output.false else []
            rows.append([t(one.label), t(output.label), t(text), t(". ".join(marks)), t(output.paper)])
    head = ["item", "system", "output", "marks", "the paper's output"]
    return f"\\section*{{Examples: {t(found.title)}}}\n" + long_table(
        "p{2.5cm}p{2.5cm}p{9cm}p{5cm}p{4cm}", head, rows
    )


def runs(found: Sequence[RunView]) -> str:
    order = sorted(found, key=lambda run: run.status == "done")
    rows = [
        [t(run.run_id), t(run.method), str(run.seed), t(run.status), t(run.failure), t(run.score)]
        for run in order[:MOST_RUNS]
    ]
    said = f"{len(found)} runs" + (f", {MOST_RUNS} of them listed." if len(found) > MOST_RUNS else ".")
    head = ["run", "method", "seed", "status", "failure", "score"]
    return f"\\section*{{Runs}}\n{said}\n" + long_table("p{8cm}p{4cm}rp{2cm}p{5cm}p{3cm}", head, rows)
