"""Corpus BLEU by sacrebleu, called as each task's official script counts it. Values are 0 to 100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bench.metric import MetricResult, PipelineMetric, Requirements, Scorer, Signature
from bench.metrics import _preprocess

MAX_REFERENCES = 3
"""WebNLG and DART: the official scripts use the first three references."""
BLANK_COUNTS, BLANK_OMITTED = "length0", "omitted"
"""What a missing reference is: one of length 0, as for the official script, or none."""


def score_mteval(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """E2E: mteval-v13a tokenisation, case-insensitive, closest reference length, all references.

    Blank references are none here, as in the official script, which pads with them. Unlike that perl
    script, this lower-cases all letters, and is 0 where no output has four words or no word is matched.
    """
    from bench.metrics.bleu.counting import CountingBLEU

    metric = CountingBLEU(lowercase=True, force=True)
    streams = make_streams([drop_blanks(refs) for refs in references], fill=None)
    score = metric.corpus_score([text.strip() for text in hypotheses], streams)
    signature = {**describe_sacrebleu(metric), "blank-refs": BLANK_OMITTED}
    return MetricResult(float(score.score), signature, metric.segments)


def score_webnlg(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """WebNLG 2017: multi-bleu -lc on transliterated text, split at non-word characters."""
    return _score_webnlg(hypotheses, references, BLANK_COUNTS)


def score_webnlg_no_blank(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """As ``score_webnlg``, but a missing reference is none: the brevity penalty as BLEU defines it."""
    return _score_webnlg(hypotheses, references, BLANK_OMITTED)


def _score_webnlg(hypotheses: Sequence[str], references: Sequence[Sequence[str]], blank: str) -> MetricResult:
    return _score_multi_bleu(
        [_preprocess.prepare_webnlg_hypothesis(text) for text in hypotheses],
        [
            [_preprocess.prepare_webnlg_reference(text) for text in refs[:MAX_REFERENCES]]
            for refs in references
        ],
        {"lower": None, "ascii": "text-unidecode", "split": "nonword"},
        blank,
    )


def score_dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """DART: multi-bleu on lower-cased text, split at non-word characters, nothing transliterated."""
    return _score_dart(hypotheses, references, BLANK_COUNTS)


def score_dart_no_blank(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """As ``score_dart``, but a missing reference is none: the brevity penalty as BLEU defines it."""
    return _score_dart(hypotheses, references, BLANK_OMITTED)


def _score_dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]], blank: str) -> MetricResult:
    return _score_multi_bleu(
        [_preprocess.prepare_dart(text) for text in hypotheses],
        [[_preprocess.prepare_dart(text) for text in refs[:MAX_REFERENCES]] for refs in references],
        {"lower": None, "split": "nonword"},
        blank,
    )


def _score_multi_bleu(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], preparation: Signature, blank: str
) -> MetricResult:
    """multi-bleu.perl on prepared texts, at most three references each.

    There a missing second or third reference is an empty line and counts as a reference of length 0,
    which weakens the brevity penalty wherever the real ones are at least twice as long as the output.
    ``blank`` says whether to do the same (``BLANK_COUNTS``) or not; the signature names it.
    """
    from bench.metrics.bleu.counting import CountingBLEU

    metric = CountingBLEU(tokenize="none", force=True, smooth_method="none")
    if blank == BLANK_COUNTS:
        streams = make_streams(references, fill="", width=MAX_REFERENCES)
    else:
        streams = make_streams([drop_blanks(refs) for refs in references], fill=None)
    score = metric.corpus_score(list(hypotheses), streams)
    signature = {**describe_sacrebleu(metric), **preparation, "refs": "first3", "blank-refs": blank}
    return MetricResult(float(score.score), signature, metric.segments)


def drop_blanks(references: Sequence[str]) -> list[str]:
    """The references that say something; one empty one where none does, for sacrebleu needs one."""
    return [text for text in references if text.strip()] or [""]


def make_streams(
    references: Sequence[Sequence[str]], fill: str | None, width: int | None = None
) -> list[list[str | None]]:
    """References per item as sacrebleu's streams; rows with fewer references are filled up."""
    width = width or max(len(refs) for refs in references)
    return [[refs[i] if i < len(refs) else fill for refs in references] for i in range(width)]


def describe_sacrebleu(metric: Any) -> dict[str, Any]:
    """sacrebleu's own signature of the metric as it was last used; as it prints it, the version comes last."""
    entries: dict[str, Any] = {
        key: value for key, value in metric.get_signature().info.items() if value is not None
    }
    version = entries.pop("version")
    return {**entries, "version": version}


class Bleu(PipelineMetric):
    """BLEU as each task's official script counts it; elsewhere as mteval-v13a does."""

    name = "bleu"
    summary = "corpus BLEU by sacrebleu, as the task's official script calls it; 0 to 100"
    requirements = Requirements(packages=("sacrebleu",))
    pipelines: ClassVar[Mapping[str, Scorer]] = {
        "e2e": score_mteval,
        "webnlg": score_webnlg,
        "dart": score_dart,
    }
    usual = "e2e"


class BleuWithoutBlanks(PipelineMetric):
    """BLEU as published defines its brevity penalty, beside what the official scripts make of it."""

    name = "bleu_no_blank"
    summary = "BLEU where a missing reference is none, not one of length 0; 0 to 100"
    requirements = Requirements(packages=("sacrebleu",))
    reported_for = ("webnlg", "dart")
    pipelines: ClassVar[Mapping[str, Scorer]] = {"webnlg": score_webnlg_no_blank, "dart": score_dart_no_blank}
