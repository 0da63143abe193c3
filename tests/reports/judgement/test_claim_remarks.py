"""Where a claim compares runs that are not alike in all but the system, it says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up import CODE, DIRTY, EXECUTION, record, seeds, webnlg_prefix

from reports import FORMATS
from reports.document.builder import build_report
from reports.judgement.claim_remarks import compare_groups
from reports.judgement.claim_values import RecordValues, find_pair
from reports.judgement.claims import ClaimEvaluation, check_claims, evaluate_claim
from reports.paper import published
from reports.records.grouping import DecidingFact
from reports.records.index import RunIndex, collect_evidence
from reports.records.reading import read_records
from reports.records.runs import make_run
from reports.render import output_files

CLAIM = next(claim for claim in published.read_claims() if claim.id == "adapter-equal-size")
MINI = Path(__file__).resolve().parents[3] / "results" / "mini" / "records.json"
DATA = DecidingFact.DATA
TASKS = ("e2e", "webnlg", "dart")
PREFIX, ADAPTER = [60.0, 60.2, 60.1], [50.0, 50.2, 50.1]
UNLIKE: dict[DecidingFact, dict[str, Any]] = {
    DecidingFact.WEIGHTS: {"model_fingerprint": "f" * 64},
    DecidingFact.DATA: {"data_fingerprint": "a" * 64},
    DecidingFact.WORKING_TREE: {"code": DIRTY},
    DecidingFact.CODE: {"code": {**CODE, "commit": "b" * 40}},
    DecidingFact.PACKAGES: {"packages": {"torch": "2.12.0"}},
    DecidingFact.EXECUTION: {"execution": EXECUTION},
}


def make_runs(prefix: dict[str, Any], adapter: dict[str, Any]) -> list[dict[str, Any]]:
    """Three seeds of both systems on the three tasks, the records of each changed as asked."""
    return [
        {**run, **changes}
        for task in TASKS
        for values, changes, system in (
            (PREFIX, prefix, {"method": "prefix"}),
            (ADAPTER, adapter, {"method": "adapter", "options": {"size": "0.1%"}}),
        )
        for run in seeds(values, task=task, **system)
    ]


def evaluate(records: list[dict[str, Any]]) -> ClaimEvaluation:
    return evaluate_claim(CLAIM, RecordValues(RunIndex(records), "paper"), "records")


def test_nothing_is_said_of_like_runs() -> None:
    got = evaluate(make_runs({"code": CODE}, {"code": CODE}))
    assert got.remarks.to_sentences() == [] and "alike" not in got.explanation


@pytest.mark.parametrize("fact", UNLIKE, ids=str)
def test_sides_that_differ_are_said_to(fact: DecidingFact) -> None:
    before = {"code": CODE}
    got = evaluate(make_runs(before, {**before, **UNLIKE[fact]}))
    assert len(got.remarks.unlike_sides) == 3 == got.remarks.compared
    assert {d.fact for sides in got.remarks.unlike_sides for d in sides.differences} == {fact}
    assert (
        f"Not alike on both sides: {fact} (" in got.explanation and "in 3 of 3 numbers)." in got.explanation
    )
    assert got.remarks.dirty == (fact is DecidingFact.WORKING_TREE)


def test_data_of_other_splits_are_no_other_data() -> None:
    """The fingerprint is that of the files that were read: no training's where nothing is trained."""
    like = collect_evidence(RunIndex(seeds([55.0])), webnlg_prefix()).chosen
    other = {**record(seed=2), **UNLIKE[DecidingFact.DATA]}
    eval_every = {"value": 1, "origin": "somebody"}
    for changes in ({"training": None}, {"settings": {**other["settings"], "eval_every": eval_every}}):
        run = read_records([{**other, **changes}])[0]
        group = replace(
            like,
            members=(replace(like.members[0], run=make_run(run, 1, 1.0), facts={**like.facts, DATA: "a"}),),
        )
        assert compare_groups(like, group) == []
    group = replace(like, members=(replace(like.members[0], facts={**like.facts, DATA: "a"}),))
    assert [difference.fact for difference in compare_groups(like, group)] == [DATA]


def test_the_committed_mini_runs_are_alike() -> None:
    """Those of the instruction in words, which trains nothing, among them."""
    checked = check_claims(RunIndex(json.loads(MINI.read_text())))
    assert [one.claim.id for one in checked if one.mini.remarks.to_sentences()] == []


def test_what_was_left_out_and_what_was_dirty_is_said() -> None:
    runs = make_runs({"code": DIRTY}, {"code": DIRTY})
    runs.append({**record(seed=9, task="e2e", bleu=10.0), "code": {**DIRTY, "changes_sha256": "f" * 64}})
    got = evaluate(runs)
    assert "1 run left out as unlike: working tree." in got.explanation and got.remarks.dirty
    assert "changes that were not committed" in got.explanation and "both sides" not in got.explanation


def test_a_single_number_of_all_compares_all() -> None:
    """The mean over tasks: webnlg's runs have other packages, on both sides alike."""
    claim = next(claim for claim in published.read_claims() if claim.id == "adapter-4.1-bleu")
    runs = make_runs({}, {})
    for run in runs:
        run["packages"] = {"torch": "2.12.0" if run["task"] == "webnlg" else "2.13.0"}
    got = evaluate_claim(claim, RecordValues(RunIndex(runs), "paper"), "records")
    assert "Not alike on both sides: packages (torch 2.13.0 against torch 2.12.0)." in got.explanation
    assert evaluate(runs).remarks.unlike_sides == ()


def test_time_names_the_runs_of_the_machine_that_both_were_measured_on() -> None:
    """Not those of the machine with the most seeds, when the other side has none there."""
    hardware = {
        name: {"accelerators": [{"name": name, "memory_bytes": 1}], "cpu": "x", "cores": 1}
        for name in ("A", "B")
    }
    training = {"rows": 100, "updates": 20, "seconds": 60.0, "taken_from": None}
    runs = [
        {**record(seed=n, method=method), "training": training, "hardware": hardware[name]}
        for n, (method, name) in enumerate([*[("prefix", "A")] * 3, ("prefix", "B"), ("ft-full", "B")], 1)
    ]
    cells = [
        {"table": "x", "task": "webnlg", "model": "gpt2-medium", "method": method, "metric": "epoch_hours"}
        for method in ("prefix", "ft-full")
    ]
    first, second = find_pair(RecordValues(RunIndex(runs), "paper"), *cells)
    assert first.runs == (runs[3]["run_id"],) and second.runs == (runs[4]["run_id"],)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_it(form: str) -> None:
    report = build_report(make_runs({"code": CODE}, {"code": DIRTY}), ["claims"])
    files = output_files.render_files(report, form)
    assert any(b"ot alike on both sides" in content for content in files.values())
