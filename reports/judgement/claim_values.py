"""What a claim's selectors stand for: numbers of the paper, or of our runs with their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from bench.system.json_files import canonical_json
from reports.document.table1 import Counted
from reports.judgement.verdicts import failures
from reports.paper import published
from reports.paper.published import Selector
from reports.records.index import Found, Index, collect
from reports.records.values import COUNTS, OF_MACHINE, measure
from reports.stats.estimates import Estimate, contrast, estimate, exact, linear, spread_of
from reports.stats.intervals import Replicates


class GapError(Exception):
    """A number that a claim needs is not there; the message says why."""


@dataclass(frozen=True)
class Side:
    """One selector's number."""

    key: str
    """Equal for equal selectors: the same runs are not counted as independent of themselves."""
    estimate: Estimate
    replicates: Replicates = field(default_factory=dict)
    """Empty for what does not vary between runs, and for a spread."""
    machines: Mapping[str, Replicates] = field(default_factory=dict)
    runs: tuple[str, ...] = ()


class OnPaper:
    """The paper's printed numbers, in our units, taken as exact."""

    def side(self, selector: Selector) -> Side:
        values = [cell.ours for cell in published.find(selector)]
        printed = [value for value in values if value is not None]
        if not values or len(printed) < len(values) or selector.get("statistic") == "sd":
            raise GapError("the paper prints no number for this")
        return Side(canonical_json(selector), exact(fmean(printed)))


@dataclass(frozen=True)
class OnRecords:
    """Our runs at one scale; for Table 1, what was counted."""

    index: Index
    scale: str
    counts: Counted = field(default_factory=dict)

    def side(self, selector: Selector) -> Side:
        key = canonical_json(selector)
        if selector.get("table") == "table1":
            return self.counted(key, selector)
        found = collect(self.index, selector, self.scale)
        if not found.replicates:
            raise GapError(why_empty(found))
        metric = str(selector["metric"])
        if metric in COUNTS:
            group = str(selector.get("group", "all"))
            by_task = {run.record["task"]: measure(run.record, group, metric).value for run in found.runs}
            mean = fmean(value for value in by_task.values() if value is not None)
            return Side(key, exact(mean), runs=found.run_ids)
        if all(run.record.get("training", ...) is None for run in found.runs):
            # Nothing was trained, so no seed was used and one run says it all.
            return Side(key, exact(fmean(found.replicates.values())), runs=found.run_ids)
        if selector.get("statistic") == "sd":
            return Side(key, spread_of(found.replicates), runs=found.run_ids)
        return Side(key, estimate(found.replicates), found.replicates, found.machines, found.run_ids)

    def counted(self, key: str, selector: Selector) -> Side:
        tasks = selector["task"] if isinstance(selector["task"], list) else [selector["task"]]
        found = {task: self.counts.get((task, str(selector["metric"])), Found("paper")) for task in tasks}
        for task, one in found.items():
            if not one.replicates:
                why = (*one.missing, *one.excluded, "the published files were not counted")
                raise GapError(f"{task}: {why[0]}")
        return Side(key, exact(fmean(value for one in found.values() for value in one.replicates.values())))


Source = OnPaper | OnRecords


def why_empty(found: Found) -> str:
    """Why there is no value, in the order of what could be done about it."""
    if found.gate:
        return f"the scorer failed its gate: {found.gate}"
    if found.missing:
        return f"not computed: {'; '.join(found.missing)}"
    if found.failures:
        return failures(found)
    if found.excluded:
        return f"only runs that are not comparable: {'; '.join(found.excluded)}"
    return "no run of this is done"


def both(source: Source, a: Selector, b: Selector) -> tuple[Side, Side]:
    """The two sides of a need; time and memory on one machine. ``GapError`` if there is none."""
    one, other = source.side(a), source.side(b)
    if not isinstance(source, OnRecords) or a["metric"] not in OF_MACHINE:
        return one, other
    common = one.machines.keys() & other.machines.keys()
    if not common:
        raise GapError("the two were never measured on the same machine")
    best = max(sorted(common), key=lambda name: len(one.machines[name]) + len(other.machines[name]))
    return on_machine(one, best), on_machine(other, best)


def on_machine(side: Side, machine: str) -> Side:
    values = side.machines[machine]
    return replace(side, estimate=estimate(values), replicates=values)


def total(terms: Sequence[tuple[float, Side]]) -> Estimate:
    """Σ weight · side; a side that comes several times counts once, with its whole weight.

    ``MixedError`` where some sides vary between subsets of the data and others only between seeds.
    """
    weights: dict[str, float] = {}
    sides: dict[str, Side] = {}
    for weight, side in terms:
        weights[side.key] = weights.get(side.key, 0.0) + weight
        sides[side.key] = side
    if all(side.replicates for side in sides.values()):
        return contrast([(weights[key], side.replicates) for key, side in sides.items()])
    return linear([(weights[key], side.estimate) for key, side in sides.items()])
