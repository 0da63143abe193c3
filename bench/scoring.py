"""Scores of a set of outputs: every metric of the task, for every group of its items.

One score that fails does not lose the others: it is reported as not computed, with the reason.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any

from bench import metrics
from bench.errors import UnavailableError, UserError
from bench.metrics import Score
from bench.task import Item, Task


def score(task: Task, items: Sequence[Item], outputs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``{group: {metric: {"value", "signature"[, "reason"]}}}`` for outputs in the items' order.

    Raises ``UserError`` when the numbers of items and outputs differ (both are named).
    """
    if len(items) != len(outputs):
        raise UserError(
            f"{len(outputs)} outputs for {len(items)} items of {task.name}: expected one for each"
        )
    result: dict[str, dict[str, Any]] = {}
    for group in task.groups:
        chosen = [index for index, item in enumerate(items) if group in item.groups]
        hypotheses = [outputs[index] for index in chosen]
        references = [items[index].references for index in chosen]
        result[group] = {
            name: one(task.name, name, hypotheses, references).to_json() for name in task.metrics
        }
    return result


def one(task: str, metric: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """One metric on one group."""
    scorer = metrics.find(task, metric)
    if scorer is None:
        return Score(None, None, "not implemented yet")
    if not hypotheses:
        return Score(None, None, "no items in this group")
    if any(not refs for refs in references):
        return Score(None, None, "an item has no reference")
    try:
        measured = scorer(hypotheses, references)
    except UnavailableError as error:
        return Score(None, None, str(error))
    except Exception as error:  # noqa: BLE001 - one broken score must not lose the others
        traceback.print_exc(file=sys.stderr)
        return Score(None, None, f"failed: {type(error).__name__}: {error}")
    return Score(measured.value, measured.signature, segments=measured.segments)
