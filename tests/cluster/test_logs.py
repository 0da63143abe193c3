"""`bench logs`: how much of it, and how often Slurm is asked meanwhile."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from bench.cli import main
from bench.cluster import control
from bench.cluster import slurm_queries as scheduler
from tests.cluster.stand_in import Slurm, launch


@pytest.mark.parametrize("lines", ["0", "-1"])
def test_fewer_lines_than_one_are_refused(
    lines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "a", "--lines", lines, "--runs", str(tmp_path)]) == 2
    assert "--lines" in capsys.readouterr().err


def test_slurm_is_asked_less_often_than_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm = Slurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", slurm.path)
    slurm.says("squeue", "17_0|RUNNING|None|n1|bench-20260101-a-0\n")
    made = launch(tmp_path / "runs", {"a": "17_0"})
    made.folder.mkdir()
    log = made.folder / "17_0_0_log.out"
    log.write_text("first\n")
    now = 0.0
    clock = itertools.count(1)

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        with log.open("a") as file:
            file.write(f"line {next(clock)}\n")
        if now >= 20:
            slurm.says("squeue", "17_0|COMPLETED|None|n1|bench-20260101-a-0\n")
            slurm.says("sacct", "")

    monkeypatch.setattr(control.time, "sleep", sleep)
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: now)
    assert main(["logs", "a", "-f", "--runs", str(tmp_path / "runs")]) == 0
    assert now >= 20
    assert slurm.asked("squeue") <= 5
    scheduler.query_jobs(["17_0"])
    before = slurm.asked("squeue")
    scheduler.query_jobs(["17_0"])  # outside every question is asked
    assert slurm.asked("squeue") == before + 1
