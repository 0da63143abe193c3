"""Which runs are alike enough to be averaged, and which of several groups of like runs stands for a number.

Runs answer the same question if everything that decides a number is equal: settings, weights, data, the way of
scoring, code, versions of the libraries that compute, and the conditions of the computation. What a record does not
say (those of older versions) is a value of its own, unlike every value that is stated. Only seeds, and draws of a
small training set, may vary within a group. One group fills a cell, chosen in this order:

1. from a clean working tree; then where it is not stated; last from one with changes that were not committed;
2. with the settings that the cell's own experiment prescribes, else those that no experiment prescribes;
3. the most seeds;
4. the latest.

The others are listed with what differs from it, and are never mixed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bench.config.specification import is_silent
from bench.store.record import Record
from reports.records.runs import Profile, Run
from reports.stats.intervals import Replicates

COMPUTING_PACKAGES = ("torch", "transformers", "tokenizers")
"""Libraries whose version can move a loss or a token. Those that score are in a score's signature."""
NOT_STATED = "not stated"
DIRTY = "dirty"
"""The mark of a number from code with changes that were not committed."""
DIRTY_MEANING = "dirty: the code of the runs behind the number had changes that were not committed"


class DecidingFact(StrEnum):
    """What runs that are averaged must have in common."""

    SETTINGS = "settings"
    WEIGHTS = "weights"
    DATA = "data"
    SCORER = "scorer"
    WORKING_TREE = "working tree"
    CODE = "code"
    PACKAGES = "packages"
    EXECUTION = "execution"


Facts = Mapping[DecidingFact, str]
"""Every fact as text that is equal for equal things."""


@dataclass(frozen=True)
class Difference:
    """A fact that is another in runs that were left out: its value there, and in those that count."""

    fact: DecidingFact
    theirs: str
    ours: str

    def to_text(self) -> str:
        """``another version of the code (1f2e3d instead of 4c5b6a)``."""
        theirs, ours = self.spell_sides()
        return f"{WORDS[self.fact]} ({theirs} instead of {ours})"

    def spell_sides(self) -> tuple[str, str]:
        """Both values as short as they still differ: of those with several parts, the parts that differ."""
        if self.fact is DecidingFact.SETTINGS:  # only those that differ, as they are
            return shorten_value(self.theirs), shorten_value(self.ours)
        sides = [value.split(PART) for value in (self.theirs, self.ours)]
        unshared = [
            [part for part in side if part not in other]
            for side, other in zip(sides, sides[::-1], strict=True)
        ]
        theirs, ours = (shorten_value(PART.join(parts)) or ABSENT for parts in unshared)
        return theirs, ours


WORDS: Mapping[DecidingFact, str] = {
    DecidingFact.SETTINGS: "other settings",
    DecidingFact.WEIGHTS: "other weights",
    DecidingFact.DATA: "other data",
    DecidingFact.SCORER: "another version of the scorer",
    DecidingFact.WORKING_TREE: "another state of the working tree",
    DecidingFact.CODE: "another version of the code",
    DecidingFact.PACKAGES: "other versions of packages",
    DecidingFact.EXECUTION: "other conditions of the computation",
}
LONGEST_VALUE = 60
PART = ", "
"""What stands between the parts of a fact."""


def shorten_value(value: str) -> str:
    """Fingerprints as their first 12 digits, anything else to ``LONGEST_VALUE`` characters."""
    if len(value) >= 40 and all(digit in "0123456789abcdef" for digit in value):
        return value[:12]
    return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"


@dataclass(frozen=True)
class UnlikeRuns:
    """Runs of the same cell that are a group of their own and were left out."""

    run_ids: tuple[str, ...]
    differences: tuple[Difference, ...]

    def to_text(self) -> str:
        """``2 runs left out: other weights (…)``."""
        count = len(self.run_ids)
        reasons = "; ".join(difference.to_text() for difference in self.differences)
        advice = ""
        if any(difference.fact is DecidingFact.SCORER for difference in self.differences):
            advice = ": `bench score` scores them again"
        return f"{count} run{'' if count == 1 else 's'} left out: {reasons}{advice}"


# --- the facts of a run


MEASURED_SETTINGS = ("threads",)
"""Settings of which the conditions of the computation say what came of them (``OMP_NUM_THREADS`` goes first)."""


def spell_settings(profile: Profile) -> str:
    """Protocol, options and settings as text that is equal for equal values; without what numbers repetitions.

    A setting that older records lack is as absent where it has the value that it had for them.
    """
    stated = [
        (name, value)
        for name, value in profile.settings.items()
        if name not in MEASURED_SETTINGS and not is_silent(name, value)
    ]
    return ascii((profile.protocol, sorted(profile.options.items()), sorted(stated)))


def describe_facts(record: Record, settings: str) -> dict[DecidingFact, str]:
    """All that can be read from the record alone; ``settings``: its options and settings, spelled."""
    return {
        DecidingFact.SETTINGS: settings,
        DecidingFact.WEIGHTS: str(record.get("model_fingerprint") or NOT_STATED),
        DecidingFact.DATA: str(record.get("data_fingerprint") or NOT_STATED),
        DecidingFact.WORKING_TREE: describe_working_tree(record),
        DecidingFact.CODE: describe_code_version(record),
        DecidingFact.PACKAGES: describe_packages(record),
        DecidingFact.EXECUTION: describe_execution(record),
    }


class TreeState(StrEnum):
    """Whether a run's code had changes that were not committed; the later, the rather a group is chosen."""

    DIRTY = "dirty"
    NOT_STATED = "not stated"
    CLEAN = "clean"


def find_tree_state(record: Record) -> TreeState:
    """The state of the working tree that a run's code was in."""
    code = record.code
    if code is None or code.get("dirty") is None:
        return TreeState.NOT_STATED
    return TreeState.DIRTY if code["dirty"] else TreeState.CLEAN


def is_dirty(record: Record) -> bool:
    """Whether the run's code had changes that were not committed."""
    return find_tree_state(record) is TreeState.DIRTY


def describe_working_tree(record: Record) -> str:
    """``clean``, ``not stated``, or what was changed, by its fingerprint."""
    if is_dirty(record) and record.code is not None:
        return f"uncommitted changes {shorten_value(str(record.code.get('changes_sha256')))}"
    return str(find_tree_state(record))


def describe_code_version(record: Record) -> str:
    """The fingerprint of what decides numbers, else the commit, else the fingerprint of a copy outside git."""
    code = record.code or {}
    for name in ("deciding_sha256", "commit", "source_sha256"):
        if code.get(name):
            return str(code[name])
    return NOT_STATED


def describe_packages(record: Record) -> str:
    """``torch 2.13.0, transformers 5.23.0``: those of ``COMPUTING_PACKAGES`` that are stated."""
    packages: Any = record.get("packages")
    if not isinstance(packages, Mapping):
        return NOT_STATED
    stated = [f"{name} {packages[name]}" for name in COMPUTING_PACKAGES if packages.get(name)]
    return PART.join(stated) or NOT_STATED


def describe_execution(record: Record) -> str:
    """Threads, processes, device and precision of the last part of the run, and of earlier ones if they differ."""
    return NOT_STATED if record.execution is None else record.execution.to_text()


# --- groups


@dataclass(frozen=True)
class MeasuredRun:
    """A run with a value, the facts that decide it, and its profile."""

    run: Run
    value: float
    facts: Facts
    profile: Profile


@dataclass(frozen=True)
class ChosenGroup:
    """The runs that stand for a number, and those that do not."""

    members: tuple[MeasuredRun, ...] = ()
    """One per seed and subset, the latest where several have the same."""
    repeated: int = 0
    """Runs of the group left out because a later one has the same seed."""
    unlike: tuple[UnlikeRuns, ...] = ()
    compared: tuple[DecidingFact, ...] = ()
    """What all members have in common."""

    @property
    def facts(self) -> Facts:
        """Of the first member, which the others share as far as ``compared``; empty without members."""
        return self.members[0].facts if self.members else {}

    @property
    def replicates(self) -> Replicates:
        """The values by subset and seed."""
        return {member.run.replicate: member.value for member in self.members}

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The names of the members' runs."""
        return tuple(member.run.run_id for member in self.members)

    @property
    def dirty(self) -> bool:
        """Whether the code of the members had changes that were not committed."""
        return any(is_dirty(member.run.record) for member in self.members)


def choose_group(
    measured: Iterable[MeasuredRun], compared: Sequence[DecidingFact], table: str
) -> ChosenGroup:
    """The group that stands for a number, by the rule at the head of this file.

    ``compared``: the facts that must be equal, all for a score; of parameter counts, which nothing else changes,
    only the weights. ``table``: the table or figure whose cell is filled.
    """
    groups: dict[tuple[str, ...], list[MeasuredRun]] = {}
    for candidate in measured:
        groups.setdefault(tuple(candidate.facts[fact] for fact in compared), []).append(candidate)
    if not groups:
        return ChosenGroup()
    # By their facts in the end, so that the order of the records never decides.
    ranked = sorted(groups.items(), key=lambda item: item[0])
    _, chosen = max(ranked, key=lambda item: rank_group(item[1], table))
    latest = select_latest(chosen)
    unlike = [describe_unlike(group, chosen[0], compared) for _, group in ranked if group[0] is not chosen[0]]
    return ChosenGroup(tuple(latest), len(chosen) - len(latest), tuple(unlike), tuple(compared))


def rank_group(group: Sequence[MeasuredRun], table: str) -> tuple[int, bool, bool, int, str]:
    """What is compared between groups; the greatest is chosen."""
    state = find_tree_state(group[0].run.record)
    experiments = {member.profile.experiment for member in group}
    seeds = len({(member.run.record.task, member.run.replicate) for member in group})
    return (
        list(TreeState).index(state),
        table in experiments,
        None in experiments,
        seeds,
        max(m.run.ended for m in group),
    )


def select_latest(group: Iterable[MeasuredRun]) -> list[MeasuredRun]:
    """One run per task, model, subset and seed, by subset and seed: of several the one that ended last."""
    latest: dict[tuple[Any, ...], MeasuredRun] = {}
    for member in sorted(group, key=lambda member: (member.run.ended, member.run.run_id)):
        record = member.run.record
        latest[record.task, record.model, *member.run.replicate] = member
    return sorted(
        latest.values(),
        key=lambda member: (str(member.run.data_seed), member.run.seed, member.run.run_id),
    )


def describe_unlike(
    group: Sequence[MeasuredRun], chosen: MeasuredRun, compared: Sequence[DecidingFact]
) -> UnlikeRuns:
    """The runs of a group that was left out, with how they differ from the ``chosen`` one."""
    differences = []
    for fact in compared:
        theirs, ours = group[0].facts[fact], chosen.facts[fact]
        if theirs == ours:
            continue
        if fact is DecidingFact.SETTINGS:
            theirs, ours = name_other_settings(group[0].profile, chosen.profile)
        differences.append(Difference(fact, theirs, ours))
    return UnlikeRuns(tuple(sorted(member.run.run_id for member in group)), tuple(differences))


def name_other_settings(theirs: Profile, ours: Profile) -> tuple[str, str]:
    """What differs between two profiles, ``epochs=50`` and ``epochs=5``."""
    sides = [
        {"protocol": profile.protocol, **profile.options, **profile.settings} for profile in (theirs, ours)
    ]
    names = [
        name
        for name in {**sides[0], **sides[1]}
        if name not in MEASURED_SETTINGS and sides[0].get(name, ABSENT) != sides[1].get(name, ABSENT)
    ]
    first, second = (", ".join(f"{name}={side.get(name, ABSENT)}" for name in names) for side in sides)
    return first, second


ABSENT = "absent"
