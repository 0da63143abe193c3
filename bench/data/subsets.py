"""Parts of a split, drawn at random: the small training sets of §6.3 and §7.5, their dev sets, a test slice.

The authors' subset files are not published, so the draws are ours: without replacement, uniform, from a
generator that is named by (data seed, task, split, size). They depend neither on the training seed nor on
each other, and sizes are not nested: 100 rows of one data seed are not 50 rows and 50 more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from bench.errors import UserError
from bench.system.rng import draw_permutation

T = TypeVar("T")


def draw_indices(data_seed: int, task: str, split: str, size: int, total: int) -> list[int]:
    """``size`` of the numbers 0 to ``total`` - 1, ascending; the same on every machine."""
    return sorted(draw_permutation(data_seed, f"subset/{task}/{split}/{size}", total)[:size])


def draw(rows: Sequence[T], size: int | None, data_seed: int, task: str, split: str, flag: str) -> list[T]:
    """``size`` of ``rows`` in their own order; all of them where ``size`` is None.

    Raises ``UserError`` naming ``flag`` where there are fewer.
    """
    if size is None:
        return list(rows)
    if size > len(rows):
        raise UserError(f"{flag} {size}: {task} {split} has {len(rows):,}; expected at most that many")
    return [rows[index] for index in draw_indices(data_seed, task, split, size, len(rows))]


def compute_share_size(share: float, total: int) -> int:
    """How many of ``total`` a share is, at least one."""
    return max(1, round(share * total))
