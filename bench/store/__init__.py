"""Runs on disk: the store, a run's directory, its typed records, and the lease of whoever works on it.

May import ``bench.system`` and ``bench.errors``. Start reading at ``store.py``, which lists the files of a run.
"""

from bench.store.store import LAUNCHES, Store, default_root, is_called, lookup

__all__ = ["LAUNCHES", "Store", "default_root", "is_called", "lookup"]
