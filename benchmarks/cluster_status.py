"""How long `bench status` takes for many jobs, from the start of the program to its last line.

    python benchmarks/cluster_status.py [--jobs 1000]

A store with that many submitted runs is made up (half done, some failed, the rest with the scheduler), and a
scheduler that answers as Slurm does: programs of the same names that print that many lines. Printed: seconds
of `bench status --json` and of a bare start of Python, best of five; the first includes the second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.cluster.launches import make_launch
from bench.store.store import Store

ROOT = Path(__file__).resolve().parents[1]
PADDING = {
    "settings": {f"setting_{i}": {"value": i, "origin": "our choice"} for i in range(40)},
    "options": {},
    "protocol": "original",
    "ended": "2026-01-02",
}
"""What every record has; some kilobytes, as real ones are."""
FINISHED = {
    "scores": {"all": {}},
    "training": None,
    "parameters": {"trained": 1, "stored": 1, "backbone": 1},
    "decoding": {"items": 1, "seconds": 1.0},
    "seconds": {"attempt": 1.0},
}


def make(runs: Path, programs: Path, jobs: int) -> None:
    """A store of ``jobs`` runs in one array, and what Slurm would say about them."""
    store = Store(runs)
    rows, queue, ended = [], [], []
    for number in range(jobs):
        run_id = f"webnlg-prefix-mini-gpt2-s{number}-0123456789ab"
        job = f"17_{number}"
        what = {"task": "webnlg", "method": "prefix", "model": "mini-gpt2", "scale": "mini", "seed": number}
        where = {"run_id": run_id, "job": job, "array": 0, "index": number, "because": None}
        rows.append(
            {**what, **where, "protocol": "original", "command": "bench run", "request": {"given": {}}}
        )
        place = {"job": {"launch": "20260101-000000-abcdef", "id": job}}
        if number % 2:
            store.run(run_id).write_record({"status": "done", **what, **place, **PADDING, **FINISHED})
        elif number % 10 == 0:
            error = {
                "kind": "out-of-memory",
                "message": f"CUDA out of memory. Tried to allocate {number} MiB",
            }
            store.run(run_id).write_record({"status": "failed", "error": error, **what, **place, **PADDING})
            ended.append(f"{job}|FAILED|70:0|n1|None")
        else:
            state = "RUNNING|None|n1" if number % 4 else "PENDING|Priority|"
            queue.append(f"{job}|{state}|bench-x-0")
    content = {"id": "20260101-000000-abcdef", "cluster": "slurm", "submitted": "2026-01-01", "state": "submitted",
               "jobs": rows, "arrays": [{"name": "bench-x-0", "job": "17", "count": jobs}]}  # fmt: skip
    make_launch(runs, content).write()
    programs.mkdir()
    for name, lines in (("squeue", queue), ("sacct", ended), ("scontrol", [])):
        (programs / f"{name}.txt").write_text("\n".join(lines) + "\n")
        (programs / name).write_text(f"#!/bin/sh\ncat {programs}/{name}.txt\n")
        (programs / name).chmod(0o755)


def best(words: list[str], environment: dict[str, str], times: int = 5) -> tuple[float, str]:
    found, out = [], ""
    for _ in range(times):
        started = time.perf_counter()
        out = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout  # noqa: S603 - itself
        found.append(time.perf_counter() - started)
    return min(found), out


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1000)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "runs", Path(folder) / "bin", jobs)
        environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-m", "bench", "status", "--runs", f"{folder}/runs", "--json"]
        seconds, out = best(words, environment)
        bare, _ = best([sys.executable, "-c", "pass"], environment)
        counts = json.loads(out)["counts"]
        print(f"{jobs} jobs ({counts}): bench status {seconds:.2f} s; a bare start of Python {bare:.2f} s")


if __name__ == "__main__":
    main()
