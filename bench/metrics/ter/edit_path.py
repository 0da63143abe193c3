"""The edit path between two texts, by which the search for shifts goes. Texts are strings, a character a word.

tercom fills its table word by word of the hypothesis and does not follow a cell that is more than ``BEAM``
edits worse than the best step into its column. Of equally short ways into a cell the first of these stays:
both words, the hypothesis's word only, the reference's word only. Here the table is computed a column at
once, in the bits of an integer (Myers, 1999; Hyyrö, 2003), as if there were no beam. Only where the path
found that way might leave the beam, the table is filled cell by cell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

BEAM = 20
"""tercom's beam width, in edits."""

Steps = tuple[int, int]
"""How the cells of a column (a word of the hypothesis) are reached, a bit for each word of the reference:
past both words; else past the hypothesis's word (if the bit is 0, past the reference's)."""
Slopes = tuple[int, int]
"""Which cells of a column cost one more, and which one less, than the cell a row before."""


class Path(NamedTuple):
    """How many edits, and what the path does with every word."""

    edits: int
    wrong: bytearray
    """Per word of the hypothesis: 0 if it is matched."""
    missed: bytearray
    """Per word of the reference: 0 if it is matched."""
    alignment: list[int]
    """Per word of the reference: the last word of the hypothesis passed by then, -1 if none is."""


def find_path(words: str, target: str) -> Path:
    """tercom's path from a hypothesis to a reference."""
    steps, slopes = fill_table(words, target)
    path = follow_steps(words, target, steps)
    if path.edits <= BEAM or stays_in_beam(path.alignment, slopes):
        return path
    return follow_steps(words, target, fill_table_with_beam(words, target))


def fill_table(words: str, target: str) -> tuple[list[Steps], list[Slopes]]:
    """The table without a beam, but for the column before the first word, where each row costs one more."""
    matches: dict[str, int] = {}
    for row, word in enumerate(target):
        matches[word] = matches.get(word, 0) | 1 << row
    every = (1 << len(target)) - 1
    higher, lower = every, 0
    steps, slopes = [], []
    for word in words:
        same = matches.get(word, 0)
        level = (
            ((same & higher) + higher) ^ higher | same | lower
        )  # costs what a row and a column before does
        rise = lower | every & ~(level | higher)  # costs one more than a column before
        risen = rise << 1 | 1  # the same, of the row before; the row before the first always rises
        steps.append((same | ~level, rise))
        higher = ((level & higher) << 1 | ~(level | risen)) & every
        lower = risen & level & every
        slopes.append((higher, lower))
    return steps, slopes


def stays_in_beam(alignment: Sequence[int], slopes: Sequence[Slopes]) -> bool:
    """Whether no cell of a path is more than ``BEAM`` worse than any cell of its column; if unsure, no.

    From the path's last cell in a column to any other one, the cost falls by one at most for each row that
    is higher (to the rows before) or lower (to the rows behind) than the row before it. The beam makes no
    cell cheaper, so the path stays the one that is kept. The last column is not cut.
    """
    for number, (higher, lower) in enumerate(slopes[:-1], 1):
        row = bisect_left(alignment, number)
        if (lower >> row).bit_count() > BEAM or (higher & (1 << row) - 1).bit_count() > BEAM:
            return False
    return True


def follow_steps(words: str, target: str, steps: Sequence[Steps]) -> Path:
    """The path, found from its end."""
    row, column = len(target), len(words)
    wrong, missed, alignment = bytearray(b"\1") * column, bytearray(b"\1") * row, [-1] * row
    edits = 0
    while row and column:
        both, hypothesis = steps[column - 1]
        if both >> row - 1 & 1:
            row, column = row - 1, column - 1
            alignment[row] = column
            if words[column] == target[row]:
                wrong[column] = missed[row] = 0
            else:
                edits += 1
        elif hypothesis >> row - 1 & 1:
            column -= 1
            edits += 1
        else:
            row -= 1
            alignment[row] = column - 1
            edits += 1
    return Path(edits + row + column, wrong, missed, alignment)


def fill_table_with_beam(words: str, target: str) -> list[Steps]:
    """The table as tercom fills it, cell by cell. Slow, and seldom needed."""
    most = len(words) + len(target)  # no cell that is reached costs more
    costs, limit = list(range(len(target) + 1)), most
    steps = []
    for number, word in enumerate(words, 1):
        after, best = [most + 1] * len(costs), most
        both = hypothesis = 0
        for row, cost in enumerate(costs):
            if cost > limit:
                continue
            if row < len(target):
                after[row + 1] = cost + (word != target[row])
                best = min(best, after[row + 1])
                both |= 1 << row
            if cost + 1 < after[row]:
                after[row] = cost + 1
                hypothesis |= 1 << row >> 1
                both &= ~(1 << row >> 1)
        limit = best + BEAM if number < len(words) else most
        for row in range(len(target)):
            if after[row] <= limit and after[row] + 1 < after[row + 1]:
                after[row + 1] = after[row] + 1
                both &= ~(1 << row)
                hypothesis &= ~(1 << row)
        costs = after
        steps.append((both, hypothesis))
    return steps
