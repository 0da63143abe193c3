"""Which words and phrases of two sentences METEOR lets stand for each other.

Four matchers in this order: same word, same stem, common synset, paraphrase. A ``Lexicon`` knows all
sentences of an evaluation, so that what a word or a phrase can match is worked out once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, compress
from typing import NamedTuple

from bench.metrics.meteor import resources
from bench.metrics.meteor.stemmer import stem
from bench.metrics.meteor.text import hash_like_java

EXACT, STEM, SYNONYM, PARAPHRASE = range(4)
LONGEST_PHRASE = 7
"""Words in the longest phrase of the paraphrase table."""
BLOCK = 256
"""From how many words on phrases are collected at a time."""
MOST = 8000
"""Matches considered per place of the reference. The official program runs out of memory before that,
which takes a hypothesis that repeats one word thousands of times."""


Place = tuple[int, int]
"""Start and length, in words."""


class Match(NamedTuple):
    """``length`` words of the reference from ``start`` and ``other_length`` of the hypothesis."""

    start: int
    length: int
    other_start: int
    other_length: int
    module: int


@dataclass
class Sentence:
    """A text's tokens with what finds them."""

    words: tuple[str, ...]
    keys: tuple[int, ...]
    is_function: tuple[bool, ...]
    places: dict[str, list[int]]
    """Word -> where it is."""
    phrases: list[tuple[Place, str]] = field(default_factory=list)
    """Those that have paraphrases somewhere in the evaluation."""
    paraphrases: dict[str, list[Place]] = field(default_factory=dict)
    """Phrase -> its places, of those that are a paraphrase of one in the evaluation."""
    paraphrase_set: frozenset[str] = frozenset()


class Lexicon:
    """The sentences of one evaluation and what matches what in them."""

    def __init__(self, texts: Iterable[Sequence[str]], data: resources.Words) -> None:
        self.data = data
        self.sentences: dict[tuple[str, ...], Sentence] = {}
        for text in texts:
            words = tuple(text)
            if words not in self.sentences:
                self.sentences[words] = self._sentence(words)
        self._index_words()
        self._index_phrases(resources.load_paraphrases())

    def _sentence(self, words: tuple[str, ...]) -> Sentence:
        positions: dict[str, list[int]] = {}
        for position, word in enumerate(words):
            positions.setdefault(word, []).append(position)
        is_function = tuple(word in self.data.function_words for word in words)
        return Sentence(words, tuple(map(hash_word, words)), is_function, positions)

    def _index_words(self) -> None:
        self.alike: dict[str, dict[str, list[int]]] = {}
        self._groups: tuple[dict[object, list[str]], ...] = tuple(defaultdict(list) for _ in range(3))
        vocabulary = dict.fromkeys(word for words in self.sentences for word in words)
        for word in vocabulary:
            for group, keys in zip(self._groups, self._keys(word), strict=True):
                for key in keys:
                    group[key].append(word)

    def _keys(self, word: str) -> tuple[Iterable[object], ...]:
        """What the word is known by to each of the matchers of words."""
        return (hash_word(word),), (hash_stem(word),), find_meanings(word)

    def matching(self, word: str) -> dict[str, list[int]]:
        """The words of the evaluation that match a word, each with the matchers that say so."""
        if (matchers := self.alike.get(word)) is None:
            matchers = {}
            for module, keys in enumerate(self._keys(word)):
                candidates = {candidate for key in keys for candidate in self._groups[module][key]}
                for candidate in candidates:
                    if module == EXACT or hash_word(candidate) != hash_word(word):
                        matchers.setdefault(candidate, []).append(module)
            self.alike[word] = matchers
        return matchers

    def _index_phrases(self, table: resources.Paraphrases) -> None:
        """Note the phrases of the evaluation's sentences that have paraphrases in it, and these."""
        seen: set[str] = set()
        for words in self.sentences:
            for _, _, runs in list_phrases(words):
                seen.update(runs)
        self.paraphrases: dict[str, tuple[list[str], frozenset[str]]] = {}
        for phrase in seen.intersection(table.rows):
            if options := [paraphrase for paraphrase in table.of(phrase) if paraphrase in seen]:
                self.paraphrases[phrase] = options, frozenset(options)
        targets = {paraphrase for options, _ in self.paraphrases.values() for paraphrase in options}
        relevant = targets.union(self.paraphrases)
        for sentence in self.sentences.values():
            for first, spans, runs in list_phrases(sentence.words):
                hits = compress(zip(spans, runs, strict=True), map(relevant.__contains__, runs))
                for (start, length), phrase in hits:
                    if phrase in self.paraphrases:
                        sentence.phrases.append(((first + start, length), phrase))
                    if phrase in targets:
                        sentence.paraphrases.setdefault(phrase, []).append((first + start, length))
            sentence.paraphrase_set = frozenset(sentence.paraphrases)

    def candidates(self, hypothesis: Sentence, reference: Sentence) -> list[list[Match]]:
        """Per place of the reference the matches that begin there, in METEOR's order."""
        lists: list[list[Match]] = [[] for _ in reference.words]
        for start, word in enumerate(reference.words):
            words = [
                (module, position)
                for candidate, modules in self.matching(word).items()
                if candidate in hypothesis.places
                for module in modules
                for position in hypothesis.places[candidate][:MOST]
            ]
            words.sort()
            lists[start] = [Match(start, 1, position, 1, module) for module, position in words]
        for (start, length), phrase in reference.phrases:
            for position, other_length in self._occurrences(phrase, hypothesis):
                lists[start].append(Match(start, length, position, other_length, PARAPHRASE))
        for (position, other_length), phrase in hypothesis.phrases:
            for start, length in self._occurrences(phrase, reference):
                lists[start].append(Match(start, length, position, other_length, PARAPHRASE))
        for matches in lists:
            del matches[MOST:]
        return lists

    def _occurrences(self, phrase: str, sentence: Sentence) -> list[Place]:
        """The places of the phrase's paraphrases in a sentence: in table order, then left to right."""
        options, as_set = self.paraphrases[phrase]
        if as_set.isdisjoint(sentence.paraphrase_set):
            return []
        return [span for paraphrase in options for span in sentence.paraphrases.get(paraphrase, ())[:MOST]]


def list_phrases(words: Sequence[str]) -> Iterator[tuple[int, list[Place], list[str]]]:
    """All runs of words that are short enough for the paraphrase table: by start, then by length.

    In blocks, as a text may have a million words: the place of the block's first word, each run's
    place in the block, and the runs.
    """
    for first in range(0, len(words), BLOCK):
        block = words[first : first + BLOCK + LONGEST_PHRASE - 1]
        text = " ".join(block)
        stops = [end - 1 for end in accumulate(len(word) + 1 for word in block)]
        begins = [0, *(end + 1 for end in stops)]
        runs = [
            text[begins[start] : end]
            for start in range(min(BLOCK, len(block)))
            for end in stops[start : start + LONGEST_PHRASE]
        ]
        yield first, list_spans(len(block)), runs


@lru_cache(maxsize=BLOCK)
def list_spans(length: int) -> list[Place]:
    """Start and length of the runs in a block of so many words."""
    return [
        (start, stop - start)
        for start in range(min(BLOCK, length))
        for stop in range(start + 1, min(start + LONGEST_PHRASE, length) + 1)
    ]


@lru_cache(maxsize=1 << 17)
def hash_word(word: str) -> int:
    return hash_like_java(word)


@lru_cache(maxsize=1 << 17)
def hash_stem(word: str) -> int:
    return hash_like_java(stem(word))


@lru_cache(maxsize=1 << 17)
def find_meanings(word: str) -> frozenset[str]:
    return resources.read_words().meanings(word)
