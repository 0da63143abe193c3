"""TOML that people write, read whole; its damage is told by file and line."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Any

from bench.errors import DataError, first_line
from bench.foreign_text import show_foreign
from bench.system.files import read_bytes

LARGEST = 1 << 20  # bytes; what people write by hand is far smaller


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of ``path``; a ``DataError`` names the file, and the line where the reader of TOML says it."""
    content = read_bytes(path).removeprefix(codecs.BOM_UTF8)
    if len(content) > LARGEST:
        raise DataError(f"{path}: {len(content):,} bytes; expected TOML of at most {LARGEST:,}")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: no UTF-8; expected TOML") from error
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise DataError(f"{path}: not TOML: nested too deep") from error
    except ValueError as error:  # TOMLDecodeError, and what its numbers and dates raise
        raise DataError(f"{path}: not TOML: {show_foreign(first_line(error), 160)}") from error
