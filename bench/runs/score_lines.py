"""The scores of a finished run as a person reads them: one line per group of items."""

from __future__ import annotations

from bench import registry
from bench.store.record import Record


def list_score_lines(record: Record) -> list[str]:
    """``all                BLEU 50.06, METEOR 0.41``, and what was not computed."""
    variants = registry.list_supplementary_metrics(str(record.task))
    lines = []
    for group, scores in record.scores.items():
        computed = [
            f"{name.upper()} {score.value:.4g}"
            for name, score in scores.items()
            if score.value is not None and name not in variants
        ]
        lines.append(f"{group:<18} {', '.join(computed) or 'no score'}")
    missing = [name for name, score in record.scores["all"].items() if score.value is None]
    if missing:
        lines.append(f"{'not computed':<18} {', '.join(missing)} (reasons in the record)")
    return lines
