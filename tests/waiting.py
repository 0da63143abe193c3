"""Waiting for what other processes do, on a machine of any speed, and processes to wait for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]  # scripts started there find the package
PATIENCE = 1200.0  # seconds until what did not happen is taken for what never will; nothing here needs half


def wait_until(
    happened: Callable[[], T], every: float = 0.05, otherwise: Callable[[], object] = lambda: "never happened"
) -> T:
    """What ``happened`` returns, as soon as that is true of anything; fails, telling ``otherwise``, if never."""
    limit = time.monotonic() + PATIENCE
    while not (found := happened()):
        assert time.monotonic() < limit, otherwise()
        time.sleep(every)
    return found


# --- writers: scripts that print "ready", read a line, and then write until they are killed


def start_writer(script: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def release(*writers: subprocess.Popen[str]) -> None:
    """Let them write, all at once when every one of them is ready."""
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
