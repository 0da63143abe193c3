"""Which tensors a safetensors file holds, read from its header alone.

A header is 8 bytes with its length, then JSON: a type, a shape and a place among the data for every tensor.
Everything that it says is checked against itself and the size of the file before a library maps it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bench.errors import DataError
from bench.foreign_text import quote_foreign, show_foreign
from bench.system.files import check_regular_file
from bench.system.json_files import parse_json

LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format
LARGEST_DIMENSION = 1 << 40
METADATA = "__metadata__"
BITS_BY_TYPE = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}
"""The element types of the format and their sizes."""


class TensorEntry(NamedTuple):
    """A tensor as a header describes it. ``begin``, ``end``: its bytes within the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class _HeaderEntry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    dtype: str
    shape: Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_DIMENSION)]], Field(max_length=64)]
    data_offsets: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)]


_METADATA: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


def read_header(file: Path) -> dict[str, TensorEntry]:
    """Name of a tensor -> what the header of a safetensors file says of it; ``DataError`` where it is not whole.

    Refused: a length or places beyond the file, tensors that overlap or leave gaps, unknown types, a shape that does
    not fit its bytes, a name given twice.
    """
    check_regular_file(file)
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 0 < length <= min(LARGEST_HEADER, size - 8):
                raise DataError(
                    f"{file}: the weights cannot be read (no header in {size:,} bytes); expected a safetensors file"
                )
            content = stream.read(length)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); expected a safetensors file") from error
    header = parse_json(file, content)
    if not isinstance(header, dict):
        raise DataError(f"{file}: its header is no JSON object; expected a safetensors file")
    check_metadata(file, header.pop(METADATA, None))
    entries = {name: make_entry(file, name, entry, length + 8) for name, entry in header.items()}
    check_places(file, entries, length + 8, size)
    return entries


def check_metadata(file: Path, metadata: Any) -> None:
    """The header's metadata are texts by name."""
    try:
        if metadata is not None:
            _METADATA.validate_python(metadata, strict=True)
    except ValidationError as error:
        raise DataError(f"{file}: its header's {METADATA} are not texts by name; expected those") from error


def make_entry(file: Path, name: str, entry: Any, start: int) -> TensorEntry:
    """What a header says of a tensor; ``start``: where the data begin."""
    try:
        valid = _HeaderEntry.model_validate(entry)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, fault["loc"])) or "entry"
        raise DataError(
            f"{file}: the header says no type, shape and place of {quote_foreign(name)} "
            f"({show_foreign(place, 40)}: {fault['msg']})"
        ) from error
    begin, end = valid.data_offsets
    if valid.dtype not in BITS_BY_TYPE:
        raise DataError(
            f"{file}: {quote_foreign(name)} is of an unknown type, {quote_foreign(valid.dtype, 40)}"
        )
    bits = math.prod(valid.shape) * BITS_BY_TYPE[valid.dtype]
    if end < begin or bits != (end - begin) * 8:
        raise DataError(
            f"{file}: {quote_foreign(name)} has {end - begin:,} bytes; expected {bits // 8:,} of "
            f"{valid.dtype} {show_foreign(valid.shape, 60)}"
        )
    return TensorEntry(valid.dtype, tuple(valid.shape), start + begin, start + end)


def check_places(file: Path, entries: dict[str, TensorEntry], start: int, size: int) -> None:
    """The tensors follow one another without gaps and overlaps, and fill the file."""
    if not entries:
        raise DataError(f"{file}: holds no tensor; expected the weights of a model")
    end = start
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            problem = (
                "overlaps another tensor" if entry.begin < end else "does not follow the tensor before it"
            )
            raise DataError(f"{file}: {quote_foreign(name)} {problem}; expected a whole safetensors file")
        end = entry.end
    if end != size:
        raise DataError(
            f"{file}: the weights cannot be read ({size:,} bytes, the header speaks of {end:,}); "
            "expected a whole safetensors file"
        )
