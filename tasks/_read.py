"""Reading publishers' files: what every parser here checks, and how it says what is wrong.

Why: data files come from outside. Each fault must become one line that names the file, the place and
what was expected, before anything is trained on it; and a file made to exhaust memory (an XML bomb, a
field without end) must be refused rather than read.
"""

from __future__ import annotations

import csv
import io
import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from bench.errors import DataError
from bench.system.json_files import refuse_repeated_names

FIELD_LIMIT = 100_000
"""Characters in one field. The longest ones seen have under 1,000; far more means a lost quote
or closing tag that swallowed the rest of the file, and GPT-2 could not read it anyway."""

FILE_LIMIT = 1 << 30
"""Bytes in one file. The largest published one (DART train) has 22 MB."""


def read_bytes(path: Path) -> bytes:
    """The content of a file that must exist, be a file and not be empty."""
    try:
        if path.is_dir():
            raise DataError(f"{path}: expected a file, found a directory")
        if (size := path.stat().st_size) > FILE_LIMIT:
            raise DataError(f"{path}: {size:,} bytes; expected at most {FILE_LIMIT:,}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: expected a file, found nothing of that name") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not content.removeprefix(BOM_UTF8).strip():
        raise DataError(f"{path}: the file is empty; expected data")
    return content


def read_text(path: Path) -> str:
    """The content as UTF-8 text, with or without a byte order mark."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; expected UTF-8 text"
        ) from None


def check_field(
    text: object, place: str, description: str, blank: bool = False, limit: int = FIELD_LIMIT
) -> str:
    """``text`` if it is a usable field of at most ``limit`` characters; ``blank`` allows it to be empty."""
    if not isinstance(text, str):
        raise DataError(f"{place}: {description} is {_named(text)}; expected text")
    if len(text) > limit:
        raise DataError(f"{place}: {description} has {len(text):,} characters; expected at most {limit:,}")
    if not blank and not text.strip():
        raise DataError(f"{place}: {description} is empty; expected text")
    try:
        text.encode()  # JSON can spell half a character ("\ud800"), which nothing later can write
    except UnicodeEncodeError:
        raise DataError(f"{place}: {description} holds half a surrogate pair; expected text") from None
    return text


def _named(value: object) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each record of a CSV file with a header: where it ends, for messages, and its ``columns``."""
    lines = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(lines)]
        for column in columns:
            if column not in header:
                raise DataError(
                    f"{path}, line 1: no column {column!r}; expected the columns "
                    f"{', '.join(columns)}, found {', '.join(header)}"
                )
            if header.count(column) > 1:
                raise DataError(
                    f"{path}, line 1: {header.count(column)} columns named {column!r}; expected one of each name, "
                    f"found {', '.join(header)}"
                )
        positions = [header.index(column) for column in columns]
        empty = True
        for record in lines:
            place = f"{path}, line {lines.line_num}"
            if not record:
                continue  # a blank line, as editors leave at the end
            if len(record) != len(header):
                raise DataError(
                    f"{place}: {len(record)} columns; expected {len(header)} ({', '.join(header)})"
                )
            empty = False
            yield place, [check_field(record[i], place, repr(header[i])) for i in positions]
        if empty:
            raise DataError(f"{path}: no record below the header; expected at least one")
    except csv.Error as error:
        raise DataError(
            f"{path}, line {lines.line_num}: not CSV ({error}); expected quoted, comma-separated "
            f"records with the columns {', '.join(columns)}"
        ) from error


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of ``pairs``; of two values for one name the message shows which object has them."""
    try:
        return refuse_repeated_names(pairs)
    except ValueError as error:
        excerpt = ", ".join(f"{json.dumps(name)}: {json.dumps(value)[:60]}" for name, value in pairs[:3])
        raise ValueError(f"{error}: {{{excerpt[:200]}, …}}") from None


def read_json(path: Path) -> Any:
    """The JSON document in a file; an object that gives a name twice is refused."""
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_named_once)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}); expected one JSON document"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not usable JSON ({error}); expected one JSON document") from None


def read_xml(path: Path, tag: str) -> list[Element]:
    """All elements named ``tag`` of an XML file, in order. Entity declarations are refused."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(read_bytes(path), forbid_dtd=True)
    except ParseError as error:
        line = error.position[0]
        raise DataError(
            f"{path}, line {line}: not well-formed XML ({error}); expected a <benchmark> document"
        ) from None
    except DefusedXmlException as error:
        raise DataError(
            f"{path}: declares a document type or entities ({type(error).__name__}); "
            "expected plain XML without them"
        ) from None
    except (ValueError, LookupError) as error:  # an encoding that does not exist or does not fit
        raise DataError(f"{path}: cannot be decoded ({error}); expected UTF-8 XML") from None
    elements = list(root.iter(tag))
    if not elements:
        raise DataError(f"{path}: no <{tag}> in <{root.tag}>; expected at least one")
    return elements
