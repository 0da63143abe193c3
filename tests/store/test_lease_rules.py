"""When a claim is stale: by its process, its job, or its age, whatever is in the file and whatever a clock did."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from bench.store.lease import LARGEST_CLAIM, STALE_AFTER, LeaseHeldError
from bench.store.run_dir import RunDir
from bench.store.store import Store

ODD: dict[str, bytes] = {
    "garbage": b"\x00\xff{[",
    "zeros": bytes(300),
    "foreign": b'{"name": "package", "version": 1}',
    "list": b"[1, 2]",
    "huge": b" " * (LARGEST_CLAIM + 1),
    "pid-text": b'{"host": "h", "pid": "x/../1", "since": "", "machine": "m", "started": "1"}',
    "pid-negative": b'{"host": "h", "pid": -1, "since": "", "machine": "m", "started": "1"}',
    "deep": b"[" * 100_000,
}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return Store(tmp_path / "runs").run("run")


def leave_claim(run: RunDir, **changes: Any) -> Path:
    with run.claim(beat_every=None) as claim:
        owner = json.loads(claim.content)
    claim.path.write_text(json.dumps(owner | changes))
    return claim.path


def touch(path: Path, away: float) -> None:
    os.utime(path, (time.time() + away,) * 2)


@pytest.mark.parametrize("years", [-10, 10])
def test_a_time_far_from_now_is_no_sign_of_life(run: RunDir, years: int) -> None:
    path = leave_claim(run, machine="elsewhere", host="far")
    touch(path, years * 365 * 86400.0)
    assert run.worker() is None
    with run.claim():
        pass


def test_a_clock_that_runs_ahead_a_little_steals_from_nobody(run: RunDir) -> None:
    touch(leave_claim(run, machine="elsewhere", host="far"), STALE_AFTER / 2)
    worker = run.worker()
    assert worker is not None and worker["silent_s"] == 0
    with pytest.raises(LeaseHeldError, match="far"), run.claim():
        pass


@pytest.mark.parametrize("pid", [os.getpid(), 4194305], ids=["alive", "gone"])
def test_a_claim_without_a_start_goes_stale_by_its_age(run: RunDir, pid: int) -> None:
    path = leave_claim(run, started=None, pid=pid)
    assert run.worker() is not None
    touch(path, -STALE_AFTER - 60)
    assert run.worker() is None
    with run.claim():
        pass


def test_a_dead_process_of_this_machine_is_stale_at_once_whatever_the_time(run: RunDir) -> None:
    touch(leave_claim(run, pid=4194305), 3600)
    with run.claim():
        pass


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_what_holds_no_claim_goes_stale_by_its_age(run: RunDir, content: bytes) -> None:
    path = leave_claim(run)
    path.write_bytes(content)
    worker = run.worker()
    assert worker is not None and worker["host"] == "an unknown host"
    touch(path, -STALE_AFTER - 60)
    with run.claim() as claim:
        claim.beat()


def test_an_empty_claim_was_released(run: RunDir) -> None:
    leave_claim(run).write_bytes(b"")
    with run.claim():
        pass


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_no_file_blocks_nobody_for_good(run: RunDir, kind: str) -> None:
    path = leave_claim(run)
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/nowhere/at/all")
    if kind != "link":
        touch(path, -STALE_AFTER - 60)
    with run.claim() as claim:
        claim.beat()
