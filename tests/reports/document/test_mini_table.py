"""The mini table: made-up records to text, and the committed numbers against their own table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.registry import get_method
from reports.document.mini_table import (
    compare_methods,
    format_label,
    format_orderings,
    format_table,
    summarise_cells,
)

RESULTS = Path(__file__).resolve().parents[3] / "results" / "mini"


def record(method: str, seed: int, bleu: float, **changes: Any) -> dict[str, Any]:
    options = {"length": {"value": changes.pop("length"), "origin": "x"}} if "length" in changes else {}
    base = {
        "method": method,
        "options": options,
        "task": "webnlg",
        "model": "mini-gpt2",
        "seed": seed,
        "status": "done",
        "scale": "mini",
        "data_origin": "mini",
        "settings": {},
        "protocol": "original",
        "model_fingerprint": "f",
        "parameters": {"trained": 1234, "stored": 1234, "backbone": 9999},
        "scores": {"all": {"bleu": {"value": bleu, "signature": "s"}}},
    }
    return {**base, **changes}


MADE_UP = [
    record("prefix", 1, 60.0, length=10),
    record("prefix", 2, 62.0, length=10),
    record("ft-full", 1, 61.0),
    record("ft-full", 2, 65.0),
    record("prompt", 1, 0.5),
]


def test_only_finished_mini_runs_count() -> None:
    extra = [record("prefix", 3, 99.0, length=10, status="failed"), record("prefix", 4, 99.0, scale="paper")]
    assert summarise_cells([*MADE_UP, *extra]).equals(summarise_cells(MADE_UP))


def test_unlike_runs_do_not_share_a_cell() -> None:
    with pytest.raises(ValueError, match="differ in settings cannot share a cell"):
        summarise_cells([*MADE_UP, record("prefix", 3, 50.0, length=10, protocol="plain")])
    dirty = {"commit": "c" * 40, "dirty": True, "changed": ["x"], "changes_sha256": "e" * 64}
    scores = {"all": {"bleu": {"value": 50.0, "signature": "t"}}}
    for facts, changes in (
        ("weights", {"model_fingerprint": "g"}),
        ("scorer", {"scores": scores}),
        ("working tree, code", {"code": dirty}),
        ("data, packages", {"data_fingerprint": "a", "packages": {"torch": "2.12.0"}}),
    ):
        with pytest.raises(ValueError, match=f"differ in {facts} cannot share"):
            summarise_cells([*MADE_UP, record("prefix", 3, 50.0, length=10, **changes)])
    with pytest.raises(ValueError, match="two runs with seed 2"):
        summarise_cells([*MADE_UP, record("prefix", 2, 50.0, length=10)])


def test_mean_and_half_range() -> None:
    text = format_table(MADE_UP)
    assert "| prefix[length=10] | 1,234 | – | – | – | 61.0 ± 1.0 | – |" in text
    assert "| prompt | 1,234 | – | – | – | 0.5 | – |" in text


@pytest.mark.parametrize(
    ("better", "worse", "answer"),
    [
        ("prefix[length=10]", "prompt", "yes, in every seed (+60.5 BLEU)"),
        ("prompt", "prefix[length=10]", "**no**, the other way round in every seed (-60.5 BLEU)"),
        ("ft-full", "prefix[length=10]", "not decided: the seeds overlap (+2.0 BLEU)"),
        ("ft-full", "ft-top2", "not run"),
    ],
)
def test_an_ordering_is_said_only_when_the_seeds_say_it(better: str, worse: str, answer: str) -> None:
    assert compare_methods(summarise_cells(MADE_UP), better, worse, "webnlg", "all") == answer


def committed() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads((RESULTS / "records.json").read_text())
    return records


def test_the_committed_table_is_that_of_the_committed_records() -> None:
    assert (RESULTS / "table.md").read_text() == format_table(committed()) + "\n\n" + format_orderings(
        committed()
    ) + "\n"


def test_the_mini_table_is_whole() -> None:
    """All methods, three tasks, three seeds; one backbone, one data set per task."""
    records = committed()
    methods = {format_label(record) for record in records}
    tasks = {record["task"] for record in records}
    seeds = {record["seed"] for record in records}
    assert tasks == {"e2e", "webnlg", "dart"}
    assert len(seeds) == 3
    assert len(records) == len(methods) * 3 * 3
    assert len({record["model_fingerprint"] for record in records}) == 1
    # A method that trains nothing reads, and is fingerprinted with, the test files alone.
    trained = [record for record in records if get_method(record["method"]).trains]
    assert len({record["data_fingerprint"] for record in trained}) == 3
    assert all(record["scale"] == "mini" and record["status"] == "done" for record in records)


def test_the_mini_suite_tells_methods_apart() -> None:
    """The conditions under which a mini number is worth looking at."""
    cells = summarise_cells(committed())
    assert cells.loc[("ft-full", "webnlg", "all"), "min"] > 45
    assert cells.xs("prompt")["max"].max() < 5
    assert "yes" in compare_methods(cells, "prefix[length=10]", "embedding[length=10]", "webnlg", "all")
