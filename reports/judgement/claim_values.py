"""What a claim's selectors stand for: numbers of the paper, or of our runs with their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from bench.system.json_files import to_canonical_json
from reports.judgement.verdicts import describe_failures
from reports.paper import published
from reports.paper.published import Selector
from reports.records.index import CellEvidence, CountedStatistics, RunIndex, collect_evidence
from reports.records.values import COUNT_METRICS, MACHINE_METRICS, measure_value
from reports.stats.estimates import (
    PointEstimate,
    combine_linearly,
    estimate_contrast,
    estimate_mean,
    estimate_spread,
    make_exact,
)
from reports.stats.intervals import Replicates


class MissingValueError(Exception):
    """A number that a claim needs is not there; the message says why."""


@dataclass(frozen=True)
class ClaimValue:
    """One selector's number."""

    key: str
    """Equal for equal selectors: the same runs are not counted as independent of themselves."""
    estimate: PointEstimate
    replicates: Replicates = field(default_factory=dict)
    """Empty for what does not vary between runs, and for a spread."""
    machines: Mapping[str, Replicates] = field(default_factory=dict)
    runs: tuple[str, ...] = ()


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
    """Our runs at one scale; for Table 1, what was counted."""

    index: RunIndex
    scale: str
    counts: CountedStatistics = field(default_factory=dict)

    def find_value(self, selector: Selector) -> ClaimValue:
        """What the runs that the selector picks give; ``MissingValueError`` where there is nothing."""
        key = to_canonical_json(selector)
        if selector.get("table") == "table1":
            return self._find_counted(key, selector)
        evidence = collect_evidence(self.index, selector, self.scale)
        if not evidence.replicates:
            raise MissingValueError(explain_missing(evidence))
        metric = str(selector["metric"])
        if metric in COUNT_METRICS:
            group = str(selector.get("group", "all"))
            by_task = {
                run.record.task: measure_value(run.record, group, metric).value for run in evidence.runs
            }
            mean = fmean(value for value in by_task.values() if value is not None)
            return ClaimValue(key, make_exact(mean), runs=evidence.run_ids)
        if all("training" in run.record and run.record.training is None for run in evidence.runs):
            # Nothing was trained, so no seed was used and a single run says it all.
            return ClaimValue(key, make_exact(fmean(evidence.replicates.values())), runs=evidence.run_ids)
        if selector.get("statistic") == "sd":
            return ClaimValue(key, estimate_spread(evidence.replicates), runs=evidence.run_ids)
        estimate = estimate_mean(evidence.replicates)
        return ClaimValue(key, estimate, evidence.replicates, evidence.machines, evidence.run_ids)

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
    best = max(sorted(common), key=lambda name: len(first.machines[name]) + len(second.machines[name]))
    return restrict_to_machine(first, best), restrict_to_machine(second, best)


def restrict_to_machine(value: ClaimValue, machine: str) -> ClaimValue:
    """The value from the runs on that machine alone."""
    replicates = value.machines[machine]
    return replace(value, estimate=estimate_mean(replicates), replicates=replicates)


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
        return estimate_contrast([(weights[key], value.replicates) for key, value in values.items()])
    return combine_linearly([(weights[key], value.estimate) for key, value in values.items()])
