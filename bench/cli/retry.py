"""`bench retry`: submit again what failed, as it was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.options import json_option, runs_option
from bench.cli.submit import carry_out, show_plan, split_site, with_site
from bench.cluster.select import from_flags, need, options


@click.command(
    "retry",
    epilog="""\b
Examples:
  bench retry --kind node-failure,vanished
  bench retry --kind out-of-memory            with micro-batches of half the size, the same batch per update
  bench retry --launch latest --all --time 8:00:00""",
)
@options
@click.option("--all", "everything", is_flag=True, help="Everything that failed, vanished or was cancelled.")
@click.option("--cluster", default=None, help="Another cluster than before.")
@click.option("--same-batch", is_flag=True, help="Out-of-memory: without smaller micro-batches.")
@with_site
@click.option("--dry-run", is_flag=True, help="Say what would happen.")
@runs_option
@json_option
def command(
    names: tuple[str, ...],
    everything: bool,
    cluster: str | None,
    same_batch: bool,
    dry_run: bool,
    runs: Path,
    as_json: bool,
    **given: Any,
) -> int:
    """Submit again the runs that fit and that failed, vanished or were cancelled."""
    from bench.cluster import control, site, status, submit

    selector = from_flags(runs, names, given, everything)
    need(selector, "retry")
    rows = [row for row in selector.pick(status.collect(runs).rows) if row.state in control.ENDED_BADLY]
    requests, before = control.requests_again(runs, rows)
    where = control.site_again(before, site.load(given.pop("site_file"), split_site(given)))
    plan = submit.plan(requests, where, retry_failed=True, smaller=not same_batch)
    if dry_run:
        show_plan(plan, as_json)
        return 0
    return carry_out(plan, cluster or (before.cluster if before else "slurm"), runs, as_json)
