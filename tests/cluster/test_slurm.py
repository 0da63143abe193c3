"""Runs on a real Slurm: what clusters do to jobs, done to them on purpose.

    tests/cluster/slurm_up.sh && python -m pytest -m slurm tests/cluster

Slurm lets a requeued job wait for two minutes; the tests ask it not to (``hurry``).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE

from bench.store.store import Store
from reports.document.mini_table import format_table
from tests.cluster.conftest import UP, Bench, all_ended, scontrol

pytestmark = pytest.mark.slurm

SLURM = ["--cluster", "slurm", "--mem", "1", "--cpus", "1"]
LONG = ["--limit", "40", "--epochs", "60", "--checkpoint-seconds", "1"]


@pytest.fixture(autouse=True)
def clean(slurm: None, bench: Bench) -> Iterator[None]:
    yield
    subprocess.run(["scancel", "--user", str(os.getuid())], check=False, timeout=PATIENCE)
    for node in ("n1", "n2"):
        if "DRAIN" in (state := scontrol("show", "node", node)) or "State=DOWN" in state:
            scontrol("update", f"NodeName={node}", "State=RESUME")


HURRIED: set[tuple[str, str]] = set()


def hurry(launch: dict[str, Any]) -> None:
    """Let requeued jobs begin at once: asked once per requeue, for every asking puts the job off a little."""
    for job in launch["jobs"]:
        told = scontrol("--oneliner", "show", "job", job["job"])
        restarts = re.search(r"Restarts=(\d+)", told)
        if "held" in told:  # the node was not ready for it
            scontrol("release", job["job"])
        if "Reason=BeginTime" not in told or restarts is None or (job["job"], restarts[1]) in HURRIED:
            continue
        HURRIED.add((job["job"], restarts[1]))
        scontrol("update", f"JobId={job['job']}", "StartTime=now")


def through(bench: Bench, tmp_path: Path, *words: str, seed: str) -> Store:
    """The same runs undisturbed, in another store."""
    other = Bench(tmp_path / "through", bench.model, bench.capsys)
    other.submit("--cluster", "debug", *words, seed=seed)
    return Store(other.runs)


def same_products(one: Store, other: Store) -> None:
    assert [run.run_id for run in one.runs()] == [run.run_id for run in other.runs()]
    for run in one.runs():
        assert run.parameters.read_bytes() == other.run(run.run_id).parameters.read_bytes(), run.run_id
        assert run.generations.read_bytes() == other.run(run.run_id).generations.read_bytes(), run.run_id


def test_a_mini_table_again_and_extended(bench: Bench) -> None:
    methods = "prefix[length=3,hidden=8],ft-top2"
    launch = bench.submit(*SLURM, "--max-parallel", "2", "--time", "10", method=methods, seed="1,2")
    assert len(launch["arrays"]) == 1
    assert {job["job"].split("_")[0] for job in launch["jobs"]} == {launch["arrays"][0]["job"]}
    again = bench.submit(*SLURM, method=methods, seed="1,2")
    assert again["id"] is None
    assert {run["state"] for run in again["runs"]} <= {"queued", "running", "done"}
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}
    for record in Store(bench.runs).records():
        assert record["code"]["snapshot"] == launch["snapshot"]["snapshot"] == record["job"]["snapshot"]
        assert record["job"]["cluster"] == "slurm"
    more = bench.submit(*SLURM, method=methods, seed="1,2,3")
    assert [job["seed"] for job in more["jobs"]] == [3, 3]
    assert len(more["left_alone"]) == 4
    bench.wait(all_ended)
    records = Store(bench.runs).done_records()
    for record in records:  # a real table would have the embedded data and backbone; these are tiny
        assert record["scores"]["all"]["bleu"]["value"] is not None
    assert len(format_table(records).splitlines()) >= 4
    assert bench.submit(*SLURM, method=methods, seed="1,2,3")["id"] is None


def test_preempted_in_three_ways_ends_with_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    launch = bench.submit(*SLURM, *LONG, "--time", "20", seed="1,2,3")
    jobs = {job["seed"]: job for job in launch["jobs"]}
    ways = {
        1: ["scontrol", "requeue", jobs[1]["job"]],
        2: ["scancel", "--signal=USR2", jobs[2]["job"]],
        3: ["scancel", "--signal=TERM", jobs[3]["job"]],
    }
    for seed, way in ways.items():
        bench.wait_for_checkpoint(jobs[seed]["run_id"])
        subprocess.run(way, check=True, timeout=PATIENCE)
    rows = bench.wait(all_ended, lambda: hurry(launch))
    assert {row.state for row in rows.values()} == {"done"}, rows
    for run in Store(bench.runs).runs():
        first, last = run.records()[0], run.records()[-1]
        assert (first["status"], last["status"]) == ("cancelled", "done")
        assert first["error"]["signal"] in ("SIGTERM", "SIGUSR2")
        assert last["training"]["resumed_at"] > 0
        assert last["job"]["restarts"] >= 1
    same_products(Store(bench.runs), through(bench, tmp_path, *LONG, seed="1,2,3"))


def epochs_for(seconds: float, bench: Bench, tmp_path: Path) -> str:
    """How many epochs of 20 updates take that long on this machine."""
    other = Bench(tmp_path / "speed", bench.model, bench.capsys)
    other.submit("--cluster", "debug", "--limit", "40", "--epochs", "10")
    [record] = Store(other.runs).records()
    return str(math.ceil(10 * seconds / record["training"]["seconds"]))


def test_a_time_limit_is_no_end(bench: Bench, tmp_path: Path) -> None:
    """One minute, and a run that needs longer: signal, checkpoint, requeue, and on.

    Slurm sends the signal up to half a minute earlier than asked for: 10 seconds before the limit are 20 to 50
    after the start, by when a job is ready for it.
    """
    long = ["--limit", "40", "--epochs", epochs_for(100, bench, tmp_path), "--checkpoint-seconds", "5"]
    launch = bench.submit(*SLURM, *long, "--time", "1", "--signal-before", "10")
    rows = bench.wait(all_ended, lambda: hurry(launch))
    assert {row.state for row in rows.values()} == {"done"}, rows
    [run] = Store(bench.runs).runs()
    assert run.records()[0]["error"]["signal"] == "SIGUSR2"
    assert run.records()[-1]["job"]["restarts"] >= 1
    same_products(Store(bench.runs), through(bench, tmp_path, *long, seed="1"))


def test_a_time_out_that_may_not_go_on_is_recorded_as_one(bench: Bench) -> None:
    long = ["--limit", "40", "--epochs", "3000"]
    bench.submit(*SLURM, *long, "--time", "1", "--max-requeues", "0", "--signal-before", "10")
    [row] = bench.wait(all_ended).values()
    assert (row.state, row.kind) == ("failed", "time-out")
    record = Store(bench.runs).run(row.run_id).latest_record()
    assert record is not None
    assert record["error"]["kind"] == "time-out"
    assert "stopped by SIGUSR2" in record["error"]["log_tail"]


def kill_one_of_two(bench: Bench) -> str:
    """The name of a run whose process was killed behind Slurm's back while it trained; its sibling is done."""
    launch = bench.submit(*SLURM, *LONG, "--time", "10", seed="1,2")
    victim, sibling = (str(job["run_id"]) for job in launch["jobs"])
    bench.wait_for_checkpoint(victim)
    holder = Store(bench.runs).run(victim).worker()
    assert holder is not None
    os.kill(holder["pid"], 9)
    rows = bench.wait(all_ended)
    assert rows[sibling].state == "done"
    assert (rows[victim].state, rows[victim].kind) == ("failed", "killed")
    return victim


def test_a_killed_step_is_recorded_and_its_siblings_go_on(bench: Bench) -> None:
    victim = kill_one_of_two(bench)
    record = Store(bench.runs).run(victim).latest_record()
    assert record is not None
    assert (record["status"], record["error"]["kind"]) == ("failed", "killed")
    assert record["error"]["log_tail"].startswith("$ bench run")
    assert "Killed" in record["error"]["log_tail"]
    assert len(Store(bench.runs).run(victim).records()) == 1  # looked at many times, written once
    left = bench.submit(*SLURM, *LONG, seed="1,2")
    assert left["id"] is None
    bench.submit(*SLURM, *LONG, "--retry-failed", seed="1,2")
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}


def test_drained_failed_and_resumed_nodes(bench: Bench) -> None:
    for node in ("n1", "n2"):
        scontrol("update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    launch = bench.submit(*SLURM, *LONG, "--time", "10")
    [job] = launch["jobs"]
    [row] = bench.wait(lambda rows: any(row.reason for row in rows.values())).values()
    assert row.state == "queued"
    assert row.reason
    for node in ("n1", "n2"):
        scontrol("update", f"NodeName={node}", "State=RESUME")
    bench.wait_for_checkpoint(job["run_id"])
    node = bench.rows()[job["run_id"]].node
    scontrol("update", f"NodeName={node}", "State=DOWN", "Reason=test")
    [row] = bench.wait(lambda rows: all(row.state != "running" for row in rows.values())).values()
    assert row.state == "queued", row
    # A node that comes back while the old process still ends refuses the new one.
    bench.wait_for_no_worker(job["run_id"])
    scontrol("update", f"NodeName={node}", "State=RESUME")
    rows = bench.wait(all_ended, lambda: hurry(launch))
    assert {row.state for row in rows.values()} == {"done"}


def test_cancelled_jobs_keep_what_they_have(bench: Bench) -> None:
    launch = bench.submit(*SLURM, *LONG, "--max-parallel", "1", "--time", "10", seed="1,2")
    first, second = launch["jobs"]
    bench.wait_for_checkpoint(first["run_id"])
    out = bench("cancel", "--launch", "latest")
    assert len(out["cancelled"]) == 2
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"cancelled"}
    for job in (first, second):
        record = Store(bench.runs).run(job["run_id"]).latest_record()
        assert record is not None
        assert record["status"] == "cancelled"
    assert (bench.runs / first["run_id"] / "checkpoint.safetensors").exists()
    again = bench.submit(*SLURM, *LONG, "--time", "10", seed="1,2")
    assert len(again["jobs"]) == 2
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}
    record = Store(bench.runs).run(first["run_id"]).done_record()
    assert record is not None
    assert record["training"]["resumed_at"] > 0


def test_a_job_that_nobody_knows_has_vanished(bench: Bench) -> None:
    launch = bench.submit(*SLURM)
    [job] = launch["jobs"]
    subprocess.run(["scancel", job["job"]], check=True, timeout=PATIENCE)
    file = bench.runs / "launches" / f"{launch['id']}.json"
    content = json.loads(file.read_text())
    content["jobs"][0]["job"] = "99999999"
    file.write_text(json.dumps(content))
    bench.wait_for_no_worker(job["run_id"])
    found = bench("status")
    [row] = found["runs"]
    assert (row["state"], row["kind"]) == ("vanished", "vanished")
    assert bench("status")["runs"] == [{**row, "attempts": 1}]  # and so it stays
    assert found["failures"][0]["count"] == 1


@pytest.mark.parametrize("shape", [["--processes", "2"], ["--nodes", "2"]])
def test_two_processes_and_two_nodes_train_as_one(shape: list[str], bench: Bench, tmp_path: Path) -> None:
    words = ["--limit", "13", "--epochs", "3", "--batch-size", "4"]
    bench.submit(*SLURM, *shape, *words, "--time", "10")
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}, rows
    [run] = Store(bench.runs).runs()
    [record] = run.records()
    assert record["training"]["processes"] == 2
    [alone] = through(bench, tmp_path, *words, seed="1").runs()
    curve = [line["loss"] for line in alone.read_log()]
    assert len(curve) == 12
    assert [line["loss"] for line in run.read_log()] == pytest.approx(curve, rel=1e-4)


def test_without_accounting(bench: Bench, tmp_path: Path) -> None:
    """sacct fails; squeue, scontrol and the records answer."""
    if os.getuid() != 0:
        pytest.skip("not root: Slurm has to be set up anew, without its accounting, and started again")
    subprocess.run([str(UP), "--accounting", "off"], check=True, timeout=PATIENCE, capture_output=True)
    try:
        kill_one_of_two(bench)
    finally:
        subprocess.run([str(UP)], check=True, timeout=PATIENCE, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for a snapshot of the source and little more."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("not root: only root may mount the small file system that is to run full")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=False)  # a job may still hold it


def test_a_full_disk_is_told_by_the_exit_code(small_disk: Path, bench: Bench) -> None:
    """Neither a record nor a log can be written: how the job ended says what it was."""
    bench.runs = small_disk / "runs"
    launch = bench.submit(*SLURM, *LONG, "--time", "10")
    [job] = launch["jobs"]
    bench.wait_for_checkpoint(job["run_id"])
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"\0" * 4096)
    [row] = bench.wait(all_ended).values()
    assert (row.state, row.kind) == ("failed", "disk-full"), row
    (small_disk / "filler").unlink()
    [row] = bench.rows().values()
    assert row.kind == "disk-full"
    record = Store(bench.runs).run(row.run_id).latest_record()
    assert record is not None
    assert record["error"]["kind"] == "disk-full"
    bench.submit(*SLURM, *LONG, "--retry-failed")
    rows = bench.wait(all_ended)
    assert {row.state for row in rows.values()} == {"done"}
