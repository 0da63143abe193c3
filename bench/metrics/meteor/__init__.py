"""METEOR 1.5 as each task's official script calls it (English, ``-norm``). Values are 0 to 1.

Computed here without Java, equal to the official program on every segment: so every machine gets the
same number by the same code. ``BENCH_JAVA=1`` has the official program do it instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from bench.metric import MetricResult, PipelineMetric, Requirements, Scorer, Signature, require_references
from bench.metrics import _official, _preprocess
from bench.metrics.meteor import resources
from bench.metrics.meteor.alignment import Alignment, align_sentences
from bench.metrics.meteor.counts import Counts, count_matches, sum_counts
from bench.metrics.meteor.java import run_meteor_jar
from bench.metrics.meteor.matching import EXACT, Lexicon, Match, Sentence
from bench.metrics.meteor.text import tokenize_text
from bench.system.garbage import pause_garbage_collection

MAX_REFERENCES = 3
"""WebNLG and DART: the official scripts use the first three references."""
SETTINGS: Signature = {
    "METEOR": None,
    "version": "1.5",
    "lang": "en",
    "norm": None,
    "task": "rank",
    "case": "lower",
}


def score_e2e(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """E2E: on the tokens of coco-caption's Penn Treebank tokeniser, all references.

    The texts are tokenised as lines of one file, as the official script does: what follows can decide
    whether a final "B." keeps its full stop.
    """
    from bench.metrics import _ptb, coco

    require_references(references)
    outputs, refs = coco.tokenize_sides(hypotheses, references)
    ptb = _ptb.make_signature()

    def apart(text: str) -> str:
        return text.replace("|||", "")  # what separates texts in the official protocol

    return score_prepared(
        [apart(text) for text in outputs],
        [[apart(text) for text in prepared] for prepared in refs],
        {**ptb, "case": (str(SETTINGS["case"]), str(ptb["case"])), "refs": "all"},
    )


def score_webnlg(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """WebNLG 2017: on transliterated lower-case text split at non-word characters, three references."""
    return score_prepared(
        [_preprocess.prepare_webnlg_hypothesis(text) for text in hypotheses],
        prepare_first_three(references, _preprocess.prepare_webnlg_reference),
        {"ascii": "text-unidecode", "split": "nonword", "refs": "first3"},
    )


def score_dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """DART: on lower-case text split at non-word characters, three references."""
    return score_prepared(
        [_preprocess.prepare_dart(text) for text in hypotheses],
        prepare_first_three(references, _preprocess.prepare_dart),
        {"split": "nonword", "refs": "first3"},
    )


def score_plain(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """On the texts as they are, all references: what the official program does when nothing is said."""
    return score_prepared(hypotheses, drop_blanks(references), {"refs": "all"})


def prepare_first_three(
    references: Sequence[Sequence[str]], prepare: Callable[[str], str]
) -> list[list[str]]:
    return drop_blanks([[prepare(text) for text in refs[:MAX_REFERENCES]] for refs in references])


def drop_blanks(references: Sequence[Sequence[str]]) -> list[list[str]]:
    """The references that are not blank; ``NoReferenceError`` where an item has no other.

    Blank ones score 0, but the first of several zeros would lend its length to the corpus score.
    """
    require_references(references)
    return [[text for text in refs if text.strip()] for refs in references]


def score_prepared(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], preparation: Signature
) -> MetricResult:
    """The score of prepared texts, with a signature that says who computed it from which data."""
    outputs = [join_lines(text) for text in hypotheses]
    truths = [[join_lines(text) for text in refs] for refs in references]
    use_jar = _official.is_jar_requested()
    value, segments = (run_meteor_jar if use_jar else score_without_java)(outputs, truths)
    made: Signature = {"impl": "jar" if use_jar else "bench", "data": resources.make_fingerprint()}
    return MetricResult(value, {**SETTINGS, **preparation, **made}, {"meteor": segments})


def join_lines(text: str) -> str:
    """What the official program would be given: it reads lines of UTF-8."""
    return text.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace").decode("utf-8")


def score_without_java(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[float, list[float]]:
    """The score of a test set and of each item, computed without Java.

    Raises ``UnavailableError`` without pycocoevalcap's data.
    """
    words = resources.read_words()
    texts = dict.fromkeys([*hypotheses, *(text for refs in references for text in refs)])
    # No cycles come of it, and the collector would walk millions of small tuples.
    with pause_garbage_collection():
        read = {text: tokenize_text(text, words.abbreviations) for text in texts}
        lexicon = Lexicon(read.values(), words)
        counts = []
        for text, refs in zip(hypotheses, references, strict=True):
            hypothesis = lexicon.sentences[read[text]]
            counts.append(
                find_best_counts(lexicon, hypothesis, [lexicon.sentences[read[ref]] for ref in refs])
            )
    return sum_counts(counts).score(), [pair.score() for pair in counts]


def find_best_counts(lexicon: Lexicon, hypothesis: Sentence, references: Sequence[Sentence]) -> Counts:
    """The counts with the reference that scores highest, the first of equals."""
    return max((count_pair(lexicon, hypothesis, reference) for reference in references), key=Counts.score)


def count_pair(lexicon: Lexicon, hypothesis: Sentence, reference: Sentence) -> Counts:
    if hypothesis.keys == reference.keys:
        matches = [Match(position, 1, position, 1, EXACT) for position in range(len(hypothesis.words))]
        return count_matches(hypothesis, reference, Alignment(matches, min(1, len(matches))))
    alignment = align_sentences(lexicon.candidates(hypothesis, reference), len(hypothesis.words))
    return count_matches(hypothesis, reference, alignment)


class Meteor(PipelineMetric):
    """METEOR as each task's official script calls it; elsewhere on the texts as they are."""

    name = "meteor"
    summary = "METEOR 1.5 for English, equal to the official program on every segment; 0 to 1"
    requirements = Requirements(packages=("pycocoevalcap",))
    pipelines: ClassVar[Mapping[str, Scorer]] = {
        "e2e": score_e2e,
        "webnlg": score_webnlg,
        "dart": score_dart,
        "plain": score_plain,
    }
    usual = "plain"
