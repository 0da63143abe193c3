"""Programs that answer as Slurm's do, and launches as if they had been submitted to it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bench.cluster.launches import Launch, make_launch

PROGRAMS = ("squeue", "sacct", "scontrol")


class Slurm:
    """``says`` sets what a program prints; one that was told nothing fails without a word."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in PROGRAMS:
            program = folder / name
            program.write_text(
                f'#!/bin/sh\necho "$@" >> {folder}/{name}.called\n'
                f"if test -e {folder}/{name}.error; then cat {folder}/{name}.error >&2; exit 1; fi\n"
                f"cat {folder}/{name}.txt 2>/dev/null\n"
            )
            program.chmod(0o755)
        self.path = f"{folder}:/usr/bin:/bin"

    def says(self, program: str, text: str | bytes) -> None:
        (self.folder / f"{program}.error").unlink(missing_ok=True)
        (self.folder / f"{program}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())

    def fails(self, program: str, error: str = "Socket timed out") -> None:
        (self.folder / f"{program}.error").write_text(f"{program}: error: {error}\n")

    def asked(self, program: str) -> int:
        called = self.folder / f"{program}.called"
        return len(called.read_text().splitlines()) if called.exists() else 0


def launch(runs: Path, jobs: dict[str, str | None], launch_id: str = "20260101-a", **more: Any) -> Launch:
    """A launch record: the job of every run, all in one array."""
    rows = [
        {
            "run_id": run_id,
            "job": job,
            "array": 0,
            "index": index,
            "because": None,
            "task": "webnlg",
            "method": "prefix",
            "model": "mini-gpt2",
            "scale": "mini",
            "seed": index,
            "protocol": "original",
            "command": "bench run",
            "request": {"given": {}},
        }
        for index, (run_id, job) in enumerate(jobs.items())
    ]
    content: dict[str, Any] = {"id": launch_id, "cluster": "slurm", "submitted": "2026-01-01T00:00:00+00:00"}
    content |= {"state": "submitted", "jobs": rows}
    content["arrays"] = [{"name": f"bench-{launch_id}-0", "job": None, "count": len(jobs)}]
    content["snapshot"] = {"path": "/nowhere", "snapshot": "5" * 16, "code": {"commit": "c" * 40}}
    made = make_launch(runs, {**content, **more})
    made.write()
    return made


def written_by(made: Launch, **writer: Any) -> None:
    """Let the launch have been written by another process."""
    content = json.loads(made.file.read_text())
    content["writer"] |= writer
    made.file.write_text(json.dumps(content))


def gone_process() -> int:
    """The number of a process that is no more."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid
