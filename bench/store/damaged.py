"""What in a store cannot be used, counted and named alike by every verb: records, specifications, foreign folders.

Nothing here stops the reading of the rest. Unreadable records are found where records are read
(``bench.store.run_dir.RunDir.read_attempts``), specifications and foreign folders by
``bench.store.store.Store.survey``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.foreign_text import show_foreign
from bench.system.json_files import JsonObject
from bench.system.progress import print_message

NAMED = 3
"""So many files of a kind are named where people read; machines get all."""


class DamageKind(StrEnum):
    """In which way a file or folder of a store cannot be used."""

    DAMAGED = "damaged-record"
    EDITED = "edited-record"
    NOT_A_RECORD = "not-a-record"
    NEWER = "record-of-newer-version"
    INACCESSIBLE = "inaccessible-record"
    SPECIFICATION = "unreadable-specification"
    FOREIGN = "foreign-folder"
    LAUNCH = "unreadable-launch"


NOUNS: Mapping[DamageKind, str] = {
    DamageKind.DAMAGED: "records are damaged and left out",
    DamageKind.EDITED: "records were edited after they were written and are left out",
    DamageKind.NOT_A_RECORD: "files are not the records of their runs and are left out",
    DamageKind.NEWER: "records were written by a newer version and are left out",
    DamageKind.INACCESSIBLE: "records cannot be read and are left out",
    DamageKind.SPECIFICATION: "specifications (spec.json) cannot be read",
    DamageKind.FOREIGN: "folders are no runs and are left out",
    DamageKind.LAUNCH: "launch records cannot be read and are left out",
}
"""What is said of several."""
REPLACEABLE = (DamageKind.DAMAGED, DamageKind.EDITED, DamageKind.NOT_A_RECORD)
"""Kinds of records that whoever carries the run out puts aside: a newer version's, or one on a failing disk, may be
whole."""


@dataclass(frozen=True)
class DamagedRecord:
    """A record, or another file of a store, that could not be used, and why: ``str`` names both."""

    path: Path
    reason: str
    kind: DamageKind = DamageKind.DAMAGED

    def __str__(self) -> str:
        if self.kind is DamageKind.FOREIGN:
            return f"no run: {self.path}: {self.reason}"
        return f"not readable: {self.path}: {self.reason}"

    @property
    def name(self) -> str:
        """``run/0001.json`` of a record; else the name, with the run's before it."""
        if self.kind in (DamageKind.FOREIGN, DamageKind.LAUNCH):
            return self.path.name
        folder = self.path.parent
        return f"{(folder.parent if folder.name == 'records' else folder).name}/{self.path.name}"

    def to_json(self) -> JsonObject:
        """For ``--json``."""
        return {"file": self.name, "kind": self.kind.value, "problem": show_foreign(self.reason, 200)}


def count_kinds(damaged: Iterable[DamagedRecord]) -> dict[DamageKind, list[DamagedRecord]]:
    """What is damaged by its kind, in the order of the kinds."""
    by_kind: dict[DamageKind, list[DamagedRecord]] = {kind: [] for kind in DamageKind}
    for entry in damaged:
        by_kind[entry.kind].append(entry)
    return {kind: entries for kind, entries in by_kind.items() if entries}


def describe_damage(damaged: Sequence[DamagedRecord]) -> list[str]:
    """A line for each where there are few of a kind, else one that counts them and names the first few.

    >>> describe_damage([DamagedRecord(Path("runs/a/records/0001.json"), "empty")])
    ['not readable: runs/a/records/0001.json: empty']
    """
    lines = []
    for kind, entries in count_kinds(damaged).items():
        if len(entries) <= NAMED:
            lines += [str(entry) for entry in entries]
        else:
            names = ", ".join(show_foreign(entry.name) for entry in entries[:NAMED])
            reason = show_foreign(entries[0].reason, 120)
            more = f"{len(entries) - NAMED:,} more"
            lines.append(f"{len(entries):,} {NOUNS[kind]}: {names} and {more} (the first: {reason})")
    return lines


def warn_of_damage(damaged: Sequence[DamagedRecord]) -> None:
    """``describe_damage`` on standard error."""
    for line in describe_damage(damaged):
        print_message(line, important=True)


def document_damage(damaged: Sequence[DamagedRecord]) -> JsonObject:
    """For ``--json``: {"count", "kinds": {kind: count}, "files": [{"file", "kind", "problem"}, …]}."""
    kinds = {kind.value: len(entries) for kind, entries in count_kinds(damaged).items()}
    return {"count": len(damaged), "kinds": kinds, "files": [entry.to_json() for entry in damaged]}
