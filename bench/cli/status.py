"""`bench status`: what is queued, running, done, failed, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_json
from bench.cli.options import json_option, runs_option
from bench.cli.tables import print_table
from bench.cluster.select import from_flags, options

if TYPE_CHECKING:
    from bench.cluster.status import Status


@click.command(
    "status",
    epilog="""\b
Examples:
  bench status
  bench status --launch latest --state failed,vanished
  bench status --task webnlg --json""",
)
@options
@click.option("--list", "listed", is_flag=True, help="Every run, also where there are many.")
@runs_option
@json_option
def command(names: tuple[str, ...], listed: bool, runs: Path, as_json: bool, **given: Any) -> None:
    """Scheduler and records together; identical failures are grouped. Jobs that died get their record."""
    from bench.cluster import status

    selector = from_flags(runs, names, given)
    found = status.collect(runs)
    found.rows = selector.pick(found.rows)
    if as_json:
        print_json(found.to_json())
        return
    show(found, listed or not selector.empty)


def show(found: Status, listed: bool, most: int = 40) -> None:
    """Counts, failures in groups, then runs (open ones only, where there are many)."""
    if not found.rows:
        click.echo("no runs")
        return
    click.echo(", ".join(f"{count} {state}" for state, count in found.counts.items()))
    if not found.reached:
        click.echo("the scheduler does not answer: what is queued or running is not known")
    if found.accounting_broken:
        click.echo(
            f"the accounting does not answer: how jobs ended may be known later ({found.accounting_broken})"
        )
    for group in found.failures():
        click.echo(f"{group['count']} x {group['kind']}: {group['message']}")
        shown = ", ".join(group["runs"][:3])
        click.echo(f"    {shown}{' ...' if group['count'] > 3 else ''}")
        again = f"bench retry --kind {group['kind']}"
        if group["kind"] == "not-submitted":  # no log: the message is all that there is
            click.echo(f"    the same bench submit again | {again}")
        else:
            click.echo(f"    bench logs {group['runs'][0]} | {again}")
    for row in found.rows:
        if row.kind == "held":
            click.echo(f"{row.run_id}: {row.message}")
    rows = (
        found.rows
        if listed or len(found.rows) <= most
        else [r for r in found.rows if r.state == "running"][:most]
    )
    print_table(
        ["run", "state", "job", "where", "attempts"],
        [
            [
                r.run_id,
                r.state + (f" ({r.kind})" if r.kind else ""),
                r.job or "-",
                r.node or r.reason or "-",
                r.attempts,
            ]
            for r in rows
        ],
    )
