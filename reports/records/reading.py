"""Typed records, also where somebody kept only an excerpt of each: what reports read is made typed once, here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.store.record import FORMAT, Record, make_excerpt


def read_records(documents: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Records as they are, and documents (a committed file's, say) made into records.

    An excerpt may lack what a whole record must have, and may keep options and settings as bare values.
    ``RecordError`` for a field that is not as declared.
    """
    return [
        document if isinstance(document, Record) else _complete_excerpt(document, number)
        for number, document in enumerate(documents)
    ]


def _complete_excerpt(document: Mapping[str, Any], number: int) -> Record:
    defaults = {"format": FORMAT, "attempt": 1, "recorded": "", "ended": "", "run_id": f"record {number}"}
    content = {**defaults, **document}
    for table in ("options", "settings"):
        entries = content.get(table) or {}
        content[table] = {
            name: entry if isinstance(entry, Mapping) else {"value": entry, "origin": ""}
            for name, entry in entries.items()
        }
    return make_excerpt(content)
