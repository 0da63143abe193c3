"""Lists of settings on the command line: `run`, `plan` and `submit` make the same product of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main

RUN = ("--method", "ft-full", "--task", "webnlg", "--offline")
EXPERIMENT = ("table2", "--method", "ft-full", "--task", "webnlg")
LISTS = ("--lr", "1e-3,2e-3,0.001", "--seed", "1,2,1")


def call(tmp_path: Path, *words: str) -> int:
    return main([*words, "--runs", str(tmp_path / "runs")])


def list_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, *words: str) -> set[str]:
    """The names of the runs that a command would make, from its JSON document."""
    assert call(tmp_path, *words, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    rows = document if isinstance(document, list) else document["runs"]
    names = [row["run_id"] if "run_id" in row else row["run"] for row in rows]
    assert len(names) == len(set(names))
    return set(names)


def test_the_three_verbs_make_the_same_product(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = list_runs(capsys, tmp_path, "run", *RUN, *LISTS, "--dry-run")
    submit = list_runs(capsys, tmp_path, "submit", *RUN, *LISTS, "--dry-run", "--cluster", "local")
    assert run == submit
    assert len(run) == 4
    plan = list_runs(capsys, tmp_path, "plan", *EXPERIMENT, *LISTS)
    submit = list_runs(capsys, tmp_path, "submit", *EXPERIMENT, *LISTS, "--dry-run", "--cluster", "local")
    dry = list_runs(capsys, tmp_path, "run", *EXPERIMENT, *LISTS, "--offline", "--dry-run")
    assert plan == submit == dry == run
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("1e-5,", "--lr 1e-5,: element 2 of 2 is empty"),
        (",", "--lr ,: element 1 of 2 is empty"),
        ("1e-5,fast", "--lr fast: expected a number"),
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        ("run", *RUN),
        ("submit", *RUN, "--dry-run", "--cluster", "local"),
        ("plan", *EXPERIMENT),
        ("run", *EXPERIMENT),
    ],
    ids=" ".join,
)
def test_a_bad_element_is_refused_before_anything_is_written(
    words: tuple[str, ...], typed: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path, *words, "--lr", typed) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) <= 3
    assert not (tmp_path / "runs").exists()
