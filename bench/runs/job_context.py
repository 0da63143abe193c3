"""The scheduler's job around an attempt at a run: what the run must know of it, without knowing schedulers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class JobContext:
    """The scheduler's job that an attempt runs in, where it is not simply here and now."""

    facts: Mapping[str, Any]
    """Which job of which launch, for the record."""
    signals: tuple[signal.Signals, ...] = ()
    """Signals that ask to stop, besides Ctrl-C and SIGTERM."""
    log_tail: Callable[[], str] = lambda: ""
    """The end of the job's log, for the record of a failure."""
    cause: Callable[[Mapping[str, Any]], Mapping[str, Any] | None] = lambda _described: None
    """What another process of the job failed of, where that is behind an error that was ``described`` here."""
    stopped_by: signal.Signals | None = None
    """The first signal that asked to stop."""
