"""Reading outputs that were made elsewhere: pairs with their own references, or one output per line."""

from __future__ import annotations

import sys
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.data import dataset
from bench.data.sources import DataUnavailableError
from bench.errors import DataError, UnavailableError, UnknownNameError, UserError
from bench.foreign_text import quote_foreign
from bench.scoring.evaluation import ReferenceItem, ScoringInput
from bench.system.json_files import parse_json
from bench.system.progress import print_message
from bench.system.text_files import LARGEST_TEXT, decode_text, read_text_bytes
from bench.task import PROTOCOLS, SCALES, Item, Task

EXAMPLE = '{"hyp": "a text", "refs": ["a reference", "another"]}'
LONGEST_TEXT = 100_000
"""Characters in an output or a reference: far more than any model writes, and scorers take the square of it."""
STREAM = Path("-")
_CHUNK = 1 << 20


def name_input(path: Path) -> Path:
    """What a file is called in messages."""
    return Path("standard input") if path == STREAM else path


def read_standard_input() -> bytes:
    """What is piped in: plain text. A stream without end, as a device is one, is refused."""
    content = bytearray()
    try:
        while chunk := sys.stdin.buffer.read(_CHUNK):
            content += chunk
            if content.startswith(b"\x1f\x8b"):
                raise DataError("standard input is gzip; expected plain text (zcat FILE | bench score …)")
            if b"\0" in chunk or len(content) > LARGEST_TEXT:
                break
    except (AttributeError, ValueError) as error:  # none at all, or closed
        raise DataError("standard input is closed; expected lines there, or a file's name for -") from error
    except OSError as error:
        raise DataError(f"standard input cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_TEXT:
        raise DataError(f"standard input has more than {LARGEST_TEXT:,} bytes; expected lines of text")
    return bytes(content)


def read_content(path: Path) -> bytes:
    """The file's content, decompressed where its name ends in .gz; ``-`` is standard input."""
    if path == STREAM:
        return read_standard_input()
    if path.is_fifo():
        raise DataError(f"{path} is a pipe; expected a file, or - for standard input")
    return read_text_bytes(path, missing=f"{path}: no such file")


def read_lines(path: Path) -> list[str]:
    """The file's lines: UTF-8, ended by LF or CRLF and by nothing else; a last empty one is none."""
    content = read_content(path).removeprefix(BOM_UTF8)
    path = name_input(path)
    lines = decode_text(path, content).split("\n")
    if not lines[-1]:
        lines.pop()
    return [
        check_text(line.removesuffix("\r"), f"{path}, line {number}: an output")
        for number, line in enumerate(lines, 1)
    ]


def check_text(text: str, description: str) -> str:
    """``text``, unless no scorer could deal with so long a one."""
    if len(text) > LONGEST_TEXT:
        raise DataError(f"{description} of {len(text):,} characters; expected at most {LONGEST_TEXT:,}")
    return text


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
    for number, line in enumerate(content.removeprefix(BOM_UTF8).split(b"\n"), 1):
        if not line.strip():
            continue
        location = f"{path}, line {number}"
        decode_text(path, line, number)  # which names the byte
        row = parse_json(path, line, number)
        if not isinstance(row, dict):
            raise DataError(f"{location}: expected an object like {EXAMPLE}, found {type(row).__name__}")
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
    return check_text(row["hyp"], f'{location}: a "hyp"')


def read_references(row: dict[str, Any], location: str) -> tuple[str, ...]:
    refs = row.get("refs")
    if not isinstance(refs, list) or not all(isinstance(ref, str) for ref in refs):
        raise DataError(f'{location}: "refs" must be a list of texts; expected an object like {EXAMPLE}')
    return tuple(check_text(ref, f"{location}: a reference") for ref in refs)


def read_groups(row: dict[str, Any], task: str, groups: tuple[str, ...], location: str) -> tuple[str, ...]:
    """Seen or unseen, from ``seen`` or from ``category``; neither leaves the item in ``all`` alone."""
    if "seen" not in groups:
        return ()
    seen, category = row.get("seen"), row.get("category")
    if seen is not None and not isinstance(seen, bool):
        raise DataError(f'{location}: "seen" must be true or false')
    if category is not None and not isinstance(category, str):
        raise DataError(f'{location}: "category" must be a text')
    stated = () if seen is None else ("seen" if seen else "unseen",)
    if category is None:
        return stated
    from bench.registry import get_task

    try:
        of_category = get_task(task).groups_of(category, location)
    except DataError:
        if not stated:
            raise
        return stated  # a category of one's own; the line says itself what it is
    if stated and of_category and stated != of_category:
        raise DataError(
            f'{location}: "seen" is {str(seen).lower()} and category {quote_foreign(category)} is {of_category[0]}; '
            "expected one of the two, or both in agreement"
        )
    return stated or of_category
