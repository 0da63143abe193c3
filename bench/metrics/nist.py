"""NIST with n-grams up to 5, as E2E's scripts count it. Values are what the scripts print: 0 to about 10.

Every matched n-gram weighs log2(how often its first n-1 words occur / how often it occurs) in the
references of the evaluated set (Doddington, 2002). The scripts differ in the length penalty: mteval-v13a
as changed by e2e-metrics divides all reference words by the mean number of references, e2e-metrics' own
Python mteval sums the mean length of each item's references. Where there is no penalty they agree.

Blank references are ignored. Where a script would divide by zero, that part is 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bench.metric import MetricResult, PipelineMetric, Requirements, Scorer, Signature
from bench.metrics import _ngrams

if TYPE_CHECKING:
    import numpy as np

ORDER = 5
VERSION = 1
HALVED_AT = 1.5
"""An output that many times too short scores half."""
ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

Words = list[str]


def score_pymteval(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """As e2e-metrics' Python mteval (``measure_scores.py -p``) prints it.

    There an empty output is one empty word, and an output of fewer than n words takes away from the
    number of n-grams; so it is here.
    """
    outputs = [_words_lower(text) or [""] for text in hypotheses]
    tokenized = [[_words_lower(text) for text in refs if text.strip()] for refs in references]
    information = [matches.bits() for matches in _matches(outputs, tokenized)]
    words = sum(map(len, outputs))
    totals = [words - n * len(outputs) for n in range(ORDER)]
    length = sum(sum(map(len, refs)) / len(refs) for refs in tokenized if refs)
    return MetricResult(_score(information, totals, words, length), _signature("pymteval", "lc"))


def score_mteval(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """As e2e-metrics' mteval-v13a.pl prints it: the published numbers.

    It lower-cases ASCII only, and takes the word ``0`` in front of another for no word at all.
    """
    outputs = [_words_ascii(text) for text in hypotheses]
    tokenized = [[words for words in map(_words_ascii, refs) if words] for refs in references]
    words_known = sum(len(words) for refs in tokenized for words in refs)
    information = [matches.bits(nothing=words_known) for matches in _matches(outputs, tokenized)]
    totals = [max(1, sum(max(0, len(words) - n) for words in outputs)) for n in range(ORDER)]
    mean_references = sum(map(len, tokenized)) / len(tokenized) if tokenized else 0
    length = words_known / mean_references if mean_references else 0
    value = _score(information, totals, sum(map(len, outputs)), length)
    return MetricResult(value, _signature("mteval-v13a", "ascii-lc"))


@dataclass(frozen=True)
class _Matches:
    """The n-grams that outputs share with their references; one entry per kind of n-gram."""

    hits: np.ndarray
    """How often it was matched: at most as often as the reference that has it most often."""
    occurrences: np.ndarray
    """How often it occurs in all references."""
    before: np.ndarray
    """How often its first n-1 words do; for single words, the number of all words."""
    after_zero: np.ndarray
    """Whether those first words are the one word ``0``."""

    def bits(self, nothing: int | None = None) -> float:
        """The information of all matches; after a ``0``, as one of ``nothing`` words, if given."""
        import numpy as np

        before = self.before if nothing is None else np.where(self.after_zero, nothing, self.before)
        return math.fsum((self.hits * np.log2(before / self.occurrences)).tolist())


def _matches(outputs: Sequence[Words], references: Sequence[Sequence[Words]]) -> list[_Matches]:
    """Matches for n from 1 to ``ORDER``."""
    import numpy as np

    texts = [*outputs, *(words for refs in references for words in refs)]
    item = np.array(
        [*range(len(outputs)), *(i for i, refs in enumerate(references) for _ in refs)], dtype=np.int64
    )
    numbers = _ngrams.number_words(texts)
    zero = numbers.get("0", -1)
    before = np.array([sum(map(len, texts[len(outputs) :]))])
    per_order = []
    for n, grams in enumerate(_ngrams.number_ngrams(texts, ORDER, numbers)):
        occurrences = np.bincount(grams.number[grams.text >= len(outputs)], minlength=grams.kinds)
        hits = _hits(grams, item, len(outputs))
        kinds = np.flatnonzero(hits)
        begins = grams.begins[kinds]
        after_zero = (begins == zero) & (n == 1)
        per_order.append(_Matches(hits[kinds], occurrences[kinds], before[begins], after_zero))
        before = occurrences
    return per_order


def _hits(grams: _ngrams.Grams, item: np.ndarray, outputs: int) -> np.ndarray:
    """How often each kind of n-gram is matched; ``item``: of every text; the first texts are the outputs."""
    import numpy as np

    text, number, count = _ngrams.count_ngrams(grams.text, grams)
    keys = item[text] * grams.kinds + number
    of_output = text < outputs
    of_reference = ~of_output
    order = np.argsort(keys[of_reference], kind="stable")
    reference_keys, starts = np.unique(keys[of_reference][order], return_index=True)
    most = np.maximum.reduceat(count[of_reference][order], starts) if len(reference_keys) else count[:0]
    shared, position = _ngrams.find_positions(keys[of_output], reference_keys)
    hits = np.minimum(count[of_output][shared], most[position])
    total = np.zeros(grams.kinds, dtype=np.int64)
    np.add.at(total, number[of_output][shared], hits)
    return total


def _score(information: Sequence[float], totals: Sequence[int], words: int, length: float) -> float:
    """The weighted precisions' sum times the length penalty; ``length`` is the references'."""
    gained = sum(bits / total for bits, total in zip(information, totals, strict=True) if total)
    return gained * _penalty(words / length) if length else 0.0


def _penalty(ratio: float) -> float:
    if ratio >= 1:
        return 1.0
    if ratio <= 0:
        return 0.0
    return math.exp(math.log(0.5) * (math.log(ratio) / math.log(HALVED_AT)) ** 2)


def _words_lower(text: str) -> Words:
    return _tokenizer()(text).lower().split()


def _words_ascii(text: str) -> Words:
    """The script reads its file with blanks squeezed, so no word is joined over a line's end."""
    return _tokenizer()(" ".join(text.split())).translate(ASCII_LOWER).split()


@functools.cache
def _tokenizer() -> Callable[[str], str]:
    """mteval-v13a's tokenisation; it remembers what it has seen."""
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenizer: Callable[[str], str] = Tokenizer13a()
    return tokenizer


def _signature(like: str, case: str) -> Signature:
    import sacrebleu

    return {
        "impl": "bench",
        "version": VERSION,
        "like": like,
        "n": ORDER,
        "case": case,
        "tok": "13a",
        "refs": "nonblank",
        "info": "evaluated-set",
        "sacrebleu": sacrebleu.__version__,
    }


class Nist(PipelineMetric):
    """NIST as e2e-metrics' Python script prints it."""

    name = "nist"
    summary = "NIST with n-grams up to 5, as e2e-metrics' measure_scores.py -p prints it; 0 to about 10"
    requirements = Requirements(packages=("sacrebleu", "numpy"))
    pipelines: ClassVar[Mapping[str, Scorer]] = {"e2e": score_pymteval}
    usual = "e2e"


class NistMteval(PipelineMetric):
    """NIST as published for E2E."""

    name = "nist_mteval"
    summary = "NIST as e2e-metrics' mteval-v13a.pl prints it, the published numbers; 0 to about 10"
    requirements = Requirements(packages=("sacrebleu", "numpy"))
    reported_for = ("e2e",)
    pipelines: ClassVar[Mapping[str, Scorer]] = {"e2e": score_mteval}
