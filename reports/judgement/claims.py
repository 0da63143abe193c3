"""The paper's sentences, checked: on our records, at scale mini, and on the paper's own numbers.

``reports.paper.Claim`` says how a claim's numbers are made. Here they come with their uncertainty, and
the outcome follows from the whole interval, not from where its middle lies:

- **supported**: all of the interval is as the sentence says;
- **contradicted**: none of it is;
- **undecided**: it holds both, or there is no interval (one seed, or equal values of something whose usual
  spread nobody has published).
- **not run**: a number that is needed is missing (why is said).

What a sentence says is an interval itself (``Claim.limits``): open on one side for an ordering, closed on both for
a size, "slightly", "comparable" or a number. Intervals have 90 %, so that each end is wrong at most 5 % of
the time: a sentence of size is then supported by two one-sided tests at 5 % (TOST, Schuirmann 1987). Those of
spreads have 95 %, since the F ratio trusts in normal values. No spread that was observed counts as
smaller than the usual one (``reports.judgement.spreads``).

A claim of several numbers (``each``) is supported if every one supports it, which needs no stricter
intervals; it is contradicted if one contradicts it at the level that holds for all of them together
(1 - 0.10/k): with many numbers one would else contradict by chance.

The paper's own numbers are points: they check the checks. Mini runs are evaluated the same way where
the sentence is about an ordering, and are kept apart (``CheckedClaim.mini``): they say how methods compare
at scale mini and never support or contradict a sentence about the paper's models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from reports.judgement.claim_remarks import EvidenceRemarks, collect_remarks
from reports.judgement.claim_values import (
    ClaimValue,
    MissingValueError,
    PaperValues,
    RecordValues,
    ValueSource,
    find_pair,
    sum_values,
)
from reports.paper import published
from reports.paper.limits import Limits
from reports.paper.published import Claim, Selector
from reports.records.fact_rates import CHECK_ERRORS, FACT_METRICS, OutputFacts
from reports.records.index import CountedStatistics, RunIndex
from reports.records.matching import make_query, translate_to_mini
from reports.stats.estimates import (
    Estimate,
    NoSpreadError,
    PointEstimate,
    SpreadRatio,
    average_estimates,
    compare_spreads,
    estimate_ratio,
    scale_estimate,
)
from reports.stats.intervals import Interval, MixedError


class ClaimOutcome(StrEnum):
    """What a source of numbers says of a sentence of the paper."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


AT_MINI = {
    ClaimOutcome.SUPPORTED: "holds at scale mini",
    ClaimOutcome.CONTRADICTED: "does not hold at scale mini",
    ClaimOutcome.UNDECIDED: "not decided at scale mini",
    ClaimOutcome.NOT_RUN: "not run at scale mini",
}
"""How an outcome is worded where it says nothing about the paper's models."""
COMBINED = {"mean": "mean", "fall": "first less last"}
LEVEL, SPREAD_LEVEL = 0.90, 0.95
"""Of the intervals: each end wrong at most 5 % of the time, that of a ratio of spreads 2.5 %."""
LOWER_IS_BETTER = frozenset({"training_loss", *FACT_METRICS})
"""Besides the metrics of which the paper's cells say so."""


@dataclass(frozen=True)
class ClaimNumber:
    """One number of a claim in its unit, with its interval if it has one, and the runs behind it."""

    label: str
    value: float
    interval: Interval | None
    method: str
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClaimEvaluation:
    """A claim on one source of numbers: ``records``, ``mini`` or ``paper``."""

    source: str
    outcome: ClaimOutcome
    label: str
    """The outcome as it may be shown."""
    explanation: str
    """One sentence, with the number that decides."""
    numbers: tuple[ClaimNumber, ...] = ()
    """One per need; last, where they are combined, what comes out."""
    missing: tuple[str, ...] = ()
    """Numbers that are not there, and why."""
    details: str = ""
    """The explanation without the outcome's name before it."""
    remarks: EvidenceRemarks = field(default_factory=EvidenceRemarks)
    """What the explanation says of the runs, as values."""


@dataclass(frozen=True)
class CheckedClaim:
    """A claim with its evaluations. ``records`` is the answer, ``on_paper`` the check of the check."""

    claim: Claim
    records: ClaimEvaluation
    mini: ClaimEvaluation
    on_paper: ClaimEvaluation


def check_claims(
    index: RunIndex,
    claims: Iterable[Claim] | None = None,
    counted: CountedStatistics | None = None,
    facts: OutputFacts | None = None,
) -> list[CheckedClaim]:
    """Every claim, or ``claims``, evaluated three ways. ``facts``: of the stored outputs; else nothing is known."""
    chosen = published.read_claims() if claims is None else tuple(claims)
    facts = facts or OutputFacts()
    return [
        CheckedClaim(
            claim,
            evaluate_claim(claim, RecordValues(index, "paper", counted or {}, facts), "records"),
            evaluate_at_mini(claim, index, facts),
            evaluate_on_paper(claim),
        )
        for claim in chosen
    ]


def evaluate_on_paper(claim: Claim) -> ClaimEvaluation:
    """The claim on the paper's own cells; what the transcription notes about it is added."""
    evaluation = evaluate_claim(claim, PaperValues(), "paper")
    if evaluation.outcome is ClaimOutcome.NOT_RUN:  # the paper prints no number that would decide
        evaluation = replace(evaluation, outcome=ClaimOutcome.UNDECIDED, label=ClaimOutcome.UNDECIDED)
    note = str(claim.on_paper.get("note", ""))
    if not note:
        return evaluation
    return replace(evaluation, explanation=f"{evaluation.explanation} {format_sentence(note)}")


def evaluate_at_mini(claim: Claim, index: RunIndex, facts: OutputFacts | None = None) -> ClaimEvaluation:
    """What of the claim is an ordering, on mini runs: sizes of effects, times and memory are the paper's models'."""
    ordering = claim.keep_ordering() if claim.kind in ("difference", "spread") else None
    if ordering is None:
        reason = "Not looked at: the sentence has a size, and mini runs can only speak of orderings."
        return ClaimEvaluation("mini", ClaimOutcome.NOT_RUN, AT_MINI[ClaimOutcome.NOT_RUN], reason)
    values = RecordValues(index, "mini", facts=facts or OutputFacts())
    evaluation = evaluate_claim(name_mini_needs(ordering), values, "mini")
    return replace(
        evaluation,
        label=AT_MINI[evaluation.outcome],
        explanation=f"{format_sentence(AT_MINI[evaluation.outcome])[:-1]}: {evaluation.details}",
    )


def name_mini_needs(claim: Claim) -> Claim:
    """The claim with its numbers called by what runs at scale mini, not by the paper's systems and shares."""
    needs = []
    for need in claim.needs:
        query = translate_to_mini(make_query(need["a"]))
        if query is None:  # scale mini has no such model
            needs.append(need)
            continue
        systems = [describe_at_mini(need[side]) for side in ("a", "b") if side in need]
        measure = " ".join(filter(None, (query.task, str(need["a"]["metric"]))))
        needs.append({**need, "label": f"{query.model}, {measure}: {' against '.join(systems)}"})
    return replace(claim, needs=tuple(needs))


def describe_at_mini(selector: Selector) -> str:
    """``prefix[length=10], unseen, train_subset=50``: whose runs the selector asks for at scale mini."""
    query = translate_to_mini(make_query(selector))
    if query is None:
        return str(selector.get("method"))
    options = ",".join(f"{name}={value}" for name, value in query.options)
    group = selector.get("group", "all")
    parts = [str(query.method) + (f"[{options}]" if options else "")]
    parts += [str(group)] if group != "all" else []
    return ", ".join([*parts, *(f"{name}={value}" for name, value in query.conditions)])


def count_outcomes(outcomes: Iterable[str]) -> dict[ClaimOutcome, int]:
    """How many claims have each outcome, all outcomes named."""
    counts = Counter(outcomes)
    return {outcome: counts[outcome] for outcome in ClaimOutcome}


# --- numbers, and what they decide


class Decision(NamedTuple):
    """What numbers decide, with the sentence that says so and the numbers."""

    outcome: ClaimOutcome
    explanation: str
    numbers: list[ClaimNumber]


def evaluate_claim(claim: Claim, source: ValueSource, name: str) -> ClaimEvaluation:
    """The claim's numbers from ``source``, and what they decide."""

    def evaluation(
        outcome: ClaimOutcome, head: str, details: str, *, numbers: Sequence[ClaimNumber] = (), **rest: Any
    ) -> ClaimEvaluation:
        explanation = f"{head}: {details}"
        return ClaimEvaluation(name, outcome, outcome, explanation, tuple(numbers), details=details, **rest)

    values, missing = gather_values(claim, source)
    if missing:
        head = "Cannot be decided" if name == "paper" else "Not run"
        details = f"{len(missing)} of {len(claim.needs)} numbers are missing ({missing[0]})."
        return evaluation(ClaimOutcome.NOT_RUN, head, details, missing=tuple(missing))
    remarks = collect_remarks(claim, values)
    try:
        decision = decide_best(claim, values) if claim.kind == "best" else decide_by_numbers(claim, values)
    except (MixedError, NoSpreadError) as error:
        explanation = " ".join((f"{error}.", *remarks.to_sentences()))
        return evaluation(ClaimOutcome.UNDECIDED, "Undecided", explanation, remarks=remarks)
    explanation = " ".join((decision.explanation, *describe_checks(claim), *remarks.to_sentences()))
    head = decision.outcome.capitalize()
    return evaluation(decision.outcome, head, explanation, numbers=decision.numbers, remarks=remarks)


def describe_checks(claim: Claim) -> list[str]:
    """How often the check errs by which a claim's numbers were counted; empty for other claims."""
    selectors = [need["a"] for need in claim.needs if need["a"]["metric"] in FACT_METRICS]
    used = dict.fromkeys((selector["task"], selector["metric"]) for selector in selectors)
    return [
        format_sentence(f"{metric.replace('_', ' ')}: {CHECK_ERRORS[task, metric].describe()}")
        for task, metric in used
    ]


def gather_values(claim: Claim, source: ValueSource) -> tuple[list[tuple[ClaimValue, ...]], list[str]]:
    """The one or two values of every need, and which needs lack one and why."""
    values: list[tuple[ClaimValue, ...]] = []
    missing: list[str] = []
    for need in claim.needs:
        try:
            if "b" in need:
                values.append(find_pair(source, need["a"], need["b"]))
            else:
                values.append((source.find_value(need["a"]),))
        except MissingValueError as error:
            missing.append(f"{need['label']}: {error}")
    return values, missing


def decide_by_numbers(claim: Claim, values: Sequence[tuple[ClaimValue, ...]]) -> Decision:
    """Outcome, explanation and numbers of differences and ratios."""
    estimates = [compute_number(claim, need, *pair) for need, pair in zip(claim.needs, values, strict=True)]
    numbers = [
        make_number(str(need["label"]), estimate, pair)
        for need, estimate, pair in zip(claim.needs, estimates, values, strict=True)
    ]
    if claim.combine != "each":
        combined = combine_numbers(claim, values, estimates)
        number = make_number(COMBINED[claim.combine], combined, [value for pair in values for value in pair])
        outcome = decide_outcome(claim.limits, combined, 1)
        return Decision(outcome, explain_outcome(claim, [(number, claim.limits)], 1), [*numbers, number])
    limits = [claim.find_limits(need) for need in claim.needs]
    outcomes = [
        decide_outcome(allowed, estimate, len(estimates))
        for allowed, estimate in zip(limits, estimates, strict=True)
    ]
    order = (ClaimOutcome.CONTRADICTED, ClaimOutcome.UNDECIDED, ClaimOutcome.SUPPORTED)
    outcome = next(candidate for candidate in order if candidate in outcomes)
    deciding = [
        (number, allowed)
        for number, allowed, decided in zip(numbers, limits, outcomes, strict=True)
        if decided is outcome
    ]
    return Decision(outcome, explain_outcome(claim, deciding, len(numbers)), numbers)


def compute_number(claim: Claim, need: Mapping[str, Any], a: ClaimValue, b: ClaimValue) -> Estimate:
    """A need's number in the claim's unit: a - b (turned where lower is better), a / b, or the ratio of spreads."""
    if claim.kind == "spread":
        return compare_spreads(a.replicates, b.replicates, min(a.floor, b.floor))
    if claim.kind == "ratio":
        return scale_estimate(estimate_ratio(a.estimate, b.estimate), claim.scale)
    return scale_estimate(sum_values([(1.0, a), (-1.0, b)]), improvement_sign(need["a"]) * claim.scale)


def combine_numbers(
    claim: Claim, values: Sequence[tuple[ClaimValue, ...]], estimates: Sequence[Estimate]
) -> PointEstimate:
    """A single number of all: their mean, or the first less the last."""
    if claim.kind == "ratio":
        return average_estimates([estimate for estimate in estimates if isinstance(estimate, PointEstimate)])
    count = len(values)
    weights = [1 / count] * count if claim.combine == "mean" else [1.0, *[0.0] * (count - 2), -1.0]
    terms = []
    for weight, need, (a, b) in zip(weights, claim.needs, values, strict=True):
        if weight:
            signed = weight * improvement_sign(need["a"]) * claim.scale
            terms += [(signed, a), (-signed, b)]
    return sum_values(terms)


def make_number(label: str, estimate: Estimate, values: Iterable[ClaimValue]) -> ClaimNumber:
    """The estimate as it stands in an evaluation, with the runs behind its values."""
    runs = dict.fromkeys(run for value in values for run in value.runs)
    interval = estimate.interval(choose_level(estimate))
    return ClaimNumber(label, estimate.value, interval, estimate.description, tuple(runs))


def choose_level(estimate: Estimate, count: int = 1) -> float:
    """The level of an interval that decides, or of each of ``count`` that hold together."""
    level = SPREAD_LEVEL if isinstance(estimate, SpreadRatio) else LEVEL
    return 1 - (1 - level) / count


def decide_outcome(limits: Limits, estimate: Estimate, count: int) -> ClaimOutcome:
    """What a number's interval says; contradiction at the level that holds for all ``count`` numbers."""
    interval, wide = (estimate.interval(choose_level(estimate, number)) for number in (1, count))
    if interval is None or wide is None:
        return ClaimOutcome.UNDECIDED
    if limits.hold(interval.low) and limits.hold(interval.high):
        return ClaimOutcome.SUPPORTED
    if limits.lies_below(wide.high) or limits.lies_above(wide.low):
        return ClaimOutcome.CONTRADICTED
    return ClaimOutcome.UNDECIDED


def decide_best(claim: Claim, values: Sequence[tuple[ClaimValue, ...]]) -> Decision:
    """Whether the best need is the named one: it must beat the others, interval and all, to decide."""
    labels = [str(need["label"]) for need in claim.needs]
    numbers = [
        make_number(label, scale_estimate(value.estimate, claim.scale), [value])
        for label, (value,) in zip(labels, values, strict=True)
    ]
    direction = improvement_sign(claim.needs[0]["a"])
    best = max(range(len(values)), key=lambda i: direction * values[i][0].estimate.value)
    named = [claim.limits.hold(float(need["x"])) for need in claim.needs]
    rivals = [i for i in range(len(values)) if named[i] != named[best]]
    level = 1 - (1 - LEVEL) / max(1, len(rivals))
    gaps = [
        sum_values([(direction, values[best][0]), (-direction, values[i][0])]).interval(level) for i in rivals
    ]
    sure = bool(gaps) and all(gap is not None and gap.low > 0 for gap in gaps)
    if not sure:
        outcome = ClaimOutcome.UNDECIDED
    else:
        outcome = ClaimOutcome.SUPPORTED if named[best] else ClaimOutcome.CONTRADICTED
    how = "better than all that differ by more than seeds do" if sure else "but others are too near to tell"
    explanation = f"best at {claim.unit} {labels[best]}, {how}; the sentence names {claim.limits.describe()}."
    return Decision(outcome, explanation, numbers)


def improvement_sign(selector: Selector) -> float:
    """-1 where lower is better."""
    return -1.0 if selector["metric"] in LOWER_IS_BETTER | list_lower_is_better() else 1.0


@cache
def list_lower_is_better() -> frozenset[str]:
    """The metrics of which the paper's cells say that lower is better."""
    cells = (cell for name in published.WITH_CELLS for cell in published.read_cells(name))
    return frozenset(cell.metric for cell in cells if cell.better == "lower")


# --- in words


def explain_outcome(claim: Claim, deciding: Sequence[tuple[ClaimNumber, Limits]], total: int) -> str:
    """The number that decides: the furthest off where the claim is contradicted, else the least convincing.

    ``deciding``: those of ``total`` numbers that have the claim's outcome, with what is asked for.
    """
    number, limits = min(deciding, key=lambda pair: pair[1].measure_margin(pair[0].value))
    value = f"{number.value:.4g}"
    interval = number.interval
    if interval is None:
        value += f" ({number.method})"
    elif interval.high > interval.low:
        value += f" [{interval.low:.4g}, {interval.high:.4g}]"
        value += f" ({interval.level:.0%} {interval.over}, {number.method})"
    count = f"{len(deciding)} of {total} numbers, e.g. " if total > 1 else ""
    return f"{count}{number.label}: {value} {claim.unit}; the sentence asks for {limits.describe()}."


def format_sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
