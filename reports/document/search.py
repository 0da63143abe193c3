"""What a search of hyperparameters came to: the setting that wins on dev, and whether it is the paper's.

``build_search`` reads the runs of an experiment that varies them (``bench/experiments/search.toml``). A winner is
called only where every run of the grid is done; before that it is the best so far. Runs are compared with runs of
the same task, method and backbone, by the dev loss of the parameters that were kept and by the main score on dev.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.config import run_key
from bench.config.specification import resolve_run_settings
from bench.errors import UserError
from bench.experiments.expansion import ExperimentRun, expand_experiments
from bench.models.catalogue import find_model_kind
from bench.store.comparable import list_incomparable
from bench.store.record import Record, RunStatus
from reports.judgement.row_verdicts import MAIN_GROUP, MAIN_METRICS
from reports.records.grouping import NOT_STATED, DecidingFact, Facts, describe_facts

SEARCHED = ("length", "lr", "epochs")
"""Options and settings that §A.2 searches; batch sizes are what fits into memory."""
SCORES: Mapping[str, str] = {**MAIN_METRICS, "xsum": "rouge2"}
"""Task -> the score by which dev outputs are ranked: the main one, and on XSUM the authors' ``val_metric``."""
Values = Mapping[str, Any]


@dataclass(frozen=True)
class SearchedRun:
    """A run of the grid that is done."""

    values: Values
    """Of ``SEARCHED``, as far as the method has them."""
    run_id: str
    seed: int
    dev_loss: float | None
    """Nats per target token of the dev rows."""
    score: float | None
    """Of the dev items, in the scorer's unit; higher is better."""
    facts: Facts
    """What must be the same for runs to be compared; their settings are what is searched."""


@dataclass(frozen=True)
class Standing:
    """The grid's order by one criterion."""

    criterion: str
    winner: SearchedRun
    usual_rank: int | None
    """Place of the usual setting, from 1; None where it is not done, or not on the grid."""
    usual_value: float | None


@dataclass(frozen=True)
class SearchResult:
    """The search of one method on one task."""

    experiment: str
    scale: str
    task: str
    method: str
    model: str
    planned: int
    done: int
    failed: int
    left_out: int
    """Done runs that are not comparable at scale paper."""
    usual: Values
    """What the method runs with when nobody chooses: Table 6's values at scale paper."""
    usual_on_grid: bool
    standings: tuple[Standing, ...]
    differing: tuple[DecidingFact, ...]
    """What is not the same in all done runs, settings aside."""

    @property
    def alike(self) -> bool:
        """Whether the done runs differ in nothing but their settings."""
        return not self.differing

    @property
    def complete(self) -> bool:
        """Whether every run of the grid counts."""
        return self.done == self.planned

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "complete": self.complete, "alike": self.alike}


def build_search(experiment: str, records: Iterable[Record]) -> list[SearchResult]:
    """Every task and method of the experiment at both scales; at scale mini only where something was run.

    ``records``: all attempts of all runs. Raises ``UserError`` for an experiment that searches nothing.
    """
    by_key = _index_records(records)
    results: list[SearchResult] = []
    for scale in ("paper", "mini"):
        groups: dict[tuple[str, str, str], list[ExperimentRun]] = {}
        for run in expand_experiments(experiment, scale).runs:
            if run.request is not None and run.resolved is not None:
                groups.setdefault((run.prescribed.task, _name_system(run), run.prescribed.model), []).append(
                    run
                )
        for (task, method, model), runs in groups.items():
            if len({repr(_read_values(run)) for run in runs}) < 2:
                raise UserError(f"{experiment}: its runs do not differ in any of {', '.join(SEARCHED)}")
            result = _build_result(experiment, scale, task, method, model, runs, by_key)
            if scale == "paper" or result.done or result.failed:
                results.append(result)
    return results


def _index_records(records: Iterable[Record]) -> dict[str, Record]:
    """By run key the latest attempt that is done, else the latest."""
    by_key: dict[str, Record] = {}
    for record in records:
        key = run_key.compute_record_key(record)
        before = by_key.get(key)
        ranks = [(one.status is RunStatus.DONE, one.ended) for one in (before, record) if one is not None]
        if before is None or ranks[1] >= ranks[0]:
            by_key[key] = record
    return by_key


def _name_system(run: ExperimentRun) -> str:
    """The method with the options that are not searched: ``adapter[size=3%]``."""
    options = {name: value for name, (value, _) in run.prescribed.options.items() if name not in SEARCHED}
    inside = ",".join(f"{name}={value}" for name, value in options.items())
    return f"{run.prescribed.method}[{inside}]" if inside else run.prescribed.method


def _read_values(run: ExperimentRun) -> dict[str, Any]:
    """The searched values of a run."""
    assert run.resolved is not None
    entries = {**run.resolved.settings, **run.resolved.options}
    return {name: entries[name].value for name in SEARCHED if name in entries}


def _find_usual(run: ExperimentRun) -> dict[str, Any]:
    """The searched values of the same system when nobody chooses any."""
    assert run.request is not None
    request = run.request
    preset = {name: entry for name, entry in run.prescribed.options.items() if name not in SEARCHED}
    resolved = resolve_run_settings(
        request.task, request.method, {}, {}, run.prescribed.model, run.prescribed.scale,
        "original", find_model_kind(run.prescribed.model), preset,
    )  # fmt: skip
    entries = {**resolved.settings, **resolved.options}
    return {name: entries[name].value for name in SEARCHED if name in entries}


def _build_result(
    experiment: str,
    scale: str,
    task: str,
    method: str,
    model: str,
    runs: list[ExperimentRun],
    by_key: Mapping[str, Record],
) -> SearchResult:
    usual = _find_usual(runs[0])
    counted: list[SearchedRun] = []
    failed = left_out = 0
    for run in runs:
        record = by_key.get(run.key)
        if record is None:
            continue
        if record.status is not RunStatus.DONE:
            failed += record.status is RunStatus.FAILED
        elif scale == "paper" and list_incomparable(record):
            left_out += 1
        else:
            counted.append(_read_run(run, record))
    rankings = (
        rank_runs("dev loss", [(run, run.dev_loss) for run in counted], usual, lowest=True),
        rank_runs(SCORES[task], [(run, run.score) for run in counted], usual, lowest=False),
    )
    return SearchResult(
        experiment, scale, task, method, model, len(runs), len(counted), failed, left_out, usual,
        usual_on_grid=any(_read_values(run) == usual for run in runs),
        standings=tuple(standing for standing in rankings if standing is not None),
        differing=tuple(
            fact
            for fact in DecidingFact
            if len({run.facts[fact] for run in counted if fact in run.facts}) > 1
        ),
    )  # fmt: skip


def _read_run(run: ExperimentRun, record: Record) -> SearchedRun:
    training = record.training
    score = record.scores.get(MAIN_GROUP, {}).get(SCORES[record.task])
    facts = describe_facts(record, "")
    if score is not None and score.value is not None:
        facts[DecidingFact.SCORER] = score.signature or NOT_STATED
    return SearchedRun(
        _read_values(run),
        record.run_id,
        record.seed,
        None if training is None else training.best_dev_loss,
        None if score is None else score.value,
        facts,
    )


def rank_runs(
    criterion: str, values: Iterable[tuple[SearchedRun, float | None]], usual: Values, lowest: bool
) -> Standing | None:
    """The runs by a criterion, and where the usual setting stands; None where no run has a value.

    Equal values share a place; of equal winners the usual setting is named, else the first of the grid.
    """
    measured = [(run, value) for run, value in values if value is not None]
    if not measured:
        return None
    sign = 1 if lowest else -1
    winner = min(measured, key=lambda entry: (sign * entry[1], entry[0].values != usual))[0]
    usual_value = next((value for run, value in measured if run.values == usual), None)
    rank = None
    if usual_value is not None:
        rank = 1 + sum(sign * value < sign * usual_value for _, value in measured)
    return Standing(criterion, winner, rank, usual_value)
