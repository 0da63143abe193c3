"""`bench run`: one run, or the product of lists of tasks, methods, options and seeds, one after another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from bench.cli import json_option, print_json, runs_option
from bench.errors import UserError
from bench.settings import TABLE, typed

if TYPE_CHECKING:
    from bench.task import Protocol

STAGES = {"train": "Training", "data": "Data", "decode": "Decoding", "work": "How the work is done"}


def with_settings(function: Any) -> Any:
    """One flag for every row of the table of settings."""
    for known in reversed(TABLE):
        flag = "--" + known.name.replace("_", "-")
        choices = f" ({', '.join(known.choices)})" if known.choices else ""
        function = click.option(
            flag,
            known.name,
            default=None,
            metavar="yes|no" if known.kind is bool else known.kind.__name__.upper(),
            help=f"{known.help[0].upper()}{known.help[1:]}{choices}; otherwise as the method or task has it, "
            f"or {typed(known.default)}.",
        )(function)
    return function


@click.command(
    "run",
    epilog="""\b
Examples:
  bench run --method prefix --task webnlg
  bench run --method 'prefix[length=1,5,10],ft-full' --task e2e,dart --seed 1,2,3
  BENCH_DATA=DIR bench run --method prefix --task webnlg --limit 50
  bench run --method prefix --task e2e --scale paper --model gpt2-medium --seed 101""",
)
@click.option("--method", "methods", required=True, help="Method, with options in brackets; lists allowed.")
@click.option("--task", "tasks", required=True, help="Task, or several separated by commas.")
@click.option("--model", default=None, help="Backbone: a name of `bench list models` or a directory.")
@click.option("--scale", default="mini", show_default=True, help="mini or paper.")
@click.option("--protocol", default="original", show_default=True, help="original or plain.")
@click.option(
    "--seed", "seeds", default="101", show_default=True, help="Seed, or several (101 is the authors')."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="BENCH_DATA",
    show_envvar=True,
    help="Directory with e2e/, webnlg/, dart/, xsum/ in the publishers' layout.",
)
@runs_option
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--any-row-count", is_flag=True, help="Warn, and do not refuse, when a split has another size.")
@click.option("--dry-run", is_flag=True, help="Say what would run, with every setting and its origin.")
@json_option
@with_settings
def command(
    methods: str,
    tasks: str,
    model: str | None,
    scale: str,
    protocol: str,
    seeds: str,
    data_dir: Path | None,
    runs: Path,
    offline: bool,
    any_row_count: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Train, decode and score. The same command again continues an interrupted run, or finds it done."""
    from bench import request as asked
    from bench import runner

    requests = asked.expand(
        methods=methods,
        tasks=tasks,
        seeds=seeds,
        common=asked.Common(
            model=model,
            scale=scale,
            protocol=cast("Protocol", protocol),
            data_dir=data_dir,
            runs=runs,
            offline=offline,
            strict=not any_row_count,
            given={name: value for name, value in given.items() if value is not None},
        ),
    )
    if dry_run:
        plans = [asked.specify(request) for request in requests]
        if as_json:
            print_json([{**plan.spec.to_json(), "command": plan.command} for plan in plans])
        else:
            for plan in plans:
                show_plan(plan.spec, plan.command)
        return 0
    outcomes: list[Any] = []
    failed = 0
    for number, request in enumerate(requests, 1):
        if len(requests) > 1:
            click.echo(f"[{number}/{len(requests)}] {request.describe()}", err=True)
        try:
            record = runner.run(request)
        except UserError as error:
            # One wrong or failed run of a list does not cancel the others.
            if len(requests) == 1:
                raise
            click.echo(f"bench: {request.describe()}: {error}", err=True)
            outcomes.append({"run": request.describe(), "status": "failed", "error": str(error)})
            failed += 1
            continue
        except Exception as error:
            if len(requests) == 1:
                raise
            import traceback

            traceback.print_exc()
            outcomes.append({"run": request.describe(), "status": "failed", "error": repr(error)})
            failed += 1
            continue
        if record is None:  # a further process of a launch of many; the first one reports
            continue
        outcomes.append(record)
        if broken := runner.failed_scores(record):
            click.echo(f"bench: {record['run_id']}: scores that failed: {', '.join(broken)}", err=True)
            failed += 1
        if not as_json:
            runner.show(record, runs)
    if as_json and outcomes:
        print_json(outcomes[0] if len(requests) == 1 else outcomes)
    return 1 if failed else 0


def show_plan(spec: Any, again: str) -> None:
    """A run's settings, each with where it comes from."""
    click.echo(f"{spec.run_id}\n  {again}")
    rows = [*spec.options.items(), *spec.settings.items()]
    width = max(len(name) for name, _ in rows)
    for name, setting in rows:
        click.echo(f"    {name:<{width}}  {setting.value!s:<12}  {setting.origin}")
