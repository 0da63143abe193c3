"""The deviation ledger: ``docs/deviations.md``, whose tables are its one place, read into entries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import results
from bench.store.record import Record

FILE = Path(results.__file__ or "").parents[1] / "docs" / "deviations.md"
COLUMNS = {"what": "what", "the original": "original", "here": "here", "why": "why", "touches": "applies"}
EVERYTHING = "all"


@dataclass(frozen=True)
class Deviation:
    """An entry of the ledger."""

    number: int
    what: str
    original: str
    here: str
    why: str
    applies: str
    """``all``, or what it touches: ``task e2e``, ``method prefix``."""


@cache
def read_deviations(path: Path = FILE) -> tuple[Deviation, ...]:
    """The entries in their order; none where the documents are not installed beside the package."""
    return parse_deviations(path.read_text(encoding="utf-8")) if path.is_file() else ()


def parse_deviations(text: str) -> tuple[Deviation, ...]:
    """Entries of the text's tables whose head row has the columns ``what``, ``here`` and ``why``."""
    entries: list[Deviation] = []
    names: list[str] | None = None
    for line in text.splitlines():
        if not line.startswith("|"):
            names = None
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if names is None:
            names = [COLUMNS.get(cell, "") for cell in cells]
        elif {"what", "here", "why"} <= set(names) and not set("".join(cells)) <= set("-: "):
            fields = {name: cell for name, cell in zip(names, cells, strict=False) if name}
            defaults = {"original": "", "applies": EVERYTHING}
            entries.append(Deviation(number=len(entries) + 1, **{**defaults, **fields}))
    return tuple(entries)


def list_touching(entries: Sequence[Deviation], record: Record) -> tuple[int, ...]:
    """The numbers of the entries that say of themselves that they touch such a run."""
    return tuple(entry.number for entry in entries if applies_to(entry.applies, record))


def applies_to(applies: str, record: Record) -> bool:
    """``all``; ``task e2e``; ``method prefix, prompt``; ``option init=random``; ``low data``; joined by ``;``."""
    if applies == EVERYTHING:
        return True
    for part in applies.split(";"):
        kind, _, rest = part.strip().partition(" ")
        if kind in ("task", "method", "model"):
            fits = str(getattr(record, kind)) in [value.strip() for value in rest.split(",")]
        elif kind in ("option", "setting"):
            name, _, expected = rest.partition("=")
            entry = (record.options if kind == "option" else record.settings).get(name)
            value = None if entry is None else entry.value
            fits = str(value) == expected if expected else value is not None
        else:
            fits = True  # an unknown word hides nothing
        if not fits:
            return False
    return True
