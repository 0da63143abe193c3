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
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import mini
from bench.data.encoding import encode_pairs, lengths
from bench.data.sources import find, missing_files, published_for
from bench.errors import DataError, UnavailableError, UnknownNameError
from bench.system.files import sha256_file
from bench.system.progress import say
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
    are damaged or, unless ``strict`` is off, of another size than declared.
    """
    prepared = found(task, data_dir, allow_download, scale, splits)
    for split in splits:
        if (problem := miscounted(prepared, split)) is None:
            continue
        if strict:
            raise DataError(f"{problem} Give --any-row-count to go on all the same")
        say(f"warning: {problem}", important=True)
    return prepared


def found(
    task: Task, data_dir: Path | None, allow_download: bool, scale: str, splits: Sequence[str]
) -> Prepared:
    """The files of ``splits``, hashed and not yet parsed; the errors are those of `prepare`."""
    for split in splits:
        check_split(task, split)
    root, origin = find(task, data_dir, allow_download, scale, splits)
    expected = mini_rows(task) if origin == DataOrigin.MINI else task.expected
    hashes = {path: sha256_file(root / path) for path in files_of(task, root, splits)}
    if origin == DataOrigin.PUBLISHER:
        check_published(task, root, hashes)
    return Prepared(task, root, origin, fingerprint(hashes), expected, hashes)


def look(task: Task, data_dir: Path | None = None, scale: str = "mini") -> Prepared:
    """What is here already, for `stats` and `verify`: nothing is fetched, no size refused.

    Splits without files are left out of the fingerprint.
    """
    root, origin = find(task, data_dir, False, scale, ())
    splits = [split for split in task.files if not task.missing(split, root)]
    if not splits:
        lacking = ", ".join(dict.fromkeys(missing_files(task, root, task.files)))
        raise UnavailableError(
            f"{root} has no split of {task.name} (it lacks {lacking}); bench data prepare --task {task.name} "
            "--scale paper fetches them, --data-dir DIR reads them from elsewhere"
        )
    hashes = {path: sha256_file(root / path) for path in files_of(task, root, splits)}
    expected = mini_rows(task) if origin == DataOrigin.MINI else task.expected
    return Prepared(task, root, origin, fingerprint(hashes), expected, hashes)


def check_split(task: Task, split: str) -> None:
    """Refuse a split that the task does not have."""
    if split not in task.files:
        raise UnknownNameError(f"split of {task.name}", split, task.files, "--train-split, --test-split")


def mini_rows(task: Task) -> Mapping[str, RowCount]:
    """How many rows and items the embedded files have."""
    return {split: RowCount(*size) for split, size in mini.MINI_ROWS.get(task.name, {}).items()}


def files_of(task: Task, root: Path, splits: Iterable[str]) -> list[str]:
    """Relative paths of every file that ``splits`` read, sorted, with ``/`` on every system."""
    return sorted(
        {
            path.relative_to(root).as_posix()
            for split in splits
            for path in task.found(split, root)
            if path.is_file()  # a directory of that name is refused where it is parsed
        }
    )


def fingerprint(hashes: Mapping[str, str]) -> str:
    """SHA-256 over relative paths and content hashes: the same files give it on any machine."""
    lines = [f"{sha256}  {path}\n" for path, sha256 in sorted(hashes.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint_of(prepared: Prepared, splits: Iterable[str]) -> str:
    """The fingerprint of some of the splits that were found."""
    paths = files_of(prepared.task, prepared.root, splits)
    return fingerprint({path: prepared.hashes[path] for path in paths})


def check_published(task: Task, root: Path, hashes: Mapping[str, str]) -> None:
    """Refuse a cached file that is no longer what was fetched."""
    for file in task.published:
        if file.sha256 and hashes.get(file.path, file.sha256) != file.sha256:
            raise DataError(
                f"{root / file.path}: SHA-256 is {hashes[file.path]}, expected {file.sha256}; "
                "delete the file and issue the same command again to fetch it anew"
            )


def count(prepared: Prepared, split: str) -> RowCount:
    """What is in the files of ``split``; every entry is parsed."""
    check_split(prepared.task, split)
    return prepared.task.count(split, prepared.root)


def miscounted(prepared: Prepared, split: str) -> str | None:
    """What is wrong with the size of ``split``, or None."""
    expected = prepared.expected.get(split)
    found = count(prepared, split)
    if expected is None or found == expected:
        return None
    return (
        f"{prepared.task.name} {split} in {prepared.root}: {found.rows:,} rows and "
        f"{found.items:,} items; expected {expected.rows:,} and {expected.items:,}."
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


def stats(
    prepared: Prepared,
    tokenizer: PreTrainedTokenizerBase | None = None,
    protocol: ProtocolName = "original",
    splits: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Table 1 of these files: sizes and average lengths per split, the paper's and the declared ones.

    Lengths count as the paper's do (``bench.data.encoding.lengths``). Without a tokenizer they are None.
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
            split: _split_stats(prepared, split, tokenizer, protocol) for split in splits or task.files
        },
    }


def _split_stats(
    prepared: Prepared,
    split: str,
    tokenizer: PreTrainedTokenizerBase | None,
    protocol: ProtocolName,
) -> dict[str, Any]:
    missing = missing_files(prepared.task, prepared.root, [split])
    expected = prepared.expected.get(split)
    found: dict[str, Any] = {
        "expected_rows": expected.rows if expected else None,
        "expected_items": expected.items if expected else None,
        "missing": missing,
        **dict.fromkeys(("rows", "items", "source_length", "target_length")),
    }
    if missing:
        return found
    rows = load_rows(prepared, split, protocol)
    found |= {"rows": len(rows), "items": len(load_items(prepared, split, protocol))}
    if tokenizer is not None:
        pairs, _ = encode_pairs(tokenizer, [r.source for r in rows], [r.target for r in rows])
        found["source_length"], found["target_length"] = lengths(pairs)
    return found


def find_tokenizer(directory: Path | None = None) -> PreTrainedTokenizerBase:
    """GPT-2's tokenizer, which counts the lengths of Table 1: all its sizes share one, and BART's has the
    same pieces under other ids.

    From ``directory`` (``--tokenizer DIR``), else from a GPT-2 or BART folder below ``BENCH_MODELS``, else
    from what the hub's cache has; ``UnavailableError`` says which of these were tried.
    """
    from bench.models.catalogue import MODELS
    from bench.models.loading import load_tokenizer

    if directory is not None:
        return load_tokenizer(directory.expanduser())
    tried = []
    models = os.environ.get("BENCH_MODELS")
    names = ("gpt2-medium", "gpt2-large", "gpt2", "bart-large")
    for path in [Path(models).expanduser() / name for name in names] if models else []:
        if any((path / name).is_file() for name in ("tokenizer.json", "vocab.json")):
            return load_tokenizer(path)
    tried.append(f"BENCH_MODELS {models}: no {' or '.join(names)}" if models else "BENCH_MODELS is not set")
    for entry in MODELS.values():
        if entry.hub and (cached := _hub_folder(entry.hub, entry.revision)):
            return load_tokenizer(cached)
    tried.append("the hub's cache has no GPT-2")
    raise UnavailableError(
        f"no GPT-2 tokenizer to count lengths with. Tried: {'; '.join(tried)}. Give a folder with "
        "tokenizer.json (or vocab.json and merges.txt) as --tokenizer DIR, or set BENCH_MODELS"
    )


def _hub_folder(repository: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "tokenizer.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def verify(prepared: Prepared) -> dict[str, Any]:
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
    for path in files_of(task, prepared.root, splits):
        found, expected = sha256_file(prepared.root / path), declared.get(path)
        status = "unknown" if expected is None else "ok" if found == expected else "differs"
        files.append({"path": path, "sha256": found, "expected": expected, "status": status})
    present = {str(file["path"]) for file in files}
    absent = sorted(declared.keys() - present - _in_another_layout(prepared, present))
    files += [
        {"path": path, "sha256": None, "expected": declared[path], "status": "missing"} for path in absent
    ]
    sizes = {split: _size(prepared, split) for split in splits}
    return {
        "task": task.name,
        "origin": prepared.origin,
        "root": str(prepared.root),
        "files": files,
        "splits": sizes,
        "ok": all(file["status"] in ("ok", "unknown") for file in files)
        and all(size["ok"] for size in sizes.values()),
    }


def _in_another_layout(prepared: Prepared, present: set[str]) -> set[str]:
    """Published files whose content is here under other names: nothing is missing, yet none of them is there."""
    task = prepared.task
    found = set()
    for split, patterns in task.files.items():
        lacking = task.missing(split, prepared.root)
        for pattern in patterns:
            named = {file.path for file in published_for(task, [pattern])}
            if pattern not in lacking and not named & present:
                found |= named
    return found


def _size(prepared: Prepared, split: str) -> dict[str, Any]:
    found, expected = count(prepared, split), prepared.expected.get(split)
    return {
        "rows": found.rows,
        "items": found.items,
        "expected_rows": expected.rows if expected else None,
        "expected_items": expected.items if expected else None,
        "ok": expected is None or found == expected,
    }
