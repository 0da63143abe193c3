"""What every test shares: where the real files are, if they are here, and a machine without a network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models of the tests are too small to share
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real files and official scores beside the checkout; tests that need it skip without it."""
    if not (SHARED / "data").is_dir():
        pytest.skip("real files are not here (no ../shared beside the checkout)")
    return SHARED


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own data, models or runs."""
    for name in ("BENCH_DATA", "BENCH_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "runs"))
