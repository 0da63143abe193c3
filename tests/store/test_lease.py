"""No two processes work on one run, and one that is gone keeps nobody waiting."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from waiting import ROOT, kill, wait_until

from bench.errors import UserError
from bench.store.lease import STALE_AFTER, Lease, LeaseHeldError
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system import files, processes

RUN = "webnlg-prefix-mini-gpt2-s101-1a2b3c4d5e6f"


@pytest.fixture
def runs(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


HOLDER = """
import sys, time
from bench.store import Store
with Store(sys.argv[1]).run(sys.argv[2]).claim():
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
"""


@pytest.fixture
def holder(runs: Store) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(runs.root), RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    kill(process)


def test_a_living_process_is_not_disturbed(runs: Store, holder: subprocess.Popen[str]) -> None:
    run = runs.run(RUN)
    os.utime(run.path / "claims" / "0001.json", (0, 0))  # silent for long, but alive
    with pytest.raises(UserError) as caught, run.claim():
        pass
    assert f"run {RUN} is being worked on by pid {holder.pid} on " in str(caught.value)
    assert f"remove {run.path / 'claims' / '0001.json'}" in str(caught.value)
    worker = run.worker()
    assert worker is not None
    assert worker["pid"] == holder.pid
    with runs.run("another").claim():  # other runs are free
        pass
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "released\n"
    assert run.worker() is None
    with run.claim() as claim:
        claim.beat()


def test_a_killed_process_is_taken_over(runs: Store, holder: subprocess.Popen[str]) -> None:
    run = runs.run(RUN)
    leftover = files.make_temporary_name(run.checkpoint)
    leftover = leftover.with_name(leftover.name.replace(f"-{os.getpid()}-", f"-{holder.pid}-"))
    leftover.write_text("half a checkpoint")
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, but its parent is busy
    with run.claim() as claim:
        claim.beat()
        assert not leftover.exists()
        assert [path.name for path in (run.path / "claims").iterdir()] == ["0002.json"]


def write_claim(run: RunDir, **changes: Any) -> Path:
    """A claim that another process is made to have left."""
    with run.claim(beat_every=None) as claim:
        owner = json.loads(claim.content)
    claim.path.write_text(json.dumps(owner | changes))
    return claim.path


def test_a_reused_process_number_is_not_taken_for_the_holder(runs: Store) -> None:
    write_claim(runs.run(RUN), started="12345")
    with runs.run(RUN).claim():
        pass


def test_within_one_process_too(runs: Store) -> None:
    with (
        runs.run(RUN).claim(),
        pytest.raises(UserError, match="being worked on"),
        runs.run(RUN).claim(),
    ):
        pass


@pytest.mark.parametrize("content", [None, "{", "[]", '{"pid": "x"}'])
def test_another_machine_or_a_damaged_claim_is_given_time(runs: Store, content: str | None) -> None:
    run = runs.run(RUN)
    path = write_claim(run, machine="elsewhere", host="far", pid=1)
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match="far" if content is None else "unknown host"), run.claim():
        pass
    long_ago = time.time() - STALE_AFTER - 60
    os.utime(path, (long_ago, long_ago))
    assert run.worker() is None
    with run.claim():
        pass


def test_a_requeued_job_takes_over_from_itself_elsewhere(
    runs: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler ended it on one machine before it began it again on another."""
    run = runs.run(RUN)
    write_claim(run, machine="elsewhere", host="far", pid=1, job="slurm 17_3")
    with pytest.raises(LeaseHeldError) as caught, run.claim():
        pass
    assert caught.value.holder["host"] == "far"
    monkeypatch.setenv("BENCH_JOB", "slurm 17_4")
    with pytest.raises(LeaseHeldError), run.claim():
        pass
    monkeypatch.setenv("BENCH_JOB", "slurm 17_3")
    with run.claim() as claim:
        claim.beat()


def test_a_claim_beats_by_itself(runs: Store) -> None:
    with runs.run(RUN).claim(beat_every=0.02) as claim:
        os.utime(claim.path, (0, 0))
        wait_until(lambda: claim.path.stat().st_mtime > 0, every=0.01)


def test_whoever_lost_a_claim_learns_it_and_leaves_the_next_alone(runs: Store) -> None:
    run = runs.run(RUN)
    with run.claim(beat_every=None) as first:
        first.path.unlink()  # by hand
        with run.claim(beat_every=None) as second:
            assert second.path == first.path  # the number is free again
            with pytest.raises(UserError, match="no longer holds"):
                first.beat()
            first.release()
            second.beat()
    with run.claim(beat_every=0.01) as third:
        write_claim_over(third)
        wait_until(lambda: third.lost, every=0.01)


def write_claim_over(claim: Lease) -> None:
    number = int(claim.path.stem) + 1
    claim.path.with_name(f"{number:04d}.json").write_text("")


def test_a_forked_child_does_not_release(runs: Store) -> None:
    with runs.run(RUN).claim(beat_every=None) as claim:
        child = multiprocessing.get_context("fork").Process(target=claim.release)
        child.start()
        child.join()
        claim.beat()


def test_a_number_used_meanwhile_is_given_back(runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """We judge claim 1 stale and fall asleep; claim 2 comes and goes, claim 3 is alive when we wake."""
    run = runs.run(RUN)
    first = write_claim(run, pid=4194305)
    create = files.create_new

    def slow(path: Path, content: str) -> None:
        monkeypatch.setattr(files, "create_new", create)
        owner = json.loads(content) | {"machine": "elsewhere"}
        first.with_name("0003.json").write_text(json.dumps(owner))
        create(path, content)

    monkeypatch.setattr(files, "create_new", slow)
    with pytest.raises(UserError, match="being worked on"), run.claim():
        pass
    assert sorted(path.name for path in first.parent.iterdir()) == ["0001.json", "0003.json"]


WORKER = """
import os, sys, time
from bench.errors import UserError
from bench.store import Store
root, place, me = sys.argv[1:]
run = Store(root).run("run")
while True:
    try:
        with run.claim(beat_every=None):
            try:
                other = int(os.readlink(place))
            except FileNotFoundError:
                other = None
            if other is not None:
                state = "Z"
                try:
                    state = open(f"/proc/{other}/stat").read().rpartition(")")[2].split()[0]
                except OSError:
                    pass
                if state not in "ZX":
                    print("TWO AT ONCE", flush=True)
                os.unlink(place)
            os.symlink(str(os.getpid()), place)
            print("in", flush=True)
            time.sleep(0.002)
            os.unlink(place)
    except UserError as error:
        if "being worked on" not in str(error):
            print(error, flush=True)
"""


def test_never_two_at_once_though_holders_are_killed(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc here: it tells whether the process that was last at work is alive")
    workers = []
    for name in range(6):
        command = [sys.executable, "-c", WORKER, str(tmp_path / "runs"), str(tmp_path / "in")]
        with (tmp_path / f"{name}.out").open("w") as out:
            worker = subprocess.Popen(
                [*command, str(name)], stdout=out, stderr=subprocess.STDOUT, text=True, cwd=ROOT
            )
        workers.append(worker)

    def said() -> list[str]:
        return [word for name in range(6) for word in (tmp_path / f"{name}.out").read_text().split("\n")]

    def held(times: int) -> bool:
        return said().count("in") > times

    try:
        for number, worker in enumerate(workers, 1):
            time.sleep(0.4)
            wait_until(partial(held, 2 * number))
            kill(worker)
    finally:
        for worker in workers:
            if worker.poll() is None:
                kill(worker)
    assert set(said()) <= {"in", ""}  # no alarm, no traceback
    assert held(10)
    with Store(tmp_path / "runs").run("run").claim():
        pass


@pytest.mark.parametrize("number", ["../../tmp", "\0", [1], None, {"a": 1}])
def test_a_claim_of_a_process_without_a_number_is_a_damaged_one(runs: Store, number: Any) -> None:
    run = runs.run(RUN)
    (run.path / "claims").mkdir(parents=True)
    owner = {
        "host": "\x1b[2J" * 1_000,
        "machine": processes.identify_machine(),
        "pid": number,
        "started": "1",
    }
    (run.path / "claims" / "0001.json").write_text(json.dumps({**owner, "since": "2026"}))
    with pytest.raises(LeaseHeldError, match="an unknown host"), run.claim():
        pass


def test_the_host_of_a_claim_leaves_room_for_what_to_do(runs: Store) -> None:
    run = runs.run(RUN)
    (run.path / "claims").mkdir(parents=True)
    owner = {"host": "\x1b[2J" * 1_000, "machine": "far", "pid": 1, "started": "1", "since": "2026"}
    (run.path / "claims" / "0001.json").write_text(json.dumps(owner))
    with pytest.raises(LeaseHeldError) as held, run.claim():
        pass
    assert "\\x1b[2J" in str(held.value) and "(4,000 characters)" in str(held.value)
    assert str(held.value).endswith("0001.json and try again.") and "\x1b" not in str(held.value)
