"""Systems under their own names: methods that the paper does not have, and all that ran at scale mini.

The paper's rows are named after its own models and shares of parameters. What is not the paper's never stands
under such a name: it is called by its model, its method with the options that tell it apart, and the share of
the backbone's parameters that its runs stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from reports.document.schema import SystemName
from reports.paper import published
from reports.paper.published import Cell
from reports.records.index import CellEvidence, RunIndex
from reports.records.matching import (
    CONDITIONS,
    NamedValues,
    RunQuery,
    decides_result,
    resolve_defaults,
    sort_items,
)
from reports.records.runs import Profile

TELLING = ("length", "size")
"""Options by which the paper names its own rows; they are part of a name whoever chose them."""


@cache
def list_paper_methods() -> frozenset[str]:
    """The methods that a row of the paper stands for."""
    cells = (cell for name in published.WITH_CELLS for cell in published.read_cells(name))
    return frozenset(cell.method for cell in cells if cell.method is not None)


@dataclass(frozen=True)
class Measure:
    """What a column of numbers measures, whoever is measured."""

    table: str
    task: str
    group: str
    metric: str
    split: str | None
    conditions: NamedValues
    """Settings of the training data, by the names of run settings."""
    options: NamedValues
    """The option that a figure varies, with its value in this column."""
    cell: Cell
    """A number of the paper that is printed the same way."""


def make_measure(cell: Cell, x: str | None = None, value: Any = None) -> Measure:
    """What ``cell`` measures; with ``x`` (what a figure varies) and ``value``, the same at another place."""
    settings: Mapping[str, Any] = cell.settings
    options: NamedValues = ()
    if x in CONDITIONS:
        settings = {**settings, x: settings[x] if value is None else value}
    elif x is not None:
        options = ((x, cell.options[x] if value is None else value),)
    conditions = sort_items({CONDITIONS.get(name, name): setting for name, setting in settings.items()})
    task = str(cell.task)
    return Measure(cell.table, task, cell.group, cell.metric, cell.split, conditions, options, cell)


class _TaskRuns(NamedTuple):
    """What a system's runs on a task have."""

    options: NamedValues = ()
    """All options, but for what a figure varies."""
    settings: NamedValues = ()
    """Settings that somebody typed, which make it another system than the same method without them."""


@dataclass
class System:
    """A model trained by a method, whatever the task."""

    model: str
    method: str
    label: str
    chosen: Mapping[str, Any]
    """The options and settings that are part of the label."""
    runs: dict[str, _TaskRuns] = field(default_factory=dict)
    """By task: a method may resolve its options otherwise for another task."""

    def collect(self, index: RunIndex, scale: str, measure: Measure, metric: str = "") -> CellEvidence | None:
        """What its runs say of the measure, or of ``metric`` in its place; None where the task is not run."""
        if measure.task not in self.runs:
            return None
        runs = self.runs[measure.task]
        query = RunQuery(
            measure.table,
            measure.task,
            self.model,
            self.method,
            sort_items({**dict(runs.options), **dict(measure.options)}),
            sort_items({**dict(runs.settings), **dict(measure.conditions)}),
            measure.split,
        )
        return index.collect(query, scale, measure.group if not metric else "all", metric or measure.metric)

    def name_with_share(self, index: RunIndex, scale: str, measures: Iterable[Measure]) -> SystemName:
        """The system as it is called, with the shares that its runs on these measures stored."""
        shares: set[float] = set()
        for measure in measures:
            evidence = self.collect(index, scale, measure, "stored_share")
            shares |= set(evidence.replicates.values()) if evidence is not None else set()
        in_paper = self.method in list_paper_methods()
        return SystemName(self.model, self.method, dict(self.chosen), tuple(sorted(shares)), scale, in_paper)


def list_systems(
    index: RunIndex, scale: str, tasks: Collection[str], methods: Collection[str], x: str | None = None
) -> list[System]:
    """The systems that ran on ``tasks`` at ``scale``: of ``methods``, and of those that the paper does not have.

    ``x``: what a figure varies, which is then no part of a name. By model, then in the order of the records.
    """
    systems: dict[tuple[str, str], System] = {}
    for profile in index.profiles:
        of_others = profile.method not in list_paper_methods()
        if profile.scale != scale or profile.task not in tasks:
            continue
        if not of_others and profile.method not in methods:
            continue
        if x is None or x in CONDITIONS or x in profile.options:
            _add_profile(systems, profile, x)
    return sorted(systems.values(), key=lambda system: system.model)


def _add_profile(systems: dict[tuple[str, str], System], profile: Profile, x: str | None) -> None:
    """Put the profile to the system of its name; where that has other options on the task, to one of its own."""
    options = {name: value for name, value in profile.options.items() if value is not None and name != x}
    settings = list_typed_settings(profile) if profile.scale == "mini" else {}
    runs = _TaskRuns(sort_items(options), sort_items(settings))
    chosen = {
        name: value for name, value in options.items() if name in TELLING or name in profile.chosen_options
    }
    for named in ({**chosen, **settings}, {**options, **settings}):
        label = spell_method(profile.method, named)
        system = systems.setdefault(
            (profile.model, label), System(profile.model, profile.method, label, named)
        )
        if system.runs.setdefault(profile.task, runs) == runs:
            return


def list_typed_settings(profile: Profile) -> dict[str, Any]:
    """Settings from the command line that change the result, and differ from what the run would have had."""
    defaults = resolve_defaults(
        profile.task, profile.method, profile.model, profile.scale, sort_items(profile.options)
    )
    usual = defaults.settings if defaults is not None else {}
    return {
        name: value
        for name, value in profile.settings.items()
        if profile.entries[name].typed
        and value is not None
        and name not in (*CONDITIONS.values(), "test_split")
        and decides_result(name, defaults)
        and usual.get(name) != value
    }


def spell_method(method: str, options: Mapping[str, Any]) -> str:
    """``prefix[length=10]``."""
    spelled = ",".join(f"{name}={value}" for name, value in options.items())
    return method + (f"[{spelled}]" if spelled else "")


def spell_shares(shares: Sequence[float]) -> str:
    """``1.01%``, or ``0.0693% to 0.139%`` where tasks differ; empty without any."""
    ends = dict.fromkeys(f"{100 * share:.3g}%" for share in (*shares[:1], *shares[-1:]))
    return " to ".join(ends)


def spell_system(name: SystemName, with_model: bool = False) -> str:
    """``prefix[length=10] (1.01% stored)``, with the model before it if asked for."""
    method = spell_method(name.method, name.options)
    shares = spell_shares(name.stored_shares)
    stored = f" ({shares} stored)" if shares else ""
    return (f"{name.model}, " if with_model else "") + method + stored
