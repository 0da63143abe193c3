"""Which runs a verb acts on: a slip must not become "all of them" or "none"."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main
from bench.cluster.rows import RunRow
from bench.cluster.select import RunSelector
from bench.errors import UserError
from bench.store.store import matches_run_name
from tests.cluster.stand_in import Slurm, launch

ROWS = [RunRow("webnlg-a", "queued", task="webnlg", method="mine", model="/weights/gpt2", kind="odd")]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    slurm = Slurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", slurm.path)
    slurm.says("squeue", "17_0|PENDING|None||bench-20260101-a-0\n")
    launch(tmp_path / "runs", {"webnlg-a": "17_0"})
    return tmp_path / "runs"


@pytest.mark.parametrize("name", ["", " "])
@pytest.mark.parametrize("verb", ["cancel", "retry", "status", "watch", "logs"])
def test_an_empty_name_is_no_name(
    verb: str, name: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, name, "--runs", str(runs)]) == 2
    assert "was given empty" in capsys.readouterr().err


def test_nothing_is_called_by_an_empty_name() -> None:
    assert not matches_run_name("webnlg-a", "")
    assert matches_run_name("webnlg-a", "webnlg")
    assert matches_run_name("webnlg-a", "-a")


@pytest.mark.parametrize(
    ("flag", "near"),
    [
        (["--task", "webnl"], "webnlg"),
        (["--method", "prefix,prefx"], "prefix"),
        (["--model", "gpt2-medum"], "gpt2-medium"),
        (["--kind", "out-of-memry"], "out-of-memory"),
        (["--state", "que"], "queued"),
    ],
)
@pytest.mark.parametrize("verb", ["cancel", "status"])
def test_names_that_nothing_has(
    verb: str, flag: list[str], near: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, *flag, "--runs", str(runs)]) == 2
    assert f"did you mean '{near}'" in capsys.readouterr().err


def test_names_that_no_run_has_now_and_names_that_only_a_run_has() -> None:
    for fields in (("task", ("e2e", "webnlg")), ("kind", ("time-out", "odd", "held"))):
        RunSelector(fields=(fields,)).pick_rows(ROWS)
    for field, value in (("method", "mine"), ("model", "/weights/gpt2")):
        assert RunSelector(fields=((field, (value,)),)).pick_rows(ROWS) == ROWS
    with pytest.raises(UserError, match="unknown task 'e2'"):
        RunSelector(fields=(("task", ("webnlg", "e2")),)).pick_rows([])


@pytest.mark.parametrize("verb", ["status", "cancel"])
def test_a_launch_where_there_is_none(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--launch", "latest", "--runs", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "nothing was submitted yet" in told
    assert "did you mean" not in told


def test_a_launch_without_a_name(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cancel", "--launch", "", "--runs", str(runs)]) == 2
    assert "--launch was given empty" in capsys.readouterr().err
