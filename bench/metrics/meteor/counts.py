"""METEOR 1.5's numbers: counts of one sentence pair, their sum over a test set, the score of counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.metrics.meteor.alignment import Alignment
from bench.metrics.meteor.matching import Sentence

WEIGHTS = (1.0, 0.6, 0.8, 0.6)
"""Of exact, stem, synonym and paraphrase matches (English, task "rank")."""
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
"""English, task "rank": recall's share, the penalty's power and weight, content words' weight."""


class Side(NamedTuple):
    """Counts of one side, hypothesis or reference. Matched words are per matcher."""

    length: int
    function: int
    content_matches: tuple[int, ...]
    function_matches: tuple[int, ...]

    def weighted_length(self) -> float:
        return DELTA * (self.length - self.function) + (1 - DELTA) * self.function

    def weighted_matches(self) -> float:
        # In this order, and not factored out: the last digit decides between equally good references.
        total = 0.0
        for weight, matched in zip(WEIGHTS, self.content_matches, strict=True):
            total += weight * matched * DELTA
        for weight, matched in zip(WEIGHTS, self.function_matches, strict=True):
            total += weight * matched * (1.0 - DELTA)
        return total

    def matches(self) -> int:
        return sum(self.content_matches) + sum(self.function_matches)


@dataclass(frozen=True)
class Counts:
    """Everything that the score of a pair, or of a set of pairs, is made of."""

    hypothesis: Side
    reference: Side
    chunks: int

    def score(self) -> float:
        """0 to 1."""
        matched, length = self.hypothesis.weighted_matches(), self.hypothesis.weighted_length()
        if not matched or not self.reference.weighted_matches():
            return 0.0
        precision = matched / length
        recall = self.reference.weighted_matches() / self.reference.weighted_length()
        mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall)
        return mean * (1.0 - self.penalty())

    def penalty(self) -> float:
        """For words in another order: none if both sentences match whole, in one piece."""
        if self.whole():
            return 0.0
        mean_matches: float = (self.hypothesis.matches() + self.reference.matches()) / 2
        return GAMMA * math.pow(self.chunks / mean_matches, BETA)

    def whole(self) -> bool:
        hypothesis, reference = self.hypothesis, self.reference
        return (
            self.chunks == 1
            and hypothesis.matches() == hypothesis.length
            and reference.matches() == reference.length
        )


def count_matches(hypothesis: Sentence, reference: Sentence, alignment: Alignment) -> Counts:
    by_hypothesis = [[0] * len(WEIGHTS), [0] * len(WEIGHTS)]
    by_reference = [[0] * len(WEIGHTS), [0] * len(WEIGHTS)]
    for start, length, other_start, other_length, module in alignment.matches:
        for position in range(other_start, other_start + other_length):
            by_hypothesis[hypothesis.is_function[position]][module] += 1
        for position in range(start, start + length):
            by_reference[reference.is_function[position]][module] += 1
    return Counts(make_side(hypothesis, by_hypothesis), make_side(reference, by_reference), alignment.chunks)


def make_side(sentence: Sentence, matches: Sequence[Sequence[int]]) -> Side:
    return Side(len(sentence.words), sum(sentence.is_function), tuple(matches[0]), tuple(matches[1]))


def sum_counts(counts: Iterable[Counts]) -> Counts:
    """The counts of a test set: sums of everything; the chunk of a pair that matches whole is left out."""
    rows = list(counts)
    return Counts(
        add_sides([row.hypothesis for row in rows]),
        add_sides([row.reference for row in rows]),
        sum(row.chunks for row in rows if not row.whole()),
    )


def add_sides(sides: Sequence[Side]) -> Side:
    return Side(
        sum(side.length for side in sides),
        sum(side.function for side in sides),
        tuple(map(sum, zip(*(side.content_matches for side in sides), strict=True))),
        tuple(map(sum, zip(*(side.function_matches for side in sides), strict=True))),
    )
