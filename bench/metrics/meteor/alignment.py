"""METEOR's alignment: which of the possible matches are used together.

A beam search over the reference from left to right. It wants many matched words, then few chunks
(runs that are contiguous in both sentences), then a small distance; what it counts exactly is said
where it is counted, because ties are frequent and decide scores.

A path is a tuple, as hundreds of thousands are made: its key (smaller is better; ``WORD`` per matched
word off it, ``CHUNK`` per closed chunk and the distance on it), where in the hypothesis its open chunk
ends or -1, the next place of the reference, the places of the hypothesis it uses, and its matches as
nested pairs, the last outside. Places are a set of bits in an int, or a frozenset if there are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from bench.metrics.meteor.matching import EXACT, Match

BEAM = 40
CHUNK = 1 << 64
WORD = 1 << 96
NO_LIMIT = 1 << 256
CUT = 2 * BEAM
"""How many paths are collected before the worst are dropped; changes nothing but the speed."""
MANY = 4096
"""Hypotheses with more words have frozensets for places."""

Path = tuple[int, int, int, Any, Any]
Step = tuple[Any, int, int, int, int, int, tuple[Match, ...]]
"""A match as the search uses it: places, key, begin and end in the hypothesis, distance, next, itself."""

by_key = itemgetter(0)


class Alignment(NamedTuple):
    matches: list[Match]
    chunks: int


def align_sentences(lists: Sequence[Sequence[Match]], hypothesis_length: int) -> Alignment:
    """The best alignment among the matches that begin at each place of the reference."""
    certain = find_undisputed(lists, hypothesis_length)
    many = hypothesis_length > MANY
    paths: list[Path] = [(0, -1, 0, frozenset() if many else 0, None)]
    position = 0
    while position < len(lists):
        if certain[position] is None and lists[position]:
            paths = branch_paths(paths, [make_step(match, many) for match in lists[position]], position)
            position += 1
            continue
        stop = position + 1
        if all(path[2] <= position for path in paths):
            while stop < len(lists) and (certain[stop] is not None or not lists[stop]):
                stop += 1
        paths = continue_paths(paths, certain[position:stop], position)
        position = stop
    best = min(
        ((path[0] + CHUNK if path[1] != -1 else path[0], path[4]) for path in paths[:BEAM]), key=by_key
    )
    groups, node = [], best[1]
    while node:
        groups.append(node[0])
        node = node[1]
    matches = [match for group in reversed(groups) for match in group]
    return Alignment(matches, (best[0] // CHUNK) % (WORD // CHUNK))


def make_step(match: Match, many: bool) -> Step:
    start, length, begin, other_length, module = match
    end = begin + other_length
    used = frozenset(range(begin, end)) if many else (1 << end) - (1 << begin)
    # Other than exact matches count half, rounded down on either side: one stem or synonym is nothing.
    matched = length + other_length if module == EXACT else length // 2 + other_length // 2
    return used, -WORD * matched, begin, end, abs(start - begin), start + length, (match,)


def branch_paths(  # noqa: C901 - METEOR spends its time in this loop
    paths: Sequence[Path], steps: Sequence[Step], position: int
) -> list[Path]:
    """Each path with each match that is possible here, and with none; the best first.

    The distance of a match counts only against the alternatives that come after it in the list and
    against using none of them.
    """
    result: list[Path] = []
    add = result.append
    limit = NO_LIMIT  # what is not below it would not be among the best, even if added
    best_gain = min(option[1] for option in steps)
    for path in paths[:BEAM]:
        key, last, following, used, chosen = path
        if key + best_gain >= limit:
            break
        if following > position:  # inside a phrase
            if key < limit:
                add(path)
            continue
        for occupied, gain, begin, end, distance, after, matches in steps:
            if not occupied & used:
                new = key + gain + CHUNK if last != begin and last != -1 else key + gain
                if new < limit:
                    add((new, end, after, used | occupied, (matches, chosen)))
                key += distance
        if last != -1:
            key += CHUNK
        if key < limit:
            add((key, -1, position + 1, used, chosen))
        if len(result) > CUT:
            result.sort(key=by_key)
            del result[BEAM:]
            limit = result[-1][0]
    result.sort(key=by_key)
    return result


def continue_paths(paths: Sequence[Path], certain: Sequence[Match | None], position: int) -> list[Path]:
    """The paths over places where nothing is to be chosen: undisputed matches and unmatched words.

    Paths differ in what their first step costs; after it all of them stand at the same place.
    """
    added, last, after, matches = follow_undisputed(certain, position)
    first = certain[0]
    begin = -1 if first is None else first.other_start
    result: list[Path] = []
    for path in paths[:BEAM]:
        if path[2] > position:  # inside a phrase
            result.append(path)
            continue
        key = path[0] + added
        if path[1] not in (-1, begin):
            key += CHUNK
        result.append((key, last, after, path[3], (matches, path[4]) if matches else path[4]))
    result.sort(key=by_key)
    return result


def follow_undisputed(certain: Sequence[Match | None], start: int) -> tuple[int, int, int, tuple[Match, ...]]:
    """What these places add to a key, where they leave the hypothesis and the reference, and matches."""
    key, last, after, matches = 0, -1, start, []
    for position, match in enumerate(certain, start):
        if position < after:  # inside an undisputed phrase
            continue
        if match is None:
            key, last, after = key + CHUNK if last != -1 else key, -1, position + 1
        else:
            _, gain, begin, end, distance, after, _ = make_step(match, False)
            key += gain + distance + (CHUNK if last not in (-1, begin) else 0)
            last = end
            matches.append(match)
    return key, last, after, tuple(matches)


def find_undisputed(lists: Sequence[Sequence[Match]], hypothesis_length: int) -> list[Match | None]:
    """The matches that no other touches, in either sentence: they are part of every alignment."""
    covered, other_covered = [0] * len(lists), [0] * hypothesis_length
    for matches in lists:
        for start, length, begin, other_length, _ in matches:
            for position in range(start, start + length):
                covered[position] += 1
            for position in range(begin, begin + other_length):
                other_covered[position] += 1
    return [
        matches[0]
        if len(matches) == 1
        and all(covered[matches[0].start + position] == 1 for position in range(matches[0].length))
        and all(
            other_covered[matches[0].other_start + position] == 1
            for position in range(matches[0].other_length)
        )
        else None
        for matches in lists
    ]
