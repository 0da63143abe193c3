"""`bench run EXPERIMENT`: its runs one after another, narrowed, continued, and one failure at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.experiments import files
from bench.runs import runner
from bench.store.store import Store

QUICK = ["--limit", "4", "--max-steps", "2", "--max-new-tokens", "4", "--device", "cpu"]
TRIAL = """
title = "A trial"
source = "our choice"
[[grid]]
tasks = ["e2e", "dart"]
methods = ["prefix[length=2]", "ft-top2"]
models = ["mini-gpt2"]
seeds = [5]
[grid.settings]
train_subset = {values = [20, 30], origin = "our choice"}
data_seed = {value = 1, origin = "our choice"}
"""


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a small experiment: 2 tasks x 2 methods x 2 sizes."""
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    name = f"trial-{tmp_path.name}"
    (tmp_path / f"{name}.toml").write_text(TRIAL, encoding="utf-8")
    return name


def records(tmp_path: Path) -> list[dict[str, Any]]:
    return Store(tmp_path / "runs").records(latest=False)


def run(trial: str, tmp_path: Path, *words: str) -> int:
    return main(["run", trial, *QUICK, "--runs", str(tmp_path / "runs"), *words])


def test_selectors_narrow_and_the_record_says_how_to_repeat_it(
    trial: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = ("--task", "dart", "--method", "ft-top2", "--train-subset", "30", "--json")
    assert run(trial, tmp_path, *narrow) == 0
    [printed] = json.loads(capsys.readouterr().out)
    [record] = records(tmp_path)
    assert record == printed
    assert record["command"].startswith(f"bench run {trial} --method ft-top2 --task dart --model mini-gpt2")
    assert "--train-subset 30" in record["command"]
    assert record["settings"]["train_subset"] == {
        "value": 30,
        "origin": f"experiment {trial}: our choice",
        "layer": "experiment",
    }
    assert record["settings"]["max_steps"]["origin"] == "command line"
    assert record["training"]["rows"] == 4  # --limit takes of the 30 that were drawn
    assert record["training"]["dev_rows"] == 0


def test_a_failure_does_not_cancel_the_others_and_again_does_only_what_is_open(
    trial: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, seen = runner.run, []

    def second_fails(request: Any, **_: Any) -> Any:
        seen.append(request.describe())
        if len(seen) == 2:
            raise RuntimeError("no luck")
        return real(request)

    narrow = ("--task", "e2e", "--method", "ft-top2,prefix", "--train-subset", "20")
    with monkeypatch.context() as patch:
        patch.setattr("bench.runs.runner.run", second_fails)
        assert run(trial, tmp_path, *narrow, "--json") == 1
    outcomes = json.loads(capsys.readouterr().out)
    assert [one["status"] for one in outcomes] == ["done", "failed"]
    assert seen == [
        "prefix[length=2] on e2e, train_subset 20, seed 5",
        "ft-top2 on e2e, train_subset 20, seed 5",
    ]
    [first] = records(tmp_path)
    assert run(trial, tmp_path, *narrow) == 0
    kept = records(tmp_path)
    assert [one["status"] for one in kept] == ["done", "done"]
    assert first in kept  # not repeated
    capsys.readouterr()
    assert main(["plan", trial, *QUICK, *narrow, "--runs", str(tmp_path / "runs"), "--json"]) == 0
    totals = json.loads(capsys.readouterr().out)["totals"]
    assert (totals["runs"], totals["done"]) == (2, 2)


def test_an_interrupted_experiment_continues(
    trial: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = runner.run
    stopped: list[str] = []

    def interrupted(request: Any, **_: Any) -> Any:
        if request.method.name == "ft-top2" and not stopped:
            stopped.append(request.describe())
            raise KeyboardInterrupt("stopped; the same command continues from there")
        return real(request)

    monkeypatch.setattr("bench.runs.runner.run", interrupted)
    narrow = ("--task", "e2e", "--train-subset", "20")
    assert run(trial, tmp_path, *narrow) == 1
    assert "continues from there" in capsys.readouterr().err
    assert [one["method"] for one in records(tmp_path)] == ["prefix"]
    assert run(trial, tmp_path, *narrow) == 0
    assert sorted(one["method"] for one in records(tmp_path)) == ["ft-top2", "prefix"]
    assert len(stopped) == 1


def test_what_is_not_available_is_said_and_the_rest_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TRIAL.replace('"dart"', '"no-such-task"').replace('"ft-top2"', '"no-such-method"')
    (tmp_path / "holes.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    done: list[str] = []

    def pretend(request: Any, **_: Any) -> None:
        done.append(request.describe())

    monkeypatch.setattr("bench.runs.runner.run", pretend)
    assert run("holes", tmp_path, "--json") == 1
    shown = capsys.readouterr()
    assert len(done) == 2
    assert "6 of 8 runs are not available" in shown.err
    assert "task no-such-task is not part of this installation" in shown.err
    assert {one["status"] for one in json.loads(shown.out)} == {"not available"}
    assert run("holes", tmp_path, "--task", "no-such-task") == 2
    assert "not available" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "gpt2-medium"], "unknown model of"),
        (["--method", "prefix[length=3]"], "has prefix[length=2]"),
        (["--train-subset", "7"], "has 20, 30"),
        (["--dev-subset", "7"], "needs --eval-every"),
    ],
)
def test_what_contradicts_the_experiment_is_refused(
    words: Sequence[str], message: str, trial: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trial, tmp_path, *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_of_an_experiment_shows_every_run(
    trial: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(trial, tmp_path, "--dry-run", "--json", "--task", "e2e") == 0
    shown = json.loads(capsys.readouterr().out)
    assert len({one["run_id"] for one in shown}) == 4
    assert not (tmp_path / "runs").exists()
