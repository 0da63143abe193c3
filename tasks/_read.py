"""Reading publishers' files: what every parser here checks, and how it says what is wrong.

Why: data files come from outside. Each fault must become one line that names the file, the place and
what was expected, before anything is trained on it; and a file made to exhaust memory (an XML bomb, a
field without end) must be refused rather than read.

All files are UTF-8, with or without one byte order mark; a mark alone is an empty file (`bench.system.text_files`).
"""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from bench.errors import DataError
from bench.foreign_text import quote_foreign, show_foreign
from bench.system.json_files import parse_json
from bench.system.text_files import decode_text, read_text_bytes

FIELD_LIMIT = 100_000
"""Characters in one field. The longest ones seen have under 1,000; far more means a lost quote
or closing tag that swallowed the rest of the file, and GPT-2 could not read it anyway."""

NAME_LIMIT = 1_000
"""Characters in an identifier or a label; the longest ones seen have 33."""

LONGEST_CSV_FIELD = 2_000_001
"""Characters at which the CSV parser stops; more than any limit of a field."""


def read_bytes(path: Path) -> bytes:
    """The content of a file that must exist, be a file and not be empty."""
    content = read_text_bytes(path, missing=f"{path}: expected a file, found nothing of that name")
    if not content.removeprefix(BOM_UTF8).strip():
        raise DataError(f"{path}: the file is empty; expected data")
    return content


def read_text(path: Path) -> str:
    """The content as UTF-8 text, with or without a byte order mark."""
    return decode_text(path, read_bytes(path).removeprefix(BOM_UTF8))


def check_field(
    text: object, place: str, description: str, blank: bool = False, limit: int = FIELD_LIMIT
) -> str:
    """``text`` if it is a usable field of at most ``limit`` characters; ``blank`` allows it to be empty."""
    if not isinstance(text, str):
        raise DataError(f"{place}: {description} is {_name_type(text)}; expected text")
    if len(text) > limit:
        raise DataError(f"{place}: {description} has {len(text):,} characters; expected at most {limit:,}")
    if not blank and not text.strip():
        raise DataError(f"{place}: {description} is empty; expected text")
    if "\0" in text:  # as JSON and parquet can have it
        raise DataError(f"{place}: {description} holds the character NUL; expected text")
    try:
        text.encode()  # JSON can spell half a character ("\ud800"), which nothing later can write
    except UnicodeEncodeError:
        raise DataError(f"{place}: {description} holds half a surrogate pair; expected text") from None
    return text


def _name_type(value: object) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each record of a CSV file with a header: where it begins, for messages, and its ``columns``."""
    for place, fields in parse_csv(path, io.StringIO(read_text(path), newline=""), columns):
        yield (
            place,
            [check_field(text, place, repr(name)) for name, text in zip(columns, fields, strict=True)],
        )


def parse_csv(path: Path, lines: Iterable[str], columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """`read_csv` of ``lines`` with their line breaks; the fields are not checked.

    The header must name every column, and each of its names, of columns that are not read too, once.
    """
    header: list[str] | None = None
    empty = True
    for number, record in _iterate_records(path, lines, columns):
        place = f"{path}, line {number}"
        if header is None:
            header = _check_header(record, place, columns)
            positions = [header.index(column) for column in columns]
            continue
        if not record:
            continue  # a blank line, as editors leave at the end
        if len(record) != len(header):
            raise DataError(
                f"{place}: {len(record):,} columns; expected {len(header):,} ({show_foreign(', '.join(header))})"
            )
        empty = False
        yield place, [record[position] for position in positions]
    if header is None:
        raise DataError(f"{path}: the file is empty; expected data")
    if empty:
        raise DataError(f"{path}: no record below the header; expected at least one")


def _iterate_records(
    path: Path, lines: Iterable[str], columns: Sequence[str]
) -> Iterator[tuple[int, list[str]]]:
    """The records, each with the number of the line that it begins in."""
    csv.field_size_limit(LONGEST_CSV_FIELD)
    records = csv.reader(lines, strict=True)
    while True:
        number = records.line_num + 1
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            problem = _CSV_PROBLEMS.get(str(error), show_foreign(error))
            raise DataError(
                f"{path}, line {number}: not CSV ({problem}); expected quoted, comma-separated "
                f"records with the columns {', '.join(columns)}"
            ) from error
        yield number, record


_CSV_PROBLEMS = {
    "unexpected end of data": "a quote that is never closed",
    f"field larger than field limit ({LONGEST_CSV_FIELD})": f"a field of more than {LONGEST_CSV_FIELD - 1:,} "
    "characters, as after a quote that is never closed",
}


def _check_header(record: Sequence[str], place: str, columns: Sequence[str]) -> list[str]:
    """The names of the columns, in lower case."""
    header = [name.strip().lower() for name in record]
    listing = show_foreign(", ".join(header)) or "none"
    for column in columns:
        if column not in header:
            raise DataError(
                f"{place}: no column {column!r}; expected the columns {', '.join(columns)}, found {listing}"
            )
    if "" in header:
        raise DataError(
            f"{place}: column {header.index('') + 1} has no name; expected a name for each, found {listing} "
            "(pandas writes an index so; index=False leaves it out)"
        )
    repeated, count = Counter(header).most_common(1)[0]
    if count > 1:
        raise DataError(
            f"{place}: {count:,} columns named {quote_foreign(repeated)}; "
            f"expected one of each name, found {listing}"
        )
    return header


def read_json(path: Path) -> Any:
    """The JSON document in a file, as strictly as `parse_json` reads it."""
    content = read_bytes(path)
    decode_text(path, content)  # which names the line
    return parse_json(path, content)


_DECLARED_ENCODING = re.compile(r"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"']*)")


def read_xml(path: Path, tag: str) -> list[Element]:
    """All elements named ``tag`` of an XML file, in order.

    Refused are entity declarations and document types, and a declared encoding other than UTF-8, whatever the
    bytes are: nothing would show that they are in another one.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    text = read_text(path)
    declared = _DECLARED_ENCODING.match(text)
    if declared and declared[1].lower() not in ("utf-8", "utf8"):
        raise DataError(f"{path}: declares the encoding {quote_foreign(declared[1])}; expected UTF-8 XML")
    try:
        root = fromstring(text, forbid_dtd=True)
    except ParseError as error:
        line = error.position[0]
        raise DataError(
            f"{path}, line {line}: not well-formed XML ({show_foreign(error)}); expected a <benchmark> document"
        ) from None
    except DefusedXmlException as error:
        raise DataError(
            f"{path}: declares a document type or entities ({type(error).__name__}); "
            "expected plain XML without them"
        ) from None
    elements = list(root.iter(tag))
    if not elements:
        raise DataError(f"{path}: no <{tag}> in <{show_foreign(root.tag)}>; expected at least one")
    return elements


def read_element_text(element: Element, place: str) -> str:
    """What stands in an element, which must be text alone; comments are no text."""
    if len(element):
        raise DataError(
            f"{place}: a <{element.tag}> holds the element <{show_foreign(element[0].tag)}>; expected text alone"
        )
    return element.text or ""
