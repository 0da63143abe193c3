"""Tables on standard output: fitted to a terminal, plain aligned lines for everything else.

On a terminal rich lays them out: they fit its width, words wrap and nothing is cut off. Where the output is piped
or written to a file, a row is one line without colour codes, so that `grep`, `cut` and `diff` find what they did.
Texts that others wrote (the error of a run, a node's name, the cause of a broken file) cannot move the cursor or
colour the screen, nor fill it: their control characters are shown as escapes, and what is very long is cut.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import click

from bench.foreign_text import CELL_LENGTH, show_foreign

GAP = 2
"""Blanks between two columns."""


class CellAlignment(StrEnum):
    LEFT = "left"
    RIGHT = "right"


class Column(NamedTuple):
    """A column's title, and the side that its cells stand at.

    Without an alignment it is the right one where every cell is a number, empty or ``-``, and otherwise the left one.
    """

    title: str
    alignment: CellAlignment | None = None


def print_table(columns: Sequence[Column | str], rows: Sequence[Sequence[object]]) -> None:
    """Print ``rows`` of as many cells as there are ``columns``; a title alone stands for ``Column(title)``."""
    titles = [column.title if isinstance(column, Column) else column for column in columns]
    alignments = [
        _find_alignment(column, [row[index] for row in rows]) for index, column in enumerate(columns)
    ]
    header = [show_foreign(title, CELL_LENGTH) for title in titles]
    cells = [[show_foreign(cell, CELL_LENGTH) for cell in row] for row in rows]
    if sys.stdout is not None and sys.stdout.isatty():
        _print_fitted(header, alignments, cells)
    else:
        _print_plain(header, alignments, cells)


def _find_alignment(column: Column | str, cells: Sequence[object]) -> CellAlignment:
    if isinstance(column, Column) and column.alignment is not None:
        return column.alignment
    numeric = all(isinstance(cell, int | float) or cell in ("", "-") for cell in cells)
    return CellAlignment.RIGHT if numeric else CellAlignment.LEFT


def _print_plain(header: list[str], alignments: list[CellAlignment], cells: list[list[str]]) -> None:
    widths = [max(len(row[index]) for row in [header, *cells]) for index in range(len(header))]
    for row in [header, *cells]:
        padded = [
            cell.rjust(width) if alignment is CellAlignment.RIGHT else cell.ljust(width)
            for cell, width, alignment in zip(row, widths, alignments, strict=True)
        ]
        click.echo((" " * GAP).join(padded).rstrip())


def _print_fitted(header: list[str], alignments: list[CellAlignment], cells: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for title, alignment in zip(header, alignments, strict=True):
        table.add_column(Text(title), justify=alignment.value, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console(file=sys.stdout, highlight=False, markup=False, emoji=False).print(table)
