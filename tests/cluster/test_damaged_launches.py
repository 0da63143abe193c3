"""A launch record that somebody damaged or made up: it is named, leads nowhere else, and the others are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from tests.cluster.stand_in import launch

CHANGES: dict[str, dict[str, Any]] = {
    "another-name": {"id": "20260101-b"},
    "a-path": {"id": "../../elsewhere"},
    "a-long-name": {"id": "x" * 300},
    "no-cluster": {"cluster": "\x1b[31m"},
    "no-jobs": {"jobs": None},
    "a-number": {"jobs": [{"run_id": 5}]},
    "no-run": {"jobs": [{"run_id": "../run"}]},
    "a-path-as-job": {"jobs": [{"run_id": "b", "job": "../../17"}]},
    "a-long-job": {"jobs": [{"run_id": "b", "job": "1" * 300}]},
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_a_damaged_launch_is_named_and_left_out(
    tmp_path: Path, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    launch(runs, {"sound": "17"}, "20260101-c", cluster="local")
    made = launch(runs, {"b": "18"}, cluster="local")
    made.file.write_text(json.dumps({**json.loads(made.file.read_text()), **changes}))
    main(["status", "--list", "--runs", str(runs)])
    out = capsys.readouterr().out
    assert "sound" in out
    [line] = [line for line in out.splitlines() if line.startswith("not readable: ")]
    assert line.startswith(f"not readable: {made.file}: is not a launch record") and len(line) < 600
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_launch_without_the_names_of_its_runs_has_no_end_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = launch(tmp_path / "runs", {"b": "18"}, cluster="local")
    content = {**json.loads(made.file.read_text()), "jobs": [{"run_id": "b", "job": "18"}]}
    made.file.write_text(json.dumps(content))
    assert main(["status", "--runs", str(tmp_path / "runs")]) == 0
    assert f"the end of b cannot be recorded, {made.file} is damaged" in capsys.readouterr().err


def test_a_launch_without_requests_cannot_be_retried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(tmp_path / "runs", {"b": "18"}, cluster="local")
    assert main(["retry", "--all", "--dry-run", "--runs", str(tmp_path / "runs")]) == 2
    assert "a job's request is damaged (KeyError: 'model')" in capsys.readouterr().err
