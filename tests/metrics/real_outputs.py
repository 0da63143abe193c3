"""Outputs of real systems and what the official scripts gave for them, from the folder beside the checkout."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

WEBNLG = [
    f"webnlg17-{system}/{part}"
    for system in ("UPF-TALN", "Baseline")
    for part in ("all-cat", "old-cat", "new-cat")
]
"""Outputs for all of the test set, its seen and its unseen categories."""
DART = ["dart-bart-large"]
E2E = ["e2e-dev-ukp-mlp-seed1-epoch16", "e2e-test-tgen", "e2e-test-zhaw1"]


@dataclass(frozen=True)
class RealOutputs:
    """Outputs in order, with their references."""

    texts: tuple[list[str], list[list[str]]]
    """Hypotheses, and the references of each: what a scorer takes."""
    scores: dict[str, Any]
    """Official score -> its value and details."""
    segments: dict[str, list[float]]
    """Official score -> its values in the outputs' order."""


def read(shared: Path, case: str) -> RealOutputs:
    """A case by its name."""
    folder = shared / "metric_cases"
    entry = json.loads((folder / "scores.json").read_text())["cases"][case]
    rows = [json.loads(line) for line in gzip.decompress((folder / entry["file"]).read_bytes()).splitlines()]
    chosen = [
        number
        for number, row in enumerate(rows)
        if entry["subset"] == "all" or row["seen"] == (entry["subset"] == "seen")
    ]
    assert len(chosen) == entry["n"]
    segments = json.loads(
        gzip.decompress((folder / "segments" / f"{case.split('/')[0]}.json.gz").read_bytes())
    )
    return RealOutputs(
        ([rows[number]["hyp"] for number in chosen], [rows[number]["refs"] for number in chosen]),
        entry["scores"],
        {name: [values[number] for number in chosen] for name, values in segments.items()},
    )


def read_odd_pairs(shared: Path) -> tuple[list[str], list[list[str]]]:
    """Hypotheses and references in accents, other scripts, digits, punctuation, empty or very long."""
    file = shared / "cases" / "odd.jsonl"
    if not file.is_file():
        pytest.skip("no cases/odd.jsonl in ../shared")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [row["hyp"] for row in rows], [row["refs"] for row in rows]
