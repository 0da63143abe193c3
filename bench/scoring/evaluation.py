"""Scores of a set of outputs: every metric of a task, for every group of its items.

One score that fails does not lose the others: it is reported as not computed, with the reason. Every
score says whether its scorer passed the gate (``bench.scoring.golden``): the golden outputs, scored before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from bench import registry
from bench.errors import UnavailableError, UnknownNameError, UserError
from bench.metric import NoReferenceError, format_signature
from bench.scoring import golden
from bench.scoring.score import GateStatus, Score, ScoreStatus
from bench.system.progress import print_message, print_traceback
from bench.task import Task

ScoreDocuments = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Group -> metric -> a score as ``Score.to_json`` gives it."""


class HasReferences(Protocol):
    """What scoring needs to know of an item."""

    @property
    def references(self) -> Sequence[str]: ...
    @property
    def groups(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class ReferenceItem:
    """References and groups of one output, for outputs that come with their own references."""

    references: tuple[str, ...]
    groups: tuple[str, ...] = ("all",)


class ScoringInput(NamedTuple):
    """What is scored: items, and an output for each in their order."""

    items: Sequence[HasReferences]
    outputs: list[str]


def choose_metrics(task: Task, only: Iterable[str] = ()) -> list[str]:
    """The metrics of a task (``registry.list_metric_names``), or those of them that ``only`` names.

    An unknown name raises ``UserError`` with the valid ones.
    """
    valid = registry.list_metric_names(task)
    chosen = list(only)
    for name in chosen:
        if name not in valid:
            raise UnknownNameError(f"metric of {task.name}", name, valid, "bench list metrics")
    return [name for name in valid if not chosen or name in chosen]


def score_outputs(
    task: Task, items: Sequence[HasReferences], outputs: Sequence[str], only: Iterable[str] = ()
) -> dict[str, dict[str, Score]]:
    """``{group: {metric: score}}`` for outputs in the items' order.

    ``only``: these metrics. Raises ``UserError`` when the numbers of items and outputs differ (both are
    named).
    """
    if len(items) != len(outputs):
        raise UserError(
            f"{len(outputs):,} outputs for {len(items):,} items of {task.name}: expected one for each"
        )
    names = choose_metrics(task, only)
    scores: dict[str, dict[str, Score]] = {}
    for group in task.groups:
        members = [index for index, item in enumerate(items) if group in item.groups]
        hypotheses = [outputs[index] for index in members]
        references = [items[index].references for index in members]
        scores[group] = {name: score_metric(task, name, hypotheses, references) for name in names}
    return scores


def make_score_documents(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, dict[str, Any]]:
    """What a record keeps of ``score_outputs``: all but the values per segment."""
    return {
        group: {name: score.to_json() for name, score in of_group.items()}
        for group, of_group in scores.items()
    }


def score_metric(
    task: str | Task, metric: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> Score:
    """One metric on one group; whatever breaks in the metric or in the gate becomes the score's reason."""
    try:
        return _score_metric(task, metric, hypotheses, references)
    except UnavailableError as error:
        return Score(ScoreStatus.UNAVAILABLE, reason=str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - one broken score must not lose the others
        print_traceback(error)
        return Score(ScoreStatus.FAILED, reason=f"failed: {type(error).__name__}: {error}")


def _score_metric(
    task: str | Task, name: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> Score:
    metric = registry.find_metric(task, name)
    if metric is None:
        return Score(ScoreStatus.NOT_IMPLEMENTED, reason="not implemented yet")
    if not hypotheses:
        return Score(ScoreStatus.EMPTY, reason="no items in this group")
    without = [number for number, refs in enumerate(references, 1) if not refs]
    if without and metric.requirements.references:
        return make_unreferenced_score(without, len(hypotheses))
    try:
        result = metric.score(hypotheses, references)
    except NoReferenceError as error:
        return make_unreferenced_score(error.items, len(hypotheses))
    return Score(
        ScoreStatus.COMPUTED,
        result.value,
        format_signature(result.signature),
        segments=result.segments,
        gate=golden.judge_scorer(task, name),
    )


def make_unreferenced_score(without: Sequence[int], count: int) -> Score:
    """The score of ``count`` items of which some, by their numbers from 1, have no usable reference."""
    reason = f"no reference for {len(without)} of {count} items (first: {without[0]})"
    return Score(ScoreStatus.NO_REFERENCES, reason=reason)


def read_generation_rows(rows: Iterable[Mapping[str, Any]]) -> ScoringInput:
    """Items and outputs of a run's stored generations."""
    stored = list(rows)
    items = [ReferenceItem(tuple(row["references"]), tuple(row["groups"])) for row in stored]
    return ScoringInput(items, [row["output"] for row in stored])


def list_distrusted_scores(scores: ScoreDocuments) -> list[str]:
    """The metrics whose scorer failed the gate: their numbers must not be believed."""
    return sorted(
        {
            name
            for of_group in scores.values()
            for name, score in of_group.items()
            if score.get("gate_status") == GateStatus.FAILED
        }
    )


def list_missing_scores(
    scores: Mapping[str, Mapping[str, Any]],
    requested: Collection[str] = (),
    some_lack_references: bool = False,
) -> list[str]:
    """The scores of the group ``all`` whose absence is a failure: of those that were asked for by name, any.

    Of a task's scores that nobody named, those whose scorer broke, and all where none is there; but for
    outputs of which some lack references: with every score is said which.
    """
    missing = [name for name, score in scores.items() if score["value"] is None]
    if requested:
        return [name for name in missing if name in requested]
    if len(missing) == len(scores) and not some_lack_references:
        return missing
    return [name for name in missing if scores[name]["status"] == ScoreStatus.FAILED]


def warn_of_failed_gates(scores: ScoreDocuments) -> list[str]:
    """The metrics whose scorer failed the gate, said aloud."""
    distrusted = list_distrusted_scores(scores)
    if distrusted:
        print_message(
            f"warning: the scorers of {', '.join(distrusted)} give wrong values for the golden outputs on this "
            "machine; their scores are marked. `bench score --self-test` shows what differs",
            important=True,
        )
    return distrusted
