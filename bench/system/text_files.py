"""Text files of others: UTF-8, plain or gzip, whole or line by line, and never more than a file of text can hold.

One byte order mark at the beginning is passed over; a file with nothing else in it is empty. Lines end in LF or
CRLF. What is no UTF-8 and the character NUL are refused with the number of the line.
"""

from __future__ import annotations

import gzip
import os
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from bench.errors import DataError, first_line
from bench.system.files import explain_unreadable, open_regular_file

LARGEST_TEXT = 1 << 30
"""Bytes of text that are read into memory."""
LONGEST_LINE = 32 << 20
"""Bytes in one line of a file that is read line by line."""
LARGEST_EXPANSION = 50
"""How many times its size a gzip file may hold: text shrinks to a fourth, a bomb to a thousandth."""
ANY_EXPANSION = 16 << 20
"""Bytes that any gzip file may hold."""


def read_text_bytes(path: Path, missing: str | None = None) -> bytes:
    """The content of a file, decompressed where its name ends in ``.gz``; ``missing`` is as in `files.read_bytes`."""
    with open_regular_file(path, missing) as file:
        limit = _find_limit(path, file)
        content = _read(path, _decompress(path, file), limit + 1)
    if len(content) > limit:
        raise DataError(f"{path} holds more than {limit:,} bytes; expected a file of text")
    return content


def iterate_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers from 1, line breaks included; ``.gz`` is decompressed on the way."""
    with open_regular_file(path) as file:
        stream = _decompress(path, file)
        limit = _find_limit(path, file) if stream is not file else None
        number = size = 0
        while line := _read(path, stream, LONGEST_LINE + 1, by_line=True):
            number, size = number + 1, size + len(line)
            if len(line) > LONGEST_LINE:
                raise DataError(
                    f"{path}, line {number}: more than {LONGEST_LINE:,} bytes; expected lines of text"
                )
            if limit is not None and size > limit:
                raise DataError(f"{path} holds more than {limit:,} bytes; expected a file of text")
            if number == 1 and not (line := line.removeprefix(BOM_UTF8)):
                return  # a mark alone: the file is empty
            yield number, decode_text(path, line, number)


def decode_text(path: Path, content: bytes, first: int = 1) -> str:
    """``content`` of ``path`` as text; ``first``: the number of its first line. Damage names the line."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = first + content.count(b"\n", 0, error.start)
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise DataError(
            f"{path}, line {line}: byte {column} (0x{content[error.start]:02x}) is not UTF-8; expected UTF-8 "
            "text (iconv -f latin1 -t utf-8 converts the commonest other encoding)"
        ) from None
    if (position := text.find("\0")) >= 0:
        line = first + text.count("\n", 0, position)
        raise DataError(f"{path}, line {line}: the character NUL; expected text")
    return text


def _find_limit(path: Path, file: BinaryIO) -> int:
    """Bytes that the file may hold, after decompression."""
    size = os.fstat(file.fileno()).st_size
    if path.suffix != ".gz":
        if size > LARGEST_TEXT:
            raise DataError(f"{path}: {size:,} bytes; expected at most {LARGEST_TEXT:,}")
        return LARGEST_TEXT
    return min(LARGEST_TEXT, max(ANY_EXPANSION, LARGEST_EXPANSION * size))


def _decompress(path: Path, file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file)) if path.suffix == ".gz" else file


def _read(path: Path, stream: BinaryIO, size: int, by_line: bool = False) -> bytes:
    try:
        return stream.readline(size) if by_line else stream.read(size)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} is not a whole gzip file: {first_line(error)}; expected one, as gzip writes it"
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {explain_unreadable(path, error)}") from error
