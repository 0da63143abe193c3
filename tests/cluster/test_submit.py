"""Submitting: again, more, after failures; in this process, where every way to fail can be made up."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import registry
from bench.cli import main
from bench.cluster import launches, site
from bench.config.request import CommonOptions, read_request, specify_run
from bench.data.sources import find_mini_root
from bench.experiments.expansion import ExperimentSelection, expand_experiments
from bench.runs import stages
from bench.store.store import Store
from tests.cluster.conftest import Bench

HERE = ["--cluster", "debug"]


def failing(error: BaseException, seeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Training raises ``error`` for some seeds."""
    original = stages.Stages.fit

    def fit(self: Any, *rest: Any) -> Any:
        if self.spec.seed in seeds:
            raise error
        return original(self, *rest)

    monkeypatch.setattr(stages.Stages, "fit", fit)


def test_again_is_nothing_and_more_is_extended(bench: Bench) -> None:
    first = bench.submit(*HERE, seed="1,2")
    assert first["state"] == "submitted"
    assert [job["seed"] for job in first["jobs"]] == [1, 2]
    assert {row.state for row in bench.rows().values()} == {"done"}
    again = bench.submit(*HERE, seed="1,2")
    assert again["id"] is None
    assert {run["why"] for run in again["runs"]} == {"done"}
    more = bench.submit(*HERE, seed="1,2,3", method="prefix[length=3,hidden=8],prompt")
    assert len(more["jobs"]) == 4
    assert len(more["left_alone"]) == 2
    assert len(Store(bench.runs).done_records()) == 6
    assert len(launches.list_launch_ids(bench.runs)) == 2


def test_a_plan_says_what_would_happen_and_writes_nothing(bench: Bench) -> None:
    plan = bench.submit(*HERE, "--dry-run", seed="1,2")
    assert not bench.runs.exists()
    assert plan["submit"] == 2
    assert plan["estimate"]["known"] == 0
    bench.submit(*HERE)
    before = sorted(path for path in bench.runs.rglob("*"))
    words = ["--method", "prefix[length=3,hidden=8],prompt", "--task", "webnlg", "--seed", "1,2"]
    words += ["--model", str(bench.model), "--limit", "6", "--epochs", "1", "--batch-size", "2"]
    plan = bench("submit", *words, "--dry-run", "--max-new-tokens", "4", "--device", "cpu")
    assert sorted(path for path in bench.runs.rglob("*")) == before
    assert [run["state"] for run in plan["runs"]] == ["done", "new", "new", "new"]
    assert [run["action"] for run in plan["runs"]] == ["leave", "submit", "submit", "submit"]
    assert plan["estimate"]["known"] == 1  # seed 2 of prefix; nothing like prompt was done
    assert plan["estimate"]["hours"] >= 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "out-of-memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk-full"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/webnlg"), "unreadable-data"),
        (ValueError("a bug"), "error"),
    ],
)
def test_a_failure_is_recorded_as_what_it_was_and_siblings_go_on(
    error: BaseException, kind: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        failing(error, (1, 3), patch)
        bench.submit(*HERE, seed="1,2,3", code=1)
    rows = {row.seed: row for row in bench.rows().values()}
    assert [rows[seed].state for seed in (1, 2, 3)] == ["failed", "done", "failed"]
    assert rows[1].kind == kind
    found = bench("status", "--state", "failed")
    [group] = found["failures"]
    assert (group["kind"], group["count"]) == (kind, 2)
    record = Store(bench.runs).run(rows[1].run_id).latest_record()
    assert record is not None
    assert record["job"]["launch"] == rows[1].launch
    assert len(Store(bench.runs).run(rows[1].run_id).records()) == 1
    left = bench.submit(*HERE, seed="1,2,3")
    assert left["id"] is None
    assert "--retry-failed" in left["runs"][0]["why"]
    retried = bench.submit(*HERE, "--retry-failed", seed="1,2,3")
    assert [job["seed"] for job in retried["jobs"]] == [1, 3]
    assert {row.state for row in bench.rows().values()} == {"done"}


def test_out_of_memory_is_tried_again_in_smaller_pieces(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*HERE, "--batch-size", "4", "--decode-batch", "8"]
    for expected in (2, 4, 4):  # one example at a time is the end
        with monkeypatch.context() as patch:
            failing(RuntimeError("CUDA out of memory. Tried to allocate"), (1,), patch)
            launch = bench.submit(*words, "--retry-failed", code=1)
        plan = bench.submit(*words, "--retry-failed", "--dry-run")
        assert f"micro_split {expected}" in plan["runs"][0]["because"]
    assert launch["jobs"][0]["because"].startswith("out of memory: micro_split 4")
    out = bench("retry", "--kind", "out-of-memory", "--cluster", "debug")
    assert len(out["jobs"]) == 1
    [run] = Store(bench.runs).runs()  # the same run all along: the same batch per update
    record = run.done_record()
    assert record is not None
    assert record["settings"]["batch_size"]["value"] == 4
    assert record["settings"]["micro_split"] == {
        "value": 4,
        "origin": "command line",
        "layer": "command-line",
    }
    assert record["settings"]["decode_batch"]["value"] < 8
    assert "out of memory" in record["job"]["because"]
    assert not any("micro_split" in reason for reason in record["not_comparable"])


def test_the_same_batch_where_it_is_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        failing(MemoryError(), (1,), patch)
        bench.submit(*HERE, code=1)
    assert bench.submit(*HERE, "--retry-failed", "--same-batch", "--dry-run")["runs"][0]["because"] is None


def test_data_that_is_gone_when_the_job_runs(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen by the job before the run begins: there is a record all the same."""
    from bench.cluster.backends.debug import Debug

    original = Debug.run_jobs

    def gone(backend: Debug, launch: Any) -> None:
        for entry in launch.jobs:
            entry.request["data_dir"] = str(tmp_path / "nowhere")
        launch.write()
        original(backend, launch)

    monkeypatch.setattr(Debug, "run_jobs", gone)
    bench.submit(*HERE, code=1)
    [row] = bench.rows().values()
    assert row.state == "failed"
    assert row.kind in ("unreadable-data", "unavailable", "request")
    [record] = Store(bench.runs).run(row.run_id).records()
    assert str(tmp_path / "nowhere") in record["error"]["message"].replace("$HOME", str(Path.home()))


def test_other_resources_make_another_array(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('time = 10\n[environment]\nWHERE = "here"\n[[shape]]\nmethod = "prompt"\ntime = 20\n')
    launch = bench.submit(*HERE, "--site", str(file), seed="1,2", method="prefix[length=3,hidden=8],prompt")
    assert [(array["count"], array["resources"]["time"]) for array in launch["arrays"]] == [(2, 10), (2, 20)]
    assert os.environ.pop("WHERE") == "here"


def test_arrays_are_no_larger_than_the_site_allows(bench: Bench, tmp_path: Path) -> None:
    from bench.cluster import submit
    from bench.cluster.arrays import arrange_jobs
    from bench.cluster.backends import get_backend
    from bench.config.request import CommonOptions, expand_requests

    common = CommonOptions(model=str(bench.model), runs=bench.runs, given={"limit": 6})
    requests = expand_requests("prompt", "webnlg", "1,2,3,4,5", common)
    file = tmp_path / "site.toml"
    file.write_text("max_array = 2\nmax_parallel = 4\n")
    plan = submit.plan_submission(requests, site.load_site(file))
    arrays, jobs = arrange_jobs(plan.todo, get_backend("slurm"), "x")
    assert [array.count for array in arrays] == [2, 2, 1]
    assert {array.resources["max_parallel"] for array in arrays} == {1}
    assert [entry.index for entry in jobs] == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tabel2"], "did you mean 'table2'"),
        (["--method", "prefix"], "--method and --task"),
        (["--method", "prefix", "--task", "webnlg", "--cluster", "slrum"], "did you mean 'slurm'"),
        (["--method", "prefix", "--task", "webnlg", "--time", "soon"], "--time soon"),
        (["--method", "prefix", "--task", "webnlg", "--cluster", "local", "--nodes", "2"], "--nodes 2"),
    ],
)
def test_a_mistake_is_one_message(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", *words, "--runs", str(tmp_path / "r")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_an_experiments_runs_are_submitted_as_they_are_run(bench: Bench) -> None:
    """The same runs, with what the experiment prescribes, through the plain data that a job gets."""
    plan = bench("submit", "table5", "--method", "infix[length=10],prefix", "--dry-run")
    assert plan["submit"] == 2
    expansion = expand_experiments(
        "table5", "mini", ExperimentSelection(methods="infix[length=10]"), CommonOptions(runs=bench.runs)
    )
    [request] = expansion.requests
    again = read_request(json.loads(json.dumps(request.to_json())))
    assert specify_run(again).spec.run_id == specify_run(request).spec.run_id
    assert specify_run(again).spec.run_id in {run["run_id"] for run in plan["runs"]}


def test_slurm_where_there_is_none(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "login node" in bench.submit("--cluster", "slurm", code=2)
    assert not bench.runs.exists()


def test_one_wrong_request_does_not_cancel_the_others(bench: Bench, tmp_path: Path) -> None:
    words = ["--method", "prompt", "--task", "webnlg,e2e", "--model", str(bench.model), "--limit", "2"]
    data = tmp_path / "data"
    shutil.copytree(find_mini_root(registry.get_task("webnlg")), data / "webnlg")
    words += ["--data-dir", str(data), "--any-row-count", "--offline"]
    out = bench("submit", *words, "--max-new-tokens", "4", *HERE, code=1)
    assert [job["task"] for job in out["jobs"]] == ["webnlg"]
    assert len(out["wrong"]) == 1


def test_names_are_needed_to_act(bench: Bench) -> None:
    bench.submit(*HERE)
    assert "which runs?" in bench("cancel", code=2)
    assert "which runs?" in bench("retry", code=2)
    assert bench("cancel", "--all") == {"cancelled": [], "left": []}
    assert "did you mean" in bench("retry", "--state", "faild", code=2)
    assert "unknown launch" in bench("status", "--launch", "nope", code=2)
    assert len(bench("status", "--launch", "latest")["runs"]) == 1
    assert json.dumps(bench("watch")["counts"]) == '{"done": 1}'


@pytest.mark.parametrize("cluster", ["local", "debug"])
def test_a_device_that_is_not_here_is_refused_where_the_jobs_run_here(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "submit",
        "--method",
        "prefix",
        "--task",
        "webnlg",
        "--offline",
        "--runs",
        "runs",
        "--cluster",
        cluster,
    ]
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here, and what is tested is its absence")
    assert main([*words, "--device", "cuda"]) == 2
    assert "no CUDA device is visible here" in capsys.readouterr().err
    assert main([*words, "--precision", "fp16"]) == 2
    assert list(tmp_path.iterdir()) == []
