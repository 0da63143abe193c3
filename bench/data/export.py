"""A task's splits as folders that ``datasets`` and whatever reads parquet open: what `bench data export` writes.

    DIR/TASK/pairs/    source and target of every training pair
    DIR/TASK/items/    what there is to decode: id, source, references, groups, category, facts
    DIR/TASK/export.json    what it was made of

As arrow each of the two folders is what ``datasets.load_from_disk`` reads; as parquet it has one file per split.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from bench import __version__
from bench.data.dataset import check_split, compute_splits_fingerprint
from bench.data.sources import list_missing_files
from bench.errors import UnavailableError, UserError
from bench.system.files import (
    explain_storage_error,
    make_directory,
    make_temporary_name,
    remove_leftovers,
)
from bench.system.json_files import write_json_atomic
from bench.system.outputs import check_new_folder
from bench.task import DatasetView, Prepared, ProtocolName


class ExportFormat(StrEnum):
    """How the tables are written."""

    ARROW = "arrow"
    PARQUET = "parquet"


class ExportedTable(NamedTuple):
    """One split in one view, as written."""

    task: str
    split: str
    view: DatasetView
    rows: int
    path: Path


def export_tasks(
    found: Sequence[Prepared],
    folder: Path,
    splits: Sequence[str] | None = None,
    table_format: ExportFormat = ExportFormat.ARROW,
    protocol: ProtocolName = "original",
) -> list[ExportedTable]:
    """Write ``splits`` (default: those whose files are here) of the tasks in ``found`` into ``folder``.

    All of it or nothing: it is written beside ``folder`` and renamed. Raises ``UserError`` where ``folder`` is not
    empty or belongs to the data that is read, ``UnavailableError`` for a split that is not here, ``DataError`` for
    files that cannot be read and ``StorageError`` where nothing can be written.
    """
    folder = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - links stay what they are called
    check_new_folder("--to", folder)
    _check_target(folder, found)
    chosen = [_choose_splits(prepared, splits) for prepared in found]
    _quieten_datasets()
    target = Path(os.path.realpath(folder))  # a link is no folder that could give way
    temporary = make_temporary_name(target)
    try:
        make_directory(target.parent)
        remove_leftovers(target.parent)
        temporary.mkdir()
        tables = [
            table._replace(path=folder / table.path.relative_to(temporary))
            for prepared, names in zip(found, chosen, strict=True)
            for table in _export_task(prepared, names, temporary / prepared.task.name, table_format, protocol)
        ]
        temporary.rename(target)  # an empty folder gives way
    except OSError as error:
        raise explain_storage_error(folder, error) or error from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return tables


def _check_target(folder: Path, found: Sequence[Prepared]) -> None:
    for prepared in found:
        root, target = prepared.root.resolve(), folder.resolve()
        if target == root or root in target.parents or target in root.parents:
            raise UserError(
                f"--to {folder}: the data of {prepared.task.name} is read from {prepared.root}; expected a folder "
                "that is neither in it nor around it"
            )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        state = "is not empty" if folder.is_dir() else "is a file"
        raise UserError(f"--to {folder} {state}; expected a folder that is new or empty")


def _choose_splits(prepared: Prepared, splits: Sequence[str] | None) -> list[str]:
    task, root = prepared.task, prepared.root
    if splits is None:
        return [split for split in task.files if not list_missing_files(task, root, [split])]
    for split in splits:
        check_split(task, split, flag="--split")
    if missing := list_missing_files(task, root, splits):
        raise UnavailableError(
            f"{root} lacks {', '.join(dict.fromkeys(missing))}, which --split {','.join(splits)} needs; "
            f"bench data prepare --task {task.name} --scale paper fetches them"
        )
    return list(dict.fromkeys(splits))


def _export_task(
    prepared: Prepared,
    splits: Sequence[str],
    folder: Path,
    table_format: ExportFormat,
    protocol: ProtocolName,
) -> list[ExportedTable]:
    from datasets import DatasetDict

    task = prepared.task
    tables = []
    for view in DatasetView:
        views = {split: task.dataset(split, prepared.root, protocol, view) for split in splits}
        place = folder / view
        if table_format == ExportFormat.ARROW:
            DatasetDict(views).save_to_disk(str(place))
            paths = {split: place / split for split in splits}
        else:
            place.mkdir(parents=True)
            paths = {split: place / f"{split}.parquet" for split in splits}
            for split, dataset in views.items():
                dataset.to_parquet(str(paths[split]))
        tables += [
            ExportedTable(task.name, split, view, dataset.num_rows, paths[split])
            for split, dataset in views.items()
        ]
    facts = {
        "task": task.name,
        "licence": task.licence,
        "protocol": protocol,
        "origin": prepared.origin,
        "splits": {split: compute_splits_fingerprint(prepared, [split]) for split in splits},
        "version": __version__,
    }
    write_json_atomic(folder / "export.json", facts)
    return tables


def _quieten_datasets() -> None:
    """No bars of its own on the terminal."""
    import datasets

    datasets.disable_progress_bars()
