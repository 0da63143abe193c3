"""The report as one page that needs no network: styles, script and drawings are inside it.

Every text goes through ``h``. As a second wall the page allows no script but its own, by its hash, and
loads nothing (Content-Security-Policy).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from reports.document.paper_tables import short
from reports.document.schema import Block, CellView, MiniView, Overview, Report, RunView, Table
from reports.judgement.verdicts import NOT_COMPARABLE
from reports.render.html_parts import claims, deviations, examples, run_list, sheet
from reports.render.html_text import chips, h, heads, kind, mark, scrolling
from reports.render.symbols import MEANINGS, heading

ASSETS = Path(__file__).parent / "assets"
ROWS = {"table1": "Data set"}
"""What the rows of a table are where they are not systems."""
TITLE = "Prefix-Tuning, reproduced: the paper's numbers and ours"


@cache
def asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def page(
    report: Report,
    drawings: Mapping[str, str] | None = None,
    downloads: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The whole page.

    ``drawings``: figure (``figure3``, ``figure3-mini``) -> ``reports.render.plots.inline``; ``downloads``: figure
    -> relative paths of its files, linked below it.
    """
    runs = {run.run_id: run for run in report.runs}
    sections = [overview(report)]
    sections += [entry(report, table, runs, drawings or {}, downloads or {}) for table in report.tables]
    if report.claims:
        sections.append(claims(report.claims, report.paper_only))
    if report.examples:
        sections.append(examples(report.examples, runs))
    if report.deviations:
        sections.append(deviations(report.deviations))
    if not report.paper_only:
        sections.append(run_list(report.runs))
    script = asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    body = "\n".join(sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{h(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{h(TITLE)}</title>\n<link rel="icon" href="data:,">\n<style>\n{asset("report.css")}</style>\n'
        f'</head>\n<body>\n<a class="skip" href="#overview">To the report</a>\n<header class="top">'
        f"<h1>{h(TITLE)}</h1>"
        '<p class="soft">Li &amp; Liang, <cite>Prefix-Tuning: Optimizing Continuous Prompts for Generation</cite>, '
        f"ACL 2021. Each cell: the paper's number, below it ours.</p></header>\n{navigation(report)}\n"
        f"<main>\n{body}\n</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def navigation(report: Report) -> str:
    links = [("overview", "Overview"), *((table.id, heading(table.id)) for table in report.tables)]
    links += [("claims", "Claims")] if report.claims else []
    links += [("examples", "Examples")] if report.examples else []
    links += [("deviations", "Deviations")] if report.deviations else []
    links += [] if report.paper_only else [("runs", "Runs")]
    items = "".join(f'<li><a href="#{h(name)}">{h(label)}</a></li>' for name, label in links)
    return f'<nav aria-label="Parts of the report"><ul>{items}</ul></nav>'


# --- overview


def overview(report: Report) -> str:
    found = report.overview
    if report.paper_only:
        inner = "<p>The paper's numbers alone: nothing of ours was asked for.</p>"
    else:
        inner = f'<div class="cards">{runs_card(found)}{verdict_card(found)}{claims_card(report)}</div>'
        inner += progress(found)
        inner += (
            '<div class="tools"><label for="way">Columns of the tables sort by</label> <select id="way">'
            '<option value="p">the paper\'s numbers</option><option value="o">ours</option>'
            '<option value="d">ours less the paper\'s</option></select></div>'
        )
    return f'<section id="overview" tabindex="-1"><h2>Overview</h2>{inner}</section>'


def runs_card(found: Overview) -> str:
    if not found.runs:
        said = "<p>No run is done yet.</p>"
    else:
        counts = ", ".join(f"{number:,} {h(status)}" for status, number in found.runs.items())
        said = f"<p>{sum(found.runs.values()):,} runs ({counts}) from {found.records:,} records.</p>"
    if found.damaged:
        items = "".join(f"<li>{h(one)}</li>" for one in found.damaged)
        title = f"Records that cannot be read: {len(found.damaged)}"
        said += f"<details><summary>{title}</summary><ul>{items}</ul></details>"
    return f"<div><h3>Runs</h3>{said}</div>"


def verdict_card(found: Overview) -> str:
    items = [
        (verdict, f"{number} {verdict}", MEANINGS[verdict]) for verdict, number in found.verdicts.items()
    ]
    return f"<div><h3>Verdicts on {sum(found.verdicts.values()):,} results</h3>{chips(items)}</div>"


def claims_card(report: Report) -> str:
    if not report.claims:
        return ""
    found = report.overview
    ours = chips([(outcome, f"{n} {outcome}", "") for outcome, n in found.claims.items()])
    theirs = chips([(outcome, f"{n} {outcome}", "") for outcome, n in found.claims_on_paper.items() if n])
    return (
        f"<div><h3>Claims on our records</h3>{ours}"
        f'<p class="soft">The same checks on the paper\'s own numbers:</p>{theirs}</div>'
    )


def progress(found: Overview) -> str:
    if not found.progress:
        return ""
    rows = []
    for one in found.progress:
        done, failed = 100 * one.done / one.planned, 100 * one.failed / one.planned
        rest = f"{one.failed} failed" if one.failed else ""
        rest += f"{', ' if rest else ''}{one.unavailable} not available here" if one.unavailable else ""
        rows.append(
            f'<tr><th scope="row"><a href="#{h(one.experiment)}">{h(heading(one.experiment))}</a></th>'
            f"<td>{h(one.scale)}</td>"
            f'<td data-key="{one.done}">{one.done} of {one.planned}</td>'
            f'<td data-key="{done:.4f}"><span class="bar" role="img" aria-label="{done:.0f} percent done">'
            f'<i style="width:{done:.1f}%"></i><i class="bad" style="width:{failed:.1f}%"></i></span></td>'
            f"<td>{h(rest)}</td></tr>"
        )
    head = heads(("experiment", "scale", "done", "progress", ""))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<h3>Progress by experiment</h3>{scrolling('Progress', table)}"


# --- tables and figures


def entry(
    report: Report,
    table: Table,
    runs: Mapping[str, RunView],
    drawings: Mapping[str, str],
    downloads: Mapping[str, Sequence[str]],
) -> str:
    """A table, or a figure with its drawing and its numbers."""
    parts = [f"<h2>{h(full_title(table))}</h2>"]
    parts.append(f'<p class="soft">{h(table.caption)} [{h(table.source)}]</p>')
    if table.verdicts and any(table.verdicts.values()):
        parts.append(chips([(v, f"{n} {v}", MEANINGS[v]) for v, n in table.verdicts.items() if n]))
    for name in (table.id, f"{table.id}-mini"):
        if name in drawings:
            title = f"{heading(table.id)}{', scale mini: not comparable with the paper' if name != table.id else ''}"
            parts.append(drawing(title, drawings[name], downloads.get(name, ())))
    inner = "".join(grid(block, table.id, runs) for block in table.blocks)
    if table.id in drawings:
        inner = f"<details><summary>The numbers of this figure</summary>{inner}</details>"
    parts.append(inner)
    if not table.blocks and table.id == "table10":
        parts.append('<p>See <a href="#examples">the examples</a>.</p>')
    if table.mini:
        parts.append(
            '<h3>The same at scale mini</h3><p class="soft">⊘ Not comparable (mini): small models and '
            "invented data; these numbers never stand in a cell of the paper.</p>"
        )
        parts += [grid(block, table.id, runs) for block in table.mini]
    notes = [h(note) for note in table.notes]
    notes += [
        f"{h(str(fact.get('sentence', '')))} [{h(str(fact.get('source', '')))}]" for fact in table.facts
    ]
    if notes:
        items = "".join(f"<li>{note}</li>" for note in notes)
        parts.append(
            f'<details class="notes"><summary>Notes ({len(notes)})</summary><ul>{items}</ul></details>'
        )
    return f'<section id="{h(table.id)}">{"".join(parts)}</section>'


def full_title(table: Table) -> str:
    name = heading(table.id)
    return name if name == table.title else f"{name}: {table.title}"


def drawing(title: str, svg: str, files: Sequence[str]) -> str:
    """``svg`` comes from ``reports.render.plots`` and holds no text that is not escaped."""
    links = ", ".join(f'<a href="{h(path)}">{h(path.rpartition(".")[2].upper())}</a>' for path in files)
    more = f" Files: {links}." if links else ""
    svg = re.sub(r"<svg ", f'<svg role="img" aria-label="{h(title)}" ', svg, count=1)
    return f'<figure><div class="scroll">{svg}</div><figcaption>{h(title)}.{more}</figcaption></figure>'


def grid(block: Block, name: str, runs: Mapping[str, RunView]) -> str:
    """A block of rows and columns."""
    groups = ""
    if block.groups:
        spans = "".join(
            f'<th scope="colgroup" class="group" colspan="{n}">{h(label)}</th>' for label, n in block.groups
        )
        groups = f"<tr><td></td>{spans}</tr>"
    head = f"<tr>{heads((ROWS.get(name, 'System'), *short(block)))}</tr>"
    bodies = []
    for section in block.sections:
        rows = []
        if section.label:
            rows.append(
                f'<tr class="section"><th colspan="{len(block.columns) + 1}" scope="rowgroup"><span>'
                f"{h(section.label)}</span></th></tr>"
            )
        for row in section.rows:
            cells = "".join(cell(one, runs) for one in row.cells)
            rows.append(f'<tr><th scope="row">{h(row.label)}</th>{cells}</tr>')
        bodies.append(f"<tbody>{''.join(rows)}</tbody>")
    table = f'<table class="paper"><thead>{groups}{head}</thead>{"".join(bodies)}</table>'
    return scrolling(f"{heading(name)}, scrolls sideways", table)


def cell(one: CellView | MiniView | None, runs: Mapping[str, RunView]) -> str:
    """One cell: what the paper prints, ours, the verdict; opens to its lineage."""
    if one is None:
        return '<td data-p="" data-o="" data-d=""></td>'
    ours = one.ours.mean if one.ours else None
    verdict: str | None
    keys: tuple[float | None, ...]
    if isinstance(one, MiniView):
        verdict, why, keys = NOT_COMPARABLE, one.ours.note, (ours, ours, None)
        shown = f'<span class="p">{h(one.ours.text)}</span><span class="o">n = {one.ours.n}</span>'
        shown += '<span class="vh">not comparable (mini)</span>'
    else:
        verdict, why = one.verdict, one.reason
        keys = (one.low if one.value is None else one.value, ours, one.difference)
        shown = f'<span class="p">{h(one.paper_text)}</span>'
        if verdict is not None:
            text = one.ours.text if one.ours else ""
            shown += f'<span class="o">{h(text)} {mark(verdict)}</span><span class="vh">{h(one.label)}</span>'
    p, o, d = ("" if key is None else f"{key:.6g}" for key in keys)
    return (
        f'<td class="cell v-{kind(verdict)}" data-p="{p}" data-o="{o}" data-d="{d}"><details name="cell" '
        f'id="{h(one.id)}"><summary title="{h(why)}">{shown}</summary>{sheet(one, runs)}</details></td>'
    )
