"""Standard streams that may be closed, full, or left by their reader, without harm to the work.

What a command prints is the lesser part of what it does: the files that were asked for are written all the same.
So an output that is lost stops nothing; it is noted, the rest is dropped, and ``main`` says so at the end. Verbs
that print until somebody stops them ask ``is_output_lost``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any


class ForgivingStream:
    """A stream whose writes never fail: the first error is kept in ``lost``, and what comes after it is dropped.

    Characters that the stream's encoding lacks, or that no encoding has, are written as escapes.
    """

    def __init__(self, stream: Any, errors: list[OSError | ValueError]) -> None:
        self._stream = stream
        self._errors = errors

    @property
    def lost(self) -> OSError | ValueError | None:
        """What the first write that failed failed of."""
        return self._errors[0] if self._errors else None

    @property
    def buffer(self) -> ForgivingStream:
        """The stream of bytes below, with the same memory of what was lost."""
        return ForgivingStream(self._stream.buffer, self._errors)

    def write(self, text: Any) -> int:
        """Write text (to a buffer: bytes); the number of characters taken."""
        if not self._errors:
            try:
                return int(self._stream.write(text))
            except UnicodeEncodeError as error:
                escaped = text.encode(error.encoding, "backslashreplace").decode(error.encoding)
                return self.write(escaped)
            except (OSError, ValueError) as error:
                self._drop(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand over what was written; a failure is noted."""
        if not self._errors:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._drop(error)

    def _drop(self, error: OSError | ValueError) -> None:
        self._errors.append(error)
        # What is still buffered would fail once more, at the interpreter's end and not to be caught.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, self._stream.fileno())
            os.close(sink)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def guard_streams() -> Iterator[None]:
    """Within it, standard output and standard error are forgiving, and none of the three is missing."""
    _occupy_descriptors()
    before = sys.stdin, sys.stdout, sys.stderr
    # A process that was started with a stream closed has None in its place, and ``print`` would then take
    # standard output for standard error.
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - for as long as the program runs
    output = sys.stdout if sys.stdout is not None else open(1, "w", closefd=False)  # noqa: SIM115
    errors = sys.stderr if sys.stderr is not None else open(2, "w", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = ForgivingStream(output, []), ForgivingStream(errors, [])
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def _occupy_descriptors() -> None:
    """Open what the three streams lack: the next file that is opened would become standard output otherwise.

    Reading standard input then fails, and so does writing to standard output, as if the stream were closed.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                continue
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)


def find_lost_output() -> OSError | ValueError | None:
    """What standard output was lost of, after handing over what is still buffered; None where it was not."""
    sys.stdout.flush()
    return sys.stdout.lost if isinstance(sys.stdout, ForgivingStream) else None


def is_output_lost() -> bool:
    """Whether nobody takes standard output any more: a verb that prints until it is stopped has no more to do."""
    return isinstance(sys.stdout, ForgivingStream) and sys.stdout.lost is not None
