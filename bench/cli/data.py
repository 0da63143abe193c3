"""`bench data`: find (or fetch) the files of a task, describe them, check them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli import print_json
from bench.cli.options import (
    all_of,
    any_row_count_option,
    data_dir_option,
    json_option,
    offline_option,
    tokenizer_option,
)
from bench.cli.tables import print_table
from bench.errors import UnavailableError

common = all_of(
    click.option("--task", "tasks", required=True, help="Task, or several separated by commas."),
    data_dir_option,
    click.option(
        "--scale",
        default=None,
        help="mini or paper; by default paper to prepare or where --data-dir is given.",
    ),
    json_option,
)
"""The options that the three actions share."""


def chosen(tasks: str, scale: str | None, default: str) -> tuple[list[Any], str]:
    """The tasks by name, and a scale that exists."""
    from bench import registry
    from bench.config.specification import SCALES
    from bench.errors import UnknownNameError

    scale = scale or default
    if scale not in SCALES:
        raise UnknownNameError("scale", scale, SCALES)
    return [registry.get_task(name.strip()) for name in tasks.split(",")], scale


def here(tasks: str, data_dir: Path | None, scale: str | None) -> list[Any]:
    """What is there already of each task; nothing is fetched."""
    from bench.data.dataset import look

    found, scale = chosen(tasks, scale, "paper" if data_dir else "mini")
    return [look(task, data_dir, scale) for task in found]


@click.group(
    "data",
    epilog="""\b
Examples:
  bench data stats --task e2e --data-dir DIR       Table 1, row counts beside what is declared
  bench data verify --task webnlg --json           checksums and counts
  bench data prepare --task e2e,webnlg,dart --scale paper    fetch before the cluster job""",
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

    wanted, scale = chosen(tasks, scale, "paper")
    found = [
        prepare(task, data_dir, not offline, scale, splits=tuple(task.files), strict=not any_row_count)
        for task in wanted
    ]
    rows = [
        {"task": p.task.name, "origin": p.origin, "root": str(p.root), "fingerprint": p.fingerprint}
        for p in found
    ]
    if as_json:
        print_json(rows if len(rows) > 1 else rows[0])
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


@command.command("stats")
@common
@tokenizer_option
@click.option("--protocol", default="original", show_default=True, help="original or plain.")
def stats_(
    tasks: str,
    data_dir: Path | None,
    scale: str | None,
    as_json: bool,
    tokenizer: Path | None,
    protocol: str,
) -> None:
    """Row counts and average lengths per split, the paper's Table 1 beside."""
    from bench.config.specification import PROTOCOLS
    from bench.data.dataset import find_tokenizer, stats
    from bench.errors import UnknownNameError

    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    found = here(tasks, data_dir, scale)
    try:
        words = find_tokenizer(tokenizer)
    except UnavailableError as error:
        click.echo(f"bench: {error}; lengths are left out", err=True)
        words = None
    documents = [stats(one, words, protocol) for one in found]
    if as_json:
        print_json(documents if len(documents) > 1 else documents[0])
        return
    for document in documents:
        click.echo(f"{document['title']} ({document['origin']}: {document['root']})")
        header = ["split", "rows", "declared", "items", "declared", "source tokens", "target tokens", "paper"]
        rows = []
        for split, one in document["splits"].items():
            paper = document["paper"].get(split, {})
            paper_lengths = [paper.get("source_length"), paper.get("target_length")]
            beside = "{} / {}".format(*paper_lengths) if paper_lengths[0] else ""
            rows.append(
                [
                    split,
                    *(shown(one[name]) for name in ("rows", "expected_rows", "items", "expected_items")),
                    *(shown(one[name], 1) for name in ("source_length", "target_length")),
                    beside,
                ]
            )
        print_table(header, rows)
        for split, one in document["splits"].items():
            if one["missing"]:
                click.echo(f"  {split}: not here: {', '.join(one['missing'])}")


def shown(value: float | None, digits: int | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if digits is None else f"{value:.{digits}f}"


@command.command("verify")
@common
def verify_(tasks: str, data_dir: Path | None, scale: str | None, as_json: bool) -> int:
    """Checksums and row counts beside what is declared; exit 1 if something differs."""
    from bench.data.dataset import verify

    documents = [verify(one) for one in here(tasks, data_dir, scale)]
    if as_json:
        print_json(documents if len(documents) > 1 else documents[0])
    else:
        for document in documents:
            click.echo(
                f"{document['task']}: {'ok' if document['ok'] else 'NOT as declared'} ({document['root']})"
            )
            for file in document["files"]:
                click.echo(f"  {file['status']:<8} {file['path']}")
            for split, size in document["splits"].items():
                click.echo(
                    f"  {'ok' if size['ok'] else 'differs':<8} {split}: {size['rows']:,} rows, "
                    f"{size['items']:,} items (declared {shown(size['expected_rows'])}, "
                    f"{shown(size['expected_items'])})"
                )
    return 0 if all(document["ok"] for document in documents) else 1
