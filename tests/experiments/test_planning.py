"""`bench plan`: states from the store, estimates and what they rest on, and that nothing is needed for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from least_record import least

from bench.cli import main
from bench.config.request import CommonOptions, build_specified_run
from bench.experiments.cost_model import STARTING, RunHistory, RunSize, compute_run_size, format_duration
from bench.experiments.expansion import ExperimentRun, ExperimentSelection, expand_experiments
from bench.experiments.planning import plan_runs
from bench.models.catalogue import FROM_BENCH_MODELS, LocatedModel, find_model_kind
from bench.store.record import RunStatus, make_record
from bench.store.store import Store
from bench.system.json_files import write_json_atomic
from bench.task import Prepared


def candidate(
    name: str, scale: str, chosen: ExperimentSelection | None = None, **given: Any
) -> ExperimentRun:
    [one] = expand_experiments(name, scale, chosen, CommonOptions(given=given)).runs
    return one


def spec_of(one: ExperimentRun, fingerprint: str = "f") -> dict[str, Any]:
    """What a run of it writes down, with data and weights of some other machine."""
    assert one.request is not None
    kind = find_model_kind(one.request.model)
    model = LocatedModel(one.request.model, Path("there"), FROM_BENCH_MODELS, fingerprint * 64, kind)
    data = Prepared(one.request.task, Path("there"), "directory", "d" * 64)
    return build_specified_run(one.request, model, data).spec.to_json()


def leave(store: Store, one: ExperimentRun, status: str | None = "done", **facts: Any) -> str:
    """A run in the store, as a harness would have left it; without a status, one that was killed."""
    spec = spec_of(one)
    folder = store.run(spec["run_id"])
    if status is None:
        folder.path.mkdir(parents=True)
        write_json_atomic(folder.spec, spec)
    else:
        folder.write_record({**least(status), **spec, **facts})
    return str(spec["run_id"])


MEDIUM = ExperimentSelection(tasks="e2e", models="gpt2-medium", seeds="101")


def test_states_come_from_the_store_without_data_or_weights(tmp_path: Path) -> None:
    store = Store(tmp_path)
    by_method = {one.prescribed.selector: one for one in expand_experiments("table2", "paper", MEDIUM).runs}
    assert len(by_method) == 5
    done = leave(store, by_method["prefix"])
    leave(store, by_method["ft-full"], "failed", error={"kind": "out-of-memory", "message": "no room"})
    leave(store, by_method["ft-top2"], "cancelled")
    leave(store, by_method["adapter[size=3%]"], None)
    made = plan_runs(expand_experiments("table2", "paper", MEDIUM), store)
    states = {run.candidate.prescribed.selector: (run.state, run.detail) for run in made.runs}
    assert states == {
        "prefix": ("done", ""),
        "ft-full": ("failed", "out-of-memory"),
        "ft-top2": ("interrupted", "continues"),
        "adapter[size=3%]": ("interrupted", "continues"),
        "adapter[size=0.1%]": ("to do", ""),
    }
    assert [run.run_id for run in made.runs if run.state == "done"] == [done]
    assert made.count() == {
        "done": 1, "running": 0, "failed": 1, "unreadable": 0, "interrupted": 2, "to do": 1, "not available": 0
    }  # fmt: skip


def test_a_run_at_work_is_running(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one = candidate("table2", "paper", ExperimentSelection("e2e", "prefix", "gpt2-medium", "101"))
    with store.run(leave(store, one, None)).claim():
        assert plan_runs(expand_experiments("table2", "paper", MEDIUM), store).count()["running"] == 1
    assert plan_runs(expand_experiments("table2", "paper", MEDIUM), store).count()["running"] == 0


def test_a_run_that_failed_after_it_was_done_is_done(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one = candidate("table2", "paper", ExperimentSelection("e2e", "prefix", "gpt2-medium", "101"))
    leave(store, one)
    leave(store, one, "failed", error={"kind": "error", "message": "x"})
    assert plan_runs(expand_experiments("table2", "paper", MEDIUM), store).count()["done"] == 1


def test_another_setting_is_another_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    chosen = ExperimentSelection("e2e", "prefix", "gpt2-medium", "101")
    leave(store, candidate("table2", "paper", chosen))
    assert plan_runs(expand_experiments("table2", "paper", chosen), store).count()["done"] == 1
    for given in ({"lr": 1e-3}, {"limit": 5}):
        changed = expand_experiments("table2", "paper", chosen, CommonOptions(given=given))
        assert plan_runs(changed, store).count()["done"] == 0
    same = expand_experiments("table2", "paper", chosen, CommonOptions(given={"decode_batch": 3}))
    assert plan_runs(same, store).count()["done"] == 1


def test_where_everything_is_here_a_run_is_known_by_its_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    chosen = ExperimentSelection(methods="infix[length=1]")
    leave(store, candidate("table5", "mini", chosen))  # the same request, on other data and weights
    [run] = plan_runs(expand_experiments("table5", "mini", chosen), store).runs
    assert run.state == "to do"
    assert run.run_id is not None
    assert run.run_id.startswith("e2e-infix-mini-gpt2-s101-")


# --- estimates


@pytest.mark.parametrize(
    ("name", "chosen", "given", "expected"),
    [
        ("table2", ExperimentSelection("e2e", "prefix", "gpt2-medium", "101"), {}, RunSize(5 * 42_061, 630)),
        (
            "table2",
            ExperimentSelection("webnlg", "ft-full", "gpt2-medium", "101"),
            {},
            RunSize(10 * 18_025, 1862),
        ),
        (
            "table2",
            ExperimentSelection("e2e", "prefix", "gpt2-medium", "101"),
            {"limit": 8},
            RunSize(5 * 8, 8),
        ),
        (
            "figure3",
            ExperimentSelection("e2e", "prefix", None, "9", {"train_subset": 50, "data_seed": 0}),
            {},
            RunSize(2000, 547),
        ),
        (
            "figure3",
            ExperimentSelection("e2e", "ft-full", None, "9", {"train_subset": 500, "data_seed": 0}),
            {},
            RunSize(4000, 547),
        ),
        (
            "figure6",
            ExperimentSelection("e2e", "prefix", None, None, {"train_share": 0.1, "data_seed": 0}),
            {},
            RunSize(21_030, 630),
        ),
        (
            "efficiency",
            ExperimentSelection(methods="prefix", seeds="101", settings={"batch_size": 1}),
            {},
            RunSize(100, 20),
        ),
    ],
)
def test_how_much_a_run_has_to_do(
    name: str, chosen: ExperimentSelection, given: Any, expected: RunSize
) -> None:
    one = candidate(name, "paper", chosen, **given)
    assert one.request is not None
    assert one.resolved is not None
    assert compute_run_size(one.request, one.resolved) == expected


def took(updates: int, rows: int, training: float, items: int, decoding: float) -> dict[str, Any]:
    return {
        "training": {"updates": updates, "rows": rows, "seconds": training},
        "decoding": {"items": items, "seconds": decoding},
        "seconds": {"score": 1.0},
    }


def history(*documents: dict[str, Any]) -> RunHistory:
    """The history of records that hold these fields."""
    header = {"format": 1, "attempt": 1, "recorded": "2026-01-01T00:00:00.000000+00:00"}
    wholes = [{**header, **least(document["status"]), **document} for document in documents]
    return RunHistory(make_record(whole, RunStatus(whole["status"])) for whole in wholes)


def estimate(history: RunHistory, one: ExperimentRun) -> Any:
    assert one.request is not None
    assert one.resolved is not None
    return history.estimate_seconds(one.request, one.resolved)


def test_estimates_rest_on_the_best_there_is() -> None:
    first, second = (
        candidate("table2", "paper", ExperimentSelection("e2e", "prefix", "gpt2-medium", s))
        for s in ("22", "9")
    )
    wanted = candidate("table2", "paper", ExperimentSelection("e2e", "prefix", "gpt2-medium", "101"))
    other = candidate("table2", "paper", ExperimentSelection("webnlg", "prefix", "gpt2-medium", "101"))
    rough = estimate(history(), wanted)
    assert rough.basis == "rough"
    # §5.3: 0.2 hours per epoch of 22K examples, here 5 epochs of twice as many, shorter ones.
    assert 0.5 < (rough.seconds - 630) / (5 * 42_061 / 22_000 * 720) < 1
    # 21,035 updates of 10 rows, the last of an epoch short.
    facts = took(21_035, 42_061, 4206.1, 630, 63.0)
    done = [{**spec_of(one), "status": "done", **facts} for one in (first, second)]
    done[1]["training"] = {**facts["training"], "seconds": 4226.1}
    similar = estimate(history(*done), wanted)
    assert (similar.seconds, similar.basis) == (pytest.approx(4216.1 + 63 + 1), "2 similar runs")
    rates = estimate(history(done[0]), other)
    assert rates.basis == "rates of 1 run"
    assert rates.seconds == pytest.approx(5 * 18_025 * 0.02 + 1862 * 0.1 + STARTING["paper"])
    assert estimate(history({**done[0], "status": "failed"}), wanted).basis == "rough"


def test_a_few_updates_say_nothing_of_many() -> None:
    """The first update and the start cost what they cost once, however often they are seen."""
    chosen = (
        candidate("table2", "paper", ExperimentSelection("e2e", "prefix", "gpt2-medium", s))
        for s in ("22", "9", "101")
    )
    long, short, tiny = ({**spec_of(one), "status": "done"} for one in chosen)
    wanted = candidate("table2", "paper", ExperimentSelection("webnlg", "prefix", "gpt2-medium", "101"))
    long |= took(1000, 42_061, 1000.0, 630, 63.0)
    tiny |= took(2, 20, 60.0, 5, 60.0)
    usual = estimate(history(long), wanted)
    for records in ([long, tiny, tiny, tiny, tiny], [tiny, long]):
        assert estimate(history(*records), wanted) == usual
    assert estimate(history(*[tiny] * 4), wanted).basis == "rough"
    # A run with a tenth of the work, four times as slow, counts as a tenth and not as half.
    short |= took(100, 42_061, 400.0, 63, 25.2)
    both = estimate(history(long, short), wanted)
    assert both.basis == "rates of 2 runs"
    work = usual.seconds - STARTING["paper"]
    assert both.seconds - STARTING["paper"] == pytest.approx(work * 1.4 / 1.1)


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 s"), (720, "12 min"), (12_600, "3.5 h"), (2e5, "2.3 days")]
)
def test_durations_format_duration(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


# --- the verb


def test_runs_that_differ_in_what_they_decode_need_one_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = ["table2", "table9"]  # the same systems: test items in one, dev items in the other
    assert main(["plan", *tables, "--scale", "paper", "--json", "--runs", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    systems = {(run["task"], run["method"], run["model"], run["seed"]) for run in document["runs"]}
    assert document["totals"]["trainings_left"] == len(systems) == document["totals"]["runs"] / 2
    assert main(["plan", "table5", "--runs", str(tmp_path)]) == 0
    assert "7 trainings to go" in capsys.readouterr().out


def test_the_plan_as_json_has_every_setting_with_its_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "all", "--scale", "paper", "--json", "--runs", str(tmp_path / "none")]) == 0
    document = json.loads(capsys.readouterr().out)
    totals = document["totals"]
    assert totals["runs"] == len(document["runs"])
    assert totals["to do"] + totals["not available"] == totals["runs"]
    assert totals["duplicates_removed"] > 200
    assert totals["estimated_seconds_left"] > 24 * 3600
    assert [one["name"] for one in document["experiments"]][:1] == ["table1"]
    for run in document["runs"]:
        assert run["experiments"]
        for one in {**run["options"], **run["settings"]}.values():
            assert one["origin"]
        if run["state"] == "to do":
            assert len(run["settings"]) > 20
            # Nobody has published how large the summarisation splits are.
            assert (run["estimate"] is None) == run["task"].startswith("xsum-")
            assert run["estimate"] is None or run["estimate"]["basis"] == "rough"
    assert not (tmp_path / "none").exists()


def test_the_plan_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "figure3", "--scale", "paper", "--task", "e2e", "--method", "prefix", "--seed", "9"]
    words += ["--train-subset", "50", "--runs", str(tmp_path)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "max_steps = 200  [paper Table 8]" in out
    assert "5 runs: 5 to do" in out
    assert "rough" in out
    assert main([*words, "--settings"]) == 0
    out = capsys.readouterr().out
    assert "experiment figure3: paper Table 8" in out
    assert "paper §5.3" in out  # beams, which no experiment decides


def test_an_experiment_without_runs_says_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "table1", "--runs", str(tmp_path)]) == 0
    assert "bench report table1 --data-dir" in capsys.readouterr().out
    assert main(["run", "table1", "--runs", str(tmp_path)]) == 0
    assert "bench report table1 --data-dir" in capsys.readouterr().err


def test_experiments_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "experiments", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    known = (
        [f"table{n}" for n in range(1, 11)]
        + [f"figure{n}" for n in range(3, 9)]
        + ["claims", "efficiency", "seeds"]
    )
    assert len(known) == 19
    assert set(known) <= set(rows)  # a file that was added is one more
    assert (rows["table2"]["runs (paper)"], rows["figure3"]["runs (paper)"]) == (63, 160)


def test_a_training_that_stores_both_parameters_counts_once(tmp_path: Path) -> None:
    prefix = ExperimentSelection(methods="prefix", models="gpt2-medium")

    def count(*names: str, **given: Any) -> int:
        expansion = expand_experiments(names, "paper", prefix, CommonOptions(given=given))
        return plan_runs(expansion, Store(tmp_path)).trainings()

    assert count("early-stop") == count("table2") == count("early-stop", "table2") == 9
    assert count("early-stop", "table2", store_both="no", eval_every=5000) == 18
    assert count("table2", keep="last,best", eval_every=5000, store_both="yes") == 18, (
        "neither is left to the other"
    )
