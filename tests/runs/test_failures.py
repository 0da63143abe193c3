"""What a failure was: a full disk is no bug, and a wrong request is neither."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.runs.failures import describe_error
from bench.system.files import StorageError, explain_storage_error
from bench.training.loop import Diverged


def explained_full_disk(cause: Exception) -> StorageError:
    """What a writer raises for ``cause``: the store's own words, with the cause behind them."""
    error = explain_storage_error(Path("runs/x/scores.json"), cause)
    assert error is not None
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "out-of-memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "out-of-memory"),
        (OSError(28, "No space left on device"), "disk-full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk-full"),
        (explained_full_disk(OSError(28, "No space left on device")), "disk-full"),
        (explained_full_disk(RuntimeError("I/O error: No space left on device (os error 28)")), "disk-full"),
        (StorageError("x: the file system is read-only"), "storage"),
        (Diverged("the loss became nan"), "diverged"),
        (UserError("wrong"), "request"),
        (KeyboardInterrupt(), "interrupted"),
        (ValueError("bug"), "error"),
    ],
)
def test_what_a_failure_was(error: BaseException, kind: str) -> None:
    assert describe_error(error)["kind"] == kind
