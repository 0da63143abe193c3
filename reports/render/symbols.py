"""Verdicts and outcomes as symbols, so that colour is never the only sign."""

from __future__ import annotations

from collections.abc import Mapping

from reports.judgement.claims import ClaimOutcome
from reports.judgement.verdicts import Verdict

SYMBOLS: Mapping[str, str] = {
    Verdict.REPRODUCED: "✓",
    Verdict.CONSISTENT: "≈",
    Verdict.INCONCLUSIVE: "?",
    Verdict.ABOVE: "▲",
    Verdict.BELOW: "▼",
    Verdict.NOT_RUN: "○",
    Verdict.NOT_COMPARABLE: "⊘",
    ClaimOutcome.SUPPORTED: "✓",
    ClaimOutcome.CONTRADICTED: "✗",
    ClaimOutcome.UNDECIDED: "?",
    ClaimOutcome.NOT_RUN: "○",
}
MEANINGS: Mapping[str, str] = {
    Verdict.REPRODUCED: "the paper's number came out: ours is within the tolerance, with its interval",
    Verdict.CONSISTENT: "not proven equal, but a difference that matters would have shown",
    Verdict.INCONCLUSIVE: "a difference that matters could not have shown: more seeds are needed",
    Verdict.ABOVE: "above the paper by more than its rounding and seeds explain",
    Verdict.BELOW: "below the paper by more than its rounding and seeds explain",
    Verdict.NOT_RUN: "no run of it is done; failures are counted here",
    Verdict.NOT_COMPARABLE: "there is nothing that could stand beside the paper's number",
}

DETECTABLE_MEANING = (
    "the least true difference from the paper that so many runs of such spread find 80 of 100 times"
)
"""Of what stands behind Δ in a cell."""
NOT_TELLING = "⇄"
"""Beside a verdict whose evidence does not tell the cell from another system's."""
NOT_TELLING_MEANING = "the same evidence would accept another system's number of this column, too"


def find_symbol(verdict: str | None) -> str:
    """The sign of a verdict or outcome; empty without one."""
    return SYMBOLS.get(verdict or "", "")


def format_heading(name: str) -> str:
    """``table2`` -> ``Table 2``."""
    for word in ("table", "figure"):
        if name.startswith(word):
            return f"{word.capitalize()} {name[len(word) :]}"
    return name.capitalize()
