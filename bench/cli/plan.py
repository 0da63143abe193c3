"""`bench plan`: what an experiment or a claim of the paper would run, what of it is done, its cost. Runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.cli import print_json, print_lines
from bench.cli.options import common_of, experiment_options, json_option, offline_option, with_settings
from bench.cli.parameters import add_argument, add_option
from bench.cli.run import selection
from bench.cli.tables import print_table
from bench.errors import UserError
from bench.system.launch_variables import check_launch_variables

if TYPE_CHECKING:
    from bench.experiments.expansion import Expansion
    from bench.experiments.planning import ExperimentPlan, PlannedRun
    from bench.store.store import Store
    from reports.paper.published import Claim


@click.command(
    "plan",
    epilog="""\b
Examples:
  bench plan table5
  bench plan all --scale paper
  bench plan figure3 --scale paper --task e2e --train-subset 50
  bench plan table2 --scale paper --method prefix --settings
  bench plan all --scale paper --json
  bench plan xsum-below --power                 a sentence of the paper: how many seeds decide it
  bench plan all --power                        the same of every sentence""",
)
@add_argument("names", nargs=-1, required=True, metavar="EXPERIMENT...|CLAIM...|all")
@experiment_options
@add_option(
    "--power", is_flag=True, help="Of claims: how likely the planned runs decide them, and how many would."
)
@offline_option
@add_option("--settings", "all_settings", is_flag=True, help="Every setting of every run, with its origin.")
@json_option
@with_settings
def command(
    names: tuple[str, ...],
    methods: str | None,
    tasks: str | None,
    seeds: str | None,
    power: bool,
    all_settings: bool,
    as_json: bool,
    **values: Any,
) -> None:
    """List the runs of experiments: settings with origins, state, cost. Needs no data, weights or network.

    A claim of `bench list claims` is planned like an experiment, at scale paper unless --scale says otherwise.
    """
    from bench.experiments.expansion import expand_experiments
    from bench.experiments.planning import document, plan_runs
    from bench.store.damaged import warn_of_damage
    from bench.store.store import Store

    check_launch_variables(several=False)
    common = common_of(values, experiments=True)
    chosen = selection(tasks, methods, values["model"], seeds)
    if claims := find_claims(names, power):
        source = click.get_current_context().get_parameter_source("scale")
        scale = "paper" if source is ParameterSource.DEFAULT else common.scale
        everything = expand_experiments("all", scale, chosen, replace(common, scale=scale))
        plan_claims(claims, everything, Store(common.runs), power, all_settings, as_json)
        return
    plan = plan_runs(expand_experiments(names, common.scale, chosen, common), Store(common.runs))
    warn_of_damage(plan.damaged)
    if as_json:
        print_json(document(plan))
    else:
        print_experiments(plan, all_settings)


def find_claims(names: Sequence[str], power: bool) -> list[Claim]:
    """The claims among ``names``, all of them for ``all`` with ``power``; empty where experiments are asked for.

    Raises ``UserError`` for claims and experiments together, and for the power of experiments.
    """
    from bench.experiments.files import has_experiment
    from reports.judgement.claim_plan import find_claim
    from reports.paper.published import read_claims

    if power and "all" in names:
        return list(read_claims())
    experiments = [name for name in names if name == "all" or has_experiment(name)]
    if not experiments:
        return [find_claim(name) for name in dict.fromkeys(names)]
    if power:
        raise UserError(
            f"--power is for claims, {experiments[0]} is an experiment; see bench list claims, "
            "or bench plan all --power"
        )
    claims = [find_claim(name).id for name in names if name not in experiments]
    if claims:
        raise UserError(
            f"{claims[0]} is a claim and {experiments[0]} an experiment; plan them with two commands"
        )
    return []


def plan_claims(
    claims: Sequence[Claim],
    everything: Expansion,
    store: Store,
    power: bool,
    all_settings: bool,
    as_json: bool,
) -> None:
    """Print the planned runs of claims, or with ``power`` how likely these decide them."""
    from bench.cli import claim_power
    from bench.experiments.planning import document, plan_runs
    from bench.store.damaged import warn_of_damage
    from reports.judgement.claim_plan import describe_planned, select_claim_runs

    planned = describe_planned(everything.runs)
    if power:
        from reports.judgement.claim_power import compute_claim_power

        observe = claim_power.observe_store(store)
        powers = [compute_claim_power(claim, planned, observe) for claim in claims]
        if as_json:
            print_json([claim_power.to_json(computed) for computed in powers])
        elif len(powers) == 1:
            print_lines(*describe_claim(claims[0]))
            claim_power.print_claim_power(powers[0])
        else:
            claim_power.print_claim_powers(powers)
        return
    plans = [
        plan_runs(
            replace(everything, names=(), runs=select_claim_runs(planned, claim, everything.scale)), store
        )
        for claim in claims
    ]
    warn_of_damage(plans[0].damaged)
    if as_json:
        print_json([{"claim": claim.id, **document(plan)} for claim, plan in zip(claims, plans, strict=True)])
        return
    for claim, plan in zip(claims, plans, strict=True):
        print_lines(*describe_claim(claim))
        if all_settings:
            for run in plan.runs:
                print_settings(run)
        elif plan.runs:
            print_runs(list(plan.runs))
        print_totals(plan, all_settings)
        print_lines("")


def describe_claim(claim: Claim) -> tuple[str, str]:
    """The sentence, and in a second line what it allows of its number and where that comes from."""
    asked = f"asks for {claim.limits.describe()} {claim.unit}"
    if any("limits" in need for need in claim.needs):
        asked = f"asks for a range of its own of each number ({claim.unit})"
    return f"{claim.id}: {claim.sentence} [{claim.source}]", f"  {asked}. {claim.why}"


def print_experiments(plan: ExperimentPlan, all_settings: bool) -> None:
    """The plan for people: per experiment a table, then what it comes to."""
    from bench.experiments.planning import describe_experiment

    for name in plan.expansion.names:
        description = describe_experiment(name)
        print_lines(f"{name} ({plan.expansion.scale}): {description['title']} [{description['source']}]")
        if description["note"]:
            print_lines(f"  {description['note']}")
        members = [run for run in plan.runs if name in run.candidate.experiments]
        first = [run for run in members if run.candidate.experiments[0] == name]
        if shared := len(members) - len(first):
            print_lines(f"  {shared} of its {len(members)} runs are listed above, under another experiment")
        if all_settings:
            for run in first:
                print_settings(run)
        elif first:
            print_runs(first)
            print_prescribed(first)
        print_lines("")
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
        print_lines(f"  {name} = {texts}  [{origin}]")


def print_settings(run: PlannedRun) -> None:
    """A run with every option and setting and where each comes from."""
    from bench.experiments.planning import list_settings

    prescribed = run.candidate.prescribed
    title = f"{prescribed.task}, {prescribed.model}, {prescribed.selector}, seed {prescribed.seed}"
    print_lines(f"{title}: {run.state} {run.detail}".rstrip())
    rows = [*list_settings(run, "options").items(), *list_settings(run, "settings").items()]
    width = max((len(name) for name, _ in rows), default=0)
    for name, setting in rows:
        print_lines(f"    {name:<{width}}  {setting['value']!s:<14}  {setting['origin']}")


def print_totals(plan: ExperimentPlan, all_settings: bool) -> None:
    from bench.experiments.cost_model import format_duration

    states = ", ".join(f"{number} {state}" for state, number in plan.count().items() if number)
    print_lines(f"{len(plan.runs)} runs: {states}" if plan.runs else "no runs")
    if plan.expansion.duplicates:
        print_lines(f"{plan.expansion.duplicates} further ones are the same runs in other experiments")
    if plan.trainings():
        print_lines(
            f"{plan.trainings()} trainings to go: runs that differ only in what they decode share one, "
            "if one is done before the other begins"
        )
    if bases := plan.bases():
        counts = ", ".join(f"{number} {basis}" for basis, number in bases.items())
        print_lines(f"about {format_duration(plan.seconds_left())} to go on one machine; estimates: {counts}")
        if "rough" in bases:
            print_lines("rough: from examples, parameters and the paper's own times (§5.3) or mini's")
    if not all_settings:
        print_lines("--settings shows every setting of every run with its origin")
