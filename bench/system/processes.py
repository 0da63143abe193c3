"""Which machine this is and which processes live on it: so that leftovers of a dead one can be recognised."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@functools.cache
def identify_machine() -> str:
    """A short name for "where process ids mean the same": host, this boot of it, this container.

    Host names alone repeat (containers, "localhost"), and process ids restart after a reboot.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def find_process_start(pid: int) -> str | None:
    """When process ``pid`` of this machine started (in any unit), or None if it is no longer running.

    The start time tells a process from a later one that was given the same number. A killed process
    that its parent has not yet collected counts as gone. Where /proc is missing, "" means "running".
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass  # somebody else's process: running
        return ""
    fields = text.rpartition(")")[2].split()  # the program's name, in brackets, may hold anything
    return None if fields[0] in "ZX" else fields[19]


def identify_process(pid: int | None = None) -> dict[str, Any]:
    """Process ``pid`` (this one), so that a file can say whose it is: pid, started, machine."""
    pid = os.getpid() if pid is None else pid
    return {"pid": pid, "started": find_process_start(pid), "machine": identify_machine()}


def is_running(process: Mapping[str, Any]) -> bool | None:
    """Whether a process of ``identify_process`` runs; None where only another machine can tell."""
    pid = process.get("pid")
    if process.get("machine") != identify_machine() or not isinstance(pid, int):
        return None
    return find_process_start(pid) == process.get("started")
