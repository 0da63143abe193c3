"""Scores of a set of outputs: every metric of a task, for every group of its items.

One score that fails does not lose the others: it is reported as not computed, with the reason. Every
score says whether its scorer passed the gate (``bench.scoring.golden``): the golden outputs, scored before.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench import metrics
from bench.errors import UnavailableError, UserError
from bench.metrics import Score
from bench.scoring import golden
from bench.system.progress import say
from bench.task import Task

NOT_YET = "not implemented yet"
FAILED = "failed"


class HasReferences(Protocol):
    """What scoring needs to know of an item."""

    @property
    def references(self) -> Sequence[str]: ...
    @property
    def groups(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Pair:
    """References and groups of one output, for outputs that come with their own references."""

    references: tuple[str, ...]
    groups: tuple[str, ...] = ("all",)


def names(task: Task, only: Iterable[str] = ()) -> list[str]:
    """The metrics of a task: those of the paper's columns, then the variants that go with them.

    ``only`` chooses among them; an unknown name raises ``UserError`` with the valid ones.
    """
    known = [*task.metrics, *metrics.VARIANTS.get(task.name, ())]
    chosen = list(only)
    for name in chosen:
        if name not in known:
            from bench.errors import UnknownNameError

            raise UnknownNameError(f"metric of {task.name}", name, known, "bench list metrics")
    return [name for name in known if not chosen or name in chosen]


def score(
    task: Task, items: Sequence[HasReferences], outputs: Sequence[str], only: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """What a record keeps of ``score_all``."""
    return to_json(score_all(task, items, outputs, only))


def to_json(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, dict[str, Any]]:
    """``{group: {metric: {"value", "signature"[, "reason"], "gate"}}}``: all but the values per segment."""
    return {group: {name: one.to_json() for name, one in found.items()} for group, found in scores.items()}


def score_all(
    task: Task, items: Sequence[HasReferences], outputs: Sequence[str], only: Iterable[str] = ()
) -> dict[str, dict[str, Score]]:
    """``{group: {metric: score}}`` for outputs in the items' order.

    Raises ``UserError`` when the numbers of items and outputs differ (both are named).
    """
    if len(items) != len(outputs):
        raise UserError(
            f"{len(outputs):,} outputs for {len(items):,} items of {task.name}: expected one for each"
        )
    chosen_metrics = names(task, only)
    result: dict[str, dict[str, Score]] = {}
    for group in task.groups:
        chosen = [index for index, item in enumerate(items) if group in item.groups]
        hypotheses = [outputs[index] for index in chosen]
        references = [items[index].references for index in chosen]
        result[group] = {name: one(task.name, name, hypotheses, references) for name in chosen_metrics}
    return result


def one(task: str, metric: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """One metric on one group."""
    try:
        return measured(task, metric, hypotheses, references)
    except UnavailableError as error:
        return Score(None, None, str(error))
    except Exception as error:  # noqa: BLE001 - one broken score must not lose the others
        traceback.print_exc(file=sys.stderr)
        return Score(None, None, f"{FAILED}: {type(error).__name__}: {error}")


def measured(task: str, metric: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """The same, with whatever the scorer or the gate raises."""
    scorer = metrics.find(task, metric)
    if scorer is None:
        return Score(None, None, NOT_YET)
    if not hypotheses:
        return Score(None, None, "no items in this group")
    without = [number for number, refs in enumerate(references, 1) if not refs]
    if without:
        return Score(
            None, None, f"no reference for {len(without)} of {len(hypotheses)} items (first: {without[0]})"
        )
    found = scorer(hypotheses, references)
    return Score(found.value, found.signature, segments=found.segments, gate=golden.verdict(task, metric))


def of_rows(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Pair], list[str]]:
    """Items and outputs of a run's stored generations."""
    kept = list(rows)
    items = [Pair(tuple(row["references"]), tuple(row["groups"])) for row in kept]
    return items, [row["output"] for row in kept]


def failed_gate(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """The metrics whose scorer failed the gate: their numbers must not be believed."""
    return sorted(
        {
            name
            for group in scores.values()
            for name, one in group.items()
            if str(one.get("gate", "")).startswith(golden.FAILED)
        }
    )


def unanswered(
    scores: Mapping[str, Mapping[str, Any]], named: Collection[str] = (), some_lack_references: bool = False
) -> list[str]:
    """The scores of the group ``all`` whose absence is a failure: of those that were asked for by name, any.

    Of a task's scores that nobody named, those whose scorer broke, and all where none is there; but for
    outputs of which some lack references: with every score is said which.
    """
    reasons = {name: str(one.get("reason")) for name, one in scores.items() if one.get("value") is None}
    if named:
        return [name for name in reasons if name in named]
    if len(reasons) == len(scores) and not some_lack_references:
        return list(reasons)
    return [name for name, reason in reasons.items() if reason.startswith(FAILED)]


def warn_of_gate(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """The metrics whose scorer failed the gate, said aloud."""
    failed = failed_gate(scores)
    if failed:
        say(
            f"warning: the scorers of {', '.join(failed)} give wrong values for the golden outputs on this "
            "machine; their scores are marked. `bench score --self-test` shows what differs",
            important=True,
        )
    return failed
