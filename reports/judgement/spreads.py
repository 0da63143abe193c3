"""The usual spread between runs, by metric: no observed spread of a claim's numbers counts as smaller.

Three seeds that happen to agree, or runs that are not independent at all, do not make noise vanish. Scores have the
published spreads of ``reports.judgement.verdicts.RULES``; what those do not have is here, each with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reports.judgement.verdicts import RULES, UNSEEN
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
    "facts_missing": UsualSpread(0.01, "our choice: a point, as METEOR and ROUGE-L have half of one"),
    "facts_false": UsualSpread(0.01, "our choice: a point, as METEOR and ROUGE-L have half of one"),
}


def find_usual_spread(metric: str, group: str, value: float) -> float:
    """The standard deviation between seeds to expect, in our unit; 0 where none is published for the metric.

    ``value``: the number itself, for spreads that are a share of it.
    """
    rule = RULES.get(metric) or OTHER_SPREADS.get(metric)
    if rule is None:
        return 0.0
    spread = rule.spread * (abs(value) if rule.relative else 1.0)
    return spread * UNSEEN if group == "unseen" else spread


def explain_usual_spread(metric: str) -> str:
    """Where the spread comes from; empty where there is none."""
    rule = RULES.get(metric) or OTHER_SPREADS.get(metric)
    return "" if rule is None else rule.why


def read_group(selector: Selector) -> str:
    """The group of items of a selector."""
    return str(selector.get("group", "all"))
