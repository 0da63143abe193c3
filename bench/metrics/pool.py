"""Work on many segments at once: the same results in the same order, whatever the number of processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")


def each(
    function: Callable[[Row], Result], rows: Sequence[Row], at_least: int = 1000, processes: int | None = None
) -> list[Result]:
    """``[function(row) for row in rows]``, spread over processes from ``at_least`` rows on.

    ``function`` must be importable (a module's function) and depend on nothing but its row.
    ``processes``: the cores this process may use, unless given. New processes are spawned, not forked:
    forking a process that runs torch's threads can hang.
    """
    processes = processes or cores()
    if len(rows) < at_least or processes < 2:
        return [function(row) for row in rows]
    context = multiprocessing.get_context("spawn")
    chunk = max(1, len(rows) // (processes * 8))
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(function, rows, chunksize=chunk))


def cores() -> int:
    """How many cores this process may use (a job's share, where the system says so)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
