"""Runs that are unlike in what decides numbers are never averaged, and one group is chosen by a stated rule."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import CODE, DIRTY, EXECUTION, SIGNATURE, cell, record, seeds, webnlg_prefix

from reports import FORMATS
from reports.document import gaps
from reports.document.builder import build_report
from reports.records.grouping import DecidingFact
from reports.records.index import CellEvidence, RunIndex, collect_evidence
from reports.render import output_files

UNLIKE: dict[DecidingFact, dict[str, Any]] = {
    DecidingFact.WEIGHTS: {"model_fingerprint": "f" * 64},
    DecidingFact.DATA: {"data_fingerprint": "a" * 64},
    DecidingFact.SCORER: {"scores": {"all": {"bleu": {"value": 40.0, "signature": "another"}}}},
    DecidingFact.WORKING_TREE: {"code": DIRTY},
    DecidingFact.CODE: {"code": {**CODE, "commit": "b" * 40}},
    DecidingFact.PACKAGES: {"packages": {"torch": "2.12.0"}},
    DecidingFact.EXECUTION: {"execution": EXECUTION},
}


def collect(records: list[dict[str, Any]]) -> CellEvidence:
    return collect_evidence(RunIndex(records), webnlg_prefix())


@pytest.mark.parametrize("fact", UNLIKE, ids=str)
def test_an_unlike_run_is_left_out_and_named(fact: DecidingFact) -> None:
    other = {**record(seed=3, bleu=40.0), **UNLIKE[fact]}
    got = collect([*seeds([55.0, 54.0]), other])
    assert got.replicates == {(None, 1): 55.0, (None, 2): 54.0}
    [unlike] = got.unlike
    assert unlike.run_ids == (other["run_id"],)
    assert [difference.fact for difference in unlike.differences] == [fact]
    assert unlike.to_text().startswith("1 run left out: ")


def test_of_facts_with_several_parts_those_that_differ_are_named() -> None:
    """Whatever comes first in them: a difference is never cut off."""
    many = {f"VARIABLE_{number}": "1" for number in range(9)}
    first, second = ({**EXECUTION, "variables": {**many, "Z": value}} for value in ("a", "b"))
    runs = [{**run, "execution": first} for run in seeds([55.0, 54.0])]
    got = collect([*runs, {**record(seed=3), "execution": second}])
    assert (
        got.unlike[0].to_text() == "1 run left out: other conditions of the computation (Z=b instead of Z=a)"
    )
    got = collect([*runs, {**record(seed=3), "execution": {**EXECUTION, "variables": many}}])
    assert got.unlike[0].to_text().endswith("(absent instead of Z=a)")


def test_single_runs_of_different_groups_are_not_averaged() -> None:
    runs = [{**record(seed=n), **changes} for n, changes in enumerate(UNLIKE.values(), 1)]
    got = collect(runs)
    assert len(got.replicates) == 1
    assert len(got.unlike) == len(runs) - 1


def test_the_same_seed_in_two_groups_hides_neither() -> None:
    later = {**record(seed=1, bleu=40.0), "model_fingerprint": "f" * 64}
    got = collect([*seeds([55.0, 54.0]), later])
    assert got.replicates == {(None, 1): 55.0, (None, 2): 54.0}
    assert got.unlike[0].run_ids == (later["run_id"],)


def test_a_clean_tree_comes_before_more_seeds_of_a_dirty_one() -> None:
    dirty = [{**one, "code": DIRTY} for one in seeds([50.0, 51.0, 52.0])]
    got = collect([*dirty, record(seed=9, bleu=55.0)])
    assert got.replicates == {(None, 9): 55.0} and not got.dirty
    alone = collect(dirty)
    assert len(alone.replicates) == 3 and alone.dirty


def test_versions_of_the_deciding_code_count_and_commits_do_not() -> None:
    """Two commits that differ in what decides no number are alike."""
    first, second = seeds([55.0, 54.0])
    first["code"] = {**CODE, "commit": "1" * 40, "deciding_sha256": "d" * 64}
    second["code"] = {**CODE, "commit": "2" * 40, "deciding_sha256": "d" * 64}
    assert len(collect([first, second]).replicates) == 2
    second["code"]["deciding_sha256"] = "e" * 64
    assert len(collect([first, second]).replicates) == 1


def test_threads_count_as_they_were_and_not_as_they_were_asked_for() -> None:
    """A variable of the environment goes before the setting."""
    runs = []
    for seed, setting, threads in ((1, 1, 1), (2, 2, 1), (3, 2, 2)):
        run = {**record(seed=seed), "execution": {**EXECUTION, "threads": threads}}
        run["settings"] = {**run["settings"], "threads": {"value": setting, "origin": "command line"}}
        runs.append(run)
    got = collect(runs)
    assert {seed for _, seed in got.replicates} == {1, 2}
    assert got.unlike[0].to_text().endswith("conditions of the computation (2 threads instead of 1 thread)")


def test_most_seeds_then_the_latest() -> None:
    others = [{**one, "model_fingerprint": "f" * 64} for one in seeds([40.0, 41.0])]
    assert set(collect([*seeds([55.0]), *others]).replicates.values()) == {40.0, 41.0}
    earlier = seeds([55.0])
    as_many = [{**one, "model_fingerprint": "f" * 64} for one in seeds([40.0])]
    assert set(collect([*earlier, *as_many]).replicates.values()) == {40.0}


def test_parameter_counts_depend_on_the_weights_alone() -> None:
    stored = cell("efficiency", metric="stored_parameters", task="webnlg")
    runs = [{**record(seed=n), **UNLIKE[fact]} for n, fact in enumerate(UNLIKE, 1) if fact != "weights"]
    assert len(collect_evidence(RunIndex(runs), stored).replicates) == len(runs)
    odd = {
        **record(seed=99),
        "model_fingerprint": "f" * 64,
        "parameters": {"trained": 1, "stored": 1, "backbone": 2},
    }
    counted = collect_evidence(RunIndex([*runs, odd]), stored)
    assert set(counted.replicates.values()) == {245_760.0}


def test_a_report_shows_what_was_left_out_and_what_was_dirty() -> None:
    runs = [{**one, "code": DIRTY} for one in seeds([55.0, 54.0])]
    other = {**record(seed=3, bleu=40.0), "code": {**DIRTY, "changes_sha256": "f" * 64}}
    report = build_report([*runs, other], ["table2"])
    sentences = gaps.collect_left_out(report.tables[0])
    words = "1 run left out: another state of the working tree (uncommitted changes ffffffffffff instead of"
    assert any(words in sentence for sentence in sentences)
    assert sentences[-1].startswith("dirty: ")
    cells = [c for b in report.tables[0].blocks for s in b.sections for r in s.rows for c in r.cells]
    texts = [
        cell.ours.text for cell in cells if cell is not None and cell.ours is not None and cell.ours.dirty
    ]
    assert texts and all(text.endswith("(dirty)") for text in texts)


@pytest.mark.parametrize("form", FORMATS)
def test_the_latest_scores_say_which_are_of_dirty_code(form: str) -> None:
    """A run stands there alone, averaged with nothing."""
    report = build_report([{**record(seed=1), "code": CODE}, {**record(seed=2), "code": DIRTY}], ["claims"])
    assert [(run.seed, run.dirty) for run in report.overview.latest] == [(2, True), (1, False)]
    if form not in ("csv", "json"):
        text = b"".join(output_files.render_files(report, form).values()).decode()
        assert text.count("medium (dirty)") == 1


CHANGES = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([None, *UNLIKE]), st.sampled_from([50.0, 55.0, 57.5])),
    min_size=1,
    max_size=6,
)


def make_runs(drawn: list[tuple[int, DecidingFact | None, float]]) -> list[dict[str, Any]]:
    runs = []
    for seed, fact, value in drawn:
        changes = dict(UNLIKE[fact]) if fact is not None else {}
        changes["scores"] = {
            "all": {"bleu": {"value": value, "signature": "other" if fact == "scorer" else SIGNATURE}}
        }
        runs.append({**record(seed=seed), **changes})
    return runs


@settings(max_examples=40, deadline=None)
@given(CHANGES, st.randoms(use_true_random=False))
def test_the_order_of_records_changes_nothing(drawn: Any, shuffle: Any) -> None:
    runs = make_runs(drawn)
    first = collect(runs)
    shuffle.shuffle(runs)
    second = collect(runs)
    assert first.replicates == second.replicates
    assert set(first.run_ids) == set(second.run_ids)
    assert {u.run_ids for u in first.unlike} == {u.run_ids for u in second.unlike}


@settings(max_examples=40, deadline=None)
@given(CHANGES)
def test_every_number_is_of_one_group_and_every_run_is_accounted_for(drawn: Any) -> None:
    runs = make_runs(drawn)
    got = collect(runs)
    kinds = {fact for (_, fact, _), run in zip(drawn, runs, strict=True) if run["run_id"] in got.run_ids}
    assert len(kinds) == 1
    left = set(itertools.chain.from_iterable(unlike.run_ids for unlike in got.unlike))
    assert not left & set(got.run_ids)
    assert {run["run_id"] for run in runs if run["run_id"] not in left} >= set(got.run_ids)


def test_a_setting_that_came_later_splits_no_group_where_it_changes_nothing() -> None:
    before, after, changed = record(seed=1), record(seed=2), record(seed=3)
    for name in ("dev_limit", "store_both"):
        assert name in before["settings"]
        del before["settings"][name]
    changed["settings"]["dev_limit"] = {"value": 5, "origin": "experiment x: paper", "layer": "experiment"}
    evidence = collect([before, after])
    assert len(evidence.replicates) == 2 and not evidence.unlike
    assert len(collect([before, after, changed]).replicates) == 2
