"""Tables of articles as memory-mapped ``datasets.Dataset``: parquet and arrow files, and large files of JSON lines.

An arrow file is mapped where it lies. Of another large file ``datasets`` makes an arrow copy in the cache
(``BENCH_CACHE``, folder ``datasets``), named after the file's SHA-256: a changed file is never taken for the
earlier one, and nothing is written beside the user's files. Small files are read into memory and leave nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import DataError, UnavailableError, UserError
from bench.foreign_text import show_foreign
from bench.system.cache_dir import cache_root
from bench.system.files import check_regular_file, explain_storage_error, open_temporary_folder, sha256_file
from bench.system.progress import print_message
from bench.system.third_party import loading_file

if TYPE_CHECKING:
    from datasets import Dataset

BATCH_ROWS = 1_000
"""Rows decoded at a time; the whole train split would take over a gigabyte as Python text."""
SMALL_FILE = 32 << 20
"""Bytes of a file that is read into memory."""


def iterate_table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The ``columns`` of the rows of a parquet or arrow file, in order.

    Raises ``DataError`` for a file that is damaged or has other columns, ``UnavailableError`` without ``datasets``.
    """
    if path.is_dir():
        raise DataError(f"{path}: expected a file, found a directory")
    check_regular_file(path)
    _prepare_libraries(path)
    whole_file = f"a whole {path.suffix.removeprefix('.')} file"
    with loading_file(path, whole_file):
        table = _open_table(path)
        names = list(table.column_names)
    for column in columns:
        if column not in names:
            raise DataError(
                f"{path}: no column {column!r}; expected {', '.join(columns)}, "
                f"found {show_foreign(', '.join(names), 200)}"
            )
        if names.count(column) > 1:
            raise DataError(f"{path}: two columns named {column!r}; expected one of each name")
    with loading_file(path, whole_file):
        chosen = table.select_columns(list(columns))
    for start in range(0, chosen.num_rows, BATCH_ROWS):
        with loading_file(path, whole_file):
            part = chosen.data.slice(start, BATCH_ROWS)
            part.validate(full=True)
            rows = part.to_pylist()
        yield from rows


def iterate_generated(
    path: Path, generate: Callable[[str], Iterator[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """What ``generate`` reads of a large file, from the arrow copy in the cache, which is made if need be."""

    def build(cache_dir: str, keep_in_memory: bool) -> Dataset:
        from datasets import Dataset

        dataset: Dataset = Dataset.from_generator(
            generate, gen_kwargs={"path": str(path)}, cache_dir=cache_dir, keep_in_memory=keep_in_memory
        )
        return dataset

    _prepare_libraries(path)
    with _passing_on_errors():
        table = _build_in_cache(path, build)
    for start in range(0, table.num_rows, BATCH_ROWS):
        yield from table.data.slice(start, BATCH_ROWS).to_pylist()


def _open_table(path: Path) -> Dataset:
    from datasets import Dataset, load_dataset

    kind = path.suffix.removeprefix(".")
    if kind == "arrow":
        _validate_arrow(path)
    if kind == "arrow" and _is_arrow_stream(path):
        return Dataset.from_file(str(path))

    def build(cache_dir: str, keep_in_memory: bool) -> Dataset:
        dataset: Dataset = load_dataset(
            kind, data_files=[str(path)], split="train", cache_dir=cache_dir, keep_in_memory=keep_in_memory
        )
        return dataset

    return _build_in_cache(path, build)


def _validate_arrow(path: Path) -> None:
    """Let pyarrow look at every offset and text of an arrow file: it maps the file and would follow them anywhere."""
    import pyarrow  # type: ignore[import-untyped]  # it publishes no types

    with pyarrow.memory_map(str(path)) as source:
        if _is_arrow_stream(path):
            for batch in pyarrow.ipc.open_stream(source):
                batch.validate(full=True)
            return
        reader = pyarrow.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            reader.get_batch(number).validate(full=True)


def _is_arrow_stream(path: Path) -> bool:
    """Whether it is a stream, as `datasets` writes them, which can be mapped; others write the file format."""
    with path.open("rb") as file:
        return file.read(6) != b"ARROW1"


def _build_in_cache(path: Path, build: Callable[[str, bool], Dataset]) -> Dataset:
    """The table that ``build`` makes of a file, given a folder for its arrow copy and whether to leave none."""
    if path.stat().st_size <= SMALL_FILE:
        with open_temporary_folder("table") as temporary:
            return build(str(temporary), True)
    folder = cache_root() / "datasets" / sha256_file(path)[:32]
    if not folder.is_dir():
        print_message(f"{path}: an arrow copy is kept in {folder}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return build(str(folder), False)
    except Exception as error:
        if (storage_error := explain_storage_error(folder / "copy", _first_cause(error))) is not None:
            raise storage_error from error
        raise


def _prepare_libraries(path: Path) -> None:
    """Refuse ``path`` where the libraries that read it are not installed; no bars and warnings of theirs."""
    try:
        import datasets
        import pyarrow  # noqa: F401 - datasets needs it
    except ImportError as error:
        raise UnavailableError(
            f"{path}: reading it needs pyarrow and datasets ({error}); pip install 'pyarrow>=17' datasets, "
            "or give the same rows as JSON lines"
        ) from error
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # else reading a local file asks the hub to count it
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)


@contextlib.contextmanager
def _passing_on_errors() -> Iterator[None]:
    """What our own reader raises within `datasets` comes out as it was raised, not as an error of `datasets`."""
    try:
        yield
    except Exception as error:
        cause = _first_cause(error)
        if isinstance(cause, UserError):
            raise cause from None
        raise


def _first_cause(error: BaseException) -> BaseException:
    """What an error of `datasets` was raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
