"""`bench run`: one run, the product of lists of tasks, methods, options and seeds, or an experiment's runs."""

from __future__ import annotations

from collections.abc import Iterable
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
from bench.errors import UserError
from bench.system.launch_variables import check_launch_variables
from bench.system.progress import print_traceback

if TYPE_CHECKING:
    from pathlib import Path

    from bench.config.request import CommonOptions, Resolver, RunRequest
    from bench.experiments.expansion import ExperimentSelection
    from bench.store.record import Record

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
  bench run --method prefix --task webnlg --lr 1e-3,2e-3 --epochs 2,4     four runs
  BENCH_DATA=DIR bench run --method prefix --task webnlg --limit 50
  bench run --method prefix --task e2e --scale paper --model gpt2-medium --seed 101""",
)
@add_argument("experiments", nargs=-1, metavar="[EXPERIMENT...]")
@experiment_options
@offline_option
@any_row_count_option
@add_option("--dry-run", is_flag=True, help="Say what would run, with every setting and its origin.")
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
    Every setting that makes another run takes a list, which stands for a run of each value.
    """
    check_launch_variables()
    common = common_of(values, bool(experiments))
    unavailable: list[dict[str, str]] = []
    if experiments:
        chosen = selection(tasks, methods, values["model"], seeds)
        requests, unavailable = expand_experiment_requests(experiments, chosen, common)
        if not requests and not unavailable:
            if as_json:
                print_json([])
            return 0
    else:
        requests = expand_selectors(tasks, methods, seeds, common)
    if dry_run:
        print_plans(requests, as_json)
        return 0
    batch = Batch(len(requests), alone=len(requests) == 1 and not unavailable, print_records=not as_json)
    outcomes = [*unavailable, *batch.carry_out(requests, common.runs)]
    if as_json and outcomes:
        print_json(outcomes[0] if batch.alone and not experiments else outcomes)
    return 1 if unavailable or batch.failed else 0


class Batch:
    """The runs of one command, one after the other. One wrong or failed run of several does not cancel the others."""

    def __init__(self, size: int, alone: bool, print_records: bool):
        self.size = size
        self.alone = alone
        """Nothing else was asked for: its error is the command's."""
        self.print_records = print_records
        self.failed = 0
        self.refusals: dict[str, int] = {}
        """Messages of requests that were refused -> how often: each is printed once."""

    def carry_out(self, requests: Iterable[RunRequest], runs: Path) -> list[dict[str, Any]]:
        """The record of every run, or how it failed; data and backbones are resolved once for all."""
        from bench.config.request import Resolver

        resolver = Resolver()
        outcomes = []
        for number, request in enumerate(requests, 1):
            if self.size > 1:
                if (refusal := self.find_refusal(request, resolver)) is not None:
                    outcomes.append(refusal)
                    continue
                print_lines(f"[{number}/{self.size}] {request.describe()}", err=True)
            outcome = self.run(request, resolver, runs)
            if outcome is not None:
                outcomes.append(outcome)
        if (repeated := sum(self.refusals.values()) - len(self.refusals)) > 0:
            print_lines(f"bench: {repeated} more runs were not begun for the same reason", err=True)
        return outcomes

    def find_refusal(self, request: RunRequest, resolver: Resolver) -> dict[str, Any] | None:
        """How a request is refused before any work; None where it is not. The same message is printed once."""
        try:
            resolver.specify(request)
        except UserError as error:
            refusal = str(error)
            if refusal not in self.refusals:
                print_error(f"{request.describe()}: {refusal}")
            self.refusals[refusal] = self.refusals.get(refusal, 0) + 1
            return self.record_failure(request, refusal)
        return None

    def run(self, request: RunRequest, resolver: Resolver, runs: Path) -> dict[str, Any] | None:
        """A run's record, or how it failed; None in a further process of a launch of many: the first one reports."""
        from bench.runs import runner

        try:
            record = runner.run(request, resolver=resolver)
        except UserError as error:
            if self.alone:
                raise
            print_error(f"{request.describe()}: {error}")
            return self.record_failure(request, str(error))
        except Exception as error:
            if self.alone:
                raise
            print_traceback(error)
            return self.record_failure(request, repr(error))
        if record is None:
            return None
        if broken := runner.list_failed_scores(record):
            print_error(f"{record['run_id']}: scores that failed: {', '.join(broken)}")
            self.failed += 1
        if self.print_records:
            print_record(record, runs)
            print_execution(record)
        return dict(record)

    def record_failure(self, request: RunRequest, error: str) -> dict[str, Any]:
        """What `--json` lists in place of a record."""
        self.failed += 1
        return {"run": request.describe(), "status": "failed", "error": error}


def expand_selectors(
    tasks: str | None, methods: str | None, seeds: str | None, common: CommonOptions
) -> list[RunRequest]:
    """The product of the lists that were typed; a ``UsageError`` where task or method is missing."""
    from bench.config.request import expand_requests

    for flag, value in (("--method", methods), ("--task", tasks)):
        if value is None:
            raise click.UsageError(
                f"Missing option '{flag}', or the name of an experiment (bench list experiments)."
            )
    return expand_requests(methods=str(methods), tasks=str(tasks), seeds=seeds or "101", common=common)


def print_plans(requests: Iterable[RunRequest], as_json: bool) -> None:
    """What would run: every setting of every run with its origin."""
    from bench.config.request import Resolver

    resolver = Resolver()
    plans = [resolver.specify(request) for request in requests]
    if as_json:
        print_json([{**plan.spec.to_json(), "command": plan.command} for plan in plans])
        return
    for plan in plans:
        print_plan(plan.spec, plan.command)


def selection(
    tasks: str | None, methods: str | None, model: str | None, seeds: str | None
) -> ExperimentSelection:
    """The typed selectors for runs of an experiment."""
    from bench.experiments.expansion import ExperimentSelection
    from bench.models.catalogue import MODELS, is_model_path

    for name in (model or "").split(","):
        if name and is_model_path(name):
            raise UserError(
                f"--model {name}: an experiment names its models, and --model selects among them. To use your copy "
                f"of one, put it into DIR/NAME, NAME one of {', '.join(MODELS)}, and set BENCH_MODELS=DIR; or "
                "name no experiment: bench run --method METHOD --task TASK --model DIRECTORY"
            )
    return ExperimentSelection(tasks, methods, model, seeds)


def expand_experiment_requests(
    names: tuple[str, ...], chosen: ExperimentSelection, common: CommonOptions
) -> tuple[list[RunRequest], list[dict[str, str]]]:
    """The requests of experiments, and the runs that are not available here, which are also reported."""
    from bench.experiments.expansion import expand_experiments
    from bench.experiments.files import load_experiment

    expansion = expand_experiments(names, common.scale, chosen, common)
    if not expansion.runs:
        for name in expansion.names:
            print_lines(
                f"{name} has no runs of its own. {load_experiment(name).note or ''}".rstrip(), err=True
            )
    unavailable = []
    for candidate in expansion.unavailable:
        prescribed = candidate.prescribed
        run = f"{prescribed.selector} on {prescribed.task}, {prescribed.model}, seed {prescribed.seed}"
        unavailable.append({"run": run, "status": "not available", "error": candidate.reason})
    if unavailable:
        reasons = ", ".join(dict.fromkeys(run["error"] for run in unavailable))
        sentence = f"{len(unavailable)} of {len(expansion.runs)} runs are not available: {reasons}"
        if not expansion.requests:
            raise UserError(f"{sentence}; see bench list tasks, bench list models")
        print_error(sentence)
    return expansion.requests, unavailable


def print_plan(spec: Any, rerun_command: str) -> None:
    """A run's settings, each with where it comes from."""
    print_lines(str(spec.run_id), f"  {rerun_command}")
    rows = [*spec.options.items(), *spec.settings.items()]
    width = max(len(name) for name, _ in rows)
    for name, setting in rows:
        print_lines(f"    {name:<{width}}  {setting.value!s:<12}  {setting.origin}")


def print_execution(record: Record) -> None:
    """Under which conditions a run was computed, and what keeps it from being repeated byte for byte."""
    facts = record.execution
    if facts is not None:
        print_lines(f"  computed with      {facts.to_text()}")
    for part in facts.continued_under if facts is not None else ():
        conditions = "conditions that were not noted" if part is None else part.to_text()
        print_lines(f"  earlier with       {conditions}: the same seed may give other bytes")
    for damaged in record.damaged_files:
        print_lines(
            f"  made anew          {damaged.file}, which {damaged.problem}; put aside as {damaged.kept_as}"
        )


def print_record(record: Record, runs: Path) -> None:
    """A finished run as a person reads it, on standard output."""
    from bench.runs.score_lines import list_score_lines

    training, parameters = record["training"], record["parameters"]
    print_lines("", f"{record['method']} on {record['task']}, {record['model']}, seed {record['seed']}")
    share = 100 * parameters["stored"] / parameters["backbone"]
    print_lines(f"  stored parameters  {parameters['stored']:,} ({share:.3g} % of the backbone)")
    if training is not None:
        print_lines(f"  training           {training['updates']} updates, {training['seconds']:.0f} s")
    decoding = record["decoding"]
    print_lines(f"  decoding           {decoding['items']} items, {decoding['seconds']:.0f} s")
    for line in list_score_lines(record):
        print_lines(f"  {line}")
    print_lines(f"  kept in            {runs / record['run_id']}")
    if record["data_origin"] == "mini" and record["model"].startswith("mini-"):
        print_lines(*MINI_NOTE.splitlines())
    elif record["not_comparable"]:
        print_lines(
            "No number of the paper can be compared with this: " + "; ".join(record["not_comparable"])
        )
