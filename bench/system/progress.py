"""Showing that something long is moving: a bar on a terminal, a line now and then in a log file.

Everything goes to standard error, so that standard output stays one JSON document or one table.
A cluster's log file is not a terminal: there a bar would leave thousands of half-lines, hence plain
lines, never more often than every ten seconds. Trouble with the screen never stops the work.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, overload

from bench.foreign_text import escape_log, format_message, show_foreign

T = TypeVar("T")

LINE_EVERY = 10.0  # seconds: at most one line in this time
TRACEBACK_LINES = 150  # of the beginning and of the end of a longer traceback
LINE_AT_LEAST = 60.0  # seconds: a line even if less than a tenth was done meanwhile


@dataclass
class ProgressSettings:
    """What ``--quiet`` sets; BENCH_QUIET=1 does the same for every command."""

    quiet: bool = field(default_factory=lambda: os.environ.get("BENCH_QUIET", "") not in ("", "0"))


settings = ProgressSettings()


@contextlib.contextmanager
def silence_progress() -> Iterator[None]:
    """No progress and no notes inside; important lines are said all the same."""
    before, settings.quiet = settings.quiet, True
    try:
        yield
    finally:
        settings.quiet = before


def is_terminal() -> bool:
    """Whether standard error is a screen that can redraw a line."""
    with contextlib.suppress(AttributeError, ValueError):  # none at all, or closed
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return False


def print_message(text: str, important: bool = False) -> None:
    """One message on standard error, above any bar. ``important`` ones are said even when quiet."""
    if settings.quiet and not important:
        return
    text = format_message(text)
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or its reader left
        if _Bar.count:
            from tqdm import tqdm

            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)


def print_traceback(error: BaseException) -> None:
    """The traceback of a bug on standard error; what the error says may be a text of others, of any length."""
    lines = escape_log("".join(traceback.format_exception(error))).rstrip("\n").split("\n")
    if len(lines) > 2 * TRACEBACK_LINES:
        note = f"({len(lines) - 2 * TRACEBACK_LINES:,} lines left out)"
        lines = [*lines[:TRACEBACK_LINES], note, *lines[-TRACEBACK_LINES:]]
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or its reader left
        print("\n".join(lines), file=sys.stderr, flush=True)


def escape_interpreter_output() -> None:
    """Tracebacks and warnings that Python itself prints have their texts of others escaped from now on."""
    sys.excepthook = lambda _kind, error, _trace: print_traceback(error)
    warnings.formatwarning = lambda *facts, **more: escape_log(_format_warning(*facts, **more))


_format_warning = warnings.formatwarning


class _Display(Protocol):
    """Where progress is shown: told how much is done in all, a note, and the end."""

    def show(self, done: float, note: str) -> None: ...
    def close(self, done: float, note: str, finished: bool) -> None: ...


class _Silent:
    def show(self, done: float, note: str) -> None: ...
    def close(self, done: float, note: str, finished: bool) -> None: ...


class _Bar:
    """tqdm's bar, without the thread that it starts to watch slow loops: every step is considered."""

    count = 0  # how many bars are on the screen

    def __init__(self, label: str, unit: str, total: float | None, start: float) -> None:
        from tqdm import tqdm

        class Unwatched(tqdm):
            monitor_interval = 0

        self._bar: Any = Unwatched(
            total=total,
            desc=label,
            unit=f" {unit}" if unit else "",
            initial=start,
            file=sys.stderr,
            miniters=1,
            mininterval=0.2,
            dynamic_ncols=True,
            leave=True,
        )
        _Bar.count += 1

    def show(self, done: float, note: str) -> None:
        if note != self._bar.postfix:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self, done: float, note: str, finished: bool) -> None:  # noqa: ARG002 - it shows its last state
        _Bar.count -= 1
        self._bar.close()


class _Lines:
    """Plain lines: at most every ten seconds, at least every minute, and one at the end."""

    def __init__(self, label: str, unit: str, total: float | None, start: float) -> None:
        self._label, self._unit, self._total, self._first = label, unit, total, start
        self._began = self._last = time.monotonic()
        self._last_done = start

    def show(self, done: float, note: str) -> None:
        passed = time.monotonic() - self._last
        if passed < LINE_EVERY:
            return
        tenth = self._total is not None and done - self._last_done >= self._total / 10
        if tenth or passed >= LINE_AT_LEAST:
            self._say(done, note, "")
            self._last, self._last_done = time.monotonic(), done

    def close(self, done: float, note: str, finished: bool) -> None:
        self._say(done, note, "done" if finished else "stopped")

    def _say(self, done: float, note: str, end: str) -> None:
        seconds = time.monotonic() - self._began
        print_message(
            format_progress_line(
                self._label, self._unit, done, self._total, done - self._first, seconds, note, end
            )
        )


def format_progress_line(
    label: str,
    unit: str,
    done: float,
    total: float | None,
    advanced: float,
    seconds: float,
    note: str = "",
    end: str = "",
) -> str:
    """One line of progress; ``advanced`` is what was done in ``seconds`` (a resumed run did less).

    >>> format_progress_line("training", "steps", 120, 1000, 100, 50.0, "loss 2.31")
    'training: 120/1000 steps (12 %), 2.0 steps/s, 7 min 20 s left, loss 2.31'
    """
    amount = f"{done:g}" if total is None else f"{done:g}/{total:g}"
    percent = f" ({100 * done / total:.0f} %)" if total else ""
    parts = [f"{label}: {amount} {unit}".rstrip() + percent]
    rate = advanced / seconds if seconds > 0 else 0.0
    if rate > 0:
        parts.append(
            f"{rate:.1f} {unit or 'it'}/s" if rate >= 1 else f"{1 / rate:.1f} s per {to_singular(unit)}"
        )
    if end:
        parts.append(f"{end} after {format_duration(seconds)}")
    elif rate > 0 and total is not None:
        parts.append(f"{format_duration(max(total - done, 0) / rate)} left")
    return ", ".join([*parts, note] if note else parts)


def to_singular(unit: str) -> str:
    """One of what is counted: ``updates`` -> ``update``, ``batches`` -> ``batch``."""
    return re.sub(r"(?<=ch|sh)es$|(?<=[^s])s$", "", unit) or "it"


def format_duration(seconds: float) -> str:
    """A length of time as people say it: ``12 s``, ``7 min 20 s``, ``3 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class ProgressTracker(Generic[T]):
    """A loop that shows how far it is. Iterate over it, or advance it by hand inside ``with``."""

    def __init__(self, items: Iterable[T], total: float | None, start: float, display: _Display):
        self.total = total
        self.done = start
        self._items, self._display = items, display
        self._note = ""
        self._open = True

    def advance(self, by: float = 1) -> None:
        """``by`` more units are done."""
        self.done += by
        self._display.show(self.done, self._note)

    def note(self, text: str) -> None:
        """A few words beside the numbers, such as the loss."""
        self._note = show_foreign(text)

    def close(self, finished: bool = True) -> None:
        """Show the end state; once."""
        if self._open:
            self._open = False
            self._display.close(self.done, self._note, finished)

    def __iter__(self) -> Iterator[T]:
        finished = False
        try:
            for item in self._items:
                yield item
                self.advance()
            finished = True
        finally:
            self.close(finished)

    def __enter__(self) -> ProgressTracker[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(finished=kind is None)


@overload
def track_progress(
    work: int, label: str, unit: str = "", *, total: float | None = None, start: int = 0
) -> ProgressTracker[int]: ...
@overload
def track_progress(
    work: Iterable[T], label: str, unit: str = "", *, total: float | None = None, start: float = 0
) -> ProgressTracker[T]: ...
def track_progress(
    work: Any, label: str, unit: str = "", *, total: float | None = None, start: float = 0
) -> ProgressTracker[Any]:
    """Show the progress of ``work``: something to iterate over, or a number of steps.

    ``start`` says how much an earlier, interrupted attempt had done; a number of steps then counts on
    from there. ``total`` is for iterables without a length.

    >>> for batch in track_progress(batches, "decoding", "batches"): ...   # doctest: +SKIP
    >>> with track_progress(1000, "training", "steps", start=300) as bar:  # doctest: +SKIP
    ...     bar.note("loss 2.31")
    ...     bar.advance()
    """
    items: Iterable[Any] = range(int(start), work) if isinstance(work, int) else work
    if total is None:
        with contextlib.suppress(TypeError):
            total = work if isinstance(work, int) else start + len(work)
    return ProgressTracker(items, total, start, _display(show_foreign(label), unit, total, start))


def _display(label: str, unit: str, total: float | None, start: float) -> _Display:
    if settings.quiet:
        return _Silent()
    if is_terminal():
        with contextlib.suppress(ImportError, OSError, ValueError):
            return _Bar(label, unit, total, start)
    return _Lines(label, unit, total, start)
