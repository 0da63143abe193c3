"""What a failure was, for the record: infrastructure that failed is told from wrong requests and from bugs."""

from __future__ import annotations

import errno
import traceback

from bench.errors import DataError, UnavailableError, UserError
from bench.system.files import StorageError


def describe_error(error: BaseException) -> dict[str, str]:
    """Kind, type, message and the end of the traceback."""
    from bench.training.loop import Diverged

    name = type(error).__name__
    if name in ("OutOfMemoryError", "MemoryError") or "out of memory" in str(error).lower():
        kind = "out-of-memory"
    elif is_disk_full(error):
        kind = "disk-full"
    elif isinstance(error, StorageError):
        kind = "storage"
    elif isinstance(error, Diverged):
        kind = "diverged"
    elif isinstance(error, UnavailableError):
        kind = "unavailable"
    elif isinstance(error, DataError) or is_unreadable(error):
        kind = "unreadable-data"
    elif isinstance(error, UserError):
        kind = "request"
    elif is_interrupt(error):
        kind = "interrupted"
    else:
        kind = "error"
    trace = "".join(traceback.format_exception(error))
    return {"kind": kind, "type": name, "message": str(error) or name, "traceback": trace[-4000:]}


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
