"""Corpus BLEU by sacrebleu, called as each task's official script counts it. Values are 0 to 100."""

from __future__ import annotations

from collections.abc import Sequence

from bench.metric import Measured
from bench.metrics import _preprocess

MAX_REFERENCES = 3
"""WebNLG and DART: the official scripts use the first three references."""
BLANK_COUNTS, BLANK_OMITTED = "length0", "omitted"
"""What a missing reference is: one of length 0, as for the official script, or none."""


def mteval(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """E2E: mteval-v13a tokenisation, case-insensitive, closest reference length, all references.

    Blank references are none here, as in the official script, which pads with them. Unlike that perl
    script, this lower-cases all letters, and is 0 where no output has four words or no word is matched.
    """
    from bench.metrics.bleu.counting import CountingBLEU

    metric = CountingBLEU(lowercase=True, force=True)
    streams = columns([without_blanks(refs) for refs in references], fill=None)
    score = metric.corpus_score([text.strip() for text in hypotheses], streams)
    return Measured(float(score.score), f"{metric.get_signature()}|blank-refs:omitted", metric.segments)


def webnlg(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """WebNLG 2017: multi-bleu -lc on transliterated text, split at non-word characters."""
    return webnlg_bleu(hypotheses, references, BLANK_COUNTS)


def webnlg_no_blank(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """As ``webnlg``, but a missing reference is none: the brevity penalty as BLEU defines it."""
    return webnlg_bleu(hypotheses, references, BLANK_OMITTED)


def webnlg_bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]], blank: str) -> Measured:
    return multi_bleu(
        [_preprocess.webnlg_hypothesis(text) for text in hypotheses],
        [[_preprocess.webnlg_reference(text) for text in refs[:MAX_REFERENCES]] for refs in references],
        "lower|ascii:text-unidecode|split:nonword",
        blank,
    )


def dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """DART: multi-bleu on lower-cased text, split at non-word characters, nothing transliterated."""
    return dart_bleu(hypotheses, references, BLANK_COUNTS)


def dart_no_blank(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """As ``dart``, but a missing reference is none: the brevity penalty as BLEU defines it."""
    return dart_bleu(hypotheses, references, BLANK_OMITTED)


def dart_bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]], blank: str) -> Measured:
    return multi_bleu(
        [_preprocess.dart(text) for text in hypotheses],
        [[_preprocess.dart(text) for text in refs[:MAX_REFERENCES]] for refs in references],
        "lower|split:nonword",
        blank,
    )


def multi_bleu(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], notes: str, blank: str
) -> Measured:
    """multi-bleu.perl on prepared texts, at most three references each.

    There a missing second or third reference is an empty line and counts as a reference of length 0,
    which weakens the brevity penalty wherever the real ones are at least twice as long as the output.
    ``blank`` says whether to do the same (``BLANK_COUNTS``) or not; the signature names it.
    """
    from bench.metrics.bleu.counting import CountingBLEU

    metric = CountingBLEU(tokenize="none", force=True, smooth_method="none")
    if blank == BLANK_COUNTS:
        streams = columns(references, fill="", width=MAX_REFERENCES)
    else:
        streams = columns([without_blanks(refs) for refs in references], fill=None)
    score = metric.corpus_score(list(hypotheses), streams)
    signature = f"{metric.get_signature()}|{notes}|refs:first3|blank-refs:{blank}"
    return Measured(float(score.score), signature, metric.segments)


def without_blanks(references: Sequence[str]) -> list[str]:
    """The references that say something; one empty one where none does, for sacrebleu needs one."""
    return [text for text in references if text.strip()] or [""]


def columns(
    references: Sequence[Sequence[str]], fill: str | None, width: int | None = None
) -> list[list[str | None]]:
    """References per item as sacrebleu's streams; rows with fewer references are filled up."""
    width = width or max(len(refs) for refs in references)
    return [[refs[i] if i < len(refs) else fill for refs in references] for i in range(width)]
