"""`bench submit` and what `bench retry` shares with it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_error, print_json, print_lines
from bench.cli.options import (
    any_row_count_option,
    common_of,
    experiment_options,
    json_option,
    offline_option,
    with_settings,
)
from bench.cli.parameters import add_argument, add_option
from bench.cli.path_options import PathName
from bench.cli.run import expand_experiment_requests, selection
from bench.cluster.backends import DEFAULT_BACKEND
from bench.cluster.site_values import KEYS
from bench.errors import UserError
from bench.system.launch_variables import check_launch_variables

if TYPE_CHECKING:
    from bench.cluster.submit import SubmissionPlan
    from bench.config.request import RunRequest

EXAMPLES = """\b
Examples:
  bench submit table2 --cluster slurm --partition P --time 4:00:00 --gpus 1 --max-parallel 8
  bench submit --method prefix,ft-full --task webnlg --seed 1,2,3 --cluster local --max-parallel 2
  bench submit --method prefix --task e2e --cluster debug          here, in this process
  bench submit ... --dry-run                                       what would happen, and what it costs"""


def with_site(function: Any) -> Any:
    """One flag for every site setting that the command line has."""
    for key in reversed([key for key in KEYS if key.flag]):
        default = "" if key.default in (None, 0) else f" [default: {key.default}]"
        flag = "--" + key.name.replace("_", "-")
        text = key.help[0].upper() + key.help[1:] + default + "."
        function = add_option(flag, f"site_{key.name}", default=None, metavar=key.kind.upper(), help=text)(
            function
        )
    return add_option(
        "--site", "site_file", type=PathName("file", is_read=True), default=None,
        help="TOML file with the site's settings (docs/site.example.toml); otherwise BENCH_SITE or ./site.toml.",
    )(function)  # fmt: skip


def requests_of(values: dict[str, Any]) -> list[RunRequest]:
    """The requests of an experiment, narrowed by the flags, or the product of the flags' lists."""
    from bench.config import request as asked

    experiment, methods, tasks, seeds = (values[name] for name in ("experiment", "methods", "tasks", "seeds"))
    common = common_of(values, experiment is not None)
    if experiment is None:
        if methods is None or tasks is None:
            raise UserError(
                "what to submit? Name an experiment, or give --method and --task as for bench run"
            )
        return asked.expand_requests(methods=methods, tasks=tasks, seeds=seeds or "101", common=common)
    found, lacking = expand_experiment_requests(
        (experiment,), selection(tasks, methods, values["model"], seeds), common
    )
    if lacking and not found:
        raise UserError(f"no run of {experiment} is available here; bench plan {experiment} says why")
    return found


def split_site(given: dict[str, Any]) -> dict[str, Any]:
    """Takes the site's flags out of ``given``."""
    return {name.removeprefix("site_"): given.pop(name) for name in list(given) if name.startswith("site_")}


@click.command("submit", epilog=EXAMPLES)
@add_argument("experiment", required=False)
@experiment_options
@offline_option
@any_row_count_option
@add_option("--retry-failed", is_flag=True, help="Also submit again what failed.")
@add_option("--same-batch", is_flag=True, help="Retry out-of-memory without smaller micro-batches.")
@add_option(
    "--cluster",
    default=DEFAULT_BACKEND,
    show_default=True,
    help="slurm, local (processes here) or debug (here).",
)
@with_site
@add_option("--dry-run", is_flag=True, help="Say what would happen with every run, and what it costs.")
@json_option
@with_settings
def command(
    retry_failed: bool,
    same_batch: bool,
    cluster: str,
    site_file: Path | None,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Submit runs to a cluster and return. Again = resume, more seeds = extend, done = nothing."""
    from bench.cluster import site, submit
    from bench.cluster.backends import get_backend

    check_launch_variables(several=False)
    backend = get_backend(cluster)
    chosen_site = site.load_site(site_file, split_site(values))
    plan = submit.plan_submission(
        requests_of(values), chosen_site, retry_failed, smaller=not same_batch, fetch=not dry_run
    )
    if backend.runs_here:
        submit.check_devices(plan)
    if dry_run:
        document = show_plan(plan, as_json)
        code = 2 if plan.wrong and not plan.steps else 0
    else:
        code, document = carry_out(plan, cluster, values["runs"], as_json)
    if as_json:
        print_json(document)
    return code


def carry_out(plan: SubmissionPlan, cluster: str, runs: Path, as_json: bool) -> tuple[int, dict[str, Any]]:
    """Submit the plan and tell what was launched; the exit code and the launch record."""
    from bench.cluster import status, submit
    from bench.cluster.rows import RunState

    for what, message in told_once(plan.wrong):
        print_error(f"{what}: {message}")
    launch = submit.submit_plan(plan, cluster, runs)
    failed = bool(plan.wrong)
    if launch is None:
        refused = bool(plan.wrong) and not plan.steps
        if not as_json and not refused:
            show_left(plan)
            print_lines("nothing to submit")
        return 2 if refused else int(failed), {"id": None, "jobs": [], **plan.to_json()}
    if launch.backend.in_process:
        rows = status.collect_status(runs, only=[step.run_id for step in plan.todo]).rows
        failed = failed or any(row.state is not RunState.DONE for row in rows)
    jobs = [{k: v for k, v in entry.to_json().items() if k != "request"} for entry in launch.jobs]
    document = {**launch.document.to_json(), "jobs": jobs, "threads": submit.describe_threads(plan, launch)}
    if as_json:
        return int(failed), document
    show_left(plan)
    for array in launch.document.arrays:
        print_lines(f"  {array.count:>4} job(s) as {array.job or cluster}  {shape(array.resources)}")
    for line in submit.describe_threads(plan, launch):
        print_lines(f"  threads  {line}")
    print_lines(f"  source   {launch.source.snapshot} ({commit(launch.source.code)})")
    if plan.estimate is not None:
        print_lines(f"  cost     {plan.estimate}")
    print_lines(f"  next     bench status --launch {launch.id} | bench watch | bench logs RUN -f")
    print_lines(f"launched {len(launch.jobs)} run(s): {launch.file}")
    return int(failed), document


def shape(resources: dict[str, Any]) -> str:
    """Resources as one reads them."""
    return " ".join(
        f"{k}={v}" for k, v in resources.items() if v not in (None, 0, [], {}) and k != "max_array"
    )


def commit(code: dict[str, Any]) -> str:
    if "commit" not in code:
        return "not a git checkout"
    return f"commit {code['commit'][:12]}" + (
        f" with {len(code['changed'])} changed files" if code.get("dirty") else ""
    )


def show_left(plan: SubmissionPlan) -> None:
    """The runs that are not submitted, and those that are submitted with a change."""
    from bench.cluster.submit import Action

    for step in plan.steps:
        if step.action is Action.SKIP:
            print_lines(f"  left     {step.run_id}: {step.why}")
        elif step.because:
            print_lines(f"  changed  {step.run_id}: {step.because}")


def show_plan(plan: SubmissionPlan, as_json: bool) -> dict[str, Any]:
    """Every run, what would happen with it and why, with which resources, and the cost of it all."""
    if as_json:
        return plan.to_json()
    for step in plan.steps:
        cost = "" if step.cost is None else f"  ~{step.cost.seconds / 60:.1f} min ({step.cost.basis})"
        print_lines(
            f"{step.action:<7} {step.run_id}  {step.why}{cost}"
            + (f"  [{step.because}]" if step.because else "")
        )
    for what, message in told_once(plan.wrong):
        print_lines(f"wrong   {what}: {' '.join(message.split())}")
    for what, message in told_once(plan.missing):
        print_lines(
            f"missing {what}: {' '.join(message.split())} (bench submit without --offline would fetch it)"
        )
    shapes = Counter(shape(dict(step.resources)) for step in plan.todo)
    for resources, number in shapes.items():
        print_lines(f"  {number:>4} job(s) with  {resources or 'nothing asked for'}")
    every = len(plan.steps) + len(plan.missing)
    lacking = f", {len(plan.missing)} once their data and weights are here" if plan.missing else ""
    print_lines(f"{len(plan.todo)} of {every} runs would be submitted{lacking}; {plan.estimate}")
    sys.stdout.flush()
    return plan.to_json()


def told_once(wrong: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same message for many runs is one."""
    runs: dict[str, list[str]] = {}
    for what, message in wrong:
        runs.setdefault(message, []).append(what)
    return [(what[0] if len(what) == 1 else f"{len(what)} runs", message) for message, what in runs.items()]
