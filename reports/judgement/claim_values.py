"""What a claim's selectors stand for: numbers of the paper, or of our runs with their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from bench.system.json_files import to_canonical_json
from reports.judgement.spreads import find_usual_spread, read_group
from reports.judgement.verdicts import describe_failures
from reports.paper import published
from reports.paper.published import Selector
from reports.records.fact_rates import CHECK_ERRORS, FACT_METRICS, OutputFacts
from reports.records.grouping import ChosenGroup
from reports.records.index import CellEvidence, CountedStatistics, RunIndex, collect_evidence
from reports.records.values import COUNT_METRICS, MACHINE_METRICS, measure_value
from reports.stats.estimates import (
    ContrastTerm,
    PointEstimate,
    VariancePart,
    combine_linearly,
    estimate_contrast,
    estimate_mean,
    make_exact,
)
from reports.stats.intervals import Replicates


class MissingValueError(Exception):
    """A number that a claim needs is not there; the message says why."""


@dataclass(frozen=True)
class MeasurementError:
    """What the instrument adds to the uncertainty of a number, however many runs there are.

    It errs alike in all numbers that are read with the same ``instrument``: there it does not average out.
    """

    instrument: str
    sd: float
    df: float


@dataclass(frozen=True)
class ClaimValue:
    """One selector's number."""

    key: str
    """Equal for equal selectors: the same runs are not counted as independent of themselves."""
    estimate: PointEstimate
    replicates: Replicates = field(default_factory=dict)
    """Empty for what does not vary between runs."""
    machines: Mapping[str, ChosenGroup] = field(default_factory=dict)
    chosen: ChosenGroup = field(default_factory=ChosenGroup)
    """The like runs that the number is of."""
    floor: float = 0.0
    """The usual standard deviation between runs."""
    error: MeasurementError | None = None

    @property
    def runs(self) -> tuple[str, ...]:
        """The names of the runs."""
        return self.chosen.run_ids


class PaperValues:
    """The paper's printed numbers, in our units, taken as exact."""

    def find_value(self, selector: Selector) -> ClaimValue:
        """The mean of the cells that the selector picks; ``MissingValueError`` where one prints no number."""
        values = [cell.ours for cell in published.find_cells(selector)]
        printed = [value for value in values if value is not None]
        if not values or len(printed) < len(values) or selector.get("statistic") == "sd":
            raise MissingValueError("the paper prints no number for this")
        return ClaimValue(to_canonical_json(selector), make_exact(fmean(printed)))


@dataclass(frozen=True)
class RecordValues:
    """Our runs at one scale; for Table 1, what was counted; for the facts in outputs, the stored outputs."""

    index: RunIndex
    scale: str
    counts: CountedStatistics = field(default_factory=dict)
    facts: OutputFacts = field(default_factory=OutputFacts)

    def find_value(self, selector: Selector) -> ClaimValue:
        """What the runs that the selector picks give; ``MissingValueError`` where there is nothing."""
        key = to_canonical_json(selector)
        if selector.get("table") == "table1":
            return self._find_counted(key, selector)
        metric = str(selector["metric"])
        if metric in FACT_METRICS:
            return self._find_fact_rate(key, selector)
        evidence = collect_evidence(self.index, selector, self.scale)
        if not evidence.replicates:
            raise MissingValueError(explain_missing(evidence))
        if metric in COUNT_METRICS:
            group = str(selector.get("group", "all"))
            by_task = {
                run.record.task: measure_value(run.record, group, metric).value for run in evidence.runs
            }
            mean = fmean(value for value in by_task.values() if value is not None)
            return ClaimValue(key, make_exact(mean), chosen=evidence.chosen)
        if all("training" in run.record and run.record.training is None for run in evidence.runs):
            # Nothing was trained, so no seed was used and a single run says it all.
            return ClaimValue(key, make_exact(fmean(evidence.replicates.values())), chosen=evidence.chosen)
        return make_measured(
            key, selector, evidence.replicates, machines=evidence.machines, chosen=evidence.chosen
        )

    def _find_fact_rate(self, key: str, selector: Selector) -> ClaimValue:
        """A rate of facts in the stored outputs, corrected for the measured errors of the check."""
        metric, task, method = str(selector["metric"]), str(selector["task"]), str(selector["method"])
        evidence = collect_evidence(self.index, {**selector, "group": "all", "metric": "bleu"}, self.scale)
        if not evidence.runs:
            raise MissingValueError(explain_missing(evidence))
        errors = CHECK_ERRORS[task, metric]
        replicates = {}
        for run in evidence.runs:
            rate = self.facts.measure_rate(run.run_id, read_group(selector), metric)
            if rate.value is None:
                raise MissingValueError(f"{run.run_id}: {rate.reason}")
            replicates[run.replicate] = errors.correct_rate(rate.value)
        error = MeasurementError(
            f"{task} {metric} {method}",
            errors.compute_error(fmean(replicates.values())),
            min(errors.present, errors.absent) - 1,
        )
        return make_measured(key, selector, replicates, chosen=evidence.chosen, error=error)

    def _find_counted(self, key: str, selector: Selector) -> ClaimValue:
        """The mean over tasks of what was counted in the published files."""
        tasks = selector["task"] if isinstance(selector["task"], list) else [selector["task"]]
        metric = str(selector["metric"])
        values: list[float] = []
        for task in tasks:
            evidence = self.counts.get((task, metric), CellEvidence("paper"))
            if not evidence.replicates:
                reasons = (*evidence.missing, *evidence.excluded, "the published files were not counted")
                raise MissingValueError(f"{task}: {reasons[0]}")
            values += evidence.replicates.values()
        return ClaimValue(key, make_exact(fmean(values)))


def make_measured(key: str, selector: Selector, replicates: Replicates, **more: Any) -> ClaimValue:
    """The value of runs, with the usual spread of its metric as a floor."""
    value = fmean(replicates.values())
    floor = find_usual_spread(selector, value)
    return ClaimValue(key, estimate_mean(replicates, floor), replicates, floor=floor, **more)


ValueSource = PaperValues | RecordValues


def explain_missing(evidence: CellEvidence) -> str:
    """Why there is no value, in the order of what could be done about it."""
    if evidence.gate:
        return f"the scorer failed its gate: {evidence.gate}"
    if evidence.missing:
        return f"not computed: {'; '.join(evidence.missing)}"
    if evidence.failures:
        return describe_failures(evidence)
    if evidence.excluded:
        return f"only runs that are not comparable: {'; '.join(evidence.excluded)}"
    return "no run of this is done"


def find_pair(source: ValueSource, a: Selector, b: Selector) -> tuple[ClaimValue, ClaimValue]:
    """The two values of a need; time and memory on one machine. ``MissingValueError`` if there is none."""
    first, second = source.find_value(a), source.find_value(b)
    if not isinstance(source, RecordValues) or a["metric"] not in MACHINE_METRICS:
        return first, second
    common = first.machines.keys() & second.machines.keys()
    if not common:
        raise MissingValueError("the two were never measured on the same machine")
    best = max(
        sorted(common),
        key=lambda name: len(first.machines[name].members) + len(second.machines[name].members),
    )
    return restrict_to_machine(first, best), restrict_to_machine(second, best)


def restrict_to_machine(value: ClaimValue, machine: str) -> ClaimValue:
    """The value from the runs on that machine alone."""
    chosen = value.machines[machine]
    estimate = estimate_mean(chosen.replicates, value.floor)
    return replace(value, estimate=estimate, replicates=chosen.replicates, chosen=chosen)


def sum_values(terms: Sequence[tuple[float, ClaimValue]]) -> PointEstimate:
    """Σ weight · value; a value that comes several times counts once, with its whole weight.

    ``MixedError`` where some values vary between subsets of the data and others only between seeds.
    """
    weights: dict[str, float] = {}
    values: dict[str, ClaimValue] = {}
    for weight, value in terms:
        weights[value.key] = weights.get(value.key, 0.0) + weight
        values[value.key] = value
    if all(value.replicates for value in values.values()):
        estimate = estimate_contrast(
            [ContrastTerm(weights[key], value.replicates, value.floor) for key, value in values.items()]
        )
    else:
        estimate = combine_linearly([(weights[key], value.estimate) for key, value in values.items()])
    return add_measurement_errors(
        estimate, [(weights[key], value.error) for key, value in values.items() if value.error is not None]
    )


def add_measurement_errors(
    estimate: PointEstimate, errors: Sequence[tuple[float, MeasurementError]]
) -> PointEstimate:
    """The estimate with what the instruments add, each with the weight of the number that was read with it.

    Of one instrument the errors add up, since they are the same; those of several are independent. Whether two
    systems' outputs mislead the check alike is not known, so each system counts as an instrument of its own.
    """
    if estimate.parts is None or not errors:
        return estimate
    sums: dict[str, float] = {}
    for weight, error in errors:
        sums[error.instrument] = sums.get(error.instrument, 0.0) + abs(weight) * error.sd
    df = min(error.df for _, error in errors)
    added = tuple(VariancePart(total**2, df) for total in sums.values())
    method = f"{estimate.method}, with the errors of the check"
    return replace(estimate, parts=estimate.parts + added, method=method)
