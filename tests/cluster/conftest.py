"""Submissions of tiny runs, and waiting for them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE, wait_until

from bench.cli import main
from bench.cluster import status
from bench.cluster.rows import RunRow
from bench.store.store import Store

QUICK = ["--limit", "6", "--epochs", "1", "--batch-size", "2", "--max-new-tokens", "4", "--device", "cpu"]
UP = Path(__file__).with_name("slurm_up.sh")


class Bench:
    """The command line on one store, with tiny runs."""

    def __init__(self, runs: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.runs, self.model, self.capsys = runs, model, capsys

    def __call__(self, verb: str, *words: str, code: int = 0) -> Any:
        """One verb with --json; its document."""
        self.capsys.readouterr()
        returned = main([verb, *words, "--runs", str(self.runs), "--json"])
        shown = self.capsys.readouterr()
        assert returned == code, shown.err
        return json.loads(shown.out) if shown.out else shown.err

    def submit(
        self, *words: str, method: str = "prefix[length=3,hidden=8]", seed: str = "1", code: int = 0
    ) -> Any:
        asked = ["--method", method, "--task", "webnlg", "--seed", seed, "--model", str(self.model)]
        return self("submit", *asked, *QUICK, *words, code=code)

    def rows(self) -> dict[str, RunRow]:
        return {row.run_id: row for row in status.collect_status(self.runs).rows}

    def wait(
        self, until: Callable[[dict[str, RunRow]], bool], step: Callable[[], object] = lambda: None
    ) -> dict[str, RunRow]:
        """The rows once they are as wanted; ``step`` is taken before each further look."""
        rows: dict[str, RunRow] = {}

        def look() -> bool:
            nonlocal rows
            rows = self.rows()
            if not (found := until(rows)):
                step()
            return found

        wait_until(look, 0.3, lambda: rows)
        return rows

    def wait_for_checkpoint(self, run_id: str) -> None:
        wait_until((self.runs / run_id / "checkpoint.safetensors").exists, otherwise=self.rows)

    def wait_for_no_worker(self, run_id: str) -> None:
        wait_until(lambda: Store(self.runs).run(run_id).worker() is None, 0.2, self.rows)


def all_ended(rows: dict[str, RunRow]) -> bool:
    return not any(row.state in ("queued", "running") for row in rows.values())


@pytest.fixture
def bench(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path / "runs", tiny_model, capsys)


@pytest.fixture(scope="session")
def slurm() -> None:
    """A real Slurm that answers; tests/cluster/slurm_up.sh makes one on a Debian machine."""
    if shutil.which("sinfo") is None:
        pytest.skip("no Slurm here: run tests/cluster/slurm_up.sh as root on a Debian machine")
    done = subprocess.run(
        ["sinfo", "--noheader"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode != 0:
        pytest.skip(
            f"Slurm does not answer ({done.stderr.strip()[-200:]}): run tests/cluster/slurm_up.sh as root"
        )


def scontrol(*words: str) -> str:
    done = subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr
