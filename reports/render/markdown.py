"""The report in Markdown as code hosts render it (tables and headings; no HTML is used).

Texts are escaped where a character could act, by a backslash, which also reads well on a terminal; what some
dialect acts on all the same (tags, formulas, names and addresses that become links) by a character
reference. Commands stand in fenced blocks whose fence is longer than any run of backticks in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from reports.document import gaps
from reports.document.schema import (
    Block,
    CellView,
    ClaimView,
    Examples,
    MiniView,
    Output,
    Report,
    RunView,
    Table,
)
from reports.render.symbols import MEANINGS, heading, symbol

_BACKSLASHED = re.compile(r"[\\`*_\[\]{>|~]|^#|#(?=#*$)|^[-+](?=[-+\s]|$)")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
_REFERENCED = re.compile(r"[<&$@]|(?<=\w):(?=//)|(?<=[wW])\.(?=\w)")
_NAMED = {"<": "&lt;", "&": "&amp;"}
_HALVES = re.compile(r"[\ud800-\udfff]")
"""Half characters, as in the name of a file in another encoding: no file of text can hold them."""
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
MOST_RUNS = 200
"""Runs that are listed; the JSON has all. Failures come first."""


def m(text: str) -> str:
    """Text for a paragraph, a heading or a table's cell: one line, nothing in it is markup."""
    flat = _SPACE.sub(" ", _HALVES.sub("�", text)).strip()
    escaped = _NUMBERED.sub(r"\1\\\2", _BACKSLASHED.sub(r"\\\g<0>", flat))
    return _REFERENCED.sub(lambda found: _NAMED.get(found[0], f"&#{ord(found[0])};"), escaped)


def fenced(lines: Iterable[str]) -> str:
    """A block of code that its content cannot end."""
    text = "\n".join(_SPACE.sub(" ", _HALVES.sub("�", line)) for line in lines)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are escaped already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(report: Report, drawings: Mapping[str, str] | None = None) -> str:
    """The whole report. ``drawings``: figure -> relative path of an image."""
    names = set(report.names)
    parts = ["# Prefix-Tuning, reproduced: the paper's numbers and ours"]
    parts += [] if report.paper_only else [overview(report)]
    parts += [table(one, report, drawings or {}) for one in report.tables]
    if report.claims:
        parts.append(claims(report.claims, report.paper_only))
    parts += [examples(one) for one in report.examples]
    if report.deviations and "claims" in names:
        head = ("", "what", "the original", "here", "why")
        rows = [(str(d.number), m(d.what), m(d.original), m(d.here), m(d.why)) for d in report.deviations]
        parts.append("## Deviations\n\n" + grid(head, rows))
    if not report.paper_only:
        parts.append(runs(report.runs))
    return "\n\n".join(parts) + "\n"


def overview(report: Report) -> str:
    found = report.overview
    counted = ", ".join(f"{n} {status}" for status, n in found.runs.items()) or "none yet"
    parts = [f"## Overview\n\nRuns: {m(counted)}."]
    if found.damaged:
        parts.append(f"{len(found.damaged)} records cannot be read.")
    rows = [(symbol(v), v, str(n), MEANINGS[v]) for v, n in found.verdicts.items()]
    parts.append(grid(("", "verdict", "results", "meaning"), rows))
    if report.claims:
        counts = [(o, str(n), str(found.claims_on_paper[o])) for o, n in found.claims.items()]
        parts.append(grid(("claims", "on our records", "on the paper's own numbers"), counts))
    if found.progress:
        lines = [
            (
                heading(p.experiment),
                p.scale,
                f"{p.done} of {p.planned}",
                str(p.failed) if p.failed else "",
                str(p.unavailable) if p.unavailable else "",
            )
            for p in found.progress
        ]
        parts.append(grid(("experiment", "scale", "done", "failed", "not available here"), lines))
    return "\n\n".join(parts)


def table(one: Table, report: Report, drawings: Mapping[str, str]) -> str:
    parts = [f"## {heading(one.id)}: {m(one.title)}", f"{m(one.caption)} ({m(one.source)})"]
    for name in (one.id, f"{one.id}-mini"):
        if name in drawings:
            parts.append(
                f"![{heading(one.id)}{' at scale mini' if name != one.id else ''}]({drawings[name]})"
            )
    if not report.paper_only and any(one.verdicts.values()):
        parts.append(", ".join(f"{symbol(v)} {n} {v}" for v, n in one.verdicts.items() if n) + ".")
    parts += [block(b, report.paper_only) for b in one.blocks]
    if found := gaps.of_table(one):
        # Asterisks, because the notes that may follow are another list.
        said = (f"* {m(each.cells)}: {symbol(each.verdict)} {m(each.why)}" for each in found)
        parts.append("Why there is no number of ours to compare:\n\n" + "\n".join(said))
    if one.mini:
        parts.append("### The same at scale mini: not comparable with the paper")
        parts += [block(b, True) for b in one.mini]
    parts += ["\n".join(f"- {m(note)}" for note in one.notes)] if one.notes else []
    return "\n\n".join(parts)


def block(one: Block, alone: bool) -> str:
    head = ["", *(m(column) for column in one.columns)]
    rows = []
    for section in one.sections:
        if section.label:
            rows.append([f"**{m(section.label)}**", *[""] * len(one.columns)])
        rows += [[m(row.label), *(cell(c, alone) for c in row.cells)] for row in section.rows]
    return grid(head, rows)


def cell(one: CellView | MiniView | None, alone: bool) -> str:
    """``70.3 / 69.8 ± 0.4 ✓``: the paper's, ours, the verdict."""
    if one is None:
        return ""
    if isinstance(one, MiniView):
        return f"{m(one.ours.text)} (n = {one.ours.n})"
    if alone or one.verdict is None:
        return m(one.paper_text)
    return f"{m(one.paper_text)} / {m(one.ours.text) + ' ' if one.ours else ''}{symbol(one.verdict)}"


def claims(found: Sequence[ClaimView], paper_only: bool) -> str:
    rows = []
    for one in found:
        ours = [] if paper_only else [f"{symbol(one.records.outcome)} {m(one.records.explanation)}"]
        ours += [] if paper_only else [m(one.mini.label)]
        theirs = f"{symbol(one.on_paper.outcome)} {m(one.on_paper.explanation)}"
        rows.append([f"{m(one.sentence)} ({m(one.source)})", *ours, theirs])
    ours_head = () if paper_only else ("on our records", "at scale mini")
    return "## Claims\n\n" + grid(("sentence", *ours_head, "on the paper's own numbers"), rows)


def examples(found: Examples) -> str:
    parts = [f"## Examples: {m(found.title)}"]
    for one in found.examples:
        parts.append(f"### {m(one.label)} ({m(one.item)}, {m(one.group)})")
        if one.facts:
            parts.append("\n".join(f"- {m(' | '.join(fact))}" for fact in one.facts))
        parts.append(
            grid(("system", "output", "missing", "false", "the paper's output"), map(output, one.outputs))
        )
    parts += [m(note) for note in found.notes]
    return "\n\n".join(parts)


def output(one: Output) -> Sequence[str]:
    text = m(one.text) if one.text is not None else f"{symbol('not run')} {m(one.gap)}"
    return m(one.label), text or "(empty)", m("; ".join(one.missing)), m("; ".join(one.false)), m(one.paper)


def runs(found: Sequence[RunView]) -> str:
    order = sorted(found, key=lambda run: run.status == "done")
    rows = [
        (
            m(run.run_id),
            m(run.method),
            m(run.scale),
            str(run.seed),
            m(f"{run.status} ({run.failure})" if run.failure else run.status),
            m(run.score),
        )
        for run in order[:MOST_RUNS]
    ]
    said = f"## Runs\n\n{len(found)} runs"
    said += f", of which {MOST_RUNS} are listed (the JSON has all)." if len(found) > MOST_RUNS else "."
    parts = [said, grid(("run", "method", "scale", "seed", "status", "score"), rows)]
    if order:
        parts.append("Commands:\n\n" + fenced(run.command for run in order[:MOST_RUNS]))
    return "\n\n".join(parts)
