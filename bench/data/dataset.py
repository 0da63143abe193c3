"""A task's data: found in one order, and known to be what it should be.

1. ``--data-dir`` or ``BENCH_DATA``: real files in the publishers' layout, read where they are;
2. the publisher: pinned addresses, checked, kept in the cache (``BENCH_CACHE``, else
   ``$XDG_CACHE_HOME/prefix-bench``, else ``~/.cache/prefix-bench``);
3. the embedded mini suite, at scale ``mini`` only.

At scale ``mini`` the network is never asked: a directory that was given must hold the files, without
one the mini suite is taken. At scale ``paper`` a directory that lacks a file is passed over for the
publisher's, which is said aloud. Whatever was found is hashed, and its rows are counted against what
the task declares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import mini
from bench.data.encoding import compute_mean_lengths, iterate_encoded
from bench.data.sources import find_source, list_missing_files, select_published
from bench.errors import DataError, UnavailableError, UnknownNameError
from bench.system.files import explain_unreadable, sha256_file
from bench.system.progress import print_message
from bench.task import SPLITS, DataOrigin, Item, Prepared, ProtocolName, Row, RowCount, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def prepare(
    task: Task,
    data_dir: Path | None = None,
    allow_download: bool = True,
    scale: str = "mini",
    splits: Sequence[str] = SPLITS,
    strict: bool = True,
) -> Prepared:
    """Find the files of ``splits``, hash them and count their rows.

    Raises ``UnavailableError`` listing every place that was tried, and ``DataError`` for files that
    are damaged, hold nothing or, unless ``strict`` is off, are of another size than declared.
    """
    prepared = find_data(task, data_dir, allow_download, scale, splits)
    for split in splits:
        counted = count_split(prepared, split)
        if not (counted.items if split == "test" else counted.rows):
            unit = "item" if split == "test" else "row"
            raise DataError(f"{task.name} {split} in {prepared.root} is empty; expected at least one {unit}")
        if (problem := describe_miscount(prepared, split, counted)) is None:
            continue
        if strict:
            raise DataError(f"{problem} Give --any-row-count to go on all the same")
        print_message(f"warning: {problem}", important=True)
    return prepared


def find_data(
    task: Task, data_dir: Path | None, allow_download: bool, scale: str, splits: Sequence[str]
) -> Prepared:
    """The files of ``splits``, hashed and not yet parsed; the errors are those of `prepare`."""
    for split in splits:
        check_split(task, split)
    root, origin = find_source(task, data_dir, allow_download, scale, splits)
    expected = mini_row_counts(task) if origin == DataOrigin.MINI else task.expected
    hashes = {path: _hash_file(root / path) for path in list_files(task, root, splits)}
    if origin == DataOrigin.PUBLISHER:
        check_published_hashes(task, root, hashes)
    return Prepared(task, root, origin, compute_fingerprint(hashes), expected, hashes)


def find_local_data(task: Task, data_dir: Path | None = None, scale: str = "mini") -> Prepared:
    """What is here already, for `stats` and `verify`: nothing is fetched, no size refused.

    Splits without files are left out of the fingerprint.
    """
    root, origin = find_source(task, data_dir, False, scale, ())
    splits = [split for split in task.files if not task.missing(split, root)]
    if not splits:
        lacking = ", ".join(dict.fromkeys(list_missing_files(task, root, task.files)))
        raise UnavailableError(
            f"{root} has no split of {task.name} (it lacks {lacking}); bench data prepare --task {task.name} "
            "--scale paper fetches them, --data-dir DIR reads them from elsewhere"
        )
    hashes = {path: _hash_file(root / path) for path in list_files(task, root, splits)}
    expected = mini_row_counts(task) if origin == DataOrigin.MINI else task.expected
    return Prepared(task, root, origin, compute_fingerprint(hashes), expected, hashes)


def _hash_file(path: Path) -> str:
    """SHA-256 of a data file; a ``DataError`` where it cannot be read."""
    try:
        return sha256_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {explain_unreadable(path, error)}") from error


def check_split(task: Task, split: str, flag: str = "--train-split, --test-split") -> None:
    """Refuse a split that the task does not have; ``flag``: the options that name one."""
    if split not in task.files:
        raise UnknownNameError(f"split of {task.name}", split, task.files, flag)


def mini_row_counts(task: Task) -> Mapping[str, RowCount]:
    """How many rows and items the embedded files have."""
    return {split: RowCount(*size) for split, size in mini.MINI_ROWS.get(task.name, {}).items()}


def list_files(task: Task, root: Path, splits: Iterable[str]) -> list[str]:
    """Relative paths of every file that ``splits`` read, sorted, with ``/`` on every system."""
    return sorted(
        {
            path.relative_to(root).as_posix()
            for split in splits
            for path in task.found(split, root)
            if path.is_file()  # a directory of that name is refused where it is parsed
        }
    )


def compute_fingerprint(hashes: Mapping[str, str]) -> str:
    """SHA-256 over relative paths and content hashes: the same files give it on any machine."""
    lines = [f"{sha256}  {path}\n" for path, sha256 in sorted(hashes.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def compute_splits_fingerprint(prepared: Prepared, splits: Iterable[str]) -> str:
    """The fingerprint of some of the splits that were found."""
    paths = list_files(prepared.task, prepared.root, splits)
    return compute_fingerprint({path: prepared.hashes[path] for path in paths})


def check_published_hashes(task: Task, root: Path, hashes: Mapping[str, str]) -> None:
    """Refuse a cached file that is no longer what was fetched."""
    for file in task.published:
        if file.sha256 and hashes.get(file.path, file.sha256) != file.sha256:
            raise DataError(
                f"{root / file.path}: SHA-256 is {hashes[file.path]}, expected {file.sha256}; "
                "delete the file and issue the same command again to fetch it anew"
            )


def count_split(prepared: Prepared, split: str) -> RowCount:
    """What is in the files of ``split``; every entry is parsed."""
    check_split(prepared.task, split)
    return prepared.task.count(split, prepared.root)


def describe_miscount(prepared: Prepared, split: str, counted: RowCount | None = None) -> str | None:
    """What is wrong with the size of ``split``, or None; ``counted``: where it has been counted already."""
    expected = prepared.expected.get(split)
    counted = counted or count_split(prepared, split)
    if expected is None or counted == expected:
        return None
    return (
        f"{prepared.task.name} {split} in {prepared.root}: {counted.rows:,} rows and "
        f"{counted.items:,} items; expected {expected.rows:,} and {expected.items:,}."
    )


def load_rows(prepared: Prepared, split: str, protocol: ProtocolName = "original") -> list[Row]:
    """The training pairs of any split; the caller says which one it trains on."""
    check_split(prepared.task, split)
    return prepared.task.rows(split, prepared.root, protocol)


def iterate_rows(prepared: Prepared, split: str, protocol: ProtocolName = "original") -> Iterator[Row]:
    """`load_rows` one by one, for splits that are too large for a list."""
    check_split(prepared.task, split)
    return prepared.task.iterate_rows(split, prepared.root, protocol)


def load_items(prepared: Prepared, split: str, protocol: ProtocolName = "original") -> list[Item]:
    """What there is to decode in any split."""
    check_split(prepared.task, split)
    return prepared.task.items(split, prepared.root, protocol)


def compute_statistics(
    prepared: Prepared,
    tokenizer: PreTrainedTokenizerBase | None = None,
    protocol: ProtocolName = "original",
    splits: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Table 1 of these files: sizes and average lengths per split, the paper's and the declared ones.

    Lengths count as the paper's do (``bench.data.encoding.compute_mean_lengths``). Without a tokenizer they are None.
    """
    task = prepared.task
    # The invented world has lengths of its own; the paper's say nothing about them.
    source, target = (task.paper_lengths if prepared.origin != DataOrigin.MINI else None) or (None, None)
    return {
        "task": task.name,
        "title": task.title,
        "licence": task.licence,
        "origin": prepared.origin,
        "root": str(prepared.root),
        "fingerprint": prepared.fingerprint,
        "protocol": protocol,
        "paper": {"train": {"source_length": source, "target_length": target}},
        "splits": {
            split: _compute_split_statistics(prepared, split, tokenizer, protocol)
            for split in splits or task.files
        },
    }


def _compute_split_statistics(
    prepared: Prepared,
    split: str,
    tokenizer: PreTrainedTokenizerBase | None,
    protocol: ProtocolName,
) -> dict[str, Any]:
    missing = list_missing_files(prepared.task, prepared.root, [split])
    expected = prepared.expected.get(split)
    sizes: dict[str, Any] = {
        "expected_rows": expected.rows if expected else None,
        "expected_items": expected.items if expected else None,
        "missing": missing,
        **dict.fromkeys(("rows", "items", "source_length", "target_length")),
    }
    if missing:
        return sizes
    task, root = prepared.task, prepared.root
    sizes["rows"] = sum(1 for _ in task.iterate_rows(split, root, protocol))
    sizes["items"] = sum(1 for _ in task.iterate_items(split, root, protocol))
    if tokenizer is not None:
        pairs = iterate_encoded(tokenizer, task.iterate_rows(split, root, protocol))
        sizes["source_length"], sizes["target_length"] = compute_mean_lengths(pairs)
    return sizes


def verify_files(prepared: Prepared) -> dict[str, Any]:
    """Sizes and checksums of what is here, beside what the task declares; ``ok`` sums it up.

    A file whose publisher's checksum is not declared, and every file of the mini suite, is listed
    with its hash and status ``unknown``; that alone is no failure.
    """
    task = prepared.task
    declared = (
        {file.path: file.sha256 for file in task.published} if prepared.origin != DataOrigin.MINI else {}
    )
    splits = [split for split in task.files if not task.missing(split, prepared.root)]
    files = []
    for path in list_files(task, prepared.root, splits):
        sha256, expected = _hash_file(prepared.root / path), declared.get(path)
        status = "unknown" if expected is None else "ok" if sha256 == expected else "differs"
        files.append({"path": path, "sha256": sha256, "expected": expected, "status": status})
    present = {str(file["path"]) for file in files}
    absent = sorted(declared.keys() - present - _list_in_another_layout(prepared, present))
    files += [
        {"path": path, "sha256": None, "expected": declared[path], "status": "missing"} for path in absent
    ]
    sizes = {split: _compare_size(prepared, split) for split in splits}
    return {
        "task": task.name,
        "origin": prepared.origin,
        "root": str(prepared.root),
        "files": files,
        "splits": sizes,
        "ok": all(file["status"] in ("ok", "unknown") for file in files)
        and all(size["ok"] for size in sizes.values()),
    }


def _list_in_another_layout(prepared: Prepared, present: set[str]) -> set[str]:
    """Published files whose content is here under other names: nothing is missing, yet none of them is there."""
    task = prepared.task
    published: set[str] = set()
    for split, patterns in task.files.items():
        lacking = task.missing(split, prepared.root)
        for pattern in patterns:
            named = {file.path for file in select_published(task, [pattern])}
            if pattern not in lacking and not named & present:
                published |= named
    return published


def _compare_size(prepared: Prepared, split: str) -> dict[str, Any]:
    counted, expected = count_split(prepared, split), prepared.expected.get(split)
    return {
        "rows": counted.rows,
        "items": counted.items,
        "expected_rows": expected.rows if expected else None,
        "expected_items": expected.items if expected else None,
        "ok": expected is None or counted == expected,
    }
