"""The report in Markdown as code hosts render it (tables and headings; no HTML is used).

Texts are cut where they are very long, and escaped where a character could act, by a backslash, which also
reads well on a terminal; what some dialect acts on all the same (tags, formulas, names and addresses that
become links) by a character reference. Commands stand in fenced blocks whose fence is longer than any run of
backticks in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from bench.foreign_text import REPORT_LENGTH, show_foreign
from reports.document import gaps, headline
from reports.document.schema import (
    CellView,
    ClaimView,
    DisputeView,
    ExampleGroup,
    ExampleOutput,
    ExperimentProgress,
    Finding,
    LatestRun,
    Report,
    ReportTable,
    RunView,
    TableBlock,
    UnpairedView,
)
from reports.judgement.verdicts import Verdict
from reports.paper.deviations import Deviation
from reports.render.symbols import (
    DETECTABLE_MEANING,
    MEANINGS,
    NOT_TELLING,
    NOT_TELLING_MEANING,
    find_symbol,
    format_heading,
)

_BACKSLASHED = re.compile(r"[\\`*_\[\]{>|~]|^#|#(?=#*$)|^[-+](?=[-+\s]|$)")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")
_REFERENCED = re.compile(r"[<&$@]|(?<=\w):(?=//)|(?<=[wW])\.(?=\w)")
_NAMED = {"<": "&lt;", "&": "&amp;"}
MAX_LISTED_RUNS = 200
"""Runs that are listed; the JSON has all. Failures come first."""


def escape_text(text: str) -> str:
    """Text for a paragraph, a heading or a table's cell: one line, nothing in it is markup."""
    one_line = show_foreign(" ".join(text.split()), REPORT_LENGTH)
    escaped = _NUMBERED.sub(r"\1\\\2", _BACKSLASHED.sub(r"\\\g<0>", one_line))
    return _REFERENCED.sub(lambda match: _NAMED.get(match[0], f"&#{ord(match[0])};"), escaped)


def fence_code(lines: Iterable[str]) -> str:
    """A block of code that its content cannot end."""
    text = "\n".join(show_foreign(" ".join(line.split()), REPORT_LENGTH) for line in lines)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def format_grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are escaped already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def render_markdown(report: Report, drawings: Mapping[str, str] | None = None) -> str:
    """The whole report. ``drawings``: figure -> relative path of an image."""
    parts = ["# Prefix-Tuning, reproduced: the paper's numbers and ours"]
    parts += [] if report.paper_only else [format_overview(report)]
    parts += [format_table(table, report, drawings or {}) for table in report.tables]
    if report.claims:
        parts.append(format_claims(report.claims, report.paper_only))
    parts += [format_examples(group) for group in report.examples]
    if report.disputes:
        parts.append(format_disputes(report.disputes))
    if report.deviations and "claims" in report.names:
        parts.append(format_deviations(report.deviations))
    if not report.paper_only:
        parts.append(format_runs(report.runs))
    return "\n\n".join(parts) + "\n"


def format_overview(report: Report) -> str:
    """The latest scores, the rows that came out, runs, claims, and how far the experiments are."""
    overview = report.overview
    parts = [format_latest(overview.latest), format_rows(report)]
    counts = ", ".join(f"{number} {status}" for status, number in overview.runs.items()) or "none yet"
    parts.append(f"## Overview\n\nRuns: {escape_text(counts)}.")
    if overview.damaged:
        parts.append(f"{len(overview.damaged)} records cannot be read.")
    verdicts = [
        (find_symbol(verdict), str(verdict), str(number), MEANINGS[verdict])
        for verdict, number in overview.verdicts.items()
    ]
    parts.append("All cells, which are not independent of one another:")
    verdicts.append((NOT_TELLING, "not telling", "", NOT_TELLING_MEANING))
    parts.append(format_grid(("", "verdict", "cells", "meaning"), verdicts))
    parts.append(f"Δ in a cell is {DETECTABLE_MEANING}. The rules are in `docs/verdicts.md`.")
    if report.claims:
        outcomes = [
            (outcome, str(number), str(overview.claims_on_paper[outcome]))
            for outcome, number in overview.claims.items()
        ]
        parts.append(format_grid(("claims", "on our records", "on the paper's own numbers"), outcomes))
    if overview.progress:
        parts.append(format_progress(overview.progress))
    return "\n\n".join(parts)


def format_latest(latest: Sequence[LatestRun]) -> str:
    """The runs that ended last, with their scores."""
    if not latest:
        return "## Latest scores\n\nNo run is done yet."
    rows = [
        (
            escape_text(run.task),
            escape_text(run.system),
            escape_text(run.scale),
            str(run.seed),
            escape_text(", ".join(f"{name} {value:.4g}" for name, value in run.scores.items())),
            escape_text(run.ended[:16]),
        )
        for run in latest
    ]
    return "## Latest scores\n\n" + format_grid(("task", "system", "scale", "seed", "scores", "ended"), rows)


def format_rows(report: Report) -> str:
    """The headline, and every row that there is evidence on."""
    parts = [f"## Rows of the paper\n\n{escape_text(headline.spell_headline(report.overview.headline))}"]
    rows = [
        (
            escape_text(headline.spell_row(row)),
            escape_text(f"{row.task} {row.metric}"),
            f"{escape_text(row.paper_text)} / {escape_text(row.ours_text)}",
            f"{find_symbol(row.verdict)} {row.verdict}",
            escape_text(headline.spell_others(row)),
            escape_text(headline.spell_accepted(row.also_accepts, row.section) or "yes"),
        )
        for row in report.rows
        if row.telling is not None
    ]
    if rows:
        head = ("row", "main metric", "paper / ours", "verdict", "other metrics", "told apart from others")
        parts.append(format_grid(head, rows))
    return "\n\n".join(parts)


def format_progress(progress: Iterable[ExperimentProgress]) -> str:
    """A line for each experiment and scale."""
    rows = [
        (
            format_heading(entry.experiment),
            entry.scale,
            f"{entry.done} of {entry.planned}",
            str(entry.failed) if entry.failed else "",
            str(entry.unavailable) if entry.unavailable else "",
        )
        for entry in progress
    ]
    return format_grid(("experiment", "scale", "done", "failed", "not available here"), rows)


def format_table(table: ReportTable, report: Report, drawings: Mapping[str, str]) -> str:
    """A table, or a figure with its drawings and its numbers."""
    parts = [
        f"## {format_heading(table.id)}: {escape_text(table.title)}",
        f"{escape_text(table.caption)} ({escape_text(table.source)})",
    ]
    for name, scale in ((table.id, ""), (f"{table.id}-mini", " at scale mini")):
        if name in drawings:
            parts.append(f"![{format_heading(table.id)}{scale}]({drawings[name]})")
    if not report.paper_only and any(table.verdicts.values()):
        if table.rows:
            parts.append(f"Rows: {format_counts(headline.count_row_verdicts(table.rows))}.")
        parts.append(
            f"Cells{', which are not independent' * bool(table.rows)}: {format_counts(table.verdicts)}."
        )
    parts += [format_block(block, report.paper_only) for block in table.blocks]
    if reasons := gaps.collect_gaps(table):
        # Asterisks, because the notes that may follow are another list.
        lines = [
            f"* {escape_text(gap.cells)}: {find_symbol(gap.verdict)} {escape_text(gap.why)}"
            for gap in reasons
        ]
        parts.append("Why there is no number of ours to compare:\n\n" + "\n".join(lines))
    if left_out := gaps.collect_left_out(table):
        parts.append("Left out:\n\n" + "\n".join(f"* {escape_text(sentence)}" for sentence in left_out))
    if table.mini:
        parts.append("### Scale mini: systems of its own, not comparable with the paper")
        parts += [format_block(block, True) for block in table.mini]
    if disputed := [dispute.topic for dispute in report.disputes if table.id in dispute.tables]:
        parts.append(f"Disputed (see Disputes): {escape_text('; '.join(disputed))}.")
    if table.notes:
        parts.append("\n".join(f"- {escape_text(note)}" for note in table.notes))
    return "\n\n".join(parts)


def format_counts(counts: Mapping[Verdict, int]) -> str:
    """``✓ 2 reproduced, ○ 12 not run``."""
    return ", ".join(f"{find_symbol(verdict)} {n} {verdict}" for verdict, n in counts.items() if n)


def format_block(block: TableBlock, only_paper: bool) -> str:
    """Rows and columns; ``only_paper``: without ours beside the paper's number."""
    head = ["", *(escape_text(column) for column in block.columns)]
    rows = []
    for section in block.sections:
        if section.label:
            rows.append([f"**{escape_text(section.label)}**", *[""] * len(block.columns)])
        rows += [
            [escape_text(row.label), *(format_cell(cell, only_paper) for cell in row.cells)]
            for row in section.rows
        ]
    return format_grid(head, rows)


def format_cell(cell: CellView | UnpairedView | None, only_paper: bool) -> str:
    """``70.3 / 69.8 ± 0.4 ✓ (Δ 1.2)``: the paper's, ours, the verdict, the detectable difference."""
    if cell is None:
        return ""
    if isinstance(cell, UnpairedView):
        if cell.ours is None:
            return f"{find_symbol(Verdict.NOT_RUN)} {escape_text(cell.label)}"
        return f"{escape_text(cell.ours.text)} (n = {cell.ours.n})"
    if only_paper or cell.verdict is None:
        return escape_text(cell.paper_text)
    ours = escape_text(cell.ours.text) + " " if cell.ours else ""
    telling = f" {NOT_TELLING}" if cell.also_accepts else ""
    detectable = f" (Δ {escape_text(cell.detectable_text)})" if cell.detectable_text else ""
    return f"{escape_text(cell.paper_text)} / {ours}{find_symbol(cell.verdict)}{detectable}{telling}"


def format_claims(claims: Sequence[ClaimView], paper_only: bool) -> str:
    """A line for each claim, with what it comes to."""
    rows = []
    for claim in claims:
        findings = [] if paper_only else [format_finding(claim.records), escape_text(claim.mini.label)]
        sentence = f"{escape_text(claim.sentence)} ({escape_text(claim.source)})"
        rows.append([sentence, *findings, format_finding(claim.on_paper)])
    ours = () if paper_only else ("on our records", "at scale mini")
    return "## Claims\n\n" + format_grid(("sentence", *ours, "on the paper's own numbers"), rows)


def format_finding(finding: Finding) -> str:
    """The outcome's sign and why."""
    return f"{find_symbol(finding.outcome)} {escape_text(finding.explanation)}"


def format_examples(group: ExampleGroup) -> str:
    """Items with their facts and the systems' outputs."""
    parts = [f"## Examples: {escape_text(group.title)}"]
    for example in group.examples:
        label, item = escape_text(example.label), escape_text(example.item)
        parts.append(f"### {label} ({item}, {escape_text(example.group)}, {example.fact_count} facts)")
        if example.facts:
            parts.append("\n".join(f"- {escape_text(' | '.join(fact))}" for fact in example.facts))
        head = ("system", "output", "missing", "false", "the paper's output")
        parts.append(format_grid(head, map(format_output, example.outputs)))
    parts += [escape_text(note) for note in group.notes]
    return "\n\n".join(parts)


def format_output(output: ExampleOutput) -> Sequence[str]:
    """The cells of an output's line."""
    text = (
        f"{find_symbol(Verdict.NOT_RUN)} {escape_text(output.gap)}"
        if output.text is None
        else escape_text(output.text)
    )
    missing, false = "; ".join(output.missing), "; ".join(output.false)
    return (
        escape_text(output.label),
        text or "(empty)",
        escape_text(missing),
        escape_text(false),
        escape_text(output.paper),
    )


def format_disputes(disputes: Iterable[DisputeView]) -> str:
    """The matters on which accounts of the paper disagree."""
    rows = [
        (
            escape_text(dispute.topic),
            escape_text(f"{dispute.paper} ({dispute.source})"),
            escape_text("; ".join(f"{a.printed or a.says} ({a.source})" for a in dispute.accounts)),
            escape_text(dispute.standing),
            escape_text(", ".join([*map(format_heading, dispute.tables), *dispute.claims])),
        )
        for dispute in disputes
    ]
    head = ("topic", "the paper", "other accounts", "what stands", "concerns")
    return "## Disputes\n\n" + format_grid(head, rows)


def format_deviations(deviations: Iterable[Deviation]) -> str:
    """The ledger of deviations."""
    rows = [
        (
            str(deviation.number),
            escape_text(deviation.what),
            escape_text(deviation.original),
            escape_text(deviation.here),
            escape_text(deviation.why),
        )
        for deviation in deviations
    ]
    return "## Deviations\n\n" + format_grid(("", "what", "the original", "here", "why"), rows)


def format_runs(runs: Sequence[RunView]) -> str:
    """The list of runs, failures first, and their commands."""
    listed = sorted(runs, key=lambda run: run.status == "done")[:MAX_LISTED_RUNS]
    rows = [
        (
            escape_text(run.run_id),
            escape_text(run.method),
            escape_text(run.scale),
            str(run.seed),
            escape_text(f"{run.status} ({run.failure})" if run.failure else run.status),
            escape_text(run.score),
        )
        for run in listed
    ]
    left_out = len(runs) > len(listed)
    count = f"{len(runs)} runs" + (
        f", of which {MAX_LISTED_RUNS} are listed (the JSON has all)." if left_out else "."
    )
    head = ("run", "method", "scale", "seed", "status", "score")
    parts = [f"## Runs\n\n{count}", format_grid(head, rows)]
    if listed:
        parts.append("Commands:\n\n" + fence_code(run.command for run in listed))
    return "\n\n".join(parts)
