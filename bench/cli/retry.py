"""`bench retry`: submit again what failed, as it was asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_json, print_lines
from bench.cli.options import add_run_selector, json_option, runs_option
from bench.cli.parameters import add_option
from bench.cli.submit import carry_out, show_plan, split_site, with_site
from bench.cluster.select import make_selector, require_selection
from bench.system.launch_variables import check_launch_variables

if TYPE_CHECKING:
    from bench.cluster.rows import RunRow


@click.command(
    "retry",
    epilog="""\b
Examples:
  bench retry --kind node-failure,vanished
  bench retry --kind out-of-memory            with micro-batches of half the size, the same batch per update
  bench retry --launch latest --all --time 8:00:00""",
)
@add_run_selector
@add_option("--all", "everything", is_flag=True, help="Everything that failed, vanished or was cancelled.")
@add_option("--cluster", default=None, help="Another cluster than before.")
@add_option("--same-batch", is_flag=True, help="Out-of-memory: without smaller micro-batches.")
@with_site
@add_option("--dry-run", is_flag=True, help="Say what would happen.")
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
    **flags: Any,
) -> int:
    """Submit again the runs that fit and that failed, vanished, were cancelled or left no readable record."""
    from bench.cluster import control, site, status, submit
    from bench.cluster.backends import DEFAULT_BACKEND, get_backend
    from bench.cluster.rows import ENDED_BADLY
    from bench.store.damaged import warn_of_damage

    check_launch_variables(several=False)
    selector = make_selector(runs, names, flags, everything)
    require_selection(selector, "retry")
    report = status.collect_status(runs)
    warn_of_damage(report.damaged)
    picked = selector.pick_rows(report.rows)
    rows = [row for row in picked if row.state in ENDED_BADLY and row.advice is None]
    left = [row for row in picked if row not in rows]
    chosen_site = site.load_site(flags.pop("site_file"), split_site(flags))
    again = control.find_earlier_submissions(runs, rows)
    by_cluster: dict[str, list[control.EarlierSubmission]] = {}
    for submission in again.values():
        by_cluster.setdefault(cluster or submission.cluster, []).append(submission)
    if not as_json:
        show_rest(left, [row.run_id for row in rows if row.run_id not in again], bool(names))
    done = []
    for chosen, several in (by_cluster or {cluster or DEFAULT_BACKEND: []}).items():
        get_backend(chosen)
        plan = submit.plan_submission(
            [submission.request for submission in several],
            chosen_site,
            retry_failed=True,
            smaller=not same_batch,
            before=[submission.resources for submission in several],
        )
        done.append((0, show_plan(plan, as_json)) if dry_run else carry_out(plan, chosen, runs, as_json))
    if as_json:
        documents = [document for _, document in done]
        print_json(documents[0] if len(documents) == 1 else {"launches": documents})
    return max(code for code, _ in done)


def show_rest(rows: list[RunRow], by_hand: list[str], named: bool) -> None:
    """Why some of the runs that fit are not submitted again; one by one where they were named."""
    advised = [row for row in rows if row.advice is not None]
    states = Counter(row.state for row in rows if row.advice is None)
    lines = [f"{row.run_id}: {row.state}" for row in rows if row.advice is None]
    for line in lines if named else [f"{number} {state}" for state, number in states.items()]:
        print_lines(f"  left     {line}")
    for row in advised:
        print_lines(
            f"  left     {row.run_id}: {row.kind}, and would again; another learning rate: {row.advice}"
        )
    for run_id in by_hand:
        print_lines(f"  left     {run_id}: it was never submitted; bench run makes it again")
