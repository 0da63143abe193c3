"""How likely the planned runs are to decide a claim, and how many would: ``bench plan CLAIM --power``.

The chance that a claim comes out supported is drawn for the paper's own effect (where it prints a number; else the
middle of what the sentence allows, or twice the tolerance of the metric) with the usual spread between runs, or that
of our runs where they differ more. Everything is decided as in ``reports.judgement.claims``, the floor of spreads and
the errors of the check of facts included. The numbers of a claim count as independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from bench.experiments.expansion import ExperimentRun
from bench.system.json_files import to_canonical_json
from reports.judgement.claim_plan import PlannedProfile, select_planned
from reports.judgement.claim_values import MissingValueError, PaperValues
from reports.judgement.claims import LEVEL, improvement_sign
from reports.judgement.comparison import SCORES, find_rule
from reports.judgement.spreads import explain_usual_spread, find_usual_spread
from reports.paper.limits import Limits
from reports.paper.published import Claim, Selector
from reports.records.fact_rates import CHECK_ERRORS, FACT_METRICS
from reports.records.values import COUNT_METRICS
from reports.stats.intervals import Replicates, group_units, make_generator, t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WANTED_POWER = 0.8
DRAWS = 4000
COUNTS: tuple[int, ...] = (*range(2, 31), 35, 40, 50, 60, 80, 100)
"""Numbers of seeds or subsets that are looked at."""
PRESUMED_RATE = 0.1
"""Of facts left out and outputs with something false, where nothing is known."""
PRESUMED_RATIO = 2.0
"""Of two standard deviations, where the sentence names none."""


class EffectSource(StrEnum):
    """Where the effect comes from that the power is of."""

    PAPER = "the paper's own numbers"
    MIDDLE = "the middle of what the sentence allows, since the paper prints no number"
    TOLERANCE = "twice the tolerance of the metric, since the paper prints no number"
    PRESUMED = "our presumption, since the paper prints no number"


class Undecidable(StrEnum):
    """Why no number of seeds or subsets is given."""

    EXACT = "a count, or what does not vary: a single run of each decides it"
    PAPER_OUTSIDE = "the paper's own numbers are not as the sentence says, or lie on its edge"
    TOO_CLOSE = "the effect is too small beside the spread, or the limits are too narrow: 100 would not do"
    NO_EFFECT = "the paper prints no number, and nothing says how large the effect is"
    NO_RUNS = "no run of it is planned"
    CHECK = "the measured errors of the check of facts alone are too large for the effect"


@dataclass(frozen=True)
class PowerTerm:
    """A set of runs in a number: its weight in the claim's unit, its spread between units in our unit."""

    weight: float
    sd: float
    floor: float
    seeds: int
    """Planned runs of each subset, or all where there are no subsets."""
    subsets: int
    """Planned; 0 where all data is trained on."""
    check_error: float = 0.0
    """Of what the check of facts adds, in the claim's unit; it errs alike in all terms of an ``instrument``."""
    instrument: str = ""


@dataclass(frozen=True)
class NumberPower:
    """The power of one number of a claim."""

    label: str
    effect: float | None
    source: EffectSource | None
    limits: Limits
    spread: float
    """Standard deviation of the number with one run, or subset, of each; in the claim's unit."""
    power: float | None
    """Chance of *supported* with the planned runs; None without an effect, or without an interval."""
    detectable: float | None
    """The smallest effect beyond an ordering's end that the planned runs would find with ``WANTED_POWER``."""


@dataclass(frozen=True)
class ClaimPower:
    """What it takes to decide a claim."""

    claim: Claim
    planned: int
    """The fewest seeds, or subsets, of a number that varies."""
    planned_most: int
    over: str
    """``seeds`` or ``subsets``."""
    runs: int
    numbers: tuple[NumberPower, ...]
    power: float | None
    """Of all numbers together."""
    needed: int | None
    """Seeds, or subsets, of each number for ``WANTED_POWER``."""
    why: Undecidable | None
    spreads: tuple[str, ...]
    """Where the spreads come from."""


ObservedReplicates = Callable[[Selector], Replicates]
"""The values of our runs for a selector; empty where there are none."""


def observe_nothing(_selector: Selector) -> Replicates:
    """No runs of ours."""
    return {}


class PowerModel:
    """A claim's numbers as weighted sets of planned runs."""

    def __init__(
        self,
        claim: Claim,
        planned: Sequence[PlannedProfile],
        observe: ObservedReplicates = observe_nothing,
    ) -> None:
        self.claim = claim
        self._observe = observe
        self._runs = {
            to_canonical_json(selector): select_planned(planned, selector, "paper")
            for need in claim.needs
            for selector in (need["a"], need.get("b", need["a"]))
        }

    def list_runs(self) -> list[ExperimentRun]:
        """All planned runs behind the claim, each once."""
        return list({run.key: run for runs in self._runs.values() for run in runs}.values())

    def make_term(self, selector: Selector, weight: float, value: float) -> PowerTerm | None:
        """The selector's runs as a term; None for what does not vary."""
        runs = self._runs[to_canonical_json(selector)]
        if selector["metric"] in COUNT_METRICS or selector.get("method") == "prompt" or not runs:
            return None
        subsets = {read_data_seed(run) for run in runs} - {None}
        count = len(subsets) if len(subsets) > 1 else 0
        floor = find_usual_spread(selector, value)
        observed = measure_spread(self._observe(selector))
        if count:
            floor /= math.sqrt(max(1, len(runs) // count))
        check = 0.0
        if selector["metric"] in FACT_METRICS:
            check = CHECK_ERRORS[selector["task"], selector["metric"]].compute_error(PRESUMED_RATE)
        return PowerTerm(
            weight,
            max(floor, observed),
            floor,
            len(runs) // max(1, count),
            count,
            abs(weight) * check,
            " ".join(str(selector.get(name)) for name in ("task", "metric", "method")),
        )

    def make_terms(self, need: Mapping[str, Selector], weight: float = 1.0) -> list[PowerTerm]:
        """The two sets behind a need's number."""
        claim, a, b = self.claim, need["a"], need["b"]
        if claim.kind == "ratio":
            ratio, value = guess_effect(claim, need)[0] or 1.0, guess_value(b)
            pairs = [
                (a, weight * claim.scale / value, ratio * value / claim.scale),
                (b, weight * ratio / value, value),
            ]
        else:
            signed = weight * claim.scale * improvement_sign(a)
            pairs = [(a, signed, guess_value(a)), (b, -signed, guess_value(b))]
        terms = [self.make_term(*pair) for pair in pairs]
        return [term for term in terms if term is not None]


def read_data_seed(run: ExperimentRun) -> object:
    """Which subset of the data a planned run draws; None without a part of the data."""
    settings = run.resolved.settings if run.resolved is not None else {}
    parts = [settings[name].value for name in ("train_subset", "train_share") if name in settings]
    return settings["data_seed"].value if any(part is not None for part in parts) else None


def measure_spread(replicates: Replicates) -> float:
    """The standard deviation between our runs, or subsets; 0 with fewer than three."""
    from statistics import stdev

    values = list(group_units(replicates).values.values()) if replicates else []
    return stdev(values) if len(values) >= 3 else 0.0


def guess_value(selector: Selector) -> float:
    """About what the number is, for spreads that are a share of it: the paper's, else 1."""
    try:
        return PaperValues().find_value(selector).estimate.value or 1.0
    except MissingValueError:
        return 1.0


def guess_effect(
    claim: Claim, need: Mapping[str, Selector] | None
) -> tuple[float | None, EffectSource | None]:
    """The number to expect of a need, or (None) of all combined, in the claim's unit, and where it comes from."""
    value = claim.on_paper["value"]
    if isinstance(value, list) and need is not None:
        return float(value[claim.needs.index(need)]), EffectSource.PAPER
    if value is not None and need is None:
        return float(fmean(value) if isinstance(value, list) else value), EffectSource.PAPER
    limits = claim.limits if need is None else claim.find_limits(need)
    if limits.low is not None and limits.high is not None:
        return (limits.low + limits.high) / 2, EffectSource.MIDDLE
    metric = str(claim.needs[0]["a"]["metric"])
    if claim.kind == "difference" and metric in SCORES and limits.low is not None:
        return limits.low + 2 * find_rule(metric).tolerance * claim.scale, EffectSource.TOLERANCE
    return None, None


# --- chances


class Simulation(NamedTuple):
    """Draws of an estimate around its true value and of half its interval's width."""

    offsets: NDArray[np.float64]
    reaches: NDArray[np.float64]

    def count_supported(self, effect: float, limits: Limits) -> float:
        """How often the whole interval is inside the limits."""
        import numpy as np

        values = effect + self.offsets
        inside = np.ones(len(values), dtype=bool)
        if limits.low is not None:
            inside &= values - self.reaches > limits.low
        if limits.high is not None:
            inside &= values + self.reaches < limits.high
        return float(inside.mean())


def simulate(terms: Sequence[PowerTerm], count: int | None, name: str) -> Simulation | None:
    """Draw estimates with ``count`` seeds, or subsets, of each set (None: as planned); None without an interval."""
    import numpy as np

    rng = make_generator(0, f"power/{name}")
    offsets, squares = np.zeros(DRAWS), np.zeros(DRAWS)
    for sd, floor, n in list_parts(terms, count):
        if n < 2:
            return None
        observed = sd * np.sqrt(rng.chisquare(n - 1, DRAWS) / (n - 1))
        offsets += rng.normal(0.0, sd / math.sqrt(n), DRAWS)
        squares += t_quantile((1 + LEVEL) / 2, n - 1) ** 2 * np.maximum(observed, floor) ** 2 / n
    for error in sum_check_errors(terms):
        offsets += rng.normal(0.0, error, DRAWS)
        squares += (t_quantile((1 + LEVEL) / 2, math.inf) * error) ** 2
    return Simulation(offsets, np.sqrt(squares))


def sum_check_errors(terms: Sequence[PowerTerm]) -> list[float]:
    """What the check adds: of one instrument the errors add up, those of several are independent."""
    sums: dict[str, float] = {}
    for term in terms:
        sums[term.instrument] = sums.get(term.instrument, 0.0) + term.check_error
    return [error for error in sums.values() if error]


class VaryingPart(NamedTuple):
    """What varies independently in a number: spread and floor in the claim's unit, and how many there are."""

    sd: float
    floor: float
    n: int


def list_parts(terms: Sequence[PowerTerm], count: int | None) -> list[VaryingPart]:
    """Sets of seeds each on its own; sets of subsets together, since they are compared subset by subset."""
    paired = [term for term in terms if term.subsets]
    parts = [
        VaryingPart(abs(term.weight) * term.sd, abs(term.weight) * term.floor, count or term.seeds)
        for term in terms
        if not term.subsets
    ]
    if paired:
        sd = math.sqrt(math.fsum((term.weight * term.sd) ** 2 for term in paired))
        floor = math.sqrt(math.fsum((term.weight * term.floor) ** 2 for term in paired))
        parts.append(VaryingPart(sd, floor, count or min(term.subsets for term in paired)))
    return parts


def find_detectable(simulation: Simulation, limits: Limits) -> float | None:
    """The smallest effect beyond an ordering's end that would come out supported with ``WANTED_POWER``."""
    if (limits.low is None) == (limits.high is None):
        return None
    end, sign = (limits.low, 1.0) if limits.low is not None else (limits.high, -1.0)
    assert end is not None
    import numpy as np

    margin = float(np.quantile(simulation.reaches - sign * simulation.offsets, WANTED_POWER))
    return end + sign * margin


# --- claims


def compute_claim_power(
    claim: Claim, planned: Sequence[PlannedProfile], observe: ObservedReplicates = observe_nothing
) -> ClaimPower:
    """Power with the planned runs, and what ``WANTED_POWER`` would take; never raises for a claim of the paper."""
    model = PowerModel(claim, planned, observe)
    runs = model.list_runs()
    metrics = dict.fromkeys(str(need["a"]["metric"]) for need in claim.needs)
    spreads = tuple(f"{name}: {text}" for name in metrics if (text := explain_usual_spread(name)))
    empty = ClaimPower(claim, 0, 0, "seeds", len(runs), (), None, None, None, spreads)
    if not runs:
        exact = claim.needs[0]["a"].get("table") == "table1"
        return replace(empty, why=Undecidable.EXACT if exact else Undecidable.NO_RUNS)
    if claim.kind in ("spread", "best"):
        from reports.judgement.spread_power import compute_special_power

        return compute_special_power(model, empty)
    numbers = list_numbers(model)
    terms = [term for number in numbers for term in number.terms]
    if not terms:
        return replace(empty, why=Undecidable.EXACT)
    over = "subsets" if any(term.subsets for term in terms) else "seeds"
    planned_counts = [term.subsets or term.seeds for term in terms]
    measured = tuple(measure_number(number) for number in numbers)
    powers = [number.power for number in measured]
    total = math.prod(power for power in powers if power is not None) if None not in powers else None
    needed = find_needed(numbers)
    return replace(
        empty,
        planned=min(planned_counts),
        planned_most=max(planned_counts),
        over=over,
        numbers=measured,
        power=total,
        needed=needed,
        why=None if needed is not None else explain_undecidable(numbers),
    )


class PowerNumber(NamedTuple):
    """A number that must come out right: what is expected of it and what it is made of."""

    label: str
    effect: float | None
    source: EffectSource | None
    limits: Limits
    terms: list[PowerTerm]


def list_numbers(model: PowerModel) -> list[PowerNumber]:
    """The numbers that decide: one per need, or what they combine to."""
    claim = model.claim
    if claim.combine == "each":
        return [
            PowerNumber(
                str(need["label"]),
                *guess_effect(claim, need),
                claim.find_limits(need),
                model.make_terms(need),
            )
            for need in claim.needs
        ]
    count = len(claim.needs)
    weights = [1 / count] * count if claim.combine == "mean" else [1.0, *[0.0] * (count - 2), -1.0]
    terms = [
        term
        for need, weight in zip(claim.needs, weights, strict=True)
        if weight
        for term in model.make_terms(need, weight)
    ]
    label = "mean" if claim.combine == "mean" else "first less last"
    return [PowerNumber(label, *guess_effect(claim, None), claim.limits, terms)]


def measure_number(number: PowerNumber) -> NumberPower:
    """The number's power with the planned runs."""
    spread = math.sqrt(math.fsum(part.sd**2 for part in list_parts(number.terms, None)))
    simulation = simulate(number.terms, None, number.label)
    power = detectable = None
    if simulation is not None:
        power = None if number.effect is None else simulation.count_supported(number.effect, number.limits)
        detectable = find_detectable(simulation, number.limits)
    return NumberPower(number.label, number.effect, number.source, number.limits, spread, power, detectable)


def find_needed(numbers: Sequence[PowerNumber]) -> int | None:
    """The fewest seeds, or subsets, with which all numbers together reach ``WANTED_POWER``; None up to 100."""
    if any(number.effect is None for number in numbers):
        return None
    for count in COUNTS:
        total = 1.0
        for number in numbers:
            simulation = simulate(number.terms, count, number.label)
            if simulation is None or number.effect is None:
                return None
            total *= simulation.count_supported(number.effect, number.limits)
            if total < WANTED_POWER:
                break
        if total >= WANTED_POWER:
            return count
    return None


def explain_undecidable(numbers: Sequence[PowerNumber]) -> Undecidable:
    """Why no number of seeds does."""
    if any(number.effect is None for number in numbers):
        return Undecidable.NO_EFFECT
    if any(
        number.effect is not None and number.limits.measure_margin(number.effect) <= 0 for number in numbers
    ):
        return Undecidable.PAPER_OUTSIDE
    if any(term.check_error for number in numbers for term in number.terms):
        return Undecidable.CHECK
    return Undecidable.TOO_CLOSE
