"""`bench run`: one run, the product of lists of tasks, methods, options and seeds, or an experiment's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_json
from bench.cli.options import (
    any_row_count_option,
    common_of,
    experiment_options,
    json_option,
    offline_option,
    with_settings,
)
from bench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.config.request import CommonOptions, RunRequest
    from bench.experiments.expansion import RunSelection

STAGES = {"train": "Training", "data": "Data", "decode": "Decoding", "work": "How the work is done"}
MINI_NOTE = (
    "These are mini numbers: an invented world and a backbone of a few million parameters. They say that the\n"
    "machinery works and how methods compare here; they are not the paper's and never stand beside them."
)


@click.command(
    "run",
    epilog="""\b
Examples:
  bench run --method prefix --task webnlg
  bench run table5                                  an experiment; bench list experiments
  bench run table5 --method 'embedding,infix[length=1]'   some of its runs
  bench run --method 'prefix[length=1,5,10],ft-full' --task e2e,dart --seed 1,2,3
  BENCH_DATA=DIR bench run --method prefix --task webnlg --limit 50
  bench run --method prefix --task e2e --scale paper --model gpt2-medium --seed 101""",
)
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENT...]")
@experiment_options
@offline_option
@any_row_count_option
@click.option("--dry-run", is_flag=True, help="Say what would run, with every setting and its origin.")
@json_option
@with_settings
def command(
    experiments: tuple[str, ...],
    methods: str | None,
    tasks: str | None,
    seeds: str | None,
    dry_run: bool,
    as_json: bool,
    **values: Any,
) -> int:
    """Train, decode and score. The same command again continues an interrupted run, or finds it done.

    With EXPERIMENT the runs behind a table or figure of the paper; --task, --method, --model, --seed and the
    settings that the experiment varies narrow them, other settings change them. Without, --method and --task.
    """
    from bench.config import request as asked
    from bench.runs import runner

    common = common_of(values, bool(experiments))
    lacking: list[dict[str, str]] = []
    if experiments:
        requests, lacking = of_experiments(
            experiments, selection(tasks, methods, values["model"], seeds), common
        )
        if not requests and not lacking:
            if as_json:
                print_json([])
            return 0
    else:
        for flag, value in (("--method", methods), ("--task", tasks)):
            if value is None:
                raise click.UsageError(
                    f"Missing option '{flag}', or the name of an experiment (bench list experiments)."
                )
        requests = asked.expand_requests(
            methods=str(methods), tasks=str(tasks), seeds=seeds or "101", common=common
        )
    if dry_run:
        resolver = asked.Resolver()
        plans = [resolver.specify(request) for request in requests]
        if as_json:
            print_json([{**plan.spec.to_json(), "command": plan.command} for plan in plans])
        else:
            for plan in plans:
                show_plan(plan.spec, plan.command)
        return 0
    alone = len(requests) == 1 and not lacking
    resolver = asked.Resolver()
    outcomes: list[Any] = [*lacking]
    failed = len(lacking)
    for number, request in enumerate(requests, 1):
        if len(requests) > 1:
            click.echo(f"[{number}/{len(requests)}] {request.describe()}", err=True)
        try:
            record = runner.run(request, resolver=resolver)
        except UserError as error:
            # One wrong or failed run of a list does not cancel the others.
            if alone:
                raise
            click.echo(f"bench: {request.describe()}: {error}", err=True)
            outcomes.append({"run": request.describe(), "status": "failed", "error": str(error)})
            failed += 1
            continue
        except Exception as error:
            if alone:
                raise
            import traceback

            traceback.print_exc()
            outcomes.append({"run": request.describe(), "status": "failed", "error": repr(error)})
            failed += 1
            continue
        if record is None:  # a further process of a launch of many; the first one reports
            continue
        outcomes.append(dict(record))
        if broken := runner.list_failed_scores(record):
            click.echo(f"bench: {record['run_id']}: scores that failed: {', '.join(broken)}", err=True)
            failed += 1
        if not as_json:
            print_record(record, common.runs)
    if as_json and outcomes:
        print_json(outcomes[0] if alone and not experiments else outcomes)
    return 1 if failed else 0


def selection(tasks: str | None, methods: str | None, model: str | None, seeds: str | None) -> RunSelection:
    """The typed selectors for runs of an experiment."""
    from bench.experiments.expansion import RunSelection
    from bench.models.catalogue import MODELS, is_model_path

    for one in (model or "").split(","):
        if one and is_model_path(one):
            raise UserError(
                f"--model {one}: an experiment names its models, and --model selects among them. To use your copy "
                f"of one, put it into DIR/NAME, NAME one of {', '.join(MODELS)}, and set BENCH_MODELS=DIR; or "
                "name no experiment: bench run --method METHOD --task TASK --model DIRECTORY"
            )
    return RunSelection(tasks, methods, model, seeds)


def of_experiments(
    names: tuple[str, ...], chosen: RunSelection, common: CommonOptions
) -> tuple[list[RunRequest], list[dict[str, str]]]:
    """The requests of experiments, and the runs that are not available here, which are said aloud."""
    from bench.experiments.expansion import expand_experiments
    from bench.experiments.files import load_experiment

    expansion = expand_experiments(names, common.scale, chosen, common)
    if not expansion.runs:
        for name in expansion.names:
            click.echo(
                f"{name} has no runs of its own. {load_experiment(name).get('note', '')}".rstrip(), err=True
            )
    lacking = []
    for one in expansion.unavailable:
        wanted = one.prescribed
        run = f"{wanted.selector} on {wanted.task}, {wanted.model}, seed {wanted.seed}"
        lacking.append({"run": run, "status": "not available", "error": one.reason})
    if lacking:
        reasons = ", ".join(dict.fromkeys(one["error"] for one in lacking))
        said = f"{len(lacking)} of {len(expansion.runs)} runs are not available: {reasons}"
        if not expansion.requests:
            raise UserError(f"{said}; see bench list tasks, bench list models")
        click.echo(f"bench: {said}", err=True)
    return expansion.requests, lacking


def show_plan(spec: Any, again: str) -> None:
    """A run's settings, each with where it comes from."""
    click.echo(f"{spec.run_id}\n  {again}")
    rows = [*spec.options.items(), *spec.settings.items()]
    width = max(len(name) for name, _ in rows)
    for name, setting in rows:
        click.echo(f"    {name:<{width}}  {setting.value!s:<12}  {setting.origin}")


def print_record(record: Mapping[str, Any], runs: Path) -> None:
    """A finished run as a person reads it, on standard output."""
    from bench import registry

    training, parameters = record["training"], record["parameters"]
    click.echo(f"\n{record['method']} on {record['task']}, {record['model']}, seed {record['seed']}")
    share = 100 * parameters["stored"] / parameters["backbone"]
    click.echo(f"  stored parameters  {parameters['stored']:,} ({share:.3g} % of the backbone)")
    if training is not None:
        click.echo(f"  training           {training['updates']} updates, {training['seconds']:.0f} s")
    decoding = record["decoding"]
    click.echo(f"  decoding           {decoding['items']} items, {decoding['seconds']:.0f} s")
    for group, scores in record["scores"].items():
        variants = registry.list_supplementary_metrics(record["task"])
        shown = [
            f"{name.upper()} {one['value']:.4g}"
            for name, one in scores.items()
            if one["value"] is not None and name not in variants
        ]
        click.echo(f"  {group:<18} {', '.join(shown) or 'no score'}")
    missing = [name for name, one in record["scores"]["all"].items() if one["value"] is None]
    if missing:
        click.echo(f"  not computed       {', '.join(missing)} (reasons in the record)")
    click.echo(f"  kept in            {runs / record['run_id']}")
    if record["data_origin"] == "mini" and record["model"].startswith("mini-"):
        click.echo(MINI_NOTE)
    elif record["not_comparable"]:
        click.echo("No number of the paper can be compared with this: " + "; ".join(record["not_comparable"]))
