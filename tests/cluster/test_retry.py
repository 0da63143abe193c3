"""Trying again: every run with what its own latest job had, and where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cluster import control, launches
from tests.cluster.conftest import Bench
from tests.cluster.test_submit import failing

HERE = ["--cluster", "debug"]
BOTH = "prefix[length=3,hidden=8],prompt"


def resources(launch: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Method -> what its job has."""
    return {job["method"]: launch["arrays"][job["array"]]["resources"] for job in launch["jobs"]}


@pytest.fixture
def failed(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two failed runs of different shapes, and an unrelated launch after them; the site's file."""
    file = tmp_path / "site.toml"
    shape = '[[shape]]\nmethod = "prompt"\nmem = 2\ntime = 20\n'
    file.write_text(f'partition = "p"\nmem = 1.5\ntime = 10\n[environment]\nBENCH_WHERE = "here"\n{shape}')
    monkeypatch.setenv("BENCH_WHERE", "")
    with monkeypatch.context() as patch:
        failing(ValueError("a bug"), (1,), patch)
        bench.submit(*HERE, "--site", str(file), method=BOTH, code=1)
        bench.submit(*HERE, "--time", "77", "--mem", "1", seed="2")
    return file


def test_each_run_has_what_its_own_job_had(bench: Bench, failed: Path) -> None:
    again = resources(bench("retry", "--all"))
    assert {(one["partition"], one["environment"]["BENCH_WHERE"]) for one in again.values()} == {
        ("p", "here")
    }
    assert {name: (one["mem"], one["time"]) for name, one in again.items()} == {
        "prefix": (1.5, 10),
        "prompt": (2.0, 20),
    }


def test_the_retrys_flags_win(bench: Bench, failed: Path) -> None:
    failed.write_text('[[shape]]\nmethod = "prompt"\nmem = 3\n')
    again = resources(bench("retry", "--all", "--time", "30", "--site", str(failed)))
    assert {name: (one["mem"], one["time"], one["partition"]) for name, one in again.items()} == {
        "prefix": (1.5, 30, "p"),
        "prompt": (3.0, 30, "p"),
    }


def test_each_run_is_tried_again_on_its_own_cluster(
    bench: Bench, failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.cluster.backends.local.start_supervisor", lambda launch, source: None)
    with monkeypatch.context() as patch:
        failing(ValueError("a bug"), (3,), patch)
        bench.submit(*HERE, seed="3", code=1)
    launch = launches.find_launch(bench.runs, "latest")
    launch.document.cluster = "local"
    launch.write()
    both = bench("retry", "--state", "failed")["launches"]
    assert {one["cluster"]: len(one["jobs"]) for one in both} == {"debug": 2, "local": 1}
    rows = [row for row in bench.rows().values() if row.seed == 3]
    assert {one.cluster for one in control.find_earlier_submissions(bench.runs, rows).values()} == {"local"}


def test_a_run_that_is_done_is_said_to_be_done(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    from bench.cli import main

    [job] = bench.submit(*HERE)["jobs"]
    capsys.readouterr()
    assert main(["retry", job["run_id"], "--runs", str(bench.runs)]) == 0
    assert f"{job['run_id']}: done" in capsys.readouterr().out
