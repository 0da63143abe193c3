"""BLEU that keeps what every item adds to the corpus score, so that resampling items scores no text again."""

from __future__ import annotations

from typing import Any

from sacrebleu.metrics import BLEU

COUNTS = (
    "bleu_sys_len",
    "bleu_ref_len",
    *(f"bleu_correct_{n}" for n in (1, 2, 3, 4)),
    *(f"bleu_total_{n}" for n in (1, 2, 3, 4)),
)
"""Lengths of output and closest reference, then matched and all n-grams for n = 1 to 4."""


class CountingBLEU(BLEU):
    """``corpus_score`` as ever; afterwards ``segments`` has the counts of each item, in order."""

    segments: dict[str, list[float]]

    def _aggregate_and_compute(self, stats: list[list[int]]) -> Any:
        self.segments = {
            name: [float(value) for value in column]
            for name, column in zip(COUNTS, zip(*stats, strict=True), strict=True)
        }
        return super()._aggregate_and_compute(stats)
