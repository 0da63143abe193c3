"""Which records stand behind which number of the paper.

``RunIndex`` groups records once; ``collect_evidence`` finds the runs of a cell (or of any selector of
``reports.paper``) and gives their values, what failed, and what could not count and why. Runs at scale
``mini`` can never come back from ``collect_evidence(..., scale="paper")``: only runs without a reason for not
being comparable do. ``reports.records.matching`` says which run belongs where.

Runs are a pandas table, a row each, whose groups are the profiles (runs that were asked for alike).
``reports.records.grouping`` says which of them are alike in all that decides numbers, and which group counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.config.specification import is_silent
from bench.foreign_text import escape_controls
from bench.store.comparable import list_incomparable
from bench.store.record import RunStatus
from reports.paper.published import Cell
from reports.records.grouping import (
    NOT_STATED,
    ChosenGroup,
    DecidingFact,
    Facts,
    MeasuredRun,
    UnlikeRuns,
    choose_group,
    describe_facts,
    spell_settings,
)
from reports.records.matching import CONDITIONS, RunQuery, find_mismatch, make_query, translate_to_mini
from reports.records.reading import read_records
from reports.records.runs import REPLICATE_SETTINGS, Profile, Run, find_failure_kind, select_attempts
from reports.records.values import COUNT_METRICS, MeasuredValue, measure_value
from reports.stats.intervals import Replicates

if TYPE_CHECKING:
    import pandas as pd

PROFILE_COLUMNS = ["task", "method", "model", "scale", "protocol", "reasons", "options", "settings"]
"""What runs that are alike have in common."""


class RunIndex:
    """Records grouped once, for many questions.

    ``records``: all attempts of all runs, or the latest of each; a run that is done once stays done.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        attempts = read_records(records)
        self.attempts = len(attempts)
        self.runs = select_attempts(attempts)
        self.table = make_run_table(self.runs)
        self.profiles: list[Profile] = []
        self.by_system: dict[tuple[str, str, str], list[Profile]] = {}
        for rows in self.table.groupby("profile", sort=False).indices.values():
            self._add_profile([self.runs[row] for row in rows])
        self._facts: dict[str, Facts] = {}
        self._matches: dict[tuple[RunQuery, str], list[Profile]] = {}
        self._selections: dict[tuple[RunQuery, str], RunSelection] = {}
        self._evidence: dict[tuple[RunQuery, str, str, str], CellEvidence] = {}

    def _add_profile(self, runs: list[Run]) -> None:
        record = runs[0].record
        options = {name: entry.value for name, entry in record.options.items()}
        settings = {
            name: entry.value for name, entry in record.settings.items() if name not in REPLICATE_SETTINGS
        }
        system, number = (record.task, record.method, record.model), len(self.profiles)
        profile = Profile(
            *system,
            record.scale,
            record.protocol,
            options,
            settings,
            {**record.settings, **record.options},
            record.experiment,
            tuple(list_incomparable(record)),
            number,
            runs,
        )
        self.profiles.append(profile)
        self.by_system.setdefault(system, []).append(profile)

    def list_systems(self, query: RunQuery) -> list[Profile]:
        """Profiles of the task, method and model, whatever their options and settings."""
        if query.task is not None and query.method is not None and query.model is not None:
            return self.by_system.get((query.task, query.method, query.model), [])
        asked = (query.task, query.method, query.model)
        return [
            profile
            for system, profiles in self.by_system.items()
            if all(name in (None, actual) for name, actual in zip(asked, system, strict=True))
            for profile in profiles
        ]

    def list_matching(self, query: RunQuery, scale: str) -> list[Profile]:
        """Profiles whose runs belong there, comparable or not."""
        key = (query, scale)
        if key not in self._matches:
            self._matches[key] = [
                profile
                for profile in self.list_systems(query)
                if profile.scale == scale and find_mismatch(profile, query) is None
            ]
        return self._matches[key]

    def select(self, query: RunQuery, scale: str) -> RunSelection:
        """The runs that answer the query, whatever is read from them; at scale ``paper`` only comparable ones."""
        key = (query, scale)
        if key not in self._selections:
            self._selections[key] = self._select(query, scale)
        return self._selections[key]

    def collect(self, query: RunQuery, scale: str, group: str, metric: str) -> CellEvidence:
        """What the selected runs say of a metric of the items in ``group``; cells and claims ask for the same."""
        key = (query, scale, group, metric)
        if key not in self._evidence:
            self._evidence[key] = read_evidence(self, query, self.select(query, scale), scale, group, metric)
        return self._evidence[key]

    def _select(self, query: RunQuery, scale: str) -> RunSelection:
        matching = self.list_matching(query, scale)
        usable = [profile for profile in matching if scale != "paper" or not profile.reasons]
        unusable = [profile for profile in matching if scale == "paper" and profile.reasons]
        excluded = [text for profile in unusable for text in profile.reason_texts]
        if scale == "paper" and not matching:
            excluded = explain_near_misses(self, query)
        runs = [(profile, run) for profile in usable for run in profile.runs]
        return RunSelection(
            done=tuple((profile, run) for profile, run in runs if run.status is RunStatus.DONE),
            failures=Counter(find_failure_kind(run) for _, run in runs if run.status is not RunStatus.DONE),
            excluded=tuple(dict.fromkeys(excluded)),
        )

    def get_facts(self, profile: Profile, run: Run) -> Facts:
        """What decides the run's numbers, but for the scorer; read once."""
        facts = self._facts.get(run.run_id)
        if facts is None:
            facts = self._facts[run.run_id] = describe_facts(run.record, spell_settings(profile))
        return facts


def make_run_table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row per run: what it is, how it ended (``failure``, empty where it is done), and its ``profile``'s number."""
    import pandas as pd

    records = [run.record for run in runs]
    table = pd.DataFrame(
        {
            "row": range(len(runs)),
            **{
                name: pd.Series([getattr(record, name) for record in records], dtype="object")
                for name in ("task", "method", "model", "scale", "protocol")
            },
            "reasons": [ascii([reason.text for reason in list_incomparable(record)]) for record in records],
            "options": [spell_entries(record.options) for record in records],
            "settings": [spell_entries(record.settings, REPLICATE_SETTINGS) for record in records],
            "seed": pd.Series([run.seed for run in runs], dtype="object"),
            "data_seed": pd.Series([run.data_seed for run in runs], dtype="object"),
            "ended": pd.Series([escape_controls(run.ended) for run in runs], dtype="object"),
            "status": pd.Series([run.status.value for run in runs], dtype="object"),
            "failure": pd.Series(
                ["" if run.status is RunStatus.DONE else find_failure_kind(run) for run in runs],
                dtype="object",
            ),
        }
    )
    table["profile"] = table.groupby(PROFILE_COLUMNS, sort=False).ngroup()
    return table


def spell_entries(entries: Mapping[str, Any], without: Sequence[str] = ()) -> str:
    """Options or settings as text that is equal for equal values.

    A setting that older records lack is as absent where it has the value that it had for them.
    """
    return ascii(
        sorted(
            (name, entry.value)
            for name, entry in entries.items()
            if name not in without and not is_silent(name, entry.value)
        )
    )


# --- what stands behind a number


@dataclass(frozen=True)
class RunSelection:
    """The runs that may answer a query, alike or not, and what is said of the rest."""

    done: tuple[tuple[Profile, Run], ...] = ()
    """By profile, in the order of the records."""
    failures: Mapping[str, int] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellEvidence:
    """What the records say about a number, in our unit."""

    scale: str
    replicates: Replicates = field(default_factory=dict)
    runs: tuple[Run, ...] = ()
    """Those behind the values, by subset and seed."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Kind of failure -> runs that ended so and were never done."""
    missing: tuple[str, ...] = ()
    """Why runs that are done have no value here."""
    gate: str = ""
    """What the gate said, if the scorer failed it."""
    excluded: tuple[str, ...] = ()
    """Why runs of the same thing cannot stand beside the paper's number."""
    notes: tuple[str, ...] = ()
    machines: Mapping[str, ChosenGroup] = field(default_factory=dict)
    """For time and memory: the like runs of every machine."""
    chosen: ChosenGroup = field(default_factory=ChosenGroup)
    """The like runs behind the values."""

    @property
    def unlike(self) -> tuple[UnlikeRuns, ...]:
        """Runs of the same that were left out because they differ in what decides numbers."""
        return self.chosen.unlike

    @property
    def dirty(self) -> bool:
        """Whether the code of the runs had changes that were not committed."""
        return self.chosen.dirty

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The names of the runs behind the values."""
        return tuple(run.run_id for run in self.runs)


CountedStatistics = Mapping[tuple[str, str], CellEvidence]
"""(task, metric) -> a number counted in the published files (Table 1), or why there is none."""


def collect_evidence(
    index: RunIndex, selector: Cell | Mapping[str, Any], scale: str = "paper"
) -> CellEvidence:
    """The runs of a cell or selector. At scale ``paper`` only comparable ones; ``mini`` stands for itself."""
    fields: Mapping[str, Any] = selector if isinstance(selector, Mapping) else vars(selector)
    query = make_query(selector) if scale == "paper" else translate_to_mini(make_query(selector))
    if query is None or query.method is None:
        return CellEvidence(scale)
    return index.collect(query, scale, str(fields.get("group", "all")), str(fields["metric"]))


def collect_curve(
    index: RunIndex, selector: Mapping[str, Any], x: str, scale: str = "paper"
) -> dict[Any, CellEvidence]:
    """What the records say at each value of ``x`` that was run, in order: the points of a curve.

    ``x``: a name in ``CONDITIONS`` (``train_size``) or an option (``length``).
    """
    part = "settings" if x in CONDITIONS else "options"
    complete = {**selector, "table": selector.get("table", "figure")}
    query = make_query(complete) if scale == "paper" else translate_to_mini(make_query(complete))
    profiles = [] if query is None else index.list_systems(query)
    values = {
        profile.settings.get(CONDITIONS[x]) if x in CONDITIONS else profile.options.get(x)
        for profile in profiles
        if profile.scale == scale
    }
    points: dict[Any, CellEvidence] = {}
    for value in sorted(values - {None}, key=lambda value: (isinstance(value, str), value)):
        evidence = collect_evidence(
            index, {**complete, part: {**(selector.get(part) or {}), x: value}}, scale
        )
        if evidence.replicates or evidence.failures or evidence.missing or evidence.excluded:
            points[value] = evidence
    return points


def explain_near_misses(index: RunIndex, query: RunQuery) -> list[str]:
    """Why runs of that very system and data at the paper's scale, with something changed, do not count."""
    conditions = dict(query.conditions)
    reasons: set[str] = set()
    for profile in index.list_systems(query):
        if profile.scale != "paper" or not profile.reasons:
            continue
        same_data = all(profile.settings.get(name) == conditions.get(name) for name in CONDITIONS.values())
        same_options = all(profile.options.get(name) == value for name, value in query.options)
        if same_data and same_options and query.split in (None, profile.settings.get("test_split")):
            reasons.update(profile.reason_texts)
    return list(reasons)


def read_evidence(
    index: RunIndex, query: RunQuery, selection: RunSelection, scale: str, group: str, metric: str
) -> CellEvidence:
    """The values of one group of like runs, one per seed (``reports.records.grouping`` says which group)."""
    measured: list[tuple[MeasuredRun, str]] = []
    missing: dict[str, str] = {}
    gates: list[str] = []
    for profile, run in selection.done:
        value = measure_value(run.record, group, metric)
        if value.failed_gate:
            gates.append(value.gate)
        if value.value is None:
            missing[run.run_id] = value.reason
        elif not value.failed_gate:
            facts = add_measurement(index.get_facts(profile, run), value)
            measured.append((MeasuredRun(run, value.value, facts, profile), value.machine))
    # Nothing but the weights changes how many parameters there are.
    compared = (DecidingFact.WEIGHTS,) if query.counts else tuple(DecidingFact)
    chosen = choose_group([candidate for candidate, _ in measured], compared, query.table)
    notes = []
    if chosen.repeated and metric not in COUNT_METRICS:
        notes.append(f"{chosen.repeated} repeated runs counted once")
    return CellEvidence(
        scale,
        replicates=chosen.replicates,
        runs=tuple(member.run for member in chosen.members),
        failures=selection.failures,
        missing=list_missing_reasons(index, selection, missing, chosen),
        gate=gates[0] if gates else "",
        excluded=selection.excluded,
        notes=tuple(notes),
        machines=group_by_machine(measured, compared, query.table),
        chosen=chosen,
    )


def list_missing_reasons(
    index: RunIndex, selection: RunSelection, unmeasured: Mapping[str, str], chosen: ChosenGroup
) -> tuple[str, ...]:
    """Why runs with the chosen group's settings, and a seed that it lacks, have no value; without a group, any.

    ``unmeasured``: run id -> why.
    """
    counted = {member.run.replicate for member in chosen.members}
    settings = chosen.facts.get(DecidingFact.SETTINGS)
    listed = (
        unmeasured[run.run_id]
        for profile, run in selection.done
        if run.run_id in unmeasured
        and run.replicate not in counted
        and settings in (None, index.get_facts(profile, run)[DecidingFact.SETTINGS])
    )
    return tuple(dict.fromkeys(listed))


def add_measurement(facts: Facts, value: MeasuredValue) -> Facts:
    """The facts with what belongs to a single number: its scorer, or the machine that it holds for."""
    added = {DecidingFact.SCORER: value.signature or NOT_STATED}
    if value.machine:
        added[DecidingFact.EXECUTION] = f"{value.machine}, {facts[DecidingFact.EXECUTION]}"
    return {**facts, **added}


def group_by_machine(
    measured: Sequence[tuple[MeasuredRun, str]], compared: Sequence[DecidingFact], table: str
) -> dict[str, ChosenGroup]:
    """The runs with a value of time or memory by machine, of each machine one group of like runs."""
    by_machine: dict[str, list[MeasuredRun]] = {}
    for candidate, machine in measured:
        if machine:
            by_machine.setdefault(machine, []).append(candidate)
    return {machine: choose_group(runs, compared, table) for machine, runs in by_machine.items()}
