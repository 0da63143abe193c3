"""Files that survive a kill at any instant and many writers at once.

Everything the harness leaves behind goes through this module, so that a reader sees a whole file or
none: a file is written beside its final name, flushed to the disk and then renamed (replacing the old
one) or linked (refusing to). Nothing here needs a lock server, a database or a lock file shared between
runs; a rename and a hard link are atomic on local disks and on the usual cluster file systems.
JSON is written and read by ``bench.system.json_files``, through this.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bench.errors import DataError, UserError, first_line
from bench.foreign_text import quote_foreign
from bench.system import processes
from bench.system.paths import FILE_TYPES, find_broken_link

FileContent = bytes | str


class StorageError(UserError):
    """A file could not be written for a reason outside the program: the message says what to do.

    The request was fine and the work failed, hence exit code 1; nothing half-written is left behind.
    """

    exit_code = 1


class NameTakenError(FileExistsError):
    """`create_new` found the name in use."""


# --- temporaries: their names say whose they are, so that leftovers of a dead process are recognised

_TEMPORARY = re.compile(r"\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.tmp$")
_FORGOTTEN_AFTER = 24 * 3600.0  # seconds; a temporary of another machine is given this long


def make_temporary_name(path: Path) -> Path:
    """A name beside ``path`` that nobody else uses and that tells `remove_leftovers` whose it is."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40]
    owner = f"{processes.identify_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    # Cut in bytes: 100 characters may be 400 of them, and a name has room for 255.
    beginning = os.fsencode(path.name)[:100].decode(errors="ignore")
    return path.with_name(f".{beginning}.{host}.{owner}.tmp")


def remove_leftovers(directory: Path) -> list[Path]:
    """Delete temporaries (files and folders) in ``directory`` whose process is gone; returns what was deleted.

    A temporary of another machine is deleted once nothing has been written to it for a day, by either clock.
    """
    removed = []
    for path in directory.glob(".*.tmp"):
        owner = _TEMPORARY.search(path.name)
        if owner is None:
            continue
        with contextlib.suppress(OSError):  # somebody else is cleaning up too
            dead = (
                owner["machine"] == processes.identify_machine()
                and processes.find_process_start(int(owner["pid"])) is None
            )
            if dead or abs(time.time() - path.stat().st_mtime) > _FORGOTTEN_AFTER:
                if path.is_dir():  # a folder that was to be renamed when it is whole
                    shutil.rmtree(path)
                else:
                    path.unlink()
                removed.append(path)
    return removed


_cleaned: set[str] = set()
"""Directories that `remove_leftovers_once` has looked through."""


def remove_leftovers_once(directory: Path) -> None:
    """`remove_leftovers` before the first write of this process into ``directory``."""
    name = os.path.abspath(directory)  # noqa: PTH100 - links may stay
    if name not in _cleaned:
        _cleaned.add(name)
        remove_leftovers(directory)


@contextlib.contextmanager
def open_temporary_folder(purpose: str) -> Iterator[Path]:
    """A folder for its owner alone where the system keeps temporaries; gone afterwards.

    What a kill leaves of one is recognised by its name, and removed by the next.
    """
    parent = Path(tempfile.gettempdir())
    remove_leftovers_once(parent)
    folder = make_temporary_name(parent / f"bench-{purpose}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_LIBRARY_TEMPORARY = re.compile(r"\.tmp[A-Za-z0-9]{6}")
"""What safetensors calls a file that it is writing; it leaves it when it is killed."""


def remove_library_leftovers(directory: Path) -> list[Path]:
    """Delete what libraries left in ``directory`` when they were killed, for whoever alone writes there."""
    removed = []
    for path in directory.glob(".tmp??????"):
        if _LIBRARY_TEMPORARY.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.unlink()
                removed.append(path)
    return removed


# --- writing

_FULL = {errno.ENOSPC: "the disk is full", errno.EFBIG: "the file would exceed the size limit"}
_FULL[errno.EDQUOT] = "your quota is used up"
_REFUSED = {
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of the path is a file, not a directory",
    errno.EEXIST: "a part of the path is a file, not a directory",
    errno.EISDIR: "a directory has that name",
    errno.ENAMETOOLONG: "the name is too long",
}
_BY_LINKS = (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.ELOOP)
"""What fails with these may have failed of a link that leads nowhere."""


def explain_storage_error(path: Path, error: BaseException) -> StorageError | None:
    """``error`` in words for whoever wanted to write ``path``, or None if it is not about storage.

    Libraries that write by themselves (safetensors) report the cause as text, "(os error 28)".
    """
    code = error.errno if isinstance(error, OSError) else None
    if code in _BY_LINKS and (broken := find_broken_link(path)) is not None:
        return _storage_error(path, broken, "remove the link, or make what it leads to,")
    if not isinstance(error, OSError) and (number := re.search(r"\(os error (\d+)\)", str(error))):
        code = int(number[1])
    if code in _FULL:
        advice = f"free some space (`df -h {path.parent}` shows how much is left)"
        return _storage_error(path, _FULL[code], advice)
    name = error.filename if isinstance(error, OSError) else None
    culprit = path if name is None else Path(os.fsdecode(name))
    if code in _REFUSED and (culprit.parent == path.parent or culprit in path.parents):
        advice = f"make {path.parent} a directory that you may write to (`ls -ld {path.parent}`)"
        return _storage_error(path, _REFUSED[code], advice)
    return None


def _storage_error(path: Path, cause: str, advice: str) -> StorageError:
    return StorageError(
        f"cannot write {path}: {cause}. What was there before is untouched. Now {advice} or choose "
        "another place (for runs: --runs DIR or BENCH_RUNS), then issue the same command again."
    )


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``: gone afterwards whatever happens, storage errors explained."""
    temporary = make_temporary_name(path)
    try:
        make_directory(path.parent)
        remove_leftovers_once(path.parent)
        yield temporary
    except NameTakenError:
        raise
    except Exception as error:
        if (in_words := explain_storage_error(path, error)) is None:
            raise
        raise in_words from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def make_directory(directory: Path) -> None:
    """Create ``directory`` and its parents so that they outlive a power cut."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    try:
        directory.mkdir(exist_ok=True)
    except FileNotFoundError as error:  # its parent is there: a file system of the kernel, which takes none
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(directory)) from error
    _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    """Make a rename or link in ``directory`` outlive a power cut, where the file system can."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot flush a directory; a full disk must still be reported.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(handle)


def _write_whole(path: Path, content: FileContent) -> None:
    left = memoryview(content.encode() if isinstance(content, str) else content)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path | str, content: FileContent) -> None:
    """Replace ``path`` by ``content`` (text as UTF-8): readers see the old file or the new, whole."""
    path = Path(path)
    with _beside(path) as temporary:
        _write_whole(temporary, content)
        temporary.replace(path)
        _sync_directory(path.parent)


def append_line(path: Path | str, line: str) -> None:
    """Add one line to ``path`` in one write. After a torn line, left by a kill, a new one is begun."""
    path = Path(path)
    try:
        make_directory(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            left = memoryview((b"\n" if torn else b"") + line.encode())
            while left:
                left = left[os.write(handle, left) :]
        finally:
            os.close(handle)
    except OSError as error:
        raise explain_storage_error(path, error) or error from error


@contextlib.contextmanager
def replace_file(path: Path | str) -> Iterator[Path]:
    """Like `write_atomic` for a library that writes a file by itself: it is given a temporary name.

    >>> with replace_file(run.checkpoint) as temporary:   # doctest: +SKIP
    ...     safetensors.torch.save_file(tensors, temporary)
    """
    path = Path(path)
    with _beside(path) as temporary:
        yield temporary
        handle = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
        _sync_directory(path.parent)


def create_new(path: Path | str, content: FileContent) -> None:
    """Write ``path`` whole if nothing has that name, else raise NameTakenError: of many writers one wins."""
    path = Path(path)
    with _beside(path) as temporary:
        _write_whole(temporary, content)
        try:
            path.hardlink_to(temporary)
        except FileExistsError as error:
            # A network file system may carry out a link, lose the reply, and fail the repetition.
            if temporary.stat().st_nlink != 2:
                raise NameTakenError(path) from error
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise
            _create_without_links(temporary, path)
        _sync_directory(path.parent)


def _create_without_links(temporary: Path, path: Path) -> None:
    """For file systems without hard links: reserve the name by a second file, then rename.

    A kill between the two leaves a name that nobody can take: a gap, never half a file.
    """
    try:
        path.with_name(f".{path.name}.taken").touch(exist_ok=False)
    except FileExistsError as error:
        raise NameTakenError(path) from error
    if path.exists():  # made where there were links, and copied here
        raise NameTakenError(path)
    temporary.replace(path)


# --- reading


def check_regular_file(path: Path) -> None:
    """Refuse what is no file with content (a folder, a pipe, a device, a dangling link) before it is opened."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{path} cannot be read: {explain_unreadable(path, error)}") from error
    _refuse_special(path, mode)


def _refuse_special(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = FILE_TYPES.get(stat.S_IFMT(mode), "no file")
        raise DataError(f"{path} cannot be read: {kind}; expected a regular file")


def explain_unreadable(path: Path, error: OSError | ValueError) -> str:
    """Why ``path`` cannot be read; a link that leads nowhere is called that."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"a dangling link to {quote_foreign(path.readlink())}"
    return (error.strerror if isinstance(error, OSError) else None) or first_line(error)


@contextlib.contextmanager
def open_regular_file(path: Path, missing: str | None = None) -> Iterator[BinaryIO]:
    """A regular file to read from; ``missing`` is as in `read_bytes`. Pipes and devices are never waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise DataError(f"{path} cannot be read: {explain_unreadable(path, error)}") from error
        raise DataError(missing or f"{path} is missing") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {explain_unreadable(path, error)}") from error
    try:
        _refuse_special(path, os.fstat(handle).st_mode)
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def read_bytes(path: Path, missing: str | None = None) -> bytes:
    """A regular file's content. ``missing``: what to say where there is no such file, if not that it is missing.

    Pipes and devices are refused and never waited for.
    """
    with open_regular_file(path, missing) as file:
        try:
            return file.read()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {explain_unreadable(path, error)}") from error


# --- fingerprints


def sha256_text(text: str) -> str:
    """SHA-256 of ``text`` as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path | str) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
