"""The paper's sentences, checked: on our records, at scale mini, and on the paper's own numbers.

``reports.paper.Claim`` says how a claim's numbers are made. Here they come with their uncertainty, and
the outcome follows from the whole interval, not from where its middle lies:

- **supported**: all of the interval is as the sentence says;
- **contradicted**: none of it is;
- **undecided**: it holds both, or there is no interval (one seed);
- **not run**: a number that is needed is missing (why is said).

A claim of several numbers (``each``) is supported if every one supports it, which needs no stricter
intervals; it is contradicted if one contradicts it at the level that holds for all of them together
(1 - 0.05/k): with many numbers one would else contradict by chance.

The paper's own numbers are points: they check the checks. Mini runs are evaluated the same way where
the sentence is about an ordering, and are kept apart (``Checked.mini``): they say how methods compare
at scale mini and never support or contradict a sentence about the paper's models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from reports.document.table1 import Counted
from reports.judgement.claim_values import GapError, OnPaper, OnRecords, Side, Source, both, total
from reports.paper import published
from reports.paper.published import Claim, Selector
from reports.records.index import Index
from reports.stats.estimates import Estimate, average, ratio, scaled
from reports.stats.intervals import LEVEL, Interval, MixedError

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_RUN = "supported", "contradicted", "undecided", "not run"
OUTCOMES = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_RUN)
AT_MINI = {
    SUPPORTED: "holds at scale mini",
    CONTRADICTED: "does not hold at scale mini",
    UNDECIDED: "not decided at scale mini",
    NOT_RUN: "not run at scale mini",
}
"""How an outcome is worded where it says nothing about the paper's models."""
COMBINED = {"mean": "mean", "fall": "first less last"}


@dataclass(frozen=True)
class Number:
    """One number of a claim in its unit, with its interval if it has one, and the runs behind it."""

    label: str
    value: float
    interval: Interval | None
    method: str
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """A claim on one source of numbers: ``records``, ``mini`` or ``paper``."""

    source: str
    outcome: str
    label: str
    """The outcome as it may be shown."""
    explanation: str
    """One sentence, with the number that decides."""
    numbers: tuple[Number, ...] = ()
    """One per need; last, where they are combined, what comes out."""
    missing: tuple[str, ...] = ()
    """Numbers that are not there, and why."""


@dataclass(frozen=True)
class Checked:
    """A claim with its evaluations. ``records`` is the answer, ``on_paper`` the check of the check."""

    claim: Claim
    records: Evaluation
    mini: Evaluation
    on_paper: Evaluation


def check(
    index: Index, claims: Iterable[Claim] | None = None, counted: Counted | None = None
) -> list[Checked]:
    """Every claim, or ``claims``, evaluated three ways."""
    chosen = published.claims() if claims is None else tuple(claims)
    return [
        Checked(
            claim,
            evaluate(claim, OnRecords(index, "paper", counted or {}), "records"),
            at_mini(claim, index),
            on_paper(claim),
        )
        for claim in chosen
    ]


def on_paper(claim: Claim) -> Evaluation:
    """The claim on the paper's own cells; what the transcription notes about it is added."""
    found = evaluate(claim, OnPaper(), "paper")
    if found.outcome == NOT_RUN:  # the paper prints no number that would decide
        found = replace(found, outcome=UNDECIDED, label=UNDECIDED)
    note = str(claim.on_paper.get("note", ""))
    return replace(found, explanation=f"{found.explanation} {sentence(note)}") if note else found


def at_mini(claim: Claim, index: Index) -> Evaluation:
    """The claim on mini runs, if it is about an ordering: sizes of effects belong to the paper's models."""
    if claim.kind != "difference" or claim.expectation != 0 or claim.relation == "=":
        why = "Not looked at: the sentence has a number, and mini runs can only speak of orderings."
        return Evaluation("mini", NOT_RUN, AT_MINI[NOT_RUN], why)
    found = evaluate(claim, OnRecords(index, "mini"), "mini")
    label = AT_MINI[found.outcome]
    rest = found.explanation.split(": ", 1)[1]
    return replace(found, label=label, explanation=f"{sentence(label)[:-1]}: {rest}")


def tally(found: Iterable[str]) -> dict[str, int]:
    """How many claims have each outcome, all outcomes named."""
    counts = Counter(found)
    return {outcome: counts[outcome] for outcome in OUTCOMES}


# --- numbers, and what they decide


def evaluate(claim: Claim, source: Source, name: str) -> Evaluation:
    """The claim's numbers from ``source``, and what they decide."""
    sides, missing = gather(claim, source)
    if missing:
        start = "Cannot be decided" if name == "paper" else "Not run"
        said = f"{start}: {len(missing)} of {len(claim.needs)} numbers are missing ({missing[0]})."
        return Evaluation(name, NOT_RUN, NOT_RUN, said, missing=tuple(missing))
    try:
        decided = best_of(claim, sides) if claim.kind == "best" else by_numbers(claim, sides)
    except MixedError as error:
        return Evaluation(name, UNDECIDED, UNDECIDED, f"Undecided: {error}.")
    outcome, said, numbers = decided
    return Evaluation(name, outcome, outcome, f"{outcome.capitalize()}: {said}", tuple(numbers))


def gather(claim: Claim, source: Source) -> tuple[list[tuple[Side, ...]], list[str]]:
    """The sides of every need, and which needs lack one and why."""
    sides: list[tuple[Side, ...]] = []
    missing: list[str] = []
    for need in claim.needs:
        try:
            sides.append(both(source, need["a"], need["b"]) if "b" in need else (source.side(need["a"]),))
        except GapError as gap:
            missing.append(f"{need['label']}: {gap}")
    return sides, missing


def by_numbers(claim: Claim, sides: Sequence[tuple[Side, ...]]) -> tuple[str, str, list[Number]]:
    """Outcome, explanation and numbers of differences and ratios."""
    estimates = [number_of(claim, need, *pair) for need, pair in zip(claim.needs, sides, strict=True)]
    numbers = [
        shown(str(need["label"]), one, pair)
        for need, one, pair in zip(claim.needs, estimates, sides, strict=True)
    ]
    if claim.combine != "each":
        whole = combined(claim, sides, estimates)
        number = shown(COMBINED[claim.combine], whole, [side for pair in sides for side in pair])
        outcome = decide(claim, whole, 1)
        return outcome, explain(claim, outcome, [number], 1), [*numbers, number]
    outcomes = [decide(claim, one, len(estimates)) for one in estimates]
    outcome = next(one for one in (CONTRADICTED, UNDECIDED, SUPPORTED) if one in outcomes)
    deciding = [number for number, one in zip(numbers, outcomes, strict=True) if one == outcome]
    return outcome, explain(claim, outcome, deciding, len(numbers)), numbers


def number_of(claim: Claim, need: Mapping[str, Any], a: Side, b: Side) -> Estimate:
    """A need's number in the claim's unit: a - b (turned where lower is better) or a / b."""
    if claim.kind == "ratio":
        return scaled(ratio(a.estimate, b.estimate), claim.scale)
    return scaled(total([(1.0, a), (-1.0, b)]), sign(need["a"]) * claim.scale)


def combined(claim: Claim, sides: Sequence[tuple[Side, ...]], estimates: Sequence[Estimate]) -> Estimate:
    """One number of all: their mean, or the first less the last."""
    if claim.kind == "ratio":
        return average(estimates)
    count = len(sides)
    weights = [1 / count] * count if claim.combine == "mean" else [1.0, *[0.0] * (count - 2), -1.0]
    terms = []
    for weight, need, (a, b) in zip(weights, claim.needs, sides, strict=True):
        if weight:
            turned = weight * sign(need["a"]) * claim.scale
            terms += [(turned, a), (-turned, b)]
    return total(terms)


def shown(label: str, one: Estimate, sides: Iterable[Side]) -> Number:
    runs = dict.fromkeys(run for side in sides for run in side.runs)
    return Number(label, one.value, one.interval(), one.method, tuple(runs))


def decide(claim: Claim, one: Estimate, together: int) -> str:
    """What one number's interval says; contradiction at the level that holds for ``together`` numbers."""
    interval, strict = one.interval(), one.interval(1 - (1 - LEVEL) / together)
    if interval is None or strict is None:
        return UNDECIDED
    if claim.holds(interval.low) and claim.holds(interval.high):
        return SUPPORTED
    return UNDECIDED if somewhere(claim, strict) else CONTRADICTED


def somewhere(claim: Claim, interval: Interval) -> bool:
    """Whether some value of the interval is as the claim says: what it allows is itself an interval."""
    if claim.holds(interval.low) or claim.holds(interval.high):
        return True
    return claim.relation == "=" and interval.low <= claim.expectation <= interval.high


def best_of(claim: Claim, sides: Sequence[tuple[Side, ...]]) -> tuple[str, str, list[Number]]:
    """Whether the best need is the named one: it must beat the others, interval and all, to decide."""
    labels = [str(need["label"]) for need in claim.needs]
    numbers = [
        shown(label, scaled(side.estimate, claim.scale), [side])
        for label, (side,) in zip(labels, sides, strict=True)
    ]
    towards = sign(claim.needs[0]["a"])
    best = max(range(len(sides)), key=lambda i: towards * sides[i][0].estimate.value)
    named = [claim.holds(float(need["x"])) for need in claim.needs]
    rivals = [i for i in range(len(sides)) if named[i] != named[best]]
    level = 1 - (1 - LEVEL) / max(1, len(rivals))
    gaps = [total([(towards, sides[best][0]), (-towards, sides[i][0])]).interval(level) for i in rivals]
    sure = bool(gaps) and all(gap is not None and gap.low > 0 for gap in gaps)
    outcome = UNDECIDED if not sure else SUPPORTED if named[best] else CONTRADICTED
    how = "better than all that differ by more than seeds do" if sure else "but others are too near to tell"
    said = f"best at {claim.unit} {labels[best]}, {how}; the sentence names {claim.expectation:g}."
    return outcome, said, numbers


def sign(selector: Selector) -> float:
    """-1 where lower is better, as the paper's cells of that metric say; a spread is taken as it is."""
    return -1.0 if selector.get("statistic") != "sd" and selector["metric"] in lower_is_better() else 1.0


@cache
def lower_is_better() -> frozenset[str]:
    found = (cell for name in published.WITH_CELLS for cell in published.cells(name))
    return frozenset(cell.metric for cell in found if cell.better == "lower")


# --- in words


def explain(claim: Claim, outcome: str, deciding: Sequence[Number], of: int) -> str:
    """The number that decides: the furthest off where the claim is contradicted, else the least convincing."""
    number = min(deciding, key=lambda one: margin(claim, one.value))
    value = f"{number.value:.4g}"
    interval = number.interval
    if interval is None:
        value += f" ({number.method})"
    elif interval.high > interval.low:
        value += f" [{interval.low:.4g}, {interval.high:.4g}]"
        value += f" ({interval.level:.0%} {interval.over}, {number.method})"
    wants = f"{claim.relation} {claim.expectation:g}"
    wants += f" (tolerance {claim.tolerance:g})" if claim.tolerance else ""
    count = f"{len(deciding)} of {of} numbers, e.g. " if of > 1 else ""
    return f"{count}{number.label}: {value} {claim.unit}; the sentence asks for {wants}."


def margin(claim: Claim, value: float) -> float:
    """How far the value is on the sentence's side of what it asks for."""
    gap = value - claim.expectation
    return -abs(gap) if claim.relation == "=" else gap if claim.relation[0] == ">" else -gap


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
