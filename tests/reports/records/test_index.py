"""Which records fill which cell, on made-up records."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from made_up import SIGNATURE, cell, failed, record, scores, seeds, webnlg_prefix

from bench import registry
from bench.config.comparability import IncomparableKind
from bench.experiments import expansion
from bench.store.comparable import is_comparable, list_incomparable
from bench.store.record import Record, ScoreEntry
from reports.paper import published
from reports.records.index import CellEvidence, RunIndex, collect_curve, collect_evidence
from reports.records.reading import read_records
from reports.records.runs import Run, select_attempts
from reports.records.values import COUNT_METRICS, measure_value

MINI = Path(__file__).resolve().parents[3] / "results" / "mini" / "records.json"


def found(
    records: list[dict[str, Any]], where: published.Cell | None = None, scale: str = "paper"
) -> CellEvidence:
    return collect_evidence(RunIndex(records), where or webnlg_prefix(), scale)


def typed(document: dict[str, Any]) -> Record:
    (made,) = read_records([document])
    return made


def select(*documents: dict[str, Any]) -> list[Run]:
    return select_attempts(read_records(documents))


def test_runs_of_a_cell_by_seed() -> None:
    got = found(seeds([55.0, 54.0, 56.0]) + seeds([40.0], method="ft-full") + seeds([1.0], task="e2e"))
    assert got.replicates == {(None, 1): 55.0, (None, 2): 54.0, (None, 3): 56.0}
    assert len(got.runs) == 3 and not (got.failures or got.missing or got.excluded or got.notes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scale": "mini", "model": "gpt2-medium"}, "mini"),
        ({"protocol": "plain", "not_comparable": ["protocol plain"]}, "protocol plain"),
        ({"protocol": "plain"}, "protocol plain"),
        ({"not_comparable": ["settings from the command line: lr"]}, "command line"),
        ({"not_comparable": None}, "does not say"),
        ({"scale": "large"}, "scale large"),
        ({"model_verification": None}, "backbone not verified (the record does not say"),
        (
            {"model_verification": {"status": "not-verified", "reason": "no proof"}},
            "backbone not verified (no proof); `bench models verify gpt2-medium`",
        ),
        ({"model_verification": {"status": "not-published"}}, "backbone not verified;"),
    ],
)
def test_what_is_not_comparable_never_fills_a_cell(changes: dict[str, Any], reason: str) -> None:
    changed = {**record(), **changes}
    reasons = list_incomparable(typed(changed))
    assert not is_comparable(typed(changed)) and any(reason in one.text for one in reasons)
    got = found([changed])
    assert not got.replicates and not got.runs
    if changed["scale"] == "paper":
        assert any(reason in one for one in got.excluded)


@pytest.mark.parametrize(
    ("origin", "verified"),
    [
        ("hub openai-community/gpt2-medium@" + "6" * 40, True),
        ("hub openai-community/gpt2-medium@main", False),
        ("BENCH_MODELS", False),
        ("directory gpt2-medium", False),
        (None, False),
    ],
)
def test_records_of_before_are_verified_only_by_the_pinned_hub(origin: str | None, verified: bool) -> None:
    """They do not say what the weights were; only the hub's cache was at a revision that nobody could move."""
    old = record(model_origin=origin)
    del old["model_verification"]
    kinds = [reason.kind for reason in list_incomparable(typed(old))]
    assert kinds == ([] if verified else [IncomparableKind.BACKBONE_NOT_VERIFIED])


def test_a_stated_reason_is_said_once() -> None:
    text = "backbone not verified (no proof); `bench models verify gpt2-medium`"
    stated = record(not_comparable=[text], model_verification={"status": "not-verified", "reason": "other"})
    [reason] = list_incomparable(typed(stated))
    assert (reason.kind, reason.text) == (IncomparableKind.BACKBONE_NOT_VERIFIED, text)


def test_partial_data_cannot_reach_a_cell() -> None:
    partial = record()
    partial["settings"]["limit"] = {"value": 200, "origin": "command line"}
    # Even if the list that the run wrote forgot it.
    [reason] = list_incomparable(typed(partial))
    assert reason.kind is IncomparableKind.PARTIAL_DATA and reason.text == "partial data (--limit 200)"
    got = found([partial])
    assert not got.replicates and got.excluded == ("partial data (--limit 200)",)


def test_failed_and_cancelled_are_gaps() -> None:
    got = found([failed(seed=1), failed(seed=2), failed("time-out", seed=3), failed("cancelled", seed=4)])
    assert got.failures == {"out-of-memory": 2, "time-out": 1, "cancelled": 1} and not got.replicates
    assert not is_comparable(typed(failed()))


def test_a_run_that_is_done_once_stays_done() -> None:
    done = record(bleu=55.0)
    later = {**failed(), "run_id": done["run_id"]}
    rescored = {**done, "ended": "2027", "scores": scores({"bleu": 55.5})}
    got = found([later, done])
    assert got.replicates == {(None, 1): 55.0} and not got.failures
    assert found([rescored, later, done]).replicates == {(None, 1): 55.5}
    assert [run.attempts for run in select(later, done, rescored)] == [3]


def test_the_same_seed_counts_once() -> None:
    got = found([record(seed=1, bleu=50.0), record(seed=1, bleu=55.0), record(seed=2, bleu=56.0)])
    assert got.replicates == {(None, 1): 55.0, (None, 2): 56.0}
    assert got.notes == ("1 repeated runs counted once",) and len(got.runs) == 2


def test_options_and_settings_must_be_the_cells() -> None:
    longer = record(options={"length": 10})
    other_init = record(options={"init": "banana"})
    assert not found([longer]).replicates and not found([other_init]).replicates
    # The paper's default given by hand is the same run.
    assert found([record(options={"length": 5})]).replicates
    assert not found([record(preset={"epochs": 50}, experiment="figure9")]).replicates
    assert found([record(preset={"epochs": 50}, experiment="table2")]).replicates
    figure4 = cell("figure4", task="dart", metric="bleu", options={"length": 20})
    assert found([record(task="dart", options={"length": 20})], figure4).replicates


def test_low_data_runs_are_told_from_full_ones() -> None:
    low = cell(
        "figure3",
        task="e2e",
        metric="bleu",
        method="prefix",
        section="BLEU",
        column="size=100",
        settings={"train_size": 100},
    )
    preset = {"train_subset": 100, "dev_subset": 30, "test_split": "dev", "max_steps": 200}
    runs = [
        record(
            task="e2e", options={"init": "table-to-text:"}, seed=seed, preset={**preset, "data_seed": subset}
        )
        for subset in (0, 1)
        for seed in (1, 2)
    ]
    got = found(runs, low)
    assert set(got.replicates) == {(0, 1), (0, 2), (1, 1), (1, 2)}
    full = cell("table2", task="e2e", method="prefix", model="gpt2-medium", metric="bleu")
    assert not found(runs, full).replicates
    assert not found([record(task="e2e", preset={**preset, "train_subset": 50})], low).replicates
    assert not found([record(task="e2e")], low).replicates


def test_dev_tables_take_dev_runs() -> None:
    dev = cell("table9", task="webnlg", method="prefix", model="gpt2-medium", metric="bleu")
    assert found([record(preset={"test_split": "dev"}, experiment="table9")], dev).replicates
    assert not found([record()], dev).replicates
    assert not found([record(preset={"test_split": "dev"}, experiment="table9")]).replicates


def test_runs_with_different_settings_are_not_averaged() -> None:
    runs = seeds([55.0, 54.0]) + seeds([60.0], preset={"epochs": 50}, experiment="table2")
    got = found(runs)
    assert list(got.replicates.values()) == [60.0]  # the table's own experiment decides
    [unlike] = got.unlike
    assert unlike.to_text() == "2 runs left out: other settings (epochs=5 instead of epochs=50)"


def test_scorers_are_not_mixed() -> None:
    old = record(seed=1, scores={"all": {"bleu": {"value": 50.0, "signature": "old"}}})
    got = found([old, *seeds([55.0, 54.0])[1:], record(seed=3, bleu=56.0)])
    assert list(got.replicates.values()) == [54.0, 56.0] and "bench score" in got.unlike[0].to_text()
    assert {run.record["scores"]["all"]["bleu"]["signature"] for run in got.runs} == {SIGNATURE}


def test_scores_without_value_and_failed_gates_are_kept_apart() -> None:
    missing = record(seed=1, scores=scores({"bleu": None}, reason="java is not there"))
    assert found([missing]).missing == ("java is not there",)
    gated = record(seed=2, scores=scores({"bleu": 50.0}, gate="failed: 3 of 9 golden outputs"))
    got = found([missing, gated, record(seed=3, bleu=55.0)])
    assert got.replicates == {(None, 3): 55.0} and got.gate.startswith("failed")
    assert found([record(scores=scores({"bleu": 50.0}, gate="passed"))]).replicates
    assert "no score ter" in found([record()], webnlg_prefix("ter")).missing[0]
    broken = {"all": {"bleu": ScoreEntry.model_construct(value=float("nan"))}}
    assert measure_value(typed(record()).model_copy(update={"scores": broken}), "all", "bleu").value is None


def test_methods_and_tasks_that_are_not_here_match_by_what_is_named() -> None:
    xsum = cell("table3", method="prefix", metric="rouge1", options={"length": 100})
    run = record(scores=scores({"rouge1": 0.43}))
    options = {
        "length": {"value": 100, "origin": "command line"},
        "other": {"value": 1, "origin": "method default"},
    }
    run |= {"task": "an-unknown-task", "model": "bart-large", "options": options}
    place = {**vars(xsum), "task": "an-unknown-task"}
    assert collect_evidence(RunIndex([run]), place).replicates == {(None, 1): 0.43}
    options["other"]["origin"] = "command line"
    assert not collect_evidence(RunIndex([run]), place).replicates


def test_parameters_time_and_memory() -> None:
    index = RunIndex([record(seed=1, task="webnlg"), record(seed=2, task="webnlg")])
    count = cell("efficiency", metric="stored_parameters", task="webnlg")
    assert set(collect_evidence(index, count).replicates.values()) == {245_760.0}
    hours = cell("efficiency", metric="epoch_hours", task="webnlg", method="prefix")
    got = collect_evidence(index, hours)
    assert list(got.replicates.values()) == pytest.approx([0.2, 0.2])
    assert list(got.machines) == ["webnlg on an accelerator"]
    memory = cell("efficiency", metric="memory_share", method="prefix")
    assert not collect_evidence(index, memory).replicates  # these have batch size 5
    small = record(preset={"batch_size": 1}, experiment="efficiency")
    assert list(collect_evidence(RunIndex([small]), memory).replicates.values()) == [0.25]
    # ... and such a run says nothing about scores or time.
    assert not collect_evidence(RunIndex([small]), webnlg_prefix()).replicates
    assert list(
        collect_evidence(RunIndex([small, record(seed=1)]), hours).replicates.values()
    ) == pytest.approx([0.2])


def test_committed_mini_records_stand_for_themselves_only() -> None:
    index = RunIndex(json.loads(MINI.read_text()))
    assert not any(
        collect_evidence(index, one).replicates
        for name in published.WITH_CELLS
        for one in published.read_cells(name)
    )
    got = collect_evidence(index, webnlg_prefix(), "mini")
    assert len(got.replicates) == 3 and {run.record["model"] for run in got.runs} == {"mini-gpt2"}
    large = cell(task="webnlg", method="prefix", model="gpt2-large", metric="bleu", group="all")
    assert not collect_evidence(index, large, "mini").replicates
    adapter = cell(
        task="dart", method="adapter", model="gpt2-medium", metric="bleu", options={"size": "0.1%"}
    )
    assert {
        run.record["options"]["size"]["value"] for run in collect_evidence(index, adapter, "mini").runs
    } == {"0.1%"}


# --- the experiments' runs, as their files prescribe them


@cache
def prescribed(name: str, scale: str) -> list[dict[str, Any]]:
    """A made-up record of every run that an experiment has here."""
    made = []
    for run in expansion.expand_experiments(name, scale).runs:
        if run.request is None or run.resolved is None:
            continue
        task, method = run.request.task.name, run.request.method.name
        one = record(method, task, run.request.seed, scale=scale, model=run.request.model)
        for part in ("options", "settings"):
            found = getattr(run.resolved, part)
            one[part] = {key: {"value": s.value, "origin": s.origin} for key, s in found.items()}
        metrics = {c.metric for n in published.WITH_CELLS for c in published.read_cells(n)}
        one["scores"] = dict.fromkeys(("all", "seen", "unseen"), scores(dict.fromkeys(metrics, 0.5))["all"])
        made.append(one)
    return made


TABLES = ("table2", "table5", "table9", "figure3", "figure4", "figure5", "figure6", "figure7", "figure8")


@pytest.mark.parametrize("name", TABLES)
def test_every_experiment_fills_its_cells(name: str) -> None:
    index = RunIndex(prescribed(name, "paper"))
    everything = RunIndex(one for table in (*TABLES, "efficiency") for one in prescribed(table, "paper"))
    tasks, checked = registry.tasks(), 0
    for one in published.read_cells(name):
        if one.task not in tasks or one.method is None:
            continue
        alone, among = collect_evidence(index, one), collect_evidence(everything, one)
        subsets = {run.data_seed for run in alone.runs}
        assert (len(subsets) > 1) == bool(one.settings), one.place  # drawn more than once where drawn
        assert alone.replicates.keys() == among.replicates.keys(), one.place
        assert len(alone.replicates) >= 3, one.place
        assert not alone.unlike and not among.unlike, one.place
        checked += 1
    assert checked


def of_experiment(name: str, scale: str) -> list[dict[str, Any]]:
    """What ``prescribed`` makes, as records say of themselves which experiment they belong to."""
    return [{**one, "experiment": name} for one in prescribed(name, scale)]


def test_early_stopped_parameters_fill_table_2_where_the_last_ones_are_not_there() -> None:
    early, usual = of_experiment("early-stop", "paper"), of_experiment("table2", "paper")
    cells = [one for one in published.read_cells("table2") if one.method == "prefix" and one.task == "e2e"]
    [medium] = [one for one in cells if one.model == "gpt2-medium" and one.metric == "bleu"]
    alone = collect_evidence(RunIndex(early), medium)
    assert {run.record.settings["keep"].value for run in alone.runs} == {"best"}
    assert len(alone.replicates) == 3
    both = collect_evidence(RunIndex([*early, *usual]), medium)
    assert {run.record.settings["keep"].value for run in both.runs} == {"last"}
    assert both.unlike, "the others are left out, and it is said"
    elsewhere = [one for one in published.read_cells("table9") if one.method == "prefix"]
    assert not any(collect_evidence(RunIndex(early), one).runs for one in elsewhere)


@pytest.mark.parametrize("scale", ["paper", "mini"])
def test_a_search_fills_no_table(scale: str) -> None:
    index = RunIndex(of_experiment("search", scale))
    for name in ("table2", "table9", "figure4"):
        for one in published.read_cells(name):
            if one.metric not in COUNT_METRICS:
                assert not collect_evidence(index, one, scale).runs, one.place


def test_points_of_a_curve() -> None:
    index = RunIndex(prescribed("figure3", "mini") + prescribed("figure4", "mini"))
    lengths = {
        "task": "dart",
        "model": "gpt2-medium",
        "method": "prefix",
        "metric": "bleu",
        "table": "figure4",
    }
    assert list(collect_curve(index, lengths, "length", "mini")) == sorted(
        {one["options"]["length"]["value"] for one in prescribed("figure4", "mini") if one["task"] == "dart"}
    )
    low = {"task": "e2e", "model": "gpt2-medium", "method": "prefix", "metric": "bleu", "table": "figure3"}
    low |= {"options": {"init": "table-to-text:"}, "split": "dev"}
    points = collect_curve(index, low, "train_size", "mini")
    assert list(points) == [50, 200] and all(found.replicates for found in points.values())
    assert not collect_curve(index, low, "train_size")


def test_cells_of_one_table_at_mini_do_not_share_runs() -> None:
    index = RunIndex(prescribed("table2", "mini"))
    columns = [
        one
        for one in published.read_cells("table2")
        if one.column == "DART BLEU" and one.model == "gpt2-medium"
    ]
    found = [collect_evidence(index, one, "mini").run_ids for one in columns]
    assert len(found) == 5 and all(len(ids) == 1 for ids in found) and len({ids[0] for ids in found}) == 5


def test_the_time_of_a_run_is_that_of_all_its_attempts() -> None:
    done = record(seconds={"attempt": 6.9})
    stopped = failed("cancelled", seed=1, seconds={"attempt": 55.1}) | {"run_id": done["run_id"]}
    again = {**done, "ended": "2026-02-01", "scored": {"replaces_attempt": 2}}
    [run] = select(stopped, done, again)
    assert (run.attempts, run.seconds, run.status) == (3, pytest.approx(62.0), "done")
    [silent] = select(record(seconds={}))
    assert silent.seconds is None
