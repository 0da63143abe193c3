"""`bench cancel`: stop runs that were submitted; they keep a checkpoint and can go on later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli import print_json, print_lines
from bench.cli.options import add_run_selector, json_option, runs_option
from bench.cli.parameters import add_option
from bench.cluster.rows import RunState
from bench.cluster.select import make_selector, require_selection
from bench.errors import FailureKind

WITHOUT_JOB: dict[str, str] = {
    RunState.SUBMITTING.value: "is being submitted",
    FailureKind.NOT_SUBMITTED.value: "taken back: it was never handed to the scheduler",
}
"""Why a run has no number of a job."""


@click.command(
    "cancel",
    epilog="""\b
Examples:
  bench cancel --launch latest
  bench cancel --task webnlg --state queued
  bench cancel --all""",
)
@add_run_selector
@add_option("--all", "everything", is_flag=True, help="Everything that is queued, running or was refused.")
@runs_option
@json_option
def command(names: tuple[str, ...], everything: bool, runs: Path, as_json: bool, **flags: Any) -> int:
    """Cancel queued and running jobs, and take back what a scheduler refused.

    Submitting again goes on from their checkpoints.
    """
    from bench.cluster import control, status
    from bench.cluster.rows import OPEN
    from bench.store.damaged import warn_of_damage

    selector = make_selector(runs, names, flags, everything)
    require_selection(selector, "cancel")
    report = status.collect_status(runs)
    warn_of_damage(report.damaged)
    picked = selector.pick_rows(report.rows)
    rows = [row for row in picked if row.state in OPEN or row.kind == FailureKind.NOT_SUBMITTED]
    left = control.cancel_runs(runs, rows)
    if as_json:
        print_json(
            {"cancelled": [row.run_id for row in rows if row not in left], "left": [r.run_id for r in left]}
        )
    else:
        for row in rows:
            job = row.job or WITHOUT_JOB.get(row.kind or row.state.value, "started by hand")
            print_lines(f"{'left      ' if row in left else 'cancelled '} {row.run_id}  {job}")
        if not rows:
            print_lines("nothing that fits is queued or running")
    return 1 if left else 0
