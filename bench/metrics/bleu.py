"""Corpus BLEU by sacrebleu, called as each task's official script counts it. Values are 0 to 100."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.metrics import preprocess
from bench.metrics.result import Measured

MAX_REFERENCES = 3
"""WebNLG and DART: the official scripts use the first three references."""


def mteval(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """E2E: mteval-v13a tokenisation, case-insensitive, closest reference length, all references."""
    from bench.metrics.bleu_counts import CountingBLEU

    metric = CountingBLEU(lowercase=True)
    streams = columns(references, fill=None)
    score = metric.corpus_score([text.strip() for text in hypotheses], streams)
    return Measured(float(score.score), str(metric.get_signature()), metric.segments)


def webnlg(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """WebNLG 2017: multi-bleu -lc on transliterated text, split at non-word characters."""
    return multi_bleu(
        [preprocess.webnlg_hypothesis(text) for text in hypotheses],
        references,
        preprocess.webnlg_reference,
        "lower|ascii:text-unidecode|split:nonword",
    )


def dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """DART: multi-bleu on lower-cased text, split at non-word characters, nothing transliterated."""
    return multi_bleu(
        [preprocess.dart(text) for text in hypotheses], references, preprocess.dart, "lower|split:nonword"
    )


def multi_bleu(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    prepare: Callable[[str], str],
    notes: str,
) -> Measured:
    """multi-bleu.perl on prepared text with at most three references.

    A missing second or third reference is an empty line there and counts as a reference of length 0,
    which weakens the brevity penalty; done here as well, and named in the signature.
    """
    from bench.metrics.bleu_counts import CountingBLEU

    metric = CountingBLEU(tokenize="none", force=True, smooth_method="none")
    first = [[prepare(text) for text in refs[:MAX_REFERENCES]] for refs in references]
    score = metric.corpus_score(list(hypotheses), columns(first, fill="", width=MAX_REFERENCES))
    signature = f"{metric.get_signature()}|{notes}|refs:first3|blank-refs:length0"
    return Measured(float(score.score), signature, metric.segments)


def columns(
    references: Sequence[Sequence[str]], fill: str | None, width: int | None = None
) -> list[list[str | None]]:
    """References per item as sacrebleu's streams; rows with fewer references are filled up."""
    width = width or max(len(refs) for refs in references)
    return [[refs[i] if i < len(refs) else fill for refs in references] for i in range(width)]
