"""Calls of other people's loaders: whatever they raise over a damaged file becomes one message about that file.

``loading_file`` goes around the call of the library and nothing else, so that an error of ours stays a bug with its
traceback. Within it the library's warnings, tables and the text of a Rust panic are kept off the terminal.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from bench.errors import DataError, UserError, first_line

LIBRARIES = ("transformers", "tokenizers", "safetensors", "datasets", "huggingface_hub", "accelerate")
"""Names of the loggers that would write to the terminal."""
MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Of the operating system, that say nothing of the file that is read."""
STANDARD_STREAMS = (1, 2)  # the file descriptors of standard output and error, to which native code writes


class FileErrorFactory(Protocol):
    """Makes the exception for an unreadable file; ``DataError`` is one."""

    def __call__(self, message: str, problem: str) -> UserError: ...


@contextlib.contextmanager
def loading_file(path: Path, expectation: str, make_error: FileErrorFactory = DataError) -> Iterator[None]:
    """Turn what a library raises over ``path`` into ``make_error(message, problem)``; ``expectation`` says what the
    file should be (``a whole safetensors file``).

    Passed on as they are: our own errors (also where a library wrapped one), memory that ran out, a full disk,
    interrupts. A panic of Rust code, which is no ``Exception``, is converted like any other error.
    """
    native = NativeText()
    try:
        with silence_loggers(), native.held_back():
            yield
    except BaseException as error:
        if isinstance(cause := find_first_cause(error), UserError):
            raise cause from None
        if not is_about_file(cause):
            native.show()
            raise
        problem = f"cannot be read ({describe_cause(cause)}); expected {expectation}"
        raise make_error(f"{path}: {problem}", problem) from error


class NativeText:
    """What native code writes by itself while a library loads: the message of a panic, notes on unknown options."""

    def __init__(self) -> None:
        self.text = b""

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Collect what goes to standard output and standard error instead of letting it through."""
        flush_streams()
        saved = {stream: os.dup(stream) for stream in STANDARD_STREAMS if is_open(stream)}
        with open_collector() as collected:
            try:
                for stream in saved:
                    os.dup2(collected.fileno(), stream)
                yield
            finally:
                flush_streams()
                for stream, copy in saved.items():
                    os.dup2(copy, stream)
                    os.close(copy)
                collected.seek(0)
                self.text = collected.read()

    def show(self) -> None:
        """Let it be seen after all, on standard error: an error is passed on that it may belong to."""
        with contextlib.suppress(OSError):
            os.write(STANDARD_STREAMS[-1], self.text)


def open_collector() -> IO[bytes]:
    """A file for what is held back: in memory on Linux, where a full disk or none to write to is no matter."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("native-text"), "w+b")
    return tempfile.TemporaryFile()


def is_open(stream: int) -> bool:
    """Whether a file descriptor is open."""
    try:
        os.fstat(stream)
    except OSError:
        return False
    return True


def flush_streams() -> None:
    """Write out what Python has collected, so that it is not mixed with what others write."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


@contextlib.contextmanager
def silence_loggers() -> Iterator[None]:
    """The libraries' log lines, bars and Python warnings stay off the terminal; what matters is raised.

    Afterwards they log errors only: what was loaded may have more to warn of when it is used.
    """
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    levels = [max(logger.level, logging.ERROR) for logger in loggers]
    for module, function in (
        ("transformers.utils.logging", "disable_progress_bar"),
        ("datasets", "disable_progress_bars"),
    ):
        if module in sys.modules:  # else nothing of it is called here
            getattr(sys.modules[module], function)()
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def find_first_cause(error: BaseException) -> BaseException:
    """What an error was raised from in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def is_about_file(error: BaseException) -> bool:
    """Whether an error of a library says something of the file, and not of the machine or the user's Ctrl-C."""
    if is_panic(error):
        return True
    if not isinstance(error, Exception) or is_out_of_memory(error):
        return False
    return not isinstance(error, OSError) or error.errno not in MACHINE_ERRORS


def is_panic(error: BaseException) -> bool:
    """Whether Rust code panicked; its exception class is a ``BaseException`` that cannot be imported."""
    return type(error).__name__ == "PanicException" and type(error).__module__ == "pyo3_runtime"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, as Python or torch says it; torch's allocator of the CPU does so in words only."""
    by_type = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return by_type or "allocate memory" in str(error).lower()


def describe_cause(error: BaseException) -> str:
    """An error of a library in a few words."""
    text = getattr(error, "strerror", None) or first_line(error)
    return f"{type(error).__name__}: {text[:160]}"
