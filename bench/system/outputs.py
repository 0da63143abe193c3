"""Where a command may write, judged before it works: no output eats an input, and none fails after hours of work.

Two paths are the same file where they resolve to the same name or have the same device and inode (a hard link).
A file that is written goes where its links lead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from bench.errors import UserError
from bench.foreign_text import show_foreign
from bench.system.files import StorageError, explain_storage_error, make_temporary_name
from bench.system.paths import PATH_LENGTH, describe_kind, find_broken_link
from bench.system.provenance import ROOT

PACKAGES = ("bench", "tasks", "baselines", "results", "reports")
"""The folders of the program's source."""
STREAMS = {1: "standard output", 2: "standard error"}


class CommandInput(NamedTuple):
    """A file or folder that a command reads."""

    label: str
    """What it is to whoever typed the command: ``--pairs``, ``the runs``."""
    path: Path
    files_allowed: bool = False
    """Of a folder: a file directly inside is nothing that is read."""


def show(path: Path) -> str:
    """A path inside a message."""
    return show_foreign(path, PATH_LENGTH)


def list_data_inputs(data_dir: Path | None, tasks: Iterable[str]) -> list[CommandInput]:
    """The folder with the published data; only the folders of ``tasks`` where it has the current directory inside."""
    if data_dir is None:
        return []
    if Path.cwd().is_relative_to(os.path.realpath(data_dir)):
        return [CommandInput("--data-dir", data_dir / name) for name in tasks]
    return [CommandInput("--data-dir", data_dir)]


def list_run_inputs(runs: Path) -> list[CommandInput]:
    """The folder with the runs. A file beside the runs is none of them; a file inside one is."""
    return [CommandInput("the runs", runs, files_allowed=True)]


def check_output_file(
    option: str,
    path: Path,
    inputs: Sequence[CommandInput] = (),
    purpose: str = "",
    printed: str = "the result",
    in_program: bool = False,
) -> Path:
    """Where the file that ``option`` names is to be written: ``path`` with its links resolved.

    Creates nothing: folders on the way that are missing are made when it is written. ``purpose``: what the file is
    for, as in "a file for the values per item"; ``printed``: what standard output has beside; ``in_program``: it may
    be a part of the program. Raises ``UserError`` for an input, for what is no regular file, for a link that leads
    nowhere, and where nothing can be written.
    """
    expected = f"expected a file{purpose and ' ' + purpose}"
    _check_words(option, path, expected, printed)
    if (kind := describe_kind(path)) is not None:
        named = "is a directory" if kind == "a directory" else f"is no plain file, it is {kind}"
        raise UserError(f"{option} {show(path)} {named}; {expected}")
    target = Path(os.path.realpath(path))
    _check_inputs(option, path, target, inputs, is_folder=False)
    _check_streams(option, path, target)
    if not in_program:
        _check_program(option, path, target)
    try:
        probe_place(target)
    except OSError as error:
        raise UserError(
            f"{option} {show(path)} cannot be written: {error.strerror} ({show(path.parent)}); "
            "expected a file in a directory that you may write to"
        ) from error
    return target


def check_output_place(option: str, path: Path, inputs: Sequence[CommandInput] = ()) -> None:
    """Refuse a folder to write files into that is an input or inside one, no folder, or behind a dangling link.

    Creates nothing. Whether it can be written to is left to ``probe_place``.
    """
    expected = "expected a directory"
    _check_words(option, path, expected)
    if (kind := describe_kind(path)) not in (None, "a directory"):
        raise UserError(f"{option} {show(path)} is {kind}; {expected}")
    target = Path(os.path.realpath(path))
    _check_inputs(option, path, target, inputs, is_folder=True)
    _check_program(option, path, target)


def check_new_folder(option: str, path: Path, inputs: Sequence[CommandInput] = ()) -> None:
    """``check_output_place`` for a folder that is made anew as a whole; ``StorageError`` where it cannot be."""
    check_output_place(option, path, inputs)
    try:
        probe_place(Path(os.path.realpath(path)))
    except OSError as error:
        raise explain_storage_error(path, error) or StorageError(
            f"{option} {show(path)} cannot be made: {error.strerror} ({show(path.parent)}); "
            "expected a new directory below one that you may write to"
        ) from error


def probe_place(target: Path) -> None:
    """``OSError`` where ``target`` could not be written; tried by a file without a name in the nearest folder."""
    folder = target.parent
    while not folder.exists():
        if folder == folder.parent:
            break
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    for name in (target, make_temporary_name(target)):
        with contextlib.suppress(FileNotFoundError):
            name.lstat()
    with TemporaryFile(dir=folder):
        pass


def _check_words(option: str, path: Path, expected: str, printed: str = "the result") -> None:
    if path == Path("-"):
        raise UserError(f"{option} -: standard output has {printed}; {expected}")
    if "\0" in str(path):
        raise UserError(f"{option} {str(path)!r}: a path cannot have a NUL character; {expected}")
    if (broken := find_broken_link(path)) is not None:
        raise UserError(f"{option} {show(path)}: {broken}; {expected}")


def is_same_file(first: Path, second: Path) -> bool:
    """Whether two paths lead to the same file or folder, by device and inode or by the resolved name."""
    try:
        if os.path.samestat(first.stat(), second.stat()):
            return True
    except (OSError, ValueError):
        pass
    return os.path.realpath(first) == os.path.realpath(second)


def find_input(target: Path, inputs: Iterable[CommandInput], is_folder: bool = False) -> CommandInput | None:
    """The input that ``target`` (resolved) is or lies in; None where it is no part of any."""
    for source in inputs:
        if source.path == Path("-"):
            if _is_stream(target, 0):
                return source
            continue
        if is_same_file(target, source.path):
            return source
        parents = list(target.parents)
        if source.files_allowed and not is_folder:
            parents = parents[1:]
        if not source.path.is_file() and any(is_same_file(parent, source.path) for parent in parents):
            return source
    return None


def _check_inputs(
    option: str, path: Path, target: Path, inputs: Sequence[CommandInput], is_folder: bool
) -> None:
    if (source := find_input(target, inputs, is_folder)) is None:
        return
    place = "standard input" if source.path == Path("-") else show(source.path)
    relation = "is" if is_same_file(target, source.path) or place == "standard input" else "lies in"
    raise UserError(
        f"{option} {show(path)} {relation} {place}, which this command reads ({source.label}); "
        "nothing was done. Choose another place for what it writes"
    )


def _check_streams(option: str, path: Path, target: Path) -> None:
    for number, name in STREAMS.items():
        if _is_stream(target, number):
            raise UserError(
                f"{option} {show(path)}: {name} goes to this file already; expected a file of its own"
            )


def _is_stream(target: Path, number: int) -> bool:
    """Whether the process has the regular file ``target`` open as its stream ``number``."""
    try:
        stream = os.fstat(number)
        return stat.S_ISREG(stream.st_mode) and os.path.samestat(stream, target.stat())
    except OSError:
        return False


def _check_program(option: str, path: Path, target: Path) -> None:
    for package in PACKAGES:
        if target.is_relative_to(os.path.realpath(ROOT / package)):
            raise UserError(
                f"{option} {show(path)} lies in {ROOT / package}, a part of this program; choose another place"
            )
