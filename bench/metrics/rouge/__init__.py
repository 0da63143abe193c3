"""ROUGE of summaries: the library's, that of the script ROUGE-1.5.5, and the authors' way to average.

All values are F1 from 0 to 1, averaged over the items; segments hold each item's. There is a class for
each. Three ways to stem:

- ``rouge1`` ...: the rouge-score library with its stemmer, which is what the authors used
  (``rouge1_original`` ...: averaged as they did, too).
- ``rouge1_155m`` ...: the script with ``-m``: WordNet's irregular forms first ("held" is "hold"), then its
  own Porter stemmer. About 0.3 points above the library's ROUGE-1 on XSum; older papers report this one.
  ``UnavailableError`` without the irregular forms.
- ``rouge1_155`` ...: the script without ``-m``, which is the library without stemmer.

Each takes letters a to z and digits only: any other character, accented letters too, separates words
("café" is "caf"). A text is one sentence to ROUGE-L, whatever line breaks it has. With several references an
item gets its best one's F1, for each kind alone (the library's ``score_multi``; the script would average
over the references unless told otherwise).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, ClassVar

from bench.metric import Metric, MetricResult, Requirements, Signature, SignatureValue
from bench.metrics.rouge import porter
from bench.metrics.rouge.irregular import describe_source, find_base_form

if TYPE_CHECKING:
    import numpy as np
    from rouge_score.rouge_scorer import RougeScorer

KINDS = ("rouge1", "rouge2", "rougeL")
LIBRARY, SCRIPT_STEMMED, SCRIPT = "library", "155m", "155"
STEMMED_FROM = 4
"""Shorter words are left alone, by the library and by the script."""
RESAMPLES = 1000
"""How many resamples the library's bootstrap takes."""
SUMMARIES = ("xsum", "xsum-news-to-sports", "xsum-within-news")
"""The tasks whose outputs are summaries."""
AUTHORS_BATCH, AUTHORS_SEED = 10, 101
"""The batch size of the authors' evaluation, and their seed for everything."""

Words = Callable[[str], list[str]]
Values = tuple[float, float, float]
"""F1 of each of ``KINDS``."""


def score_rouge(
    way: str, kind: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> MetricResult:
    """One kind of ROUGE, by one of the three ways to get words."""
    rows = score_items(way, tuple(hypotheses), tuple(tuple(refs) for refs in references))
    values = [row[KINDS.index(kind)] for row in rows]
    most = max(len(refs) for refs in references)
    signature: dict[str, SignatureValue] = {
        **describe_implementation(way),
        kind: None,
        "measure": "f1",
        "mean": "items",
        "case": "lower",
        "words": "a-z0-9(other letters dropped)",
        "stem": describe_stemming(way),
        "nrefs": "1" if most == 1 else "best-f-of-several",
    }
    if kind == "rougeL":
        signature["sentences"] = "whole-text"
    return MetricResult(sum(values) / len(values), signature, {make_score_name(way, kind): values})


def make_score_name(way: str, kind: str) -> str:
    """What a score is called in tasks and records."""
    return kind if way == LIBRARY else f"{kind}_{way}"


def score_original(
    kind: str,
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    batch_size: int = AUTHORS_BATCH,
    seed: int = AUTHORS_SEED,
) -> MetricResult:
    """One kind of the library's, averaged as the authors' evaluation did.

    For each batch, in the items' order, the median of 1,000 resampled means, as percent rounded to 4
    digits; then the mean over the batches, whatever their sizes. The median of few skewed values is low:
    on real XSum outputs in tens, 0.07 points of ROUGE-1 and 0.17 of ROUGE-2 below the mean. The draws came
    from a global state; here they come from ``seed``. The authors' references were the labels as cut for
    the model and decoded again: that is left to the caller, for it needs the tokenizer. Values are 0 to 1
    here, too.
    """
    import numpy as np

    from bench.system.rng import derive_seed

    plain = score_rouge(LIBRARY, kind, hypotheses, references)
    generator = np.random.default_rng(derive_seed(seed, f"rouge/{kind}"))
    value = average_batches(plain.segments[kind], batch_size, generator)
    mean = f"batches-of-{batch_size}-of-bootstrap-medians(n={RESAMPLES},seed={seed})"
    return MetricResult(value, {**plain.signature, "mean": mean})


def average_batches(values: Sequence[float], batch_size: int, generator: np.random.Generator) -> float:
    """The mean over batches of the median of resampled means, each as percent rounded to 4 digits."""
    import numpy as np

    batches = [np.asarray(values[i : i + batch_size]) for i in range(0, len(values), batch_size)]
    middles = [round(100 * resample_median(batch, generator), 4) for batch in batches]
    return float(np.mean(middles)) / 100


def resample_median(values: np.ndarray, generator: np.random.Generator) -> float:
    """The median of the means of 1,000 resamples, each as large as ``values``."""
    import numpy as np

    chosen = generator.integers(len(values), size=(RESAMPLES, len(values)))
    return float(np.median(values[chosen].mean(axis=1)))


def describe_implementation(way: str) -> Signature:
    """Which program the numbers are those of, and what computed them."""
    library: Signature = {"rouge-score": None, "version": version("rouge-score")}
    options = {SCRIPT_STEMMED: "-m", SCRIPT: "none"}
    return library if way == LIBRARY else {"as-ROUGE-1.5.5": None, "options": options[way], **library}


def describe_stemming(way: str) -> str:
    """What the signature says of stems."""
    if way == LIBRARY:
        return f"nltk-{version('nltk')}-porter(len>3)"
    return "none" if way == SCRIPT else f"{describe_source()}+porter-155(len>3)"


@lru_cache(maxsize=6)
def score_items(
    way: str, hypotheses: tuple[str, ...], references: tuple[tuple[str, ...], ...]
) -> tuple[Values, ...]:
    """Every item's three values; kept, for the kinds are asked for one after the other."""
    words = {LIBRARY: split_like_library, SCRIPT: split_like_script, SCRIPT_STEMMED: stem_like_script}[way]
    scorer = ItemScorer(words)
    return tuple(
        scorer.best(hypothesis, refs) for hypothesis, refs in zip(hypotheses, references, strict=True)
    )


class ItemScorer:
    """The three values of one item at a time, from words that ``words`` finds in a text.

    The n-grams are counted by the library. The longest common subsequence is ours: the library's table
    takes seconds and hundreds of megabytes where an output is very long.
    """

    def __init__(self, words: Words) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        self.tokenize = lru_cache(maxsize=2)(words)  # the last reference and the hypothesis
        self.scorer: RougeScorer = RougeScorer(["rouge1", "rouge2"], tokenizer=self)

    def best(self, hypothesis: str, references: Sequence[str]) -> Values:
        """The highest value of each kind over the references."""
        triples = [self.one(hypothesis, reference) for reference in references]
        first, second, longest = (max(values) for values in zip(*triples, strict=True))
        return first, second, longest

    def one(self, hypothesis: str, reference: str) -> Values:
        from rouge_score.scoring import fmeasure

        grams = self.scorer.score(reference, hypothesis)
        expected, produced = self.tokenize(reference), self.tokenize(hypothesis)
        common = measure_common_subsequence(expected, produced)
        longest = fmeasure(common / len(produced), common / len(expected)) if common else 0.0
        return float(grams["rouge1"].fmeasure), float(grams["rouge2"].fmeasure), float(longest)


def measure_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence.

    Bit-parallel (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004): bit i of ``row`` is 0
    where the table's row grows at column i, so one step per word of the longer text does a whole row.
    """
    short, long = sorted((first, second), key=len)
    bits: dict[str, int] = {}
    for index, word in enumerate(short):
        bits[word] = bits.get(word, 0) | 1 << index
    everything = (1 << len(short)) - 1
    row = everything
    for word in long:
        hits = row & bits.get(word, 0)
        row = ((row + hits) | (row - hits)) & everything
    return len(short) - row.bit_count()


def split_like_library(text: str) -> list[str]:
    """The library's words, each distinct one stemmed once."""
    from rouge_score.tokenize import tokenize

    words: list[str] = tokenize(text, make_library_stemmer())
    return words


@cache
def make_library_stemmer() -> Remembering:
    """The stemmer that the library would make for itself."""
    from nltk.stem.porter import PorterStemmer

    return Remembering(PorterStemmer().stem)


class Remembering:
    """A stemmer that remembers what it stemmed."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        self.stem = lru_cache(maxsize=1 << 16)(stem)


def split_like_script(text: str) -> list[str]:
    """The script's words: it reads bytes, so only ASCII letters are lower-cased."""
    return [word.lower() for word in re.findall("[A-Za-z0-9]+", text)]


def stem_like_script(text: str) -> list[str]:
    """The script's words with ``-m``."""
    return [word if len(word) < STEMMED_FROM else find_script_stem(word) for word in split_like_script(text)]


def find_script_stem(word: str) -> str:
    """A word's base where WordNet lists one, else its stem."""
    return find_base_form(word) or porter.stem(word)


class _Rouge(Metric):
    """One kind by one way to get words."""

    requirements = Requirements(packages=("rouge-score", "nltk"))
    kind: ClassVar[str]
    way: ClassVar[str] = LIBRARY

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        return score_rouge(self.way, self.kind, hypotheses, references)


class _OriginalRouge(_Rouge):
    """One kind of the library's, averaged as the authors did."""

    requirements = Requirements(packages=("rouge-score", "nltk", "numpy"))
    reported_for = SUMMARIES

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        return score_original(self.kind, hypotheses, references)


class _StemmedScriptRouge(_Rouge):
    requirements = Requirements(packages=("rouge-score", "pycocoevalcap"))
    reported_for = SUMMARIES
    way = SCRIPT_STEMMED


class _ScriptRouge(_Rouge):
    requirements = Requirements(packages=("rouge-score",))
    way = SCRIPT


class Rouge1(_Rouge):
    name = "rouge1"
    summary = "ROUGE-1 of summaries, F1, as the rouge-score library computes it with its stemmer; 0 to 1"
    kind = "rouge1"


class Rouge2(_Rouge):
    name = "rouge2"
    summary = "ROUGE-2 of summaries, F1, as the rouge-score library computes it with its stemmer; 0 to 1"
    kind = "rouge2"


class RougeL(_Rouge):
    name = "rougeL"
    summary = "ROUGE-L of summaries, F1, as the rouge-score library computes it with its stemmer; 0 to 1"
    kind = "rougeL"


class OriginalRouge1(_OriginalRouge):
    name = "rouge1_original"
    summary = "ROUGE-1 of summaries, F1, averaged over batches' bootstrap medians, as the authors did; 0 to 1"
    kind = "rouge1"


class OriginalRouge2(_OriginalRouge):
    name = "rouge2_original"
    summary = "ROUGE-2 of summaries, F1, averaged over batches' bootstrap medians, as the authors did; 0 to 1"
    kind = "rouge2"


class OriginalRougeL(_OriginalRouge):
    name = "rougeL_original"
    summary = "ROUGE-L of summaries, F1, averaged over batches' bootstrap medians, as the authors did; 0 to 1"
    kind = "rougeL"


class StemmedScriptRouge1(_StemmedScriptRouge):
    name = "rouge1_155m"
    summary = "ROUGE-1 of summaries, F1, as ROUGE-1.5.5 -m prints it; 0 to 1"
    kind = "rouge1"


class StemmedScriptRouge2(_StemmedScriptRouge):
    name = "rouge2_155m"
    summary = "ROUGE-2 of summaries, F1, as ROUGE-1.5.5 -m prints it; 0 to 1"
    kind = "rouge2"


class StemmedScriptRougeL(_StemmedScriptRouge):
    name = "rougeL_155m"
    summary = "ROUGE-L of summaries, F1, as ROUGE-1.5.5 -m prints it; 0 to 1"
    kind = "rougeL"


class ScriptRouge1(_ScriptRouge):
    name = "rouge1_155"
    summary = "ROUGE-1 of summaries, F1, as ROUGE-1.5.5 without -m prints it; 0 to 1"
    kind = "rouge1"


class ScriptRouge2(_ScriptRouge):
    name = "rouge2_155"
    summary = "ROUGE-2 of summaries, F1, as ROUGE-1.5.5 without -m prints it; 0 to 1"
    kind = "rouge2"


class ScriptRougeL(_ScriptRouge):
    name = "rougeL_155"
    summary = "ROUGE-L of summaries, F1, as ROUGE-1.5.5 without -m prints it; 0 to 1"
    kind = "rougeL"
