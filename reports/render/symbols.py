"""Verdicts and outcomes as symbols, so that colour is never the only sign."""

from __future__ import annotations

from collections.abc import Mapping

from reports.judgement.claims import ClaimOutcome
from reports.judgement.verdicts import Verdict

SYMBOLS: Mapping[str, str] = {
    Verdict.REPRODUCED: "✓",
    Verdict.WITHIN_NOISE: "≈",
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
    Verdict.REPRODUCED: "the paper's number came out",
    Verdict.WITHIN_NOISE: "further off, but another seed can make that",
    Verdict.ABOVE: "above the paper by more than seeds explain",
    Verdict.BELOW: "below the paper by more than seeds explain",
    Verdict.NOT_RUN: "no run of it is done; failures are counted here",
    Verdict.NOT_COMPARABLE: "there is nothing that could stand beside the paper's number",
}


def find_symbol(verdict: str | None) -> str:
    """The sign of a verdict or outcome; empty without one."""
    return SYMBOLS.get(verdict or "", "")


def format_heading(name: str) -> str:
    """``table2`` -> ``Table 2``."""
    for word in ("table", "figure"):
        if name.startswith(word):
            return f"{word.capitalize()} {name[len(word) :]}"
    return name.capitalize()
