"""Reading outputs that were made elsewhere: pairs with their own references, or one output per line."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

from bench.errors import DataError, UserError
from bench.files import read_bytes
from bench.json_files import parse_json
from bench.scoring import Pair

EXAMPLE = '{"hyp": "a text", "refs": ["a reference", "another"]}'
LARGEST = 4 << 30
"""Bytes after decompression; more than any real file by far."""


def content_of(path: Path) -> bytes:
    """The file's content, decompressed where its name ends in .gz."""
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


def text_lines(path: Path) -> list[str]:
    """The file's lines: UTF-8, ended by LF or CRLF and by nothing else; a last empty one is none."""
    content = content_of(path).removeprefix(b"\xef\xbb\xbf")
    lines = content.split(b"\n")
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
    outputs = text_lines(path)
    if len(outputs) != expected:
        raise UserError(
            f"{path} has {len(outputs):,} lines and {of} has {expected:,} items; expected one output a line, "
            "an empty line for an empty output"
        )
    return outputs


def read_pairs(path: Path, task: str, groups: tuple[str, ...]) -> tuple[list[Pair], list[str]]:
    """Items and outputs from JSON lines: ``hyp``, ``refs`` and, where the task has groups, ``seen`` or
    ``category``. ``DataError`` names the line and what was expected there."""
    items, outputs = [], []
    for number, line in enumerate(content_of(path).split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        row = parse_json(path, line, number)
        if not isinstance(row, dict):
            raise DataError(f"{place}: expected an object like {EXAMPLE}")
        outputs.append(hypothesis(row, place))
        items.append(Pair(references(row, place), ("all", *group(row, task, groups, place))))
    if not items:
        raise DataError(f"{path} is empty; expected lines like {EXAMPLE}")
    return items, outputs


def hypothesis(row: dict[str, Any], place: str) -> str:
    if not isinstance(row.get("hyp"), str):
        raise DataError(f'{place}: "hyp" must be a text; expected an object like {EXAMPLE}')
    return str(row["hyp"])


def references(row: dict[str, Any], place: str) -> tuple[str, ...]:
    refs = row.get("refs")
    if not isinstance(refs, list) or not all(isinstance(ref, str) for ref in refs):
        raise DataError(f'{place}: "refs" must be a list of texts; expected an object like {EXAMPLE}')
    return tuple(refs)


def group(row: dict[str, Any], task: str, groups: tuple[str, ...], place: str) -> tuple[str, ...]:
    """Seen or unseen, from ``seen`` or from ``category``; neither leaves the item in ``all`` alone."""
    if "seen" not in groups:
        return ()
    if (seen := row.get("seen")) is not None:
        if not isinstance(seen, bool):
            raise DataError(f'{place}: "seen" must be true or false')
        return ("seen" if seen else "unseen",)
    if row.get("category") is None:
        return ()
    from bench.registry import get_task

    return get_task(task).groups_of(str(row["category"]), place)
