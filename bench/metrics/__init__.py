"""Scores, one file per metric: a function from texts to a ``Measured`` with its signature.

``SCORERS`` says which metrics exist and how each task's official pipeline calls them; a metric that a
task names and that is not here is reported as not computed, never as 0 and never left out silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.metric import Measured
from bench.metrics import bertscore, bleu, bleurt, coco, meteor, moverscore, nist, rouge, ter


@dataclass(frozen=True)
class Score:
    """A value with what made it; ``value`` None and ``reason`` where it could not be computed."""

    value: float | None
    signature: str | None
    reason: str | None = None
    segments: Mapping[str, Sequence[float]] = field(default_factory=dict)
    gate: str | None = None
    """Whether the scorer passed ``bench.scoring.golden``."""

    def to_json(self) -> dict[str, float | str | None]:
        shown: dict[str, float | str | None] = {"value": self.value, "signature": self.signature}
        if self.reason is not None:
            shown["reason"] = self.reason
        if self.gate is not None:
            shown["gate"] = self.gate
        return shown


Scorer = Callable[[Sequence[str], Sequence[Sequence[str]]], Measured]
"""(hypotheses, references of each) -> value, signature and, where defined, values per segment."""

SCORERS: dict[tuple[str, str], Scorer] = {
    ("e2e", "bleu"): bleu.mteval,
    ("e2e", "nist"): nist.pymteval,
    ("e2e", "nist_mteval"): nist.mteval,
    ("e2e", "meteor"): meteor.e2e,
    ("e2e", "rouge_l"): coco.rouge_l,
    ("e2e", "cider"): coco.cider,
    ("webnlg", "bleu"): bleu.webnlg,
    ("webnlg", "bleu_no_blank"): bleu.webnlg_no_blank,
    ("webnlg", "meteor"): meteor.webnlg,
    ("webnlg", "ter"): ter.webnlg,
    ("dart", "bleu"): bleu.dart,
    ("dart", "bleu_no_blank"): bleu.dart_no_blank,
    ("dart", "meteor"): meteor.dart,
    ("dart", "ter"): ter.dart,
    ("dart", "moverscore"): moverscore.dart,
    ("dart", "bertscore"): bertscore.dart,
    ("dart", "bleurt"): bleurt.dart,
}
"""(task, metric) -> how that task's official pipeline computes it."""
SUMMARY_VARIANTS = (
    *("rouge1_original", "rouge2_original", "rougeL_original"),
    *("rouge1_155m", "rouge2_155m", "rougeL_155m"),
)
VARIANTS: dict[str, tuple[str, ...]] = {
    "e2e": ("nist_mteval",),
    "webnlg": ("bleu_no_blank",),
    "dart": ("bleu_no_blank",),
    **dict.fromkeys(("xsum", "xsum-news-to-sports", "xsum-within-news"), SUMMARY_VARIANTS),
}
"""Task -> other ways to compute its scores, reported beside those of the paper's columns."""
DEFAULTS: dict[str, Scorer] = {
    "bleu": bleu.mteval,
    "nist": nist.pymteval,
    "meteor": meteor.plain,
    "rouge_l": coco.rouge_l,
    "cider": coco.cider,
    "ter": ter.dart,
    **rouge.SCORERS,
}
"""For tasks that have no pipeline of their own: a metric's most usual form."""


def find(task: str, metric: str) -> Scorer | None:
    """The scorer of a task's metric, or None if there is none yet."""
    return SCORERS.get((task, metric)) or DEFAULTS.get(metric)
