"""Any bytes of an arrow or parquet file are rows or a ``DataError``: no native library follows them anywhere."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from examples import FUZZ_EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import DataError
from tasks._xsum_tables import iterate_table

COLUMNS = ("document", "summary", "id")
TABLE = pyarrow.table({"document": ["a b"] * 3, "summary": ["s"] * 3, "id": ["1", "2", "3"]})
METADATA = ("[]", "5", "{", '{"info": 5}', '{"info": {"features": {"document": {"_type": "Evil"}}}}')
"""What stands in the files of `datasets` beside the columns, hostile."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def write_table(path: Path, table: pyarrow.Table) -> bytes:
    """An arrow stream, an arrow file or a parquet file, by the name; its content."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        make = pyarrow.ipc.new_stream if path.stem == "stream" else pyarrow.ipc.new_file
        with pyarrow.OSFile(str(path), "wb") as file, make(file, table.schema) as writer:
            writer.write_table(table)
    return path.read_bytes()


def read_or_refuse(path: Path) -> None:
    try:
        rows = list(iterate_table(path, COLUMNS))
    except DataError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        assert all(set(row) == set(COLUMNS) for row in rows)


@settings(max_examples=max(60, FUZZ_EXAMPLES // 20), deadline=None)
@given(
    name=st.sampled_from(["stream.arrow", "file.arrow", "table.parquet"]),
    seed=st.integers(0, 2**32),
    cut=st.booleans(),
)
def test_any_damage_to_a_table_is_refused_or_harmless(name: str, seed: int, cut: bool, folder: Path) -> None:
    chosen = random.Random(seed)
    content = bytearray(write_table(folder / name, TABLE))
    for _ in range(chosen.randint(1, 4)):
        content[chosen.randrange(len(content))] = chosen.randrange(256)
    (folder / name).write_bytes(content[: chosen.randrange(len(content))] if cut else content)
    read_or_refuse(folder / name)


@pytest.mark.parametrize("metadata", METADATA)
@pytest.mark.parametrize("name", ["stream.arrow", "table.parquet"])
def test_hostile_metadata_are_refused(metadata: str, name: str, folder: Path) -> None:
    write_table(folder / name, TABLE.replace_schema_metadata({"huggingface": metadata}))
    if name == "table.parquet" and metadata == "[]":  # says nothing
        read_or_refuse(folder / name)
        return
    with pytest.raises(DataError, match="cannot be read"):
        list(iterate_table(folder / name, COLUMNS))
