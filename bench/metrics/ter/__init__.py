"""Translation edit rate (Snover et al., 2006) with the search of tercom 0.7.25. Values are 0 to 1, or above 1.

The edits of a hypothesis are the word edits that turn it into a reference, plus the shifts of word blocks
made before; the shifts are searched greedily. WebNLG's and DART's scripts run tercom with its defaults:
case does not matter, nothing is normalised, and the segment's edits are those to the nearest reference,
divided by the references' average length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

from bench.metric import MetricResult, PipelineMetric, Requirements, Scorer, Signature, require_references
from bench.metrics import _preprocess
from bench.metrics.ter.edit_path import BEAM, Path, find_path

MAX_REFERENCES = 3
"""WebNLG and DART: the official scripts use the first three references."""
MAX_DISTANCE = 50
"""A block moves by at most this many words."""
MAX_WORDS = 10
"""A block has at most this many words."""
LONGEST = 20_000
"""In a text of more words no shift is searched, only word edits count. tercom fills tables of the longer
text's length squared, 10 bytes a cell: 4 GB at this length, so beyond it there is no value to equal."""
EDGES = "".join(map(chr, range(33)))
"""What tercom strips from both ends of a text: blanks and control characters."""


def score_webnlg(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """WebNLG 2017: transliterated, lower-cased text, split at non-word characters."""
    return score_tercom(
        hypotheses,
        references,
        _preprocess.prepare_webnlg_hypothesis,
        _preprocess.prepare_webnlg_reference,
        {"ascii": "text-unidecode", "split": "nonword"},
    )


def score_dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """DART: lower-cased text, split at non-word characters, nothing transliterated."""
    return score_tercom(
        hypotheses, references, _preprocess.prepare_dart, _preprocess.prepare_dart, {"split": "nonword"}
    )


def score_tercom(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    prepare_hypothesis: Callable[[str], str],
    prepare_reference: Callable[[str], str],
    preparation: Signature,
) -> MetricResult:
    """All edits divided by the sum of the average reference lengths, with both per segment.

    A blank reference is none, as for the official scripts, which leave those out. An item that has no other is
    refused (``NoReferenceError``): tercom stops at it.
    """
    targets = [
        list(filter(None, (normalize_text(prepare_reference(text)) for text in refs[:MAX_REFERENCES])))
        for refs in references
    ]
    require_references(targets)
    edits, lengths = [], []
    for hypothesis, texts in zip(hypotheses, targets, strict=True):
        words = normalize_text(prepare_hypothesis(hypothesis))
        edits.append(float(min(count_edits(words, text) for text in texts)))
        lengths.append(sum(len(text.split()) for text in texts) / len(texts))
    total, length = math.fsum(edits), math.fsum(lengths)
    signature: Signature = {
        "impl": "bench",
        "as": "tercom-0.7.25",
        "case": "lower",
        **preparation,
        "beam": BEAM,
        "shift": f"{MAX_WORDS}words,{MAX_DISTANCE}far",
        "long": f"{LONGEST}words-unshifted",
        "refs": f"first{MAX_REFERENCES},min-edits,mean-length",
        "blank-refs": "skipped",
    }
    return MetricResult(
        total / length,
        signature,
        {"ter_edits": edits, "ter_reflen": lengths},
    )


def normalize_text(text: str) -> str:
    """Lower-cased words with one blank between them."""
    return _preprocess.squeeze_blanks(text.strip(EDGES).lower())


@lru_cache(maxsize=50_000)
def count_edits(hypothesis: str, reference: str) -> int:
    """Shifts and word edits from one text to another, both of words with blanks between.

    Remembered, because the groups of a test set (all, seen, unseen) are scored one after another.
    """
    words, target = encode_words(hypothesis.split(), reference.split())
    if max(len(words), len(target)) > LONGEST:
        from rapidfuzz.distance import Levenshtein

        return Levenshtein.distance(words, target)
    path, shifts = find_path(words, target), 0
    least = bound_edits(words, target)
    while path.edits > least:
        shifted = find_best_shift(words, target, path, least)
        if shifted is None:
            break
        words, path = shifted
        shifts += 1
    return shifts + path.edits


def encode_words(words: Sequence[str], target: Sequence[str]) -> tuple[str, str]:
    """Both texts with one character for each different word: strings are fast to cut, join and compare.

    Words that the reference does not have need no character of their own, they match nothing.
    """
    codes = {word: chr(number) for number, word in enumerate(dict.fromkeys(target), 1)}
    return "".join(codes.get(word, "\0") for word in words), "".join(codes[word] for word in target)


def bound_edits(words: str, target: str) -> int:
    """No order of the words needs fewer edits than this."""
    common = sum(min(words.count(word), target.count(word)) for word in set(target))
    return max(len(words), len(target)) - common


def find_best_shift(words: str, target: str, path: Path, least: int) -> tuple[str, Path] | None:
    """The words after the shift that saves most, and their path; None if no shift pays for itself.

    Long blocks are tried first; of equally good shifts the first stays. A shift must save at least the one
    edit that it costs. ``least``: edits below which no shift can get.
    """
    from rapidfuzz.distance import Levenshtein

    best: str | None = None
    path_of_best: Path | None = None
    most = path.edits - 1  # what a shift may leave to be the best so far
    for length, moved in list_shifts(words, target, path):
        # Nothing better can come; or tercom's own bound on what so short a block can save.
        if most < least or path.edits - most - 2 >= 2 * length:
            break
        remaining, path_of_moved = Levenshtein.distance(moved, target, score_cutoff=most), None
        # The beam can only add edits, and adds none to a path that stays within it.
        if BEAM < remaining <= most:
            path_of_moved = find_path(moved, target)
            remaining = path_of_moved.edits
        if remaining <= most:
            best, path_of_best, most = moved, path_of_moved, remaining - 1
    return None if best is None else (best, path_of_best or find_path(best, target))


def list_shifts(words: str, target: str, path: Path) -> Iterator[tuple[int, str]]:
    """Block length and words after the shift, for every shift that the path asks for, in tercom's order."""
    movable = list_blocks(words, target, path)
    for length in range(max((longest for _, _, _, longest in movable), default=0), 0, -1):
        for start, position, shortest, longest in movable:
            if shortest <= length <= longest:
                block, rest = words[start : start + length], words[:start] + words[start + length :]
                for to in list_targets(path.alignment, start, position, length):
                    yield length, rest[:to] + block + rest[to:]


def list_blocks(words: str, target: str, path: Path) -> list[tuple[int, int, int, int]]:
    """Where blocks start and where the reference has them, with the shortest and longest length worth moving.

    Some word of a block and some word of its place must be wrong; the place must be near, and its first
    word must not be inside the block.
    """
    movable = []
    positions: dict[str, list[int]] = {}
    for position, word in enumerate(target):
        positions.setdefault(word, []).append(position)
    for start, word in enumerate(words):
        wrong = path.wrong.find(1, start) - start
        if wrong < 0:
            break
        for position in positions.get(word, ()):
            away = path.alignment[position] - start
            if not away or abs(away) > MAX_DISTANCE:
                continue
            missed = path.missed.find(1, position) - position
            longest = min(MAX_WORDS, away) if away > 0 else MAX_WORDS
            if wrong < longest and 0 <= missed < longest:
                length = count_same_words(words, target, start, position, longest)
                if max(wrong, missed) < length:
                    movable.append((start, position, max(wrong, missed) + 1, length))
    return movable


def count_same_words(words: str, target: str, start: int, position: int, most: int) -> int:
    """How many words from ``start`` on are those of the reference from ``at`` on, counted up to ``most``."""
    most = min(most, len(words) - start, len(target) - position)
    length = 0
    while length < most and words[start + length] == target[position + length]:
        length += 1
    return length


def list_targets(alignment: Sequence[int], start: int, position: int, length: int) -> Iterator[int]:
    """Where a block can go, as positions among the other words.

    Behind the word that is aligned with the reference's word in front of the block, and behind each one
    that is aligned with a word of the block; a place inside the block counts on from the block's start.
    """
    aligned = alignment[position - 1 : position + length] if position else [-1, *alignment[:length]]
    for after in dict.fromkeys(aligned):
        if after < start:
            yield after + 1
        elif after > start:
            yield after if after < start + length else after - length + 1


class Ter(PipelineMetric):
    """TER as each task's official script prepares the texts; elsewhere as DART's."""

    name = "ter"
    summary = "translation edit rate with tercom 0.7.25's search for shifts; 0 to 1, or above 1"
    requirements = Requirements(packages=("rapidfuzz",))
    pipelines: ClassVar[Mapping[str, Scorer]] = {"webnlg": score_webnlg, "dart": score_dart}
    usual = "dart"
