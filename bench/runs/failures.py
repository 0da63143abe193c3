"""What a failure was, for the record: infrastructure that failed is told from wrong requests and from bugs."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable

from bench.errors import DataError, FailureKind, UnavailableError, UserError
from bench.system.files import StorageError


def describe_error(error: BaseException) -> dict[str, str]:
    """Kind (``FailureKind``), type, message and the end of the traceback."""
    name = type(error).__name__
    trace = "".join(traceback.format_exception(error))
    return {
        "kind": classify_error(error).value,
        "type": name,
        "message": str(error) or name,
        "traceback": trace[-4000:],
    }


def classify_error(error: BaseException) -> FailureKind:
    """What kind of failure an exception is: the first of these that fits."""
    tests: tuple[tuple[FailureKind, Callable[[BaseException], bool]], ...] = (
        (FailureKind.OUT_OF_MEMORY, is_out_of_memory),
        (FailureKind.DISK_FULL, is_disk_full),
        (FailureKind.STORAGE, lambda error: isinstance(error, StorageError)),
        (FailureKind.DIVERGED, is_divergence),
        (FailureKind.UNAVAILABLE, lambda error: isinstance(error, UnavailableError)),
        (FailureKind.UNREADABLE_DATA, lambda error: isinstance(error, DataError) or is_unreadable(error)),
        (FailureKind.REQUEST, lambda error: isinstance(error, UserError)),
        (FailureKind.INTERRUPTED, is_interrupt),
    )
    return next((kind for kind, fits in tests if fits(error)), FailureKind.ERROR)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; accelerators' allocators say so in the message of a ``RuntimeError`` only."""
    by_type = type(error).__name__ in ("OutOfMemoryError", "MemoryError")
    return by_type or "out of memory" in str(error).lower()


def is_divergence(error: BaseException) -> bool:
    """Whether the loss was no number any more."""
    from bench.training.loop import Diverged

    return isinstance(error, Diverged)


def is_interrupt(error: BaseException) -> bool:
    """Whether somebody stopped it: at once, or in training after an update."""
    from bench.training.loop import Interrupted

    return isinstance(error, KeyboardInterrupt | Interrupted)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk or quota is behind this error, as the system said it or as a library words it."""
    if error is None:
        return False
    full = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError) and error.errno in full:
        return True
    return any(f"(os error {code})" in str(error) for code in full) or is_disk_full(error.__cause__)


def is_unreadable(error: BaseException) -> bool:
    """Whether a file could not be read for a reason outside the program: rights, a lost mount, a bad disk."""
    causes = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN)
    return isinstance(error, OSError) and error.filename is not None and error.errno in causes
