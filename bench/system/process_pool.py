"""Work on many segments at once: the same results in the same order, whatever the number of processes.

``open_process_pool`` and ``make_scratch_folder`` are for any longer work: no process and no folder is left of it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

from bench.system.files import open_temporary_folder
from bench.system.provenance import count_usable_cores

Row = TypeVar("Row")
Result = TypeVar("Result")


def map_rows(
    function: Callable[[Row], Result], rows: Sequence[Row], at_least: int = 1000, processes: int | None = None
) -> list[Result]:
    """``[function(row) for row in rows]``, spread over processes from ``at_least`` rows on.

    ``function`` must be importable (a module's function) and depend on nothing but its row.
    ``processes``: the cores this process may use, unless given.
    """
    processes = processes or count_usable_cores()
    if len(rows) < at_least or processes < 2:
        return map_in_turn(function, rows)
    size = max(1, len(rows) // (processes * 8))
    with start_workers(processes) as pool:
        # Not `pool.map`: it cancels what has not begun, and the pool cannot tell cancelled work of killed workers.
        parts = [
            pool.submit(map_in_turn, function, rows[first : first + size])
            for first in range(0, len(rows), size)
        ]
        return [result for part in parts for result in part.result()]


def map_in_turn(function: Callable[[Row], Result], rows: Sequence[Row]) -> list[Result]:
    return [function(row) for row in rows]


@contextlib.contextmanager
def start_workers(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes to submit work to, which end with the work, however it ends.

    An error or Ctrl-C kills them at once: the executor alone would first wait for what they have begun.
    Where this process is killed itself, they notice (``end_with_parent``). They are spawned, not forked:
    forking a process that runs torch's threads can hang.
    """
    other_children = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=end_with_parent)
    try:
        yield pool
    except BaseException:
        for child in multiprocessing.active_children():
            if child not in other_children:
                child.kill()  # a run under way takes SIGTERM for a wish to end after its current step
        raise
    finally:
        pool.shutdown()


def end_with_parent() -> None:
    """In a worker: end when its parent does; waiting for work, it would never hear of that."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def make_scratch_folder(prefix: str) -> Iterator[Path]:
    """A folder for the runs, removed however the check ends; SIGTERM, which a time limit sends, is Ctrl-C.

    Once the end has begun, further signals change nothing: `timeout` sends two, and what is left to do
    takes a moment.
    """
    old: dict[signal.Signals, Any] = {}

    def stop(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler's arguments
        end()
        raise KeyboardInterrupt

    def end() -> None:
        for number in old:
            signal.signal(number, signal.SIG_IGN)

    if threading.current_thread() is threading.main_thread():  # only there can signals be caught
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                old[number] = signal.signal(number, stop)
    try:
        with open_temporary_folder(prefix) as folder:
            try:
                yield Path(folder)
            finally:
                end()
    except KeyboardInterrupt:
        # A run that was stopped says how it goes on, but its folder is gone.
        raise KeyboardInterrupt("Nothing was written; the same command starts anew.") from None
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
