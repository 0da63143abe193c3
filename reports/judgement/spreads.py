"""The usual spread between runs, by metric: no observed spread of a claim's numbers counts as smaller.

Three seeds that happen to agree, or runs that are not independent at all, do not make noise vanish. Scores have the
spreads that others published (``reports.judgement.repeated_runs``); what those do not have is here, with reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reports.judgement import repeated_runs
from reports.judgement.comparison import SCORES
from reports.paper.published import Selector


class UsualSpread(NamedTuple):
    """A standard deviation between runs in our unit, or with ``relative`` as a share of the value."""

    spread: float
    why: str
    relative: bool = False


OTHER_SPREADS: Mapping[str, UsualSpread] = {
    "epoch_hours": UsualSpread(0.02, "our choice: the same work on one machine takes 2 % more or less", True),
    "decode_seconds": UsualSpread(
        0.02, "our choice: the same work on one machine takes 2 % more or less", True
    ),
    "memory_share": UsualSpread(0.01, "our choice: what an allocator holds beyond what is in use", True),
    "training_loss": UsualSpread(0.01, "our choice: 1 % of the loss between orders of the rows", True),
    "facts_missing": UsualSpread(0.01, "our choice: a point; nothing is published"),
    "facts_false": UsualSpread(0.01, "our choice: a point; nothing is published"),
}


def find_usual_spread(selector: Selector, value: float) -> float:
    """The standard deviation between seeds to expect, in our unit; 0 where none is known for the metric.

    ``value``: the number itself, for spreads that are a share of it.
    """
    metric = str(selector["metric"])
    if metric in SCORES:
        task = selector.get("task")
        return repeated_runs.find_usual_spread(
            metric, None if task is None else str(task), read_group(selector)
        ).sd
    other = OTHER_SPREADS.get(metric)
    if other is None:
        return 0.0
    return other.spread * abs(value) if other.relative else other.spread


def explain_usual_spread(metric: str) -> str:
    """Where the spread comes from; empty where there is none."""
    if metric in SCORES:
        return repeated_runs.describe_spread(metric)
    return OTHER_SPREADS[metric].why if metric in OTHER_SPREADS else ""


def read_group(selector: Selector) -> str:
    """The group of items of a selector."""
    return str(selector.get("group", "all"))
