"""Runs on disk: the store, a run's directory, its typed records, and the lease of whoever works on it.

May import ``bench.system`` and ``bench.errors``. Start reading at ``store.py``, which lists the files of a run.
"""

from bench.store.store import LAUNCHES, Store, default_root, lookup, matches_run_name

__all__ = ["LAUNCHES", "Store", "default_root", "is_called", "lookup", "matches_run_name"]

is_called = matches_run_name  # its name for programs written against earlier versions
