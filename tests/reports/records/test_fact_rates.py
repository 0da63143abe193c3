"""What the check of facts is worth: counted on outputs of our own that were marked by hand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import DataError
from reports.records.fact_check import check_facts, make_readable
from reports.records.fact_rates import CHECK_ERRORS, CheckErrors, OutputFacts

MARKED: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "marked_outputs.json").read_text(encoding="utf-8")
)["outputs"]


def name_fact(fact: Sequence[str]) -> str:
    """As the check names a fact that is missing."""
    if len(fact) == 2:
        return f"{fact[0]}: {fact[1]}"
    return f"{make_readable(fact[0])} | {fact[1]} | {make_readable(fact[2])}"


def count(task: str) -> tuple[CheckErrors, CheckErrors]:
    """Facts left out, and outputs with something false, as the check sees them."""
    facts: Counter[tuple[bool, bool]] = Counter()
    outputs: Counter[tuple[bool, bool]] = Counter()
    for marked in MARKED:
        if marked["task"] == task:
            found = check_facts(marked["facts"], [], marked["output"])
            for number, fact in enumerate(marked["facts"]):
                facts[number in marked["omitted"], name_fact(fact) in found.missing] += 1
            outputs[bool(marked["false"]), bool(found.false)] += 1

    def errors(table: Counter[tuple[bool, bool]]) -> CheckErrors:
        present, absent = (table[there, True] + table[there, False] for there in (True, False))
        return CheckErrors(table[True, True], present, table[False, True], absent)

    return errors(facts), errors(outputs)


@pytest.mark.parametrize("task", ["e2e", "webnlg"])
def test_the_errors_that_claims_reckon_with_are_those_on_the_marked_outputs(task: str) -> None:
    missing, false = count(task)
    assert CHECK_ERRORS[task, "facts_missing"] == missing
    assert CHECK_ERRORS[task, "facts_false"] == false
    for errors in (missing, false):
        assert errors.recall >= 0.75 and errors.precision >= 0.8, errors.describe()


def test_there_are_enough_of_each_kind() -> None:
    assert len(MARKED) >= 60
    for task in ("e2e", "webnlg"):
        mine = [marked for marked in MARKED if marked["task"] == task]
        assert len({marked["output"] for marked in mine}) == len(mine) >= 30
        assert sum(bool(marked["false"]) for marked in mine) >= 15
        assert sum(not marked["omitted"] and not marked["false"] for marked in mine) >= 10
        for marked in mine:
            assert all(number < len(marked["facts"]) for number in marked["omitted"])


def test_a_corrected_rate_is_right_on_average_and_its_error_covers_what_was_not_measured_exactly() -> None:
    rng = np.random.default_rng(0)
    sensitivity, alarms, truth = 0.85, 0.06, 0.2
    inside = []
    for _ in range(4000):
        caught, wrong = rng.binomial(60, sensitivity), rng.binomial(190, alarms)
        errors = CheckErrors(int(caught), 60, int(wrong), 190)
        corrected = errors.correct_rate(sensitivity * truth + alarms * (1 - truth))
        inside.append(abs(corrected - truth) <= 1.645 * errors.compute_error(corrected))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.03)
    assert CheckErrors(60, 60, 0, 190).compute_error(0.2) > 0  # never wrong on 60 is not never wrong


def outputs(run_id: str) -> list[dict[str, Any]]:
    if run_id == "damaged":
        raise DataError("line 3 is no JSON")
    if run_id == "odd":
        return [{"id": "1"}]
    facts = [["name", "Blue"], ["area", "riverside"]]
    return [
        {"output": "Blue is at the riverside.", "facts": facts, "groups": ["seen"]},
        {"output": "Blue is in the city centre.", "facts": facts, "groups": ["unseen"]},
    ]


def test_rates_of_a_run() -> None:
    read = OutputFacts(outputs)
    assert read.measure_rate("run", "all", "facts_missing") == (0.25, "")
    assert read.measure_rate("run", "unseen", "facts_missing").value == 0.5
    assert read.measure_rate("run", "unseen", "facts_false").value == 1.0
    assert read.measure_rate("run", "seen", "facts_false").value == 0.0
    assert "no stored output" in read.measure_rate("run", "new", "facts_false").reason
    assert "line 3" in read.measure_rate("damaged", "all", "facts_false").reason
    assert "cannot be read" in read.measure_rate("odd", "all", "facts_false").reason
    assert OutputFacts().measure_rate("run", "all", "facts_false").reason == "outputs were not asked for"
