"""Calling code of others, such as a plug-in that is imported: what it prints, raises and changes stays with it.

What it prints goes to standard error, whatever it raises becomes one `GuestError`, and what it changes in this
process (streams, working directory, signal handlers, random states, torch's defaults, …) is put back. A Ctrl-C of
the user still stops the program. What ends the process at once (``os._exit``, a crash) and what code does later, in
a thread or at the program's end, is out of reach.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

from bench.foreign_text import show_foreign

T = TypeVar("T")
CAUSE_LENGTH = 240
"""Characters of a guest's message that are kept."""
_LOCK = threading.RLock()
"""The streams and the working directory are those of the whole process: one guest at a time."""


class GuestError(Exception):
    """What a guest raised, as one line: ``cause``."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class UnfitGuestError(Exception):
    """A guest is not what is expected of it; the message is a sentence that needs no type before it."""


def call_guest(call: Callable[[], T]) -> T:
    """What ``call`` returns.

    Raises `GuestError` for whatever it raises, ``SystemExit`` and a ``KeyboardInterrupt`` of its own included.
    Where SIGINT was delivered, the handler that stood before is called after everything was put back.
    """
    interrupts = _Interrupts()
    problem: str | None = None
    result: T | None = None
    with _LOCK, interrupts, _restored_state(), _separate_streams():
        try:
            with interrupts.passed_on():
                result = call()
        except BaseException as error:  # noqa: BLE001 - the program goes on, whatever its guests do
            problem = describe_guest_error(error)
    interrupts.deliver()
    if problem is not None:
        raise GuestError(problem)
    return result  # type: ignore[return-value]


def describe_guest_error(error: BaseException) -> str:
    """One line that says what is wrong, in the words that help most; the message itself may fail as well."""
    # A metaclass may answer for the name, and raise as well.
    kind = show_foreign(type.__getattribute__(type(error), "__name__"))
    try:
        if isinstance(error, ModuleNotFoundError) and isinstance(error.name, str):
            return f"needs the package {show_foreign(error.name)!r}, which is not installed"
        lines = str(error).strip().splitlines()
    except BaseException:  # noqa: BLE001 - as in call_guest
        return f"{kind}, whose message cannot be read"
    message = show_foreign(lines[0], CAUSE_LENGTH) if lines else "no message"
    return message if type(error) is UnfitGuestError else f"{kind}: {message}"


class _Interrupts:
    """Tells a SIGINT that was delivered to this process from a ``KeyboardInterrupt`` that code raises by itself."""

    def __init__(self) -> None:
        self.before: Callable[[int, FrameType | None], Any] | None = None
        self.delivered = False
        self.is_passed_on = False

    def __enter__(self) -> None:
        handler = signal.getsignal(signal.SIGINT)
        # Python delivers signals to the main thread only; who ignores them goes on doing so.
        if callable(handler) and threading.current_thread() is threading.main_thread():
            self.before = handler
            signal.signal(signal.SIGINT, self._handle)

    def __exit__(self, *exception: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.delivered = True
        if self.is_passed_on:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def passed_on(self) -> Iterator[None]:
        """The guest itself is interrupted, and what puts the state back after it is not."""
        self.is_passed_on = True
        try:
            yield
        finally:
            self.is_passed_on = False

    def deliver(self) -> None:
        """Do what a SIGINT does here, if there was one: usually raise ``KeyboardInterrupt``."""
        if self.delivered and self.before is not None:
            self.before(signal.SIGINT, None)


# --- standard streams


@contextlib.contextmanager
def _separate_streams() -> Iterator[None]:
    """No input, and standard error in place of standard output, for this process and those that it starts."""
    streams = (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__)
    originals = [
        stream for stream in {id(stream): stream for stream in streams}.values() if stream is not None
    ]
    _flush(originals)
    copies = [_copy_descriptor(number) for number in range(3)]
    if copies[0] is not None:
        _point_to_nothing(0)
    if copies[1] is not None:
        if copies[2] is not None:
            os.dup2(2, 1)
        else:
            _point_to_nothing(1)
    sys.stdin = _open_descriptor(0, "r")
    sys.stdout = sys.stderr = _open_descriptor(2, "w")
    try:
        yield
    finally:
        _flush([*originals, sys.stdout, sys.stderr])
        if (ctypes := sys.modules.get("ctypes")) is not None:  # what was printed by a library in C
            with contextlib.suppress(Exception):
                ctypes.CDLL(None).fflush(None)
        for number, copy in enumerate(copies):
            if copy is not None:
                os.dup2(copy, number)
                os.close(copy)
        sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]


def _flush(streams: list[Any]) -> None:
    for stream in streams:
        with contextlib.suppress(Exception):
            stream.flush()


def _copy_descriptor(number: int) -> int | None:
    try:
        return os.dup(number)
    except OSError:  # closed, as with `bench >&-`
        return None


def _point_to_nothing(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, number)
    os.close(nothing)


def _open_descriptor(number: int, mode: str) -> Any:
    """A stream on a descriptor that closing the stream leaves open."""
    try:
        buffering = -1 if mode == "r" else 1
        return open(number, mode, buffering, encoding="utf-8", errors="backslashreplace", closefd=False)
    except OSError:
        return io.StringIO()


# --- the state of the process


@contextlib.contextmanager
def _restored_state() -> Iterator[None]:
    """Put back what code changes in passing and later results or messages depend on."""
    restorers = [save() for save in _SAVERS]
    try:
        yield
    finally:
        for restore in restorers:
            with contextlib.suppress(Exception):
                restore()


def _save_directory() -> Callable[[], None]:
    try:
        before = os.getcwd()  # noqa: PTH109
    except OSError:  # it was deleted
        return lambda: None
    return lambda: os.chdir(before)


def _save_interpreter() -> Callable[[], None]:
    """Of ``sys``: arguments, hooks and limits. Entries that were added to ``sys.path`` stay, behind the others."""
    arguments, words, path = sys.argv, list(sys.argv), list(sys.path)
    hook, limit = sys.excepthook, sys.getrecursionlimit()

    def restore() -> None:
        arguments[:] = words
        sys.argv = arguments
        sys.excepthook = hook
        sys.setrecursionlimit(limit)
        sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]

    return restore


def _save_signal_handlers() -> Callable[[], None]:
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def restore() -> None:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)

    return restore


def _save_logging() -> Callable[[], None]:
    root = logging.getLogger()
    handlers, level, disabled = list(root.handlers), root.level, root.manager.disable

    def restore() -> None:
        root.handlers[:] = handlers
        root.setLevel(level)
        root.manager.disable = disabled

    return restore


def _save_warning_filters() -> Callable[[], None]:
    """What was to be ignored or shown stays so; only that other code's warnings become errors does not."""
    before = list(warnings.filters)

    def restore() -> None:
        added = [entry for entry in warnings.filters if entry not in before and entry[0] != "error"]
        if warnings.filters != before:
            with warnings.catch_warnings():  # its end makes the interpreter look at the filters anew
                pass
            warnings.filters[:] = [*added, *before]  # type: ignore[index]

    return restore


def _save_random_states() -> Callable[[], None]:
    """Of Python, and of numpy where it was loaded."""
    before = random.getstate()
    numpy_random = sys.modules.get("numpy.random")
    numpy_before = None if numpy_random is None else numpy_random.get_state()

    def restore() -> None:
        random.setstate(before)
        if numpy_random is not None:
            numpy_random.set_state(numpy_before)

    return restore


def _save_torch() -> Callable[[], None]:
    """The defaults of torch where it was loaded; where the guest loads it, those that torch begins with."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return _reset_new_torch
    dtype, grad, threads = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    device, generator = torch.get_default_device(), torch.get_rng_state()

    def restore() -> None:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_rng_state(generator)
        if torch.get_default_device() != device:
            torch.set_default_device(device)

    return restore


def _reset_new_torch() -> None:
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        torch.set_default_device(None)


_SAVERS: tuple[Callable[[], Callable[[], None]], ...] = (
    _save_directory,
    _save_interpreter,
    _save_signal_handlers,
    _save_logging,
    _save_warning_filters,
    _save_random_states,
    _save_torch,
)
