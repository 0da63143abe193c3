"""Every score on real system outputs: equal to what the official scripts gave, in total and per segment."""

from __future__ import annotations

import functools
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bench.registry import get_task
from bench.scoring import evaluation
from bench.scoring.evaluation import score_outputs
from bench.scoring.external_outputs import read_pairs
from bench.scoring.score import Score

OURS = {  # the scripts' names -> ours, and what ours is multiplied by
    "BLEU": ("bleu", 1),
    "NIST": ("nist_mteval", 1),
    "NIST_pymteval": ("nist", 1),
    "METEOR": ("meteor", 1),
    "TER": ("ter", 1),
    "ROUGE_L": ("rouge_l", 1),
    "CIDEr": ("cider", 1),
    "ROUGE-1 F (rouge155-m)": ("rouge1_155m", 1),
    "ROUGE-2 F (rouge155-m)": ("rouge2_155m", 1),
    "ROUGE-L F (rouge155-m)": ("rougeL_155m", 1),
}
SEGMENTS = {
    "METEOR": "meteor",
    "TER_edits": "ter_edits",
    "TER_reflen": "ter_reflen",
    "ROUGE_L": "rouge_l",
    "CIDEr": "cider",
    "ROUGE-1 rouge155-m": "rouge1_155m",
    "ROUGE-2 rouge155-m": "rouge2_155m",
    "ROUGE-L rouge155-m": "rougeL_155m",
}
CASES = {
    "webnlg17-UPF-TALN": ("webnlg", {"all-cat": "all", "old-cat": "seen", "new-cat": "unseen"}),
    "webnlg17-Baseline": ("webnlg", {"all-cat": "all", "old-cat": "seen", "new-cat": "unseen"}),
    "dart-bart-large": ("dart", {"": "all"}),
    "e2e-dev-ukp-mlp-seed1-epoch16": ("e2e", {"": "all"}),
    "e2e-test-tgen": ("e2e", {"": "all"}),
    "e2e-test-zhaw1": ("e2e", {"": "all"}),
    "xsum-convs2s": ("xsum", {"": "all"}),
}
PROVEN = {  # how many official values each case must be compared with, so that none drops out unseen
    "webnlg17-UPF-TALN": (9, 3),
    "webnlg17-Baseline": (9, 3),
    "dart-bart-large": (3, 3),
    "e2e-dev-ukp-mlp-seed1-epoch16": (6, 3),
    "e2e-test-tgen": (6, 3),
    "e2e-test-zhaw1": (6, 3),
    "xsum-convs2s": (3, 3),
}


@functools.cache
def scored(folder: Path, case: str) -> dict[str, dict[str, Score]]:
    task, _ = CASES[case]
    proven = {name for name, _ in OURS.values()}
    only = [name for name in evaluation.choose_metrics(get_task(task)) if name in proven]
    items, outputs = read_pairs(folder / "cases" / f"{case}.jsonl.gz", task, get_task(task).groups)
    return score_outputs(get_task(task), items, outputs, only)


def document(folder: Path) -> Any:
    return json.loads((folder / "scores.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES)
def test_totals_equal_the_official_scripts(case: str, shared: Path) -> None:
    folder = shared / "metric_cases"
    compared = 0
    for subset, group in CASES[case][1].items():
        entry = document(folder)[f"{case}/{subset}" if subset else case]
        for official, (name, factor) in OURS.items():
            if official not in entry["scores"]:
                continue
            found = scored(folder, case)[group][name]
            known = entry["scores"][official]["value"]
            if official == "BLEU" and case.startswith("e2e"):
                known *= 100  # mteval prints 0 to 1
            limit = 1e-6
            assert found.value == pytest.approx(known * factor, abs=limit), (subset, official, found)
            compared += 1
    assert compared == PROVEN[case][0]


@pytest.mark.parametrize("case", CASES)
def test_every_segment_equals_the_official_scripts(case: str, shared: Path) -> None:
    folder = shared / "metric_cases"
    with gzip.open(folder / "segments" / f"{case}.json.gz") as file:
        segments = json.load(file)
    ours = {
        name: values for one in scored(folder, case)["all"].values() for name, values in one.segments.items()
    }
    compared = 0
    for official, name in SEGMENTS.items():
        if official not in segments:
            continue
        assert len(ours[name]) == len(segments[official])
        wrong = [
            (row, known, value)
            for row, (known, value) in enumerate(zip(segments[official], ours[name], strict=True))
            if abs(known - value) > 5e-5
        ]
        assert not wrong, (official, len(wrong), wrong[:3])
        compared += 1
    assert compared == PROVEN[case][1]
