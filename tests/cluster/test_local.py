"""The same jobs as processes of this machine: bounded, preempted, cancelled, vanished."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from waiting import PATIENCE

from bench.cluster import launches
from bench.cluster.backends import local
from bench.store.store import Store
from bench.system.json_files import read_json
from tests.cluster.conftest import Bench, all_ended

LOCAL = ["--cluster", "local"]
LONG = ["--limit", "40", "--epochs", "40", "--checkpoint-seconds", "0.2"]

pytestmark = pytest.mark.slow


def test_a_bounded_number_at_once(bench: Bench) -> None:
    launch = bench.submit(*LOCAL, "--max-parallel", "2", seed="1,2,3", method="prompt")
    assert launch["state"] == "submitted"  # and the command has returned
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, sum(row.state == "running" for row in bench.rows().values()))

    rows = bench.wait(all_ended, step=look)
    assert {row.state for row in rows.values()} == {"done"}
    assert 1 <= most <= 2
    record = Store(bench.runs).records()[0]
    assert record["job"]["cluster"] == "local"
    assert record["code"]["snapshot"] == launch["snapshot"]["snapshot"]
    out = bench("logs", launch["jobs"][0]["run_id"])
    assert "decoding" in out["text"]
    assert bench("watch")["counts"] == {"done": 3}


def test_jobs_beside_each_other_give_the_bytes_of_a_run_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of the cores decides nothing: a run of scale mini takes as many threads everywhere."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    bench.submit(*LOCAL, "--max-parallel", "2", seed="1,2")
    bench.wait(all_ended)
    alone = Bench(tmp_path / "alone", bench.model, bench.capsys)
    alone.submit("--cluster", "debug", seed="1,2")
    beside, through = Store(bench.runs).runs(), Store(alone.runs).runs()
    assert [run.run_id for run in beside] == [run.run_id for run in through]
    for one, other in zip(beside, through, strict=True):
        assert one.parameters.read_bytes() == other.parameters.read_bytes()
        assert one.generations.read_bytes() == other.generations.read_bytes()
        assert one.records()[0]["execution"] == other.records()[0]["execution"]
        assert one.records()[0]["execution"]["threads"] == 2


def test_preempted_ends_with_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    launch = bench.submit(*LOCAL, *LONG)
    [job] = launch["jobs"]
    bench.wait_for_checkpoint(job["run_id"])
    holder = Store(bench.runs).run(job["run_id"]).worker()
    assert holder is not None
    os.kill(holder["pid"], signal.SIGUSR2)
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}
    [run] = Store(bench.runs).runs()
    first, last = run.records()
    assert (first["status"], first["error"]["kind"], first["error"]["signal"]) == (
        "cancelled",
        "interrupted",
        "SIGUSR2",
    )
    assert last["training"]["resumed_at"] > 0
    other = Bench(tmp_path / "through", bench.model, bench.capsys)
    other.submit("--cluster", "debug", *LONG)
    [through] = Store(other.runs).runs()
    assert through.parameters.read_bytes() == run.parameters.read_bytes()
    assert through.generations.read_bytes() == run.generations.read_bytes()


def test_cancelled_killed_and_vanished(bench: Bench) -> None:
    launch = bench.submit(*LOCAL, *LONG, "--max-parallel", "2", seed="1,2,3")
    first, second, third = launch["jobs"]
    assert "queued" in {row.state for row in bench.rows().values()}
    bench("cancel", third["run_id"])
    assert bench.rows()[third["run_id"]].state == "cancelled"
    for job in (first, second):
        bench.wait_for_checkpoint(job["run_id"])
    bench("cancel", first["run_id"])
    # The second one is lost with its supervisor and everything: as when a machine goes down.
    held = launches.find_launch(bench.runs, "latest")
    for pid in (
        read_json(held.folder / "local" / "supervisor.json")["pid"],
        local.find_process(held, 1),
        (Store(bench.runs).run(second["run_id"]).worker() or {"pid": None})["pid"],
    ):
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    rows = bench.wait(all_ended)
    states = [rows[job["run_id"]].state for job in (first, second, third)]
    assert states == ["cancelled", "vanished", "cancelled"]
    rows = bench.wait(all_ended)  # its record is written once, and says the same
    assert rows[second["run_id"]].kind == "vanished"
    record = Store(bench.runs).run(second["run_id"]).latest_record()
    assert record is not None
    assert (record["status"], record["error"]["kind"]) == ("failed", "vanished")
    assert "bench run" in record["error"]["log_tail"]
    retried = bench("retry", "--all")
    assert len(retried["jobs"]) == 3
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}


def test_a_killed_process_is_told_from_one_that_ended(bench: Bench) -> None:
    [job] = bench.submit(*LOCAL, *LONG)["jobs"]
    bench.wait_for_checkpoint(job["run_id"])
    os.kill((Store(bench.runs).run(job["run_id"]).worker() or {})["pid"], signal.SIGKILL)
    [row] = bench.wait(all_ended).values()
    assert (row.state, row.kind) == ("failed", "killed")


def test_a_job_whose_controller_is_gone_is_cancelled_all_the_same(bench: Bench) -> None:
    [job] = bench.submit(*LOCAL, *LONG)["jobs"]
    bench.wait_for_checkpoint(job["run_id"])
    held = launches.find_launch(bench.runs, "latest")
    pid = local.find_process(held, 0)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    time.sleep(1)  # the supervisor has seen it
    assert [row.state for row in bench.rows().values()] == ["running"]
    assert bench("cancel", job["run_id"])["cancelled"] == [job["run_id"]]
    bench.wait_for_no_worker(job["run_id"])
    [row] = bench.wait(all_ended).values()
    assert row.state == "cancelled"


def test_two_processes_train_as_one(bench: Bench, tmp_path: Path) -> None:
    words = ["--limit", "13", "--epochs", "3", "--batch-size", "4"]
    bench.submit(*LOCAL, "--processes", "2", *words)
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}, rows
    other = Bench(tmp_path / "through", bench.model, bench.capsys)
    other.submit("--cluster", "debug", *words)
    [two], [one] = Store(bench.runs).runs(), Store(other.runs).runs()
    record = two.done_record()
    assert record is not None
    assert record["training"]["processes"] == 2
    curves = [[line["loss"] for line in run.read_log()] for run in (one, two)]
    assert len(curves[0]) == 12
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)


def test_logs_are_followed_to_the_end(bench: Bench) -> None:
    launch = bench.submit(*LOCAL, *LONG)
    run_id = launch["jobs"][0]["run_id"]
    from bench.cluster import control

    started = time.monotonic()
    text = "".join(control.read_log(bench.runs, bench.rows()[run_id], 0, True, None, every=0.2))
    lines = text.splitlines()
    assert lines[0].startswith("$ bench run --method")
    assert "BLEU" in lines[-3] + lines[-2] + lines[-1]
    assert "submitit" not in text
    assert time.monotonic() - started < PATIENCE


@pytest.mark.parametrize("name", ["run_14:15", "100% %j:%A", 'it\'s $(id) "x"', "back\\slash"])
def test_the_record_names_what_ran_whatever_the_path(name: str, bench: Bench, tmp_path: Path) -> None:
    bench.runs = tmp_path / name / "runs"
    launch = bench.submit(*LOCAL, method="prompt")
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}, rows
    [record] = Store(bench.runs).records()
    assert record["code"]["snapshot"] == launch["snapshot"]["snapshot"] == record["job"]["snapshot"]
    assert record["execution"]["threads_from"] == "OMP_NUM_THREADS"
    assert record["job"]["cpus"] >= record["execution"]["threads"]
    text = bench("logs", launch["jobs"][0]["run_id"])["text"]
    assert text.startswith("$ bench run")
