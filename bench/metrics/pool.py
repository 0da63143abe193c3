"""Work on many segments at once: the same results in the same order, whatever the number of processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from bench.provenance import usable_cores

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
    processes = processes or usable_cores()
    if len(rows) < at_least or processes < 2:
        return [function(row) for row in rows]
    context = multiprocessing.get_context("spawn")
    chunk = max(1, len(rows) // (processes * 8))
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        return list(pool.map(function, rows, chunksize=chunk))
