"""The one exception for a user's mistake, and the wording that every such message shares.

A message says what was given, what was expected, the valid choices (the nearest first) and what to
type next. The command line prints it without a traceback and exits with 2; any other exception is a
bug or a failed run and keeps its traceback.
"""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable
from enum import StrEnum

from bench.foreign_text import FRAGMENT_LENGTH, quote_foreign, show_foreign


class FailureKind(StrEnum):
    """What an attempt at a run failed of, as records, jobs and listings have it."""

    OUT_OF_MEMORY = "out-of-memory"
    DISK_FULL = "disk-full"
    STORAGE = "storage"
    DIVERGED = "diverged"
    UNAVAILABLE = "unavailable"
    UNREADABLE_DATA = "unreadable-data"
    REQUEST = "request"
    INTERRUPTED = "interrupted"
    ERROR = "error"
    # Of jobs, where the run itself could not say it.
    TIME_OUT = "time-out"
    NODE_FAILURE = "node-failure"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    KILLED = "killed"
    VANISHED = "vanished"
    NO_RECORD = "no-record"
    NOT_SUBMITTED = "not-submitted"


class UserError(Exception):
    """The request was wrong: a bad name, file, value or combination. Exit code 2."""

    exit_code = 2


class DataError(UserError):
    """An input file is not what its format promises: names the file, the place and what was expected.

    ``problem``: what is wrong without the file's name, where the raiser says it.
    """

    def __init__(self, message: str, problem: str | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class UnavailableError(UserError):
    """Something that must come from outside (weights, data, a package) could not be had."""


class StoppedError(KeyboardInterrupt):
    """Work was stopped by a signal, and left a record of it. ``exit_code``: 1 for Ctrl-C, else as shells have it."""

    def __init__(self, message: str, number: signal.Signals | None = None) -> None:
        super().__init__(message)
        self.exit_code = 1 if number in (None, signal.SIGINT) else 128 + number


def first_line(error: BaseException) -> str:
    """What an exception says, in one line; its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class UnknownNameError(UserError):
    """A name that is not one of ``valid``: nearest matches, all choices, what to type.

    ``kind`` says what was named (``task``), ``name`` what was given.

    >>> print(UnknownNameError("task", "webnl", ["e2e", "webnlg"], "see `bench list tasks`"))
    unknown task 'webnl'; did you mean 'webnlg'? Valid: e2e, webnlg (see `bench list tasks`)
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        choices = sorted(map(str, valid))
        # The comparison takes the square of the lengths, and nobody means a name by a text of megabytes.
        nearest = difflib.get_close_matches(name[:FRAGMENT_LENGTH], choices, n=2, cutoff=0.5)
        guess = f"; did you mean {' or '.join(map(quote_foreign, nearest))}?" if nearest else "."
        listing = ", ".join(map(show_foreign, choices)) if choices else "none"
        super().__init__(
            f"unknown {kind} {quote_foreign(name)}{guess} Valid: {listing}" + (f" ({hint})" if hint else "")
        )
