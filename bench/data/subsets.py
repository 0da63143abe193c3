"""Parts of a split, drawn at random: the small training sets of §6.3 and §7.5, their dev sets, a test slice.

The authors' subset files are not published, so the draws are ours: without replacement, uniform, from a
generator that is named by (data seed, task, split, size). They depend neither on the training seed nor on
each other, and sizes are not nested: 100 rows of one data seed are not 50 rows and 50 more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from bench.config.settings import Setting
from bench.errors import UserError
from bench.system.rng import permutation
from bench.task import RowCount

T = TypeVar("T")


def indices(data_seed: int, task: str, split: str, size: int, total: int) -> list[int]:
    """``size`` of the numbers 0 to ``total`` - 1, ascending; the same on every machine."""
    return sorted(permutation(data_seed, f"subset/{task}/{split}/{size}", total)[:size])


def draw(rows: Sequence[T], size: int | None, data_seed: int, task: str, split: str, flag: str) -> list[T]:
    """``size`` of ``rows`` in their own order; all of them where ``size`` is None.

    Raises ``UserError`` naming ``flag`` where there are fewer.
    """
    if size is None:
        return list(rows)
    if size > len(rows):
        raise UserError(f"{flag} {size}: {task} {split} has {len(rows):,}; expected at most that many")
    return [rows[index] for index in indices(data_seed, task, split, size, len(rows))]


def check_sizes(settings: Mapping[str, Setting], expected: Mapping[str, RowCount], task: str) -> None:
    """Refuse a draw of more than a split is declared to have, before anything is read or trained."""
    asked = (
        ("train_subset", settings["train_split"].value, "rows"),
        ("dev_subset", "dev", "rows"),
        ("test_subset", settings["test_split"].value, "items"),
    )
    for name, split, what in asked:
        size, counts = settings[name].value, expected.get(split)
        if size is not None and counts is not None and size > getattr(counts, what):
            flag, there = "--" + name.replace("_", "-"), getattr(counts, what)
            raise UserError(f"{flag} {size}: {task} {split} has {there:,} {what}; expected at most that many")


def size_of_share(share: float, total: int) -> int:
    """How many of ``total`` a share is, at least one."""
    return max(1, round(share * total))
