"""Stopping an attempt when somebody asks for it, as soon as nothing is lost by it.

Ctrl-C, SIGTERM, a terminal that closes (SIGHUP), the other signals that end a process by default and a scheduler's
signals ask. Training stops after the current update, with a checkpoint; everything else stops at once, as its stage
begins again anyway. Ctrl-\\ (SIGQUIT) stops at once. Whatever asked, the attempt leaves its record.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

from bench.runs.job_context import JobContext
from bench.system.progress import print_message

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
ENDING_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU)
"""What batch systems send before they kill; a scheduler's job says itself which of them it listens to."""
AGAIN_AFTER = 1.0
"""Seconds after an attempt began to end, in which another signal changes nothing: it is one wish, sent twice."""


class Stopping:
    """Whether this attempt was asked to stop. ``job``: the scheduler's job that it runs in, if any."""

    def __init__(self, job: JobContext | None = None) -> None:
        self.job = job
        self.asked = False
        self.signal: signal.Signals | None = None
        """The first that asked."""
        self.waits_for_update = False
        self._postponed = False
        self._ending_since: float | None = None

    @contextlib.contextmanager
    def after_update(self) -> Iterator[None]:
        """Where the work itself looks at ``asked`` after every update."""
        self.waits_for_update = True
        try:
            yield
        finally:
            self.waits_for_update = False

    @contextlib.contextmanager
    def postponed(self) -> Iterator[None]:
        """What is written inside is written to its end, however often somebody asks."""
        self._postponed = True
        try:
            yield
        finally:
            self._postponed = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Signals stop after the current update, with a checkpoint; a second one at once.

        A scheduler sends several for one wish: in a job the later ones change nothing. What the process was
        started to ignore (``nohup``) stays ignored, but for Ctrl-C and SIGTERM.
        """
        numbers = {
            number
            for number in (*SIGNALS, *(self.job.signals if self.job else ENDING_SIGNALS))
            if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            old = {number: signal.signal(number, self.ask) for number in numbers}
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
        self.signal = self.signal or signal.Signals(number)
        if job is not None:
            job.stopped_by = job.stopped_by or signal.Signals(number)
            if asked_before and number != signal.SIGINT:
                return
        if self._postponed or self._is_ending():
            return
        if asked_before or not self.waits_for_update or number == signal.SIGQUIT:
            self._ending_since = time.monotonic()
            raise KeyboardInterrupt
        print_message("stopping after this update" + ("" if job else "; once more to stop at once"))

    def _is_ending(self) -> bool:
        """Whether the attempt has just begun to end: what is asked then is no second wish."""
        since = self._ending_since
        return since is not None and time.monotonic() - since < AGAIN_AFTER
