"""`bench logs`: what a run's latest job said."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import print_json
from bench.cli.options import json_option, runs_option
from bench.errors import UserError

ASK_EVERY = 10.0
"""Seconds: the log is looked at more often than the scheduler is asked whether the job goes on."""


@click.command(
    "logs",
    epilog="""\b
Examples:
  bench logs webnlg-prefix-gpt2-medium-s101-1a2b3c4d5e6f
  bench logs 1a2b3c4d5e6f -f            follow it while the job runs
  bench logs 1a2b3c4d5e6f --process 3   another process of a job of several""",
)
@click.argument("run")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option("--lines", type=click.IntRange(min=1), default=None, help="Only the last so many lines.")
@click.option("--process", type=int, default=0, show_default=True, help="Which process of the job.")
@runs_option
@json_option
def command(run: str, follow: bool, lines: int | None, process: int, runs: Path, as_json: bool) -> None:
    """Print the log of a run's latest job; the record's tail where the log is gone."""
    from bench.cluster import control, status
    from bench.cluster.backends import slurm as scheduler
    from bench.cluster.select import Selector

    found = Selector((run,)).pick(status.collect(runs).rows)
    if len(found) > 1:
        raise UserError(
            f"{run!r} fits {len(found)} runs: {', '.join(r.run_id for r in found)}; type more of it"
        )
    if found[0].kind == "not-submitted":
        raise UserError(
            f"{found[0].run_id} has no log, it was never handed to the scheduler ({found[0].message}); "
            f"the same bench submit again, or bench retry {found[0].run_id}, submits it"
        )
    path = control.log_path(runs, found[0], process)
    if as_json:
        text = path.read_text(errors="replace") if path is not None else control.recorded_tail(runs, found[0])
        print_json({"run_id": found[0].run_id, "state": found[0].state, "log": str(path or ""), "text": text})
        return
    if path is None and not follow:
        if not (text := control.recorded_tail(runs, found[0])):
            raise UserError(f"{found[0].run_id} has no log yet: it is {found[0].state}")
        click.echo(text)
        return
    with scheduler.at_most_every(ASK_EVERY):
        for piece in control.read_log(runs, found[0], process, follow, lines):
            click.echo(piece, nl=False)
