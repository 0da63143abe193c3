"""Reading outputs that were made elsewhere: pairs with their own references, or one output per line."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.data import dataset
from bench.data.sources import DataUnavailableError
from bench.errors import DataError, UnavailableError, UnknownNameError, UserError
from bench.scoring.evaluation import ReferenceItem, ScoringInput
from bench.system.files import read_bytes
from bench.system.json_files import parse_json
from bench.system.progress import print_message
from bench.task import PROTOCOLS, SCALES, Item, Task

EXAMPLE = '{"hyp": "a text", "refs": ["a reference", "another"]}'
LARGEST = 4 << 30
"""Bytes after decompression; more than any real file by far."""
STREAM = Path("-")


def name_input(path: Path) -> Path:
    """What a file is called in messages."""
    return Path("standard input") if path == STREAM else path


def read_standard_input() -> bytes:
    """What is piped in: plain text."""
    try:
        content = sys.stdin.buffer.read()
    except (AttributeError, ValueError) as error:  # none at all, or closed
        raise DataError("standard input is closed; expected lines there, or a file's name for -") from error
    except OSError as error:
        raise DataError(f"standard input cannot be read: {error.strerror}") from error
    if content.startswith(b"\x1f\x8b"):
        raise DataError("standard input is gzip; expected plain text (zcat FILE | bench score …)")
    return content


def read_content(path: Path) -> bytes:
    """The file's content, decompressed where its name ends in .gz; ``-`` is standard input."""
    if path == STREAM:
        return read_standard_input()
    content = read_bytes(path, missing=f"{path}: no such file")
    if path.suffix != ".gz":
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            content = file.read(LARGEST + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file: {error}") from error
    if len(content) > LARGEST:
        raise DataError(f"{path} holds more than {LARGEST:,} bytes")
    return content


def read_lines(path: Path) -> list[str]:
    """The file's lines: UTF-8, ended by LF or CRLF and by nothing else; a last empty one is none."""
    content = read_content(path).removeprefix(b"\xef\xbb\xbf")
    path, lines = name_input(path), content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    texts = []
    for number, line in enumerate(lines, 1):
        try:
            texts.append(line.removesuffix(b"\r").decode())
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}, line {number}: byte {error.start + 1} is not UTF-8; expected UTF-8 text "
                f"(iconv -f latin1 -t utf-8 converts the commonest other encoding)"
            ) from None
    return texts


def read_predictions(path: Path, expected: int, of: str) -> list[str]:
    """One output per line, as many as there are items; ``UserError`` says both numbers."""
    outputs = read_lines(path)
    if len(outputs) != expected:
        raise UserError(
            f"{name_input(path)} has {len(outputs):,} lines and {of} has {expected:,} items; "
            "expected one output a line, an empty line for an empty output"
        )
    return outputs


def read_task_outputs(
    task: Task,
    predictions: Path,
    split: str,
    protocol: str,
    limit: int | None,
    data_dir: Path | None,
    scale: str,
    offline: bool,
) -> ScoringInput:
    """The items of the task's own split, the first ``limit`` where given, and the outputs for them."""
    if split not in task.files:
        raise UnknownNameError(f"split of {task.name}", split, task.files, "--split")
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)
    try:
        prepared = dataset.find_data(task, data_dir, not offline, scale, (split,))
    except DataUnavailableError as error:
        raise UnavailableError(error.facts) from error  # its advice is for runs
    if problem := dataset.describe_miscount(prepared, split):
        raise DataError(
            f"{problem} A published score is over all of them; --pairs takes any other references"
        )
    items: Sequence[Item] = dataset.load_items(prepared, split, protocol)
    source = f"{task.name} {split} ({prepared.origin})"
    if limit is not None and limit < len(items):
        items, source = items[:limit], f"{source}, cut by --limit {limit},"
    return ScoringInput(items, read_predictions(predictions, len(items), source))


def read_pairs(path: Path, task: str, groups: tuple[str, ...]) -> ScoringInput:
    """Items and outputs from JSON lines: ``hyp``, ``refs`` and, where the task has groups, ``seen`` or
    ``category``. ``DataError`` names the line and what was expected there."""
    items, outputs = [], []
    path, content = name_input(path), read_content(path)
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        location = f"{path}, line {number}"
        row = parse_json(path, line, number)
        if not isinstance(row, dict):
            raise DataError(f"{location}: expected an object like {EXAMPLE}")
        outputs.append(read_hypothesis(row, location))
        items.append(
            ReferenceItem(read_references(row, location), ("all", *read_groups(row, task, groups, location)))
        )
    if not items:
        raise DataError(f"{path} is empty; expected lines like {EXAMPLE}")
    without = sum(item.groups == ("all",) for item in items)
    if "seen" in groups and 0 < without < len(items):
        print_message(
            f'warning: {without:,} of {len(items):,} lines of {path} have neither "seen" nor "category"; '
            "they count in the group all alone",
            important=True,
        )
    return ScoringInput(items, outputs)


def read_hypothesis(row: dict[str, Any], location: str) -> str:
    if not isinstance(row.get("hyp"), str):
        raise DataError(f'{location}: "hyp" must be a text; expected an object like {EXAMPLE}')
    return str(row["hyp"])


def read_references(row: dict[str, Any], location: str) -> tuple[str, ...]:
    refs = row.get("refs")
    if not isinstance(refs, list) or not all(isinstance(ref, str) for ref in refs):
        raise DataError(f'{location}: "refs" must be a list of texts; expected an object like {EXAMPLE}')
    return tuple(refs)


def read_groups(row: dict[str, Any], task: str, groups: tuple[str, ...], location: str) -> tuple[str, ...]:
    """Seen or unseen, from ``seen`` or from ``category``; neither leaves the item in ``all`` alone."""
    if "seen" not in groups:
        return ()
    seen, category = row.get("seen"), row.get("category")
    if seen is not None and not isinstance(seen, bool):
        raise DataError(f'{location}: "seen" must be true or false')
    stated = () if seen is None else ("seen" if seen else "unseen",)
    if category is None:
        return stated
    from bench.registry import get_task

    try:
        of_category = get_task(task).groups_of(str(category), location)
    except DataError:
        if not stated:
            raise
        return stated  # a category of one's own; the line says itself what it is
    if stated and of_category and stated != of_category:
        raise DataError(
            f'{location}: "seen" is {str(seen).lower()} and category {category!r} is {of_category[0]}; '
            "expected one of the two, or both in agreement"
        )
    return stated or of_category
