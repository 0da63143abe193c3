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
from reports.records.matching import CONDITIONS, NamedValues, RunQuery, sort_items
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


class _TaskSystem(NamedTuple):
    """``options``: all that the system's runs on a task have, but for what a figure varies."""

    name: str
    options: NamedValues
    chosen: NamedValues


@dataclass
class System:
    """A model trained by a method, whatever the task."""

    model: str
    method: str
    label: str
    chosen: Mapping[str, Any]
    """The options that are part of the label."""
    options: dict[str, NamedValues] = field(default_factory=dict)
    """By task: all options of its runs, which the method may resolve otherwise for another task."""

    def collect(self, index: RunIndex, scale: str, measure: Measure, metric: str = "") -> CellEvidence | None:
        """What its runs say of the measure, or of ``metric`` in its place; None where the task is not run."""
        if measure.task not in self.options:
            return None
        options = sort_items({**dict(self.options[measure.task]), **dict(measure.options)})
        query = RunQuery(
            measure.table,
            measure.task,
            self.model,
            self.method,
            options,
            measure.conditions,
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
        described = _describe_profile(profile, x)
        if described is not None:
            _add_system(systems, profile, described)
    return sorted(systems.values(), key=lambda system: system.model)


def _describe_profile(profile: Profile, x: str | None) -> _TaskSystem | None:
    """Its options and those that are part of its name; None where it has not what a figure varies."""
    if x is not None and x not in CONDITIONS and x not in profile.options:
        return None
    options = {name: value for name, value in profile.options.items() if value is not None and name != x}
    chosen = {
        name: value for name, value in options.items() if name in TELLING or name in profile.chosen_options
    }
    return _TaskSystem(spell_method(profile.method, chosen), sort_items(options), sort_items(chosen))


def _add_system(systems: dict[tuple[str, str], System], profile: Profile, described: _TaskSystem) -> None:
    """Put the profile to the system of its name; where that has other options on the task, to one of its own."""
    name, chosen = described.name, described.chosen
    for _ in range(2):
        key = (profile.model, name)
        system = systems.setdefault(key, System(profile.model, profile.method, name, dict(chosen)))
        if system.options.setdefault(profile.task, described.options) == described.options:
            return
        name, chosen = spell_method(profile.method, dict(described.options)), described.options


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
