"""The JSON documents of a checkpoint as they are written, of bounded size; their types are checked elsewhere.

Apart from ``bench.models.model_config`` so that the size of a vocabulary can be read without building those types.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.errors import DataError
from bench.models.checkpoint_files import CONFIG_FILE
from bench.system.files import check_regular_file, read_bytes
from bench.system.json_files import parse_json
from bench.system.refused_keys import check_keys

LARGEST_CONFIG = 16 << 20  # bytes; a configuration has some 2 kB


def read_config_document(path: Path) -> dict[str, Any]:
    """``config.json`` of a checkpoint as it is written; keys that would load code from elsewhere are refused."""
    file = path / CONFIG_FILE
    document = read_json_object(file, "a model configuration", LARGEST_CONFIG)
    check_keys(file, document)
    return document


def read_json_object(file: Path, meaning: str, largest: int) -> dict[str, Any]:
    """A JSON object from a file of a checkpoint, of at most ``largest`` bytes; ``meaning`` says what it should be."""
    content = read_limited(file, meaning, largest)
    try:
        document = parse_json(file, content)
    except DataError as error:
        raise DataError(f"{file}: not {meaning} ({error.problem or error})", f"not {meaning}") from error
    if not isinstance(document, dict):
        kind = describe_json_type(document)
        raise DataError(f"{file}: not {meaning} ({kind}); expected a JSON object", f"not {meaning} ({kind})")
    return document


def read_limited(file: Path, meaning: str, largest: int) -> bytes:
    """The content of a regular file of at most ``largest`` bytes."""
    check_regular_file(file)
    size = file.stat().st_size
    if size > largest:
        raise DataError(f"{file}: {size:,} bytes; expected {meaning} of at most {largest:,}")
    return read_bytes(file)


def describe_json_type(value: object) -> str:
    """What a JSON value is, in the words of JSON."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
