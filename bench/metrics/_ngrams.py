"""Equal n-grams as equal numbers, for counting in many texts at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Grams:
    """All n-grams of one n in a list of texts."""

    text: np.ndarray
    """Of every occurrence: which text it is in, ascending."""
    number: np.ndarray
    """Of every occurrence: which n-gram it is, from 0."""
    kinds: int
    """How many different ones there are."""
    begins: np.ndarray
    """Of every kind: the number of its first n-1 words among the shorter n-grams; 0 for single words."""


def number_words(texts: Sequence[Sequence[str]]) -> dict[str, int]:
    """Every word's number, from 0 by first appearance."""
    numbers: dict[str, int] = {}
    for words in texts:
        for word in words:
            numbers.setdefault(word, len(numbers))
    return numbers


def number_ngrams(
    texts: Sequence[Sequence[str]], order: int, numbers: dict[str, int] | None = None
) -> Iterator[Grams]:
    """The n-grams of texts, which are lists of words, for n from 1 to ``order``.

    ``numbers``: the texts' ``vocabulary``, if it is there already.
    """
    import numpy as np

    numbers = number_words(texts) if numbers is None else numbers
    word = np.array([numbers[word] for words in texts for word in words], dtype=np.int64)
    length = np.array([len(words) for words in texts], dtype=np.int64)
    text = np.repeat(np.arange(len(texts)), length)
    remaining = np.repeat(np.cumsum(length), length) - np.arange(
        len(word)
    )  # words from here to the text's end
    position, number = np.arange(len(word)), word
    yield Grams(text, word, len(numbers), np.zeros(len(numbers), dtype=np.int64))
    for n in range(1, order):
        fits = remaining[position] > n
        position, shorter = position[fits], number[fits]
        pairs, first, number = np.unique(
            shorter * max(1, len(numbers)) + word[position + n], return_index=True, return_inverse=True
        )
        yield Grams(text[position], number, len(pairs), shorter[first])


def count_ngrams(owner: np.ndarray, grams: Grams) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often every n-gram occurs in every owner: (owner, n-gram's number, count), sorted.

    ``owner``: of every occurrence, a number.
    """
    import numpy as np

    keys, count = np.unique(owner * grams.kinds + grams.number, return_counts=True)
    owners, number = np.divmod(keys, max(1, grams.kinds))
    return owners, number, count


def find_positions(queries: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``queries`` are among the sorted ``keys``, and where there."""
    import numpy as np

    position = np.searchsorted(keys, queries)
    present = np.flatnonzero(position < len(keys))
    present = present[keys[position[present]] == queries[present]]
    return present, position[present]
