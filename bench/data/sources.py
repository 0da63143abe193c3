"""Where a task's files are: a directory that was given, the publisher, the embedded mini suite.

The order, and what ``bench.data.dataset`` promises about it, is told there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import mini
from bench.errors import UnavailableError, UserError
from bench.foreign_text import quote_foreign
from bench.system.cache_dir import cache_root
from bench.system.download import download_file
from bench.system.files import explain_unreadable
from bench.system.paths import find_broken_link
from bench.system.progress import print_message, track_progress
from bench.task import DataOrigin, PublishedFile, Task


def find_source(
    task: Task, data_dir: Path | None, allow_download: bool, scale: str, splits: Sequence[str]
) -> tuple[Path, DataOrigin]:
    """The folder that holds every file of ``splits``, and which of the three sources it is."""
    tried: list[str] = []
    lacking = list_patterns(task, splits)
    named, place = _named_directory(data_dir)
    if place is None:
        if scale == "mini":
            return find_mini_root(task), DataOrigin.MINI
        tried.append("no --data-dir is given and BENCH_DATA is not set")
    else:
        root, note = locate_folder(task, place)
        lacking = list_missing_files(task, root, splits) if root else lacking
        if root and not lacking:
            if note:
                print_message(note)
            return root, DataOrigin.DIRECTORY
        problem = (
            f"{root} lacks {', '.join(describe_lacking(root, lacking))}"
            if root
            else f"no {task.folder}/ with its files"
        )
        if layout := recognise_layout(task, place, splits):
            problem += f", but {layout}"
        tried.append(f"{named} {place}: {problem}")
    if scale != "mini":
        if place is not None:
            source = "at its publisher" if allow_download else "among what was fetched before"
            print_message(f"{tried[-1]}; looking for {task.name} {source}", important=allow_download)
        if published := _from_publisher(task, allow_download, splits, tried):
            return published, DataOrigin.PUBLISHER
    raise DataUnavailableError(_describe_absence(task, tried, lacking))


_EXPECTED_FOLDERS = "expected a directory with e2e/, webnlg/, dart/, xsum/"


def _named_directory(data_dir: Path | None) -> tuple[str, Path | None]:
    """What the user called the data directory, and the directory itself; it must exist."""
    variable = os.environ.get("BENCH_DATA")
    if data_dir is None and not variable:
        return "", None
    named = "BENCH_DATA" if data_dir is None or str(data_dir) == variable else "--data-dir"
    place = Path(data_dir or str(variable))
    try:
        place = place.expanduser()
        if (broken := find_broken_link(place)) is not None:
            raise UserError(f"{named} {place} {broken}; {_EXPECTED_FOLDERS}")
        mode = place.stat().st_mode
    except RuntimeError as error:  # of a user that does not exist
        raise UserError(f"{named} {quote_foreign(place)}: there is no such home directory") from error
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        state = "does not exist" if missing else f"cannot be read: {explain_unreadable(place, error)}"
        raise UserError(f"{named} {place} {state}; {_EXPECTED_FOLDERS}") from error
    if not stat.S_ISDIR(mode):
        raise UserError(f"{named} {place} is a file; {_EXPECTED_FOLDERS}")
    return named, place


def locate_folder(task: Task, place: Path) -> tuple[Path | None, str]:
    """The task's folder in or around ``place``, and a remark if it was one level off."""
    root = place / task.folder
    if (broken := find_broken_link(root)) is not None:
        raise UserError(f"the data of {task.name}: {broken}; expected a directory with its files")
    if _holds_any(task, root):
        return root, ""
    around = [place, place / "data" / task.folder, root / task.folder]
    if any(p.split("/")[0] == place.name for split in task.files for p in task.files[split]):
        around.append(place.parent)  # given a folder that lies inside the task's own
    for candidate in around:
        if _holds_any(task, candidate):
            return candidate, (
                f"{task.name}: reading {candidate}; "
                f"expected a directory that has {task.folder}/ in it, given {place}"
            )
    return None, ""


def describe_lacking(root: Path, patterns: Iterable[str]) -> list[str]:
    """The patterns without a file; where a link of that name leads nowhere, that, and else a link beside it."""
    described = [find_broken_link(root / pattern) or pattern for pattern in patterns]
    broken = (find_broken_link(path) for path in sorted(root.iterdir()) if path.is_symlink())
    other = next((link for link in broken if link is not None and link not in described), None)
    return described if other is None else [*described, other]


def recognise_layout(task: Task, place: Path, splits: Sequence[str]) -> str | None:
    """What is in or around the task's folder in ``place`` that the task knows and does not read."""
    folders = (place / task.folder, place, place / "data" / task.folder)
    return next((layout for folder in folders if (layout := task.recognise_layout(folder, splits))), None)


def _holds_any(task: Task, root: Path) -> bool:
    return any(task.found(split, root) for split in task.files)


def list_missing_files(task: Task, root: Path, splits: Iterable[str]) -> list[str]:
    """Patterns of ``splits`` without a file below ``root``."""
    return [pattern for split in splits for pattern in task.missing(split, root)]


def _from_publisher(task: Task, allow_download: bool, splits: Sequence[str], tried: list[str]) -> Path | None:
    """The task's folder in the cache, complete for ``splits``, or None with the reason in ``tried``."""
    root = cache_root() / "data" / task.folder
    required = select_published(task, list_patterns(task, splits))
    absent = [file for file in required if not (root / file.path).is_file()]
    if absent and not allow_download:
        tried.append(
            f"cache {root}: {len(absent)} of {len(required)} files are not there, offline: not fetched"
        )
        return None
    try:
        _fetch_all(task, root, absent)
    except UnavailableError as error:
        tried.append(f"publisher: {error}")
        return None
    if lacking := list_missing_files(task, root, splits):
        tried.append(f"publisher: {task.name} declares no address for {', '.join(lacking)}")
        return None
    return root


def _fetch_all(task: Task, root: Path, absent: Sequence[PublishedFile]) -> None:
    if not absent:
        return
    with track_progress(len(absent), f"fetching {task.name}", "files") as bar:

        def moved(size: int) -> None:
            bar.note(f"{size / 1e6:.1f} MB")
            bar.advance(0)

        for file in absent:
            download_file(file.url, root / file.path, file.sha256, moved=moved)
            bar.advance()


def list_patterns(task: Task, splits: Iterable[str]) -> list[str]:
    """The patterns of the files that ``splits`` read."""
    return [pattern for split in splits for pattern in task.files[split]]


def select_published(task: Task, patterns: Sequence[str]) -> list[PublishedFile]:
    """The published files that match one of ``patterns``."""
    return [file for file in task.published if any(Path(file.path).match(p) for p in patterns)]


def find_mini_root(task: Task) -> Path:
    """The task's folder in the embedded mini suite."""
    root = mini.mini_data_dir() / task.folder
    if not _holds_any(task, root):
        raise UnavailableError(
            f"task {task.name} has no files in the embedded mini suite; give real ones by "
            "--data-dir DIR or BENCH_DATA"
        )
    return root


class DataUnavailableError(UnavailableError):
    """A task's data could not be had; ``facts`` is the message without what only a run can do about it."""

    def __init__(self, facts: str) -> None:
        super().__init__(f"{facts} A run that needs other splits only can say so: --train-split dev")
        self.facts = facts


def _describe_absence(task: Task, tried: Sequence[str], lacking: Sequence[str]) -> str:
    urls = [file.url for file in select_published(task, lacking)]
    addresses = urls if len(urls) <= 3 else [f"{urls[0]} and {len(urls) - 1} more"]
    return (
        f"the data of task {task.name} could not be had. Tried: {'; '.join(tried)}. "
        f"Needed in DIR/{task.folder}/: {', '.join(lacking)}; "
        f"published at {', '.join(addresses) or 'no address that the task declares'}. "
        f"On a machine with a network: bench data prepare --task {task.name} --scale paper; "
        "or put the files there and give --data-dir DIR or set BENCH_DATA=DIR."
    )
