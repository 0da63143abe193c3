"""benchmarks/xsum_first_update.py still measures: a few articles, one update."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_measures_seconds_and_memory(tmp_path: Path) -> None:
    options = ["--format", "parquet", "--splitting-words"]
    done = subprocess.run(
        [
            sys.executable,
            "benchmarks/xsum_first_update.py",
            "--rows",
            "30",
            "--folder",
            str(tmp_path),
            *options,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"30 articles, .* words, \w+: [\d.]+ s and [\d.]+ GB to the first update", last)
    assert not list(tmp_path.iterdir()), "articles, cache and run are removed"
