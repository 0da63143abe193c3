"""JSON and JSON lines: one spelling for hashing, whole files for keeping, damage told by place.

NaN, infinities and names that are not text are refused: JSON has none of them, and what ``json`` makes of
them another reader rejects or takes for something else.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from bench.errors import DataError
from bench.foreign_text import is_visible, quote_foreign, show_foreign
from bench.system.files import read_bytes, replace_file, write_atomic

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object: names and plain values."""


def _check(value: Any, path: str) -> None:
    """Refuse what JSON would change silently: NaN, infinities, names that are not text."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} at {path or 'the top'}: JSON has no such number; use null")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"name {key!r} at {path or 'the top'} is not text")
            _check(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _check(inner, f"{path}[{index}]")


def to_json(value: Any, indent: int | None = None) -> str:
    """``value`` as JSON in its own order, text readable; NaN and infinities are refused by place.

    Characters that nobody sees and that a terminal acts on (C1 controls, direction marks, halves of a surrogate pair,
    as in an undecodable file name) are spelled by number, as JSON spells the other controls by itself.
    """
    _check(value, "")
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return _NOT_PLAIN.sub(_spell_invisible, text)


_NOT_PLAIN = re.compile(r"[^\n -~]")


def _spell_invisible(match: re.Match[str]) -> str:
    character = match[0]
    return character if is_visible(character) else json.dumps(character)[1:-1].replace("\x7f", "\\u007f")


def to_canonical_json(value: Any) -> str:
    """The one spelling of ``value``, for hashing: names sorted, no blanks, ASCII."""
    _check(value, "")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_json_atomic(path: Path | str, value: Any) -> None:
    """Write ``value`` for people and programs: indented, UTF-8, ending in a line break."""
    write_atomic(path, to_json(value, indent=2) + "\n")


def write_jsonl_atomic(path: Path | str, rows: Iterable[Any]) -> int:
    """Write one JSON document per line, all or nothing; returns how many."""
    count = 0
    with replace_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(to_json(row) + "\n")
            count += 1
    return count


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{quote_foreign(text, 40)} is larger than any number that can be kept")
    return number


def refuse_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """``object_pairs_hook`` of ``json``, which would keep the last of two values for one name: a ``ValueError``."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        excerpt = ", ".join(f"{json.dumps(name)}: {json.dumps(value)[:40]}" for name, value in pairs[:3])
        raise ValueError(
            f'"{show_foreign(repeated)}" is given twice in one object: {show_foreign("{" + excerpt, 120)}, …}}'
        )
    return members


def parse_json(path: Path, content: bytes, line: int | None = None, any_text: bool = False) -> Any:
    """``content`` of ``path`` as a value; damage is a DataError that names the file and the place.

    Refused are what is no UTF-8 (a byte order mark at the beginning is passed over), a name that an object gives
    twice, NaN, infinities and numbers that become infinite, nesting deeper than Python's, and texts that hold NUL
    or half a surrogate pair. ``any_text`` lets such texts pass: our own documents have them where a file's name
    or a library's message does.
    """
    place = f"{path}" if line is None else f"{path}, line {line}"
    content = content.removeprefix(codecs.BOM_UTF8)
    if not content.strip():
        problem = "empty; expected one JSON document"
        raise DataError(f"{place} is {problem}", problem)
    try:
        value = json.loads(
            content.decode(),
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            object_pairs_hook=refuse_repeated_names,
        )
        if not any_text and _ESCAPED_TEXT.search(content):
            _refuse_unusable_text(value, "")
    except (ValueError, RecursionError) as error:
        problem = f"damaged; expected one JSON document: {_explain(error)}"
        raise DataError(f"{place} is {problem}", problem) from error
    return value


_ESCAPED_TEXT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""How JSON spells a NUL or half a surrogate pair; as plain bytes they are no JSON and no UTF-8."""


def _refuse_unusable_text(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_unusable_text(name, path)
            _refuse_unusable_text(inner, f"{path}.{show_foreign(name, 40)}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_unusable_text(inner, f"{path}[{index}]")
    elif isinstance(value, str):
        place = show_foreign(path) or "the top"
        if "\0" in value:
            raise ValueError(f"a text holds the character NUL, at {place}")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(f"a text holds half a surrogate pair, at {place}")


def _explain(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "its values are nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"no UTF-8 at byte {error.start}"
    return str(error)


def read_json(path: Path | str) -> Any:
    """The value in ``path``, a document of ours; a missing or damaged file is a DataError that names it."""
    return parse_json(Path(path), read_bytes(Path(path)), any_text=True)


def read_jsonl(path: Path | str, forgive_torn: bool = False) -> list[Any]:
    """The values in ``path``, one per line, of ours; ``forgive_torn`` leaves out lines that a kill cut short."""
    path = Path(path)
    lines = read_bytes(path).split(b"\n")  # only this: text may hold other characters that end lines
    if lines.pop().strip() and not forgive_torn:
        raise DataError(f"{path} is damaged: it ends in the middle of line {len(lines) + 1}")
    values = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values.append(parse_json(path, line, number, any_text=True))
        except DataError:
            if not forgive_torn:
                raise
    return values
