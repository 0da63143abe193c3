"""`bench plan`: what an experiment would run, what of it is done, what it will cost. Runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_json
from bench.cli.options import common_of, experiment_options, json_option, with_settings
from bench.cli.run import selection
from bench.cli.tables import print_table

if TYPE_CHECKING:
    from bench.experiments.planning import ExperimentPlan, PlannedRun


@click.command(
    "plan",
    epilog="""\b
Examples:
  bench plan table5
  bench plan all --scale paper
  bench plan figure3 --scale paper --task e2e --train-subset 50
  bench plan table2 --scale paper --method prefix --settings
  bench plan all --scale paper --json""",
)
@click.argument("experiments", nargs=-1, required=True, metavar="EXPERIMENT...|all")
@experiment_options
@click.option("--settings", "all_settings", is_flag=True, help="Every setting of every run, with its origin.")
@json_option
@with_settings
def command(
    experiments: tuple[str, ...],
    methods: str | None,
    tasks: str | None,
    seeds: str | None,
    all_settings: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """List the runs of experiments: settings with origins, state, cost. Needs no data, weights or network."""
    from bench.experiments.expansion import expand_experiments
    from bench.experiments.planning import document, plan_runs
    from bench.store.store import Store

    common = common_of(values, experiments=True)
    chosen = selection(tasks, methods, values["model"], seeds)
    plan = plan_runs(expand_experiments(experiments, common.scale, chosen, common), Store(common.runs))
    if as_json:
        print_json(document(plan))
    else:
        print_experiments(plan, all_settings)


def print_experiments(plan: ExperimentPlan, all_settings: bool) -> None:
    """The plan for people: per experiment a table, then what it comes to."""
    from bench.experiments.planning import describe_experiment

    for name in plan.expansion.names:
        description = describe_experiment(name)
        click.echo(f"{name} ({plan.expansion.scale}): {description['title']} [{description['source']}]")
        if description["note"]:
            click.echo(f"  {description['note']}")
        members = [run for run in plan.runs if name in run.candidate.experiments]
        first = [run for run in members if run.candidate.experiments[0] == name]
        if shared := len(members) - len(first):
            click.echo(f"  {shared} of its {len(members)} runs are listed above, under another experiment")
        if all_settings:
            for run in first:
                print_settings(run)
        elif first:
            print_runs(first)
            print_prescribed(first)
        click.echo("")
    print_totals(plan, all_settings)


def print_runs(runs: list[PlannedRun]) -> None:
    """One line per run: what it is, the settings that differ between these runs, its state and cost."""
    from bench.config.settings import format_value
    from bench.experiments.cost_model import format_duration
    from bench.experiments.planning import list_differing_settings, list_settings

    names = list_differing_settings(runs)
    rows = []
    for run in runs:
        prescribed, values = run.candidate.prescribed, list_settings(run, "settings")
        cost = f"{format_duration(run.estimate.seconds)} ({run.estimate.basis})" if run.estimate else "-"
        differing = [format_value(values[name]["value"]) if name in values else "-" for name in names]
        state = f"{run.state}: {run.detail}" if run.detail else run.state
        rows.append(
            [
                prescribed.task,
                prescribed.model,
                prescribed.selector,
                str(prescribed.seed),
                *differing,
                state,
                cost,
                run.run_id or "-",
            ]
        )
    print_table(["task", "model", "method", "seed", *names, "state", "estimate", "run"], rows)


def print_prescribed(runs: list[PlannedRun]) -> None:
    """What the experiment decides, each with its origin; everything else is the method's and the task's."""
    from bench.config.settings import format_value
    from bench.experiments.planning import list_prescribed_values

    for name, values, origin in list_prescribed_values(runs):
        texts = ", ".join(format_value(value) for value in values)
        click.echo(f"  {name} = {texts}  [{origin}]")


def print_settings(run: PlannedRun) -> None:
    """A run with every option and setting and where each comes from."""
    from bench.experiments.planning import list_settings

    prescribed = run.candidate.prescribed
    title = f"{prescribed.task}, {prescribed.model}, {prescribed.selector}, seed {prescribed.seed}"
    click.echo(f"{title}: {run.state} {run.detail}".rstrip())
    rows = [*list_settings(run, "options").items(), *list_settings(run, "settings").items()]
    width = max((len(name) for name, _ in rows), default=0)
    for name, setting in rows:
        click.echo(f"    {name:<{width}}  {setting['value']!s:<14}  {setting['origin']}")


def print_totals(plan: ExperimentPlan, all_settings: bool) -> None:
    from bench.experiments.cost_model import format_duration

    states = ", ".join(f"{number} {state}" for state, number in plan.count().items() if number)
    click.echo(f"{len(plan.runs)} runs: {states}" if plan.runs else "no runs")
    if plan.expansion.duplicates:
        click.echo(f"{plan.expansion.duplicates} further ones are the same runs in other experiments")
    if plan.trainings():
        click.echo(
            f"{plan.trainings()} trainings to go: runs that differ only in what they decode share one, "
            "if one is done before the other begins"
        )
    if bases := plan.bases():
        counts = ", ".join(f"{number} {basis}" for basis, number in bases.items())
        click.echo(f"about {format_duration(plan.seconds_left())} to go on one machine; estimates: {counts}")
        if "rough" in bases:
            click.echo("rough: from examples, parameters and the paper's own times (§5.3) or mini's")
    if not all_settings:
        click.echo("--settings shows every setting of every run with its origin")
