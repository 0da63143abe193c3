"""Stopping an attempt when somebody asks for it, as soon as nothing is lost by it.

Ctrl-C, SIGTERM and a scheduler's signals ask. Training stops after the current update, with a checkpoint;
everything else stops at once, as its stage begins again anyway.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

from bench.runs.job_context import JobContext
from bench.system.progress import print_message


class Stopping:
    """Whether this attempt was asked to stop. ``job``: the scheduler's job that it runs in, if any."""

    def __init__(self, job: JobContext | None = None) -> None:
        self.job = job
        self.asked = False
        self.waits_for_update = False

    @contextlib.contextmanager
    def after_update(self) -> Iterator[None]:
        """Where the work itself looks at ``asked`` after every update."""
        self.waits_for_update = True
        try:
            yield
        finally:
            self.waits_for_update = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM stop after the current update, with a checkpoint; a second one at once.

        A scheduler sends several for one wish: in a job the later ones change nothing.
        """
        signals = (signal.SIGINT, signal.SIGTERM, *(self.job.signals if self.job else ()))
        try:
            old = {number: signal.signal(number, self.ask) for number in signals}
        except ValueError:  # not in the main thread, where signals cannot be caught
            yield
            return
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def ask(self, number: int, _frame: object) -> None:
        """The handler of these signals."""
        job = self.job
        asked_before, self.asked = self.asked, True
        if job is not None:
            job.stopped_by = job.stopped_by or signal.Signals(number)
            if asked_before and number != signal.SIGINT:
                return
        if asked_before or not self.waits_for_update:
            raise KeyboardInterrupt
        print_message("stopping after this update" + ("" if job else "; once more to stop at once"))
