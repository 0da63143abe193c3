"""Killed at random instants and started again, a run ends with the bytes of one that was never killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE, ROOT


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_runs_end_with_the_bytes_of_undisturbed_ones(
    kills: int, tmp_path: Path, tiny_model: Path, tiny_bart: Path
) -> None:
    script = Path(__file__).with_name("random_kills.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(tiny_model), str(tiny_bart), str(kills)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BENCH_QUIET": "1"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    figures = json.loads(done.stdout)
    print(figures)
    assert figures["wrong"] == [], [path.read_text()[-2000:] for path in tmp_path.glob("*/said.txt")][:2]
    assert figures["kills"] == kills
