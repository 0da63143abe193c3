"""Parquet and arrow files, as the hub offers them and as ``datasets`` keeps them, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.errors import DataError, UnavailableError

ROWS = 1_000
"""Rows decoded at a time; the whole train split would take over a gigabyte as Python text."""


def batches(path: Path, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """The ``columns`` of a file's rows, in order. Needs pyarrow, which is imported here."""
    try:
        import pyarrow  # type: ignore[import-untyped]  # it publishes no types
        import pyarrow.ipc  # type: ignore[import-untyped]  # the same
        import pyarrow.parquet  # type: ignore[import-untyped]  # the same
    except ImportError as error:
        raise UnavailableError(
            f"{path}: reading it needs pyarrow ({error}); pip install 'pyarrow>=17', "
            "or give the same rows as JSON lines"
        ) from error
    if path.is_dir():
        raise DataError(f"{path}: expected a file, found a directory")
    try:
        if path.suffix == ".parquet":
            with pyarrow.parquet.ParquetFile(path) as file:
                _check_columns(path, file.schema_arrow.names, columns)
                for batch in file.iter_batches(ROWS, columns=list(columns)):
                    yield batch.to_pylist()
            return
        with pyarrow.memory_map(str(path)) as source:
            reader = _arrow(pyarrow, source)
            _check_columns(path, reader.schema.names, columns)
            for batch in reader:
                for start in range(0, batch.num_rows, ROWS):
                    yield batch.select(list(columns)).slice(start, ROWS).to_pylist()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: text that is not UTF-8 ({error.reason}); expected UTF-8 text") from None
    except (pyarrow.ArrowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        kind = path.suffix.removeprefix(".")
        raise DataError(f"{path}: cannot be read as {kind} ({said}); expected a whole {kind} file") from error


def _arrow(pyarrow: Any, source: Any) -> Any:
    """An iterator over record batches: `datasets` writes streams, others the file format."""
    try:
        return pyarrow.ipc.open_stream(source)
    except pyarrow.ArrowInvalid:
        source.seek(0)
        file = pyarrow.ipc.open_file(source)
        return pyarrow.RecordBatchReader.from_batches(
            file.schema, (file.get_batch(at) for at in range(file.num_record_batches))
        )


def _check_columns(path: Path, found: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if column not in found:
            raise DataError(
                f"{path}: no column {column!r}; expected {', '.join(columns)}, found {', '.join(found)}"
            )
