"""`bench data`: find (or fetch) the files of a task, describe them, check them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_error, print_json, print_lines
from bench.cli.options import (
    all_of,
    any_row_count_option,
    data_dir_option,
    json_option,
    offline_option,
    tokenizer_option,
)
from bench.cli.parameters import add_option
from bench.cli.path_options import PathName
from bench.cli.tables import print_table
from bench.errors import UnavailableError

if TYPE_CHECKING:
    from bench.task import ProtocolName

common = all_of(
    add_option("--task", "tasks", required=True, help="Task, or several separated by commas."),
    data_dir_option,
    add_option(
        "--scale",
        default=None,
        help="mini or paper; by default paper to prepare or where --data-dir is given.",
    ),
    json_option,
)
"""The options that the three actions share."""


def select_tasks(tasks: str, scale: str | None, default: str) -> tuple[list[Any], str]:
    """The tasks by name, and a scale that exists."""
    from bench import registry
    from bench.errors import UnknownNameError
    from bench.task import SCALES

    scale = scale or default
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)
    return [registry.get_task(name.strip()) for name in tasks.split(",")], scale


def find_local(tasks: str, data_dir: Path | None, scale: str | None) -> list[Any]:
    """What is there already of each task; nothing is fetched."""
    from bench.data.dataset import find_local_data

    selected, scale = select_tasks(tasks, scale, "paper" if data_dir else "mini")
    return [find_local_data(task, data_dir, scale) for task in selected]


@click.group(
    "data",
    epilog="""\b
Examples:
  bench data stats --task e2e --data-dir DIR       Table 1, row counts beside what is declared
  bench data verify --task webnlg --json           checksums and counts
  bench data prepare --task e2e,webnlg,dart --scale paper    fetch before the cluster job
  bench data export --task webnlg --to DIR         the splits as tables that `datasets` opens""",
)
def command() -> None:
    """Find, check and describe the data of a task."""


@command.command("prepare")
@common
@offline_option
@any_row_count_option
def prepare_(
    tasks: str, data_dir: Path | None, scale: str | None, as_json: bool, offline: bool, any_row_count: bool
) -> None:
    """Find or fetch the files, count their rows and print where they are."""
    from bench.data.dataset import prepare

    selected, scale = select_tasks(tasks, scale, "paper")
    prepared = [
        prepare(task, data_dir, not offline, scale, splits=tuple(task.files), strict=not any_row_count)
        for task in selected
    ]
    rows = [
        {"task": p.task.name, "origin": p.origin, "root": str(p.root), "fingerprint": p.fingerprint}
        for p in prepared
    ]
    if as_json:
        print_json(rows if len(rows) > 1 else rows[0])
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


protocol_option = add_option("--protocol", default="original", show_default=True, help="original or plain.")


def check_protocol(protocol: str) -> ProtocolName:
    """``protocol``, if there is one of that name."""
    from bench.errors import UnknownNameError
    from bench.task import PROTOCOLS

    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    return protocol


@command.command("stats")
@common
@tokenizer_option
@protocol_option
def stats_(
    tasks: str,
    data_dir: Path | None,
    scale: str | None,
    as_json: bool,
    tokenizer: Path | None,
    protocol: str,
) -> None:
    """Row counts and average lengths per split, the paper's Table 1 beside."""
    from bench.data.dataset import compute_statistics
    from bench.models.tokenizers import find_tokenizer

    protocol_name = check_protocol(protocol)
    prepared = find_local(tasks, data_dir, scale)
    try:
        loaded_tokenizer = find_tokenizer(tokenizer)
    except UnavailableError as error:
        print_error(f"{error}; lengths are left out")
        loaded_tokenizer = None
    documents = [compute_statistics(entry, loaded_tokenizer, protocol_name) for entry in prepared]
    if as_json:
        print_json(documents if len(documents) > 1 else documents[0])
        return
    for document in documents:
        print_statistics(document)


def print_statistics(document: dict[str, Any]) -> None:
    """One task's statistics as a table."""
    print_lines(f"{document['title']} ({document['origin']}: {document['root']})")
    header = ["split", "rows", "declared", "items", "declared", "source tokens", "target tokens", "paper"]
    rows = []
    for split, sizes in document["splits"].items():
        paper = document["paper"].get(split, {})
        paper_lengths = [paper.get("source_length"), paper.get("target_length")]
        rows.append(
            [
                split,
                *(
                    format_number(sizes[name])
                    for name in ("rows", "expected_rows", "items", "expected_items")
                ),
                *(format_number(sizes[name], 1) for name in ("source_length", "target_length")),
                "{} / {}".format(*paper_lengths) if paper_lengths[0] else "",
            ]
        )
    print_table(header, rows)
    for split, sizes in document["splits"].items():
        if sizes["missing"]:
            print_lines(f"  {split}: not here: {', '.join(sizes['missing'])}")


@command.command("export")
@common
@protocol_option
@add_option("--to", "folder", type=PathName("directory"), required=True, help="A new or empty folder.")
@add_option("--split", "splits", help="Split, or several separated by commas; by default all that are here.")
@add_option(
    "--format", "table_format", type=click.Choice(["arrow", "parquet"]), default="arrow", show_default=True
)
def export_(
    tasks: str,
    data_dir: Path | None,
    scale: str | None,
    as_json: bool,
    protocol: str,
    folder: Path,
    splits: str | None,
    table_format: str,
) -> None:
    """Write the splits as tables: DIR/TASK/pairs to train on, DIR/TASK/items to decode.

    Arrow folders are opened by `datasets.load_from_disk`, parquet files by any reader of tables.
    """
    from bench.data.export import ExportFormat, export_tasks

    protocol_name = check_protocol(protocol)
    names = None if splits is None else [name.strip() for name in splits.split(",")]
    prepared = find_local(tasks, data_dir, scale)
    tables = export_tasks(prepared, folder, names, ExportFormat(table_format), protocol_name)
    rows = [{**table._asdict(), "path": str(table.path)} for table in tables]
    if as_json:
        print_json(rows)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


def format_number(value: float | None, digits: int | None = None) -> str:
    """A number with separators of thousands, or with ``digits`` after the point; a dash for None."""
    if value is None:
        return "-"
    return f"{value:,}" if digits is None else f"{value:.{digits}f}"


@command.command("verify")
@common
def verify_(tasks: str, data_dir: Path | None, scale: str | None, as_json: bool) -> int:
    """Checksums and row counts beside what is declared; exit 1 if something differs."""
    from bench.data.dataset import verify_files

    documents = [verify_files(prepared) for prepared in find_local(tasks, data_dir, scale)]
    if as_json:
        print_json(documents if len(documents) > 1 else documents[0])
    else:
        for document in documents:
            print_lines(
                f"{document['task']}: {'ok' if document['ok'] else 'NOT as declared'} ({document['root']})"
            )
            for file in document["files"]:
                print_lines(f"  {file['status']:<8} {file['path']}")
            for split, size in document["splits"].items():
                print_lines(
                    f"  {'ok' if size['ok'] else 'differs':<8} {split}: {size['rows']:,} rows, "
                    f"{size['items']:,} items (declared {format_number(size['expected_rows'])}, "
                    f"{format_number(size['expected_items'])})"
                )
    return 0 if all(document["ok"] for document in documents) else 1
