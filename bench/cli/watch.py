"""`bench watch`: `bench status` again and again, until nothing is queued or running."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from bench.cli import print_json, print_lines
from bench.cli.options import add_run_selector, json_option, runs_option
from bench.cli.parameters import RealNumber, add_option
from bench.cli.streams import is_output_lost
from bench.cluster.select import make_selector

YEAR = 366 * 86400.0
"""Seconds."""


@click.command(
    "watch",
    epilog="""\b
Examples:
  bench watch
  bench watch --launch latest --every 30 && bench report""",
)
@add_run_selector
@add_option(
    "--every", type=RealNumber(0.2, YEAR), default=5.0, show_default=True, help="Seconds between looks."
)
@add_option(
    "--for",
    "seconds",
    type=RealNumber(0, YEAR),
    default=None,
    help="Stop looking after so many seconds (exit code 1).",
)
@runs_option
@json_option
def command(
    names: tuple[str, ...], every: float, seconds: float | None, runs: Path, as_json: bool, **flags: Any
) -> int:
    """Refresh until all that was submitted has ended; exit code 1 if anything failed."""
    from bench.cli.status import show_status
    from bench.cluster import status
    from bench.cluster.rows import RunState
    from bench.store.damaged import describe_damage, warn_of_damage
    from bench.system.progress import is_terminal

    selector = make_selector(runs, names, flags)
    until = None if seconds is None else time.monotonic() + seconds
    last = ""
    damage: list[str] = []
    while True:
        report = status.collect_status(runs)
        report.rows = selector.pick_rows(report.rows)
        late = until is not None and time.monotonic() > until
        line = ", ".join(f"{count} {state}" for state, count in report.counts.items())
        if not as_json and is_terminal():
            click.clear()
            show_status(report, listed=False)
        elif line != last:  # a log file gets a line when something has changed
            print_lines(line, err=as_json)
        if damage != describe_damage(report.damaged):
            damage = describe_damage(report.damaged)
            if as_json or not is_terminal():
                warn_of_damage(report.damaged)
        last = line
        gone = not as_json and is_output_lost()
        if (not report.open and report.reached) or late or gone:
            break
        time.sleep(every)
    if as_json:
        print_json(report.to_json())
    bad = any(row.state not in (RunState.DONE, RunState.CANCELLED) for row in report.rows)
    return int(bad)
