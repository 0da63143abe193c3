"""ROUGE-L and CIDEr as coco-caption computes them, for E2E. ROUGE-L is 0 to 1, CIDEr 0 to 10.

Restated from their definitions on the tokens of ``bench.metrics._ptb``, and equal to pycocoevalcap's
classes, which take many times longer. ROUGE-L takes the best precision and the best recall over the
references independently. CIDEr (Vedantam et al., 2015; the clipped variant with a length penalty)
weighs n-grams by the references of the set that is scored, so it cannot be compared between sets or
groups; of a set with one item it is 0.

Blank references are left out; an item with none but blank ones keeps one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.metric import Metric, MetricResult, Requirements, Signature
from bench.metrics import _ngrams, _ptb

if TYPE_CHECKING:
    import numpy as np

VERSION = 1
BETA = 1.2
"""How many times more recall counts than precision in ROUGE-L."""
ORDER = 4
SIGMA = 6.0
"""Of CIDEr's length penalty, in words."""


def score_rouge_l(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """Mean over the items of the F score of the longest common subsequence, beta 1.2."""
    outputs, tokenized = tokenize_sides(hypotheses, references)
    values = [_rouge_l(output, refs) for output, refs in zip(outputs, tokenized, strict=True)]
    return MetricResult(
        _mean(values), make_signature({"beta": BETA}, refs=("max-p,max-r", "nonblank")), {"rouge_l": values}
    )


def score_cider(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """CIDEr: n-grams up to 4, sigma 6, document frequencies from these references."""
    outputs, tokenized = tokenize_sides(hypotheses, references)
    values = _cider(
        [text.split() for text in outputs], [[text.split() for text in refs] for refs in tokenized]
    )
    options: Signature = {"order": ORDER, "sigma": f"{SIGMA:g}", "idf": "these-refs"}
    return MetricResult(_mean(values), make_signature(options, refs=("nonblank",)), {"cider": values})


def tokenize_sides(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Both sides tokenised, without blank references."""
    nonblank = [[text for text in refs if text.strip()] or [""] for refs in references]
    flat = iter(_ptb.tokenize_all([text for refs in nonblank for text in refs]))
    return _ptb.tokenize_all(hypotheses), [[next(flat) for _ in refs] for refs in nonblank]


def make_signature(options: Signature, refs: tuple[str, ...]) -> Signature:
    head: Signature = {"impl": "bench", "version": VERSION, "like": "coco-caption"}
    return {**head, **_ptb.make_signature(), **options, "refs": refs}


def _rouge_l(output: str, references: Sequence[str]) -> float:
    """Words are what single blanks separate, so a text without any is one empty word, as in the original."""
    words_of_output = output.split(" ")
    bits: dict[str, int] = {}
    for position, word in enumerate(words_of_output):
        bits[word] = bits.get(word, 0) | 1 << position
    common = []
    for reference in references:
        words = reference.split(" ")
        common.append((_subsequence(bits, len(words_of_output), words), len(words)))
    precision = max(shared for shared, _ in common) / len(words_of_output)
    recall = max(shared / length for shared, length in common)
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _subsequence(bits: dict[str, int], length: int, words: Sequence[str]) -> int:
    """The length of the longest common subsequence (Hyyrö, 2004: a bit for every word of one side).

    ``bits``: for every word of the other side, which is ``length`` long, the bits where it stands.
    """
    everywhere = (1 << length) - 1
    row = everywhere
    for word in words:
        if hits := row & bits.get(word, 0):
            row = (row + hits | row - hits) & everywhere
    return length - row.bit_count()


def _cider(outputs: Sequence[list[str]], references: Sequence[Sequence[list[str]]]) -> list[float]:
    import numpy as np

    texts = [*outputs, *(words for refs in references for words in refs)]
    many = [len(refs) for refs in references]
    item = np.array(
        [*range(len(outputs)), *(i for i, n in enumerate(many) for _ in range(n))], dtype=np.int64
    )
    pairs = np.maximum(
        0, np.array([len(words) for words in texts], dtype=np.int64) - 1
    )  # the length, in bigrams
    penalty = np.exp(-((pairs[item] - pairs) ** 2) / (2 * SIGMA**2))
    similar = np.zeros(len(texts))
    for grams in _ngrams.number_ngrams(texts, ORDER):
        similar += _similarity(grams, item, len(outputs)) * penalty
    total = np.bincount(item[len(outputs) :], weights=similar[len(outputs) :], minlength=len(outputs))
    values: list[float] = (10 * total / ORDER / np.array(many)).tolist()
    return values


def _similarity(grams: _ngrams.Grams, item: np.ndarray, outputs: int) -> np.ndarray:
    """Of every text: the clipped cosine between its weights and its item's output's, for one n."""
    import numpy as np

    text, number, count = _ngrams.count_ngrams(grams.text, grams)
    keys = item[text] * grams.kinds + number
    is_output = text < outputs
    spread = np.unique(keys[~is_output])
    items_with = np.bincount(spread % max(1, grams.kinds), minlength=grams.kinds)
    weight = count * (math.log(max(1, outputs)) - np.log(np.maximum(1, items_with)))[number]
    norm = np.sqrt(np.bincount(text, weights=weight**2, minlength=len(item)))
    shared, match = _ngrams.find_positions(keys, keys[is_output])
    product = np.minimum(weight[shared], weight[is_output][match]) * weight[shared]
    dot = np.bincount(text[shared], weights=product, minlength=len(item))
    both = norm * norm[item]
    quotient: np.ndarray = dot / np.where(both == 0, 1, both)
    return quotient


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


class CocoRougeL(Metric):
    """ROUGE-L as coco-caption computes it (E2E), which is not the ROUGE-L of summaries."""

    name = "rouge_l"
    summary = "ROUGE-L of coco-caption: best precision and best recall over the references, beta 1.2; 0 to 1"

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        return score_rouge_l(hypotheses, references)


class Cider(Metric):
    """CIDEr-D as coco-caption computes it (E2E)."""

    name = "cider"
    summary = "CIDEr-D of coco-caption, weighted by the references of the set that is scored; 0 to 10"
    requirements = Requirements(packages=("numpy",))

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        return score_cider(hypotheses, references)
