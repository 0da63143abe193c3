"""`bench plan`: what `bench submit` would do; the same flags, and nothing is written."""

from __future__ import annotations

from typing import Any

import click

from bench.cli import json_option
from bench.cli.run import with_settings
from bench.cli.submit import planned, show_plan, with_requests, with_site


@click.command(
    "plan",
    epilog="""\b
Examples:
  bench plan table2                                          how many runs, which are done, what they cost
  bench plan --method prefix,ft-full --task webnlg --seed 1,2,3 --json""",
)
@with_requests
@with_site
@json_option
@with_settings
def command(as_json: bool, **values: Any) -> int:
    """Say what would run, what is done, and the estimated cost from past records."""
    names = ("experiment", "methods", "tasks", "model", "scale", "protocol", "seeds", "data_dir", "runs", "offline",
             "any_row_count", "retry_failed", "same_batch")  # fmt: skip
    own = {name: values.pop(name) for name in names}
    plan = planned(own, values)
    show_plan(plan, as_json)
    return 2 if plan.wrong and not plan.steps else 0
