"""Verdicts and outcomes as symbols, so that colour is never the only sign."""

from __future__ import annotations

from collections.abc import Mapping

from reports.judgement import claims, verdicts

SYMBOLS: Mapping[str, str] = {
    verdicts.REPRODUCED: "✓",
    verdicts.WITHIN_NOISE: "≈",
    verdicts.ABOVE: "▲",
    verdicts.BELOW: "▼",
    verdicts.NOT_RUN: "○",
    verdicts.NOT_COMPARABLE: "⊘",
    claims.SUPPORTED: "✓",
    claims.CONTRADICTED: "✗",
    claims.UNDECIDED: "?",
    claims.NOT_RUN: "○",
}
MEANINGS: Mapping[str, str] = {
    verdicts.REPRODUCED: "the paper's number came out",
    verdicts.WITHIN_NOISE: "further off, but another seed can make that",
    verdicts.ABOVE: "above the paper by more than seeds explain",
    verdicts.BELOW: "below the paper by more than seeds explain",
    verdicts.NOT_RUN: "no run of it is done; failures are counted here",
    verdicts.NOT_COMPARABLE: "there is nothing that could stand beside the paper's number",
}


def symbol(verdict: str | None) -> str:
    return SYMBOLS.get(verdict or "", "")


def heading(name: str) -> str:
    """``table2`` -> ``Table 2``."""
    for word in ("table", "figure"):
        if name.startswith(word):
            return f"{word.capitalize()} {name[len(word) :]}"
    return name.capitalize()
