"""Parts of the page: what a cell opens to, claims, examples, the ledger, the list of runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reports.document.schema import (
    CellView,
    ClaimView,
    Deviation,
    Example,
    Examples,
    Finding,
    Lineage,
    MiniView,
    Output,
    RunView,
)
from reports.render.html_text import anchor, foreign, h, heads, kind, mark, scrolling
from reports.render.symbols import heading

MOST = 8
"""Runs whose commands a cell shows; the rest are in the list of runs."""


def sheet(one: CellView | MiniView, runs: Mapping[str, RunView]) -> str:
    """What a cell opens to: both numbers, the verdict with its reason, and the lineage."""
    lines: list[tuple[str, str]] = []
    if isinstance(one, CellView):
        place = [heading(one.table), *([one.section] if one.section else []), one.row, one.column]
        title = " · ".join(place)
        source = f' <span class="soft">{h(one.note)}</span>' if one.note else ""
        read = " (read off the figure's axis)" if one.kind == "read off" else ""
        lines.append(("paper", f"{h(one.paper_text)}{read}{source}"))
        lines += [
            ("elsewhere", f"{h(str(e['printed']))} in {h(str(e['source']))}. {h(str(e['note']))}")
            for e in one.elsewhere
        ]
        if one.ours:
            lines.append(("ours", ours(one)))
        if one.verdict is not None:
            lines.append(("verdict", f"{mark(one.verdict)} {h(one.label)}. {h(one.reason)}"))
        elif one.reason:
            lines.append(("ours", h(one.reason)))
    else:
        title = "Scale mini"
        lines.append(("ours", ours(one)))
        lines.append(("verdict", f"{mark('not comparable')} not comparable (mini)"))
    lines += lineage(one.lineage, runs)
    inner = "".join(f"<dt>{h(name)}</dt><dd>{value}</dd>" for name, value in lines)
    return (
        f'<div class="sheet"><div><button type="button" class="close">Close</button><strong>{h(title)}</strong>'
        f"<dl>{inner}</dl></div></div>"
    )


def ours(one: CellView | MiniView) -> str:
    assert one.ours is not None
    runs = f"; {one.ours.runs} runs" if one.ours.runs > one.ours.n else ""
    return f"{h(one.ours.text)} <span class='soft'>{h(one.ours.note)}{runs}</span>"


def lineage(found: Lineage, runs: Mapping[str, RunView]) -> list[tuple[str, str]]:
    lines = []
    for value in found.runs[:MOST]:
        run = runs.get(value.run_id)
        name = h(value.run_id)
        link = f'<a href="#{anchor("run", value.run_id)}">{name}</a>' if run else name
        seed = f"seed {value.seed}" + (f", subset {value.data_seed}" if value.data_seed is not None else "")
        said = f"{link} ({seed}): {value.value:.4g}"
        if run:
            where = f"{h(run.machine)}; code {h(run.code)}"
            said += f'<br><code>{h(run.command)}</code><br><span class="soft">{where}</span>'
        lines.append(("run", said))
    if len(found.runs) > MOST:
        lines.append(("", f'and {len(found.runs) - MOST} more: <a href="#runs">list of runs</a>'))
    lines += [("signature", f"<code>{h(one)}</code>") for one in found.signatures]
    lines += [("gate", h(one)) for one in found.gates]
    lines += [("note", h(one)) for one in found.notes]
    if found.choices:
        lines.append(("our choices", h("; ".join(found.choices))))
    if found.deviations:
        links = ", ".join(f'<a href="#deviation-{number}">{number}</a>' for number in found.deviations)
        lines.append(("deviations", links))
    return lines


# --- claims


def claims(found: Sequence[ClaimView], paper_only: bool) -> str:
    rows = []
    for one in found:
        note = f'<p class="soft">{h(one.note)}</p>' if one.note else ""
        told = "" if paper_only else finding(one.records) + finding(one.mini)
        rows.append(
            f'<tr id="{anchor("claim", one.id)}"><th scope="row" style="white-space:normal;min-width:16rem">'
            f'{h(one.sentence)} <span class="soft">[{h(one.source)}]</span>{note}</th>'
            f"{told}{finding(one.on_paper)}</tr>"
        )
    ours = () if paper_only else ("on our records", "at scale mini")
    head = heads(("the sentence", *ours, "on the paper's own numbers"))
    table = f'<table class="wrap"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return (
        f'<section id="claims"><h2>Claims</h2><p class="soft">Sentences of the paper as checks. Mini runs speak '
        "of orderings at scale mini only; the last column checks the check.</p>"
        f"{scrolling('Claims', table)}</section>"
    )


def finding(found: Finding) -> str:
    numbers = "".join(
        f"<li>{h(str(one['label']))}: {one['value']:.4g}"
        + (f" [{one['low']:.4g}, {one['high']:.4g}]" if one["low"] is not None else "")
        + f' <span class="soft">{h(str(one["method"]))}</span></li>'
        for one in found.numbers
    )
    more = f"<ul>{numbers}</ul>" if numbers else ""
    return (
        f'<td class="v-{kind(found.outcome)}" data-key="{h(found.outcome)}"><details><summary>'
        f"{mark(found.outcome)} {h(found.label)}</summary><p>{h(found.explanation)}</p>{more}</details></td>"
    )


# --- examples


def examples(found: Sequence[Examples], runs: Mapping[str, RunView]) -> str:
    parts = ["<h2>Examples</h2>"]
    for group in found:
        parts.append(f'<h3>{h(group.title)} <span class="soft">[{h(group.source)}]</span></h3>')
        parts += [example(one, runs) for one in group.examples]
        notes = "".join(f"<li>{h(note)}</li>" for note in group.notes)
        parts.append(f'<details class="notes"><summary>Notes</summary><ul>{notes}</ul></details>')
    return f'<section id="examples">{"".join(parts)}</section>'


def example(one: Example, runs: Mapping[str, RunView]) -> str:
    facts = "".join(f"<li>{foreign(' | '.join(fact))}</li>" for fact in one.facts)
    known = f"<ul>{facts}</ul>" if facts else '<p class="soft">No run here has left this item.</p>'
    outputs = "".join(output(each, runs) for each in one.outputs)
    return (
        f'<div class="example"><h4>{h(one.label)} <span class="soft">{h(one.item)}, {h(one.group)}</span></h4>'
        f'{known}<div class="outputs">{outputs}</div></div>'
    )


def output(one: Output, runs: Mapping[str, RunView]) -> str:
    label = h(one.label)
    if one.run_id and one.run_id in runs:
        label = f'<a href="#{anchor("run", one.run_id)}">{label}</a>'
    parts = [f"<strong>{label}</strong>"]
    if one.text is None:
        parts.append(f'<p class="soft">{mark("not run")} {h(one.gap)}</p>')
    else:
        parts.append(f"<blockquote>{marked(one.text, one.false) or '<i>(empty)</i>'}</blockquote>")
        if one.missing:
            items = "; ".join(foreign(fact) for fact in one.missing)
            parts.append(f'<p class="missing">− missing: {items}</p>')
        if one.false:
            items = "; ".join(foreign(words) for words in one.false)
            parts.append(f'<p class="missing">✗ false or not in the data: {items}</p>')
    if one.paper:
        parts.append(f'<p class="soft">The paper\'s output: {h(one.paper)}.</p>')
    return f'<div class="output">{"".join(parts)}</div>'


def marked(text: str, words: Sequence[str]) -> str:
    """The text with ``words`` marked, escaped piece by piece."""
    if not words:
        return foreign(text)
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    pieces = re.split(f"({pattern})", text, flags=re.IGNORECASE)
    inner = "".join(
        f'<mark class="false">{h(piece)}</mark>' if number % 2 else h(piece)
        for number, piece in enumerate(pieces)
    )
    return f"<bdi>{inner}</bdi>"


# --- the ledger and the runs


def deviations(found: Sequence[Deviation]) -> str:
    rows = "".join(
        f'<tr id="deviation-{one.number}"><td class="narrow">{one.number}</td><th scope="row" '
        f'style="white-space:normal">{h(one.what)}</th><td>{h(one.original)}</td><td>{h(one.here)}</td>'
        f"<td>{h(one.why)}</td><td>{h(one.applies)}</td></tr>"
        for one in found
    )
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("", "what", "the original", "here", "why", "touches")
    )
    table = f'<table class="wrap"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return (
        '<section id="deviations"><h2>Deviations</h2><p class="soft">Where this differs from the original, '
        f"knowingly.</p>{scrolling('Deviations', table)}</section>"
    )


def run_list(runs: Sequence[RunView]) -> str:
    names = (
        "run",
        "task",
        "method",
        "model",
        "scale",
        "seed",
        "subset",
        "status",
        "score",
        "minutes",
        "ended",
    )
    rows = "".join(run_row(run) for run in runs)
    table = f'<table id="run-list"><thead><tr>{heads(names)}</tr></thead><tbody>{rows}</tbody></table>'
    failed = sum(run.status != "done" for run in runs)
    said = f"{len(runs):,} runs, {failed:,} of them not done." if runs else "There are no runs yet."
    return (
        f'<section id="runs"><h2>Runs</h2><p>{said}</p><div class="tools"><label for="filter">Show runs with</label>'
        '<input id="filter" type="search" autocomplete="off"><label for="status">that are</label>'
        '<select id="status"><option value="">in any state</option><option>done</option><option>failed</option>'
        '<option>cancelled</option></select><span id="shown" role="status"></span></div>'
        f"{scrolling('Runs', table)}</section>"
    )


def run_row(run: RunView) -> str:
    minutes = "" if run.seconds is None else f"{run.seconds / 60:.1f}"
    subset = "" if run.data_seed is None else str(run.data_seed)
    reasons = f"<br>not comparable: {h('; '.join(run.not_comparable))}" if run.not_comparable else ""
    said = f" ({foreign(run.failure)})" if run.failure else ""
    attempts = f", {run.attempts} attempts" if run.attempts > 1 else ""
    return (
        f'<tr id="{anchor("run", run.run_id)}" data-status="{h(run.status)}"><td><details><summary>{h(run.run_id)}'
        f"</summary><code>{h(run.command)}</code><br>{h(run.machine)}; code {h(run.code)}{attempts}{reasons}"
        f"</details></td><td>{h(run.task)}</td><td>{h(run.method)}</td><td>{h(run.model)}</td><td>{h(run.scale)}"
        f'</td><td data-key="{run.seed}">{run.seed}</td><td data-key="{subset}">{subset}</td>'
        f"<td>{h(run.status)}{said}</td><td>{h(run.score)}</td>"
        f'<td data-key="{minutes}">{minutes}</td><td>{h(run.ended[:16])}</td></tr>'
    )
