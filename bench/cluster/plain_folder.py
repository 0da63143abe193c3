"""A launch's folder by a path without ``%``: submitit writes a job's number for every ``%j`` of a path.

A link in this machine's temporary folder, so that it is for one machine and for as long as it is open.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def open_plain_folder(folder: Path) -> Iterator[Path]:
    """``folder`` itself, or where its path has a ``%`` a link to it, removed at the end."""
    if "%" not in str(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as temporary:
        link = Path(temporary) / "launch"
        link.symlink_to(folder, target_is_directory=True)
        yield link
