"""`bench status`: what is queued, running, done, failed, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_json, print_lines
from bench.cli.options import add_run_selector, json_option, runs_option
from bench.cli.parameters import add_option
from bench.cli.tables import print_table
from bench.cluster.rows import HELD, RunState
from bench.cluster.select import make_selector
from bench.errors import FailureKind
from bench.store.damaged import describe_damage
from bench.system.progress import format_duration

if TYPE_CHECKING:
    from bench.cluster.status import StatusReport


@click.command(
    "status",
    epilog="""\b
Examples:
  bench status
  bench status --launch latest --state failed,vanished
  bench status --task webnlg --json""",
)
@add_run_selector
@add_option("--list", "listed", is_flag=True, help="Every run, also where there are many.")
@runs_option
@json_option
def command(names: tuple[str, ...], listed: bool, runs: Path, as_json: bool, **flags: Any) -> None:
    """Scheduler and records together; identical failures are grouped. Jobs that died get their record."""
    from bench.cluster import status

    selector = make_selector(runs, names, flags)
    report = status.collect_status(runs)
    report.rows = selector.pick_rows(report.rows)
    if as_json:
        print_json(report.to_json())
        return
    show_status(report, listed or not selector.empty)


def show_status(report: StatusReport, listed: bool, limit: int = 40) -> None:
    """Counts, what cannot be used, failures in groups, then runs (open ones only, where there are many)."""
    print_lines(", ".join(f"{count} {state}" for state, count in report.counts.items()) or "no runs")
    print_lines(*describe_damage(report.damaged))
    if not report.rows:
        return
    if not report.reached:
        print_lines("the scheduler does not answer: what is queued or running is not known")
    if report.accounting_broken:
        print_lines(
            f"the accounting does not answer: how jobs ended may be known later ({report.accounting_broken})"
        )
    for group in report.group_failures():
        print_lines(f"{len(group.runs)} x {group.kind}: {group.message}")
        names = ", ".join(group.runs[:3])
        print_lines(f"    {names}{' ...' if len(group.runs) > 3 else ''}")
        again = f"bench retry --kind {group.kind}"
        if group.kind == FailureKind.NOT_SUBMITTED:  # no log: the message is all that there is
            print_lines(
                f"    the same bench submit again | {again} | bench cancel {group.runs[0]} takes it back"
            )
        elif advice := next((row.advice for row in report.rows if row.run_id == group.runs[0]), None):
            print_lines(f"    another learning rate: {advice}")
        else:
            print_lines(f"    bench logs {group.runs[0]} | {again}")
    if continued := [row.run_id for row in report.rows if row.continued]:
        names = ", ".join(continued[:3]) + (" ..." if len(continued) > 3 else "")
        print_lines(f"{len(continued)} continued under other conditions (execution in the record): {names}")
    for row in report.rows:
        if row.kind == HELD or (row.state is RunState.QUEUED and row.message):
            print_lines(f"{row.run_id}: {row.message}")
    rows = (
        report.rows
        if listed or len(report.rows) <= limit
        else [r for r in report.rows if r.state is RunState.RUNNING][:limit]
    )
    print_table(
        ["run", "state", "job", "where", "attempts", "elapsed", "progress", "score"],
        [
            [
                r.run_id,
                r.state + (f" ({r.kind})" if r.kind else ""),
                r.job or "-",
                r.node or r.reason or "-",
                r.attempts,
                "-" if r.elapsed_seconds is None else format_duration(r.elapsed_seconds),
                "-" if r.progress is None else r.progress.to_text(),
                "-" if r.score is None else r.score.to_text(),
            ]
            for r in rows
        ],
    )
