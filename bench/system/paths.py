"""What stands in the way of a path: links that lead nowhere, files where folders are expected, names that cannot be.

``Path.exists`` answers "no" to all of these, and a listing of a link that leads nowhere would say that nothing is
there. Whoever reads a folder that a user named asks here for the reason, in words.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from bench.foreign_text import show_foreign

PATH_LENGTH = 160
"""Characters of a path inside a message."""
FILE_TYPES = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
"""What is no regular file, in words."""


NO_PLACES = ("/proc", "/sys", "/dev")
"""File systems of the kernel, which keep no files."""


def find_unfit_place(directory: Path) -> str | None:
    """Why nobody means to keep files in ``directory``: the root of all files, or the kernel's; None elsewhere."""
    place = Path(os.path.realpath(directory))
    if place == place.parent:
        return "the root of all files (is a shell variable before the / unset?)"
    if any(place.is_relative_to(root) for root in NO_PLACES):
        return "a file system of the kernel, which keeps no files"
    return None


def find_broken_link(path: Path) -> str | None:
    """Which link on the way to ``path`` leads nowhere, in words; None where every link leads somewhere."""
    complete = path.absolute()
    for part in [*reversed(complete.parents), complete]:
        try:
            part.stat()
        except (OSError, ValueError) as error:
            return describe_broken_link(part, error) if is_link(part) else None
    return None


def is_link(path: Path) -> bool:
    """Whether ``path`` itself is a symbolic link; False where it cannot be looked at."""
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def describe_broken_link(link: Path, error: Exception) -> str | None:
    """Why ``link`` leads nowhere; None where another problem than the link made ``error``."""
    code = error.errno if isinstance(error, OSError) else None
    if code == errno.ELOOP:
        return f"{show_foreign(link, PATH_LENGTH)} is a link that leads back to itself"
    if code in (errno.ENOENT, errno.ENOTDIR):
        target = show_foreign(os.readlink(link))  # noqa: PTH115 - as it is written
        return f"{show_foreign(link, PATH_LENGTH)} is a dangling link: {target} does not exist"
    return None


def describe_kind(path: Path) -> str | None:
    """What ``path`` is where it is neither a regular file nor missing: "a directory", "a pipe", ..."""
    try:
        return FILE_TYPES.get(stat.S_IFMT(path.stat().st_mode))
    except (OSError, ValueError):
        return None


def find_folder_problem(folder: Path) -> str | None:
    """Why ``folder`` cannot be listed, in words; None where it can, and where nothing has its name.

    Expected is a directory, or no such name yet.
    """
    if "\0" in str(folder):
        return "a path cannot have a NUL character"
    if (broken := find_broken_link(folder)) is not None:
        return broken
    try:
        with os.scandir(folder):
            return None
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        file = next((part for part in [*reversed(folder.parents), folder] if not part.is_dir()), folder)
        return f"{show_foreign(file, PATH_LENGTH)} is {describe_kind(file) or 'a file'}, not a directory"
    except OSError as error:
        return f"{show_foreign(folder, PATH_LENGTH)}: {error.strerror or error}"
