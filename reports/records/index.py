"""Which records stand behind which number of the paper.

``RunIndex`` groups records once; ``collect_evidence`` finds the runs of a cell (or of any selector of
``reports.paper``) and gives their values, what failed, and what could not count and why. Runs at scale
``mini`` can never come back from ``collect_evidence(..., scale="paper")``: only records for which
``is_comparable`` holds do. ``reports.records.matching`` says which run belongs where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reports.paper.published import Cell
from reports.records.matching import CONDITIONS, RunQuery, find_mismatch, make_query, translate_to_mini
from reports.records.runs import (
    REPLICATES,
    Profile,
    Run,
    find_failure_kind,
    is_comparable,
    list_incomparable,
    select_attempts,
)
from reports.records.values import COUNT_METRICS, MeasuredValue, Record, measure_value, plain_value
from reports.stats.intervals import Replicates


class RunIndex:
    """Records grouped once, for many questions.

    ``records``: all attempts of all runs, or the latest of each; a run that is done once stays done.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.by_system: dict[tuple[str, str, str], list[Profile]] = {}
        self._by_key: dict[str, Profile] = {}
        self._matches: dict[tuple[RunQuery, str], list[Profile]] = {}
        for run in select_attempts(records):
            self._add(run)

    def _add(self, run: Run) -> None:
        record = run.record
        system = (str(record["task"]), str(record["method"]), str(record["model"]))
        given, options = record.get("settings") or {}, record.get("options") or {}
        values = {name: plain_value(one) for name, one in options.items()}
        alike = {name: plain_value(one) for name, one in given.items() if name not in REPLICATES}
        scale, protocol = str(record.get("scale")), str(record.get("protocol"))
        reasons = tuple(list_incomparable(record))
        key = repr((system, scale, protocol, reasons, sorted(values.items()), sorted(alike.items())))
        profile = self._by_key.get(key)
        if profile is None:
            both = {**given, **options}
            origins = {name: str(one["origin"]) for name, one in both.items() if isinstance(one, Mapping)}
            profile = Profile(*system, scale, protocol, values, alike, origins, reasons)
            self._by_key[key] = profile
            self.by_system.setdefault(system, []).append(profile)
        profile.runs.append(run)

    def systems(self, what: RunQuery) -> list[Profile]:
        """Profiles of the task, method and model, whatever their options and settings."""
        if what.task is not None and what.method is not None and what.model is not None:
            return self.by_system.get((what.task, what.method, what.model), [])
        asked = (what.task, what.method, what.model)
        return [
            profile
            for system, profiles in self.by_system.items()
            if all(ask in (None, have) for ask, have in zip(asked, system, strict=True))
            for profile in profiles
        ]

    def matching(self, what: RunQuery, scale: str) -> list[Profile]:
        """Profiles whose runs belong there, comparable or not."""
        key = (what, scale)
        if key not in self._matches:
            self._matches[key] = [
                profile
                for profile in self.systems(what)
                if profile.scale == scale and find_mismatch(profile, what) is None
            ]
        return self._matches[key]


# --- what stands behind a number


@dataclass(frozen=True)
class CellEvidence:
    """What the records say about one number, in our unit."""

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
    machines: Mapping[str, Replicates] = field(default_factory=dict)
    """For time and memory: the values by machine."""

    @property
    def run_ids(self) -> tuple[str, ...]:
        return tuple(run.run_id for run in self.runs)


CountedStatistics = Mapping[tuple[str, str], CellEvidence]
"""(task, metric) -> a number counted in the published files (Table 1), or why there is none."""


def collect_evidence(index: RunIndex, what: Cell | Mapping[str, Any], scale: str = "paper") -> CellEvidence:
    """The runs of a cell or selector. At scale ``paper`` only comparable ones; ``mini`` stands for itself."""
    fields: Mapping[str, Any] = what if isinstance(what, Mapping) else vars(what)
    group, metric = str(fields.get("group", "all")), str(fields["metric"])
    asked = make_query(what) if scale == "paper" else translate_to_mini(make_query(what))
    if asked is None or asked.method is None:
        return CellEvidence(scale)
    profiles = index.matching(asked, scale)
    excluded: Counter[str] = Counter()
    usable: list[Profile] = []
    for profile in profiles:
        if scale == "paper" and profile.reasons:
            excluded.update(profile.reasons)
        else:
            usable.append(profile)
    if scale == "paper" and not usable and not excluded:
        excluded.update(explain_near_misses(index, asked))
    failures = Counter(
        find_failure_kind(run) for profile in usable for run in profile.runs if run.status != "done"
    )
    found = CellEvidence(scale, failures=dict(failures), excluded=tuple(excluded))
    chosen, notes = choose_profile(usable, asked)
    return fill_evidence(found, chosen, notes, group, metric)


def collect_curve(
    index: RunIndex, what: Mapping[str, Any], x: str, scale: str = "paper"
) -> dict[Any, CellEvidence]:
    """What was found at each value of ``x`` that was run, in order: the points of a curve.

    ``what``: a selector; ``x``: a name in ``CONDITIONS`` (``train_size``) or an option (``length``).
    """
    where = "settings" if x in CONDITIONS else "options"
    plain_what = {**what, "table": what.get("table", "figure")}
    asked = make_query(plain_what) if scale == "paper" else translate_to_mini(make_query(plain_what))
    profiles = [one for one in index.systems(asked) if one.scale == scale] if asked is not None else []
    values = {one.settings.get(CONDITIONS[x]) if x in CONDITIONS else one.options.get(x) for one in profiles}
    points: dict[Any, CellEvidence] = {}
    for value in sorted(
        (one for one in values if one is not None), key=lambda one: (isinstance(one, str), one)
    ):
        chosen = {**plain_what, where: {**(what.get(where) or {}), x: value}}
        found = collect_evidence(index, chosen, scale)
        if found.replicates or found.failures or found.missing or found.excluded:
            points[value] = found
    return points


def explain_near_misses(index: RunIndex, what: RunQuery) -> set[str]:
    """Why runs of that very system and data at the paper's scale, with something changed, do not count."""
    found: set[str] = set()
    for profile in index.systems(what):
        if profile.scale != "paper" or not profile.reasons:
            continue
        same_data = all(profile.settings.get(n) == dict(what.conditions).get(n) for n in CONDITIONS.values())
        same_options = all(profile.options.get(name) == value for name, value in what.options)
        if same_data and same_options and what.split in (None, profile.settings.get("test_split")):
            found.update(profile.reasons)
    return found


def choose_profile(profiles: Sequence[Profile], what: RunQuery) -> tuple[list[Run], list[str]]:
    """The runs of one profile: averaging over different settings would be a number of nothing.

    Parameter counts do not depend on what else was set: there all count.
    """
    done = [(p, [run for run in p.runs if run.status == "done"]) for p in profiles]
    done = [(profile, runs) for profile, runs in done if runs]
    if not done:
        return [], []
    if what.counts:
        return [run for _, runs in done for run in runs], []

    def rank(one: tuple[Profile, list[Run]]) -> tuple[bool, bool, int, str]:
        profile, runs = one
        own = what.table in profile.experiments
        return own, not profile.experiments, len({r.replicate for r in runs}), max(r.ended for r in runs)

    best = max(done, key=rank)
    left = sum(len(runs) for _, runs in done) - len(best[1])
    notes = [f"{left} runs with other settings left out"] if left else []
    return best[1], notes


def fill_evidence(
    found: CellEvidence, runs: Sequence[Run], notes: list[str], group: str, metric: str
) -> CellEvidence:
    """``found`` with the values of ``runs``: one per seed, all by the same scorer."""
    if found.scale == "paper":
        runs = [run for run in runs if is_comparable(run.record)]
    by_replicate: dict[tuple[Any, ...], Run] = {}
    for run in sorted(runs, key=lambda one: one.ended):
        # Repeated with the same seed: the latest counts, once.
        by_replicate[(run.record["task"], run.record["model"], run.replicate)] = run
    repeated = len(runs) - len(by_replicate)
    if repeated and metric not in COUNT_METRICS:
        notes = [*notes, f"{repeated} repeated runs counted once"]
    order = sorted(by_replicate.values(), key=lambda one: (str(one.data_seed), one.seed))
    read = [(run, measure_value(run.record, group, metric)) for run in order]
    missing = tuple(dict.fromkeys(one.reason for _, one in read if one.value is None))
    gates = [one.gate for _, one in read if one.failed_gate]
    good = [(run, one) for run, one in read if one.value is not None and not one.failed_gate]
    kept, notes = keep_common_scorer(good, notes)
    machines: dict[str, dict[tuple[int | None, int], float]] = {}
    for run, one in kept:
        if one.machine and one.value is not None:
            machines.setdefault(one.machine, {})[run.replicate] = one.value
    return replace(
        found,
        replicates={run.replicate: one.value for run, one in kept if one.value is not None},
        runs=tuple(run for run, _ in kept),
        missing=missing,
        gate=gates[0] if gates else "",
        notes=tuple(notes),
        machines=machines,
    )


def keep_common_scorer(
    read: list[tuple[Run, MeasuredValue]], notes: list[str]
) -> tuple[list[tuple[Run, MeasuredValue]], list[str]]:
    """Only values with one signature: that of most runs, of the latest where as many have another."""
    count = Counter(one.signature for _, one in read)
    if len(count) < 2:
        return read, notes
    newest = {signature: max(r.ended for r, one in read if one.signature == signature) for signature in count}
    best = max(count, key=lambda signature: (count[signature], newest[signature]))
    left = len(read) - count[best]
    note = f"{left} runs scored by another version of the scorer left out: `bench score` scores them again"
    return [(run, one) for run, one in read if one.signature == best], [*notes, note]
