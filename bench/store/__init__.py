"""Runs on disk: the store, a run's directory, its typed records, and the lease of whoever works on it.

May import ``bench.config`` and what that may import; knows nothing of how a run is carried out. Start reading at
``store.py``, which lists the files of a run. ``record.py`` is the record as a typed document, ``fields.py`` what a
single value in it may be; ``legacy.py`` gives the records of earlier versions what they lack, ``frame.py`` makes a
table of them.
"""

from bench.store.damaged import DamagedRecord
from bench.store.record import DoneRecord, Failure, Record, RunStatus, ScoreEntry, Specification
from bench.store.run_dir import RunDir
from bench.store.store import LAUNCHES, Store, default_root, lookup, matches_run_name

Damage, is_called = (
    DamagedRecord,
    matches_run_name,
)  # their names for programs written against earlier versions

__all__ = [
    "LAUNCHES",
    "Damage",
    "DamagedRecord",
    "DoneRecord",
    "Failure",
    "Record",
    "RunDir",
    "RunStatus",
    "ScoreEntry",
    "Specification",
    "Store",
    "default_root",
    "is_called",
    "lookup",
    "matches_run_name",
]
