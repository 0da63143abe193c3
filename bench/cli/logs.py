"""`bench logs`: what a run's latest job said."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli import print_document, print_json
from bench.cli.options import json_option, runs_option
from bench.cli.parameters import WholeNumber, add_argument, add_option
from bench.cli.streams import is_output_lost
from bench.errors import FailureKind, UserError
from bench.foreign_text import escape_log
from bench.system.numbers import MANY

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
@add_argument("run")
@add_option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@add_option("--lines", type=WholeNumber(1, MANY), default=None, help="Only the last so many lines.")
@add_option(
    "--process", type=WholeNumber(0, 100_000), default=0, show_default=True, help="Which process of the job."
)
@runs_option
@json_option
def command(run: str, follow: bool, lines: int | None, process: int, runs: Path, as_json: bool) -> None:
    """Print the log of a run's latest job; the record's tail where the log is gone."""
    from bench.cluster import control, status
    from bench.cluster.backends import DEFAULT_BACKEND, get_backend
    from bench.cluster.select import RunSelector
    from bench.store.damaged import warn_of_damage

    report = status.collect_status(runs)
    warn_of_damage(report.damaged)
    rows = RunSelector((run,)).pick_rows(report.rows)
    if len(rows) > 1:
        raise UserError(
            f"{run!r} fits {len(rows)} runs: {', '.join(r.run_id for r in rows)}; type more of it"
        )
    [row] = rows
    if row.kind == FailureKind.NOT_SUBMITTED:
        raise UserError(
            f"{row.run_id} has no log, it was never handed to the scheduler ({row.message}); "
            f"the same bench submit again, or bench retry {row.run_id}, submits it"
        )
    path = control.find_log(runs, row, process)
    if as_json:
        text = path.read_text(errors="replace") if path is not None else control.read_recorded_tail(runs, row)
        print_json({"run_id": row.run_id, "state": row.state, "log": str(path or ""), "text": text})
        return
    if path is None and not follow:
        if not (text := control.read_recorded_tail(runs, row)):
            raise UserError(f"{row.run_id} has no log yet: it is {row.state}")
        print_document(escape_log(text) + "\n")
        return
    backend = get_backend(row.cluster or DEFAULT_BACKEND)
    with backend.limit_queries(ASK_EVERY):
        for piece in control.read_log(runs, row, process, follow, lines):
            print_document(escape_log(piece))
            if is_output_lost():
                break
