"""What was submitted: one JSON file per launch, written whole, never by two processes.

    RUNS/launches/<id>.json     the launch record: what, where, from which source, which job is which run
    RUNS/launches/<id>/         submitit's files and the jobs' logs; ends/ notes jobs that were seen to end
    RUNS/launches/snapshots/    the source that the jobs run

Nothing here is shared between launches, so that many can be made at once on one shared directory.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.errors import DataError, UnknownNameError, UserError
from bench.store.store import LAUNCHES
from bench.system import files, json_files, processes
from bench.system.progress import say

LOG_END = 4000
"""Bytes of a log that go into the record of a failure."""
YOUNG = timedelta(minutes=10)
"""So long a launch is taken for one being submitted where it cannot be seen whether its process lives."""


def new_id() -> str:
    """A name that sorts by time, to the microsecond, and that nobody else has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S%f}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Launch:
    """One ``bench submit``. ``content`` is the launch record."""

    runs: Path
    content: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.content["id"])

    @property
    def cluster(self) -> str:
        return str(self.content["cluster"])

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """One entry per run: run_id, job (the scheduler's number), request, what it is."""
        return list(self.content["jobs"])

    @property
    def folder(self) -> Path:
        """Where submitit and the jobs write."""
        return self.runs.resolve() / LAUNCHES / self.id

    @property
    def file(self) -> Path:
        return self.runs / LAUNCHES / f"{self.id}.json"

    def write(self) -> Path:
        """Write the record; ``writer`` tells others whether whoever submits is still at it."""
        pid = os.getpid()
        writer = {
            "pid": pid,
            "started": processes.process_started(pid),
            "machine": processes.machine(),
        }
        json_files.write_json_atomic(self.file, {**self.content, "writer": writer})
        return self.file

    @property
    def being_submitted(self) -> bool:
        """Whether the latest that is known is that the jobs are being handed over; see ``in_progress``."""
        return bool(self.content.get("state") == "submitting")

    def in_progress(self) -> bool:
        """Whether jobs may still be handed over: the process lives, or, seen from elsewhere, it began lately."""
        if not self.being_submitted:
            return False
        writer = self.content.get("writer")
        if writer is not None and writer["machine"] == processes.machine():
            return bool(processes.process_started(writer["pid"]) == writer["started"])
        return datetime.now(UTC) - datetime.fromisoformat(self.content["submitted"]) < YOUNG

    def logs(self, job: str) -> list[Path]:
        """The logs of a job, one per process; the first process's first. None may be there yet."""
        found = self.folder.glob(f"{job}_*_log.out")
        return sorted(found, key=lambda path: int(path.name.removesuffix("_log.out").rpartition("_")[2]))

    def log_tail(self, job: str, size: int = LOG_END) -> str:
        """The last ``size`` bytes of what the job's processes said, the first process last."""
        parts = []
        for path in reversed(self.logs(job)):
            if text := tail(path, size):
                parts.append(text if len(self.logs(job)) == 1 else f"--- {path.name}\n{text}")
        return "\n".join(parts)[-size:]

    def note_end(self, job: str) -> bool:
        """Whether this process is the first to see the job's end: the one that may write about it."""
        try:
            files.create_new(self.folder / "ends" / job, "")
        except files.Taken:
            return False
        return True

    def forget_end(self, job: str) -> None:
        """What was to be written about the job's end could not be: another may try."""
        (self.folder / "ends" / job).unlink(missing_ok=True)


def tail(path: Path, size: int = LOG_END) -> str:
    """The end of a text file; what cannot be read is empty."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def load(runs: Path, launch_id: str) -> Launch:
    """The launch called so; ``latest`` is the last one."""
    known = ids(runs)
    if not known:
        raise UserError(
            f"nothing was submitted yet: no launches in {runs / LAUNCHES}; see bench submit --help"
        )
    if launch_id == "latest":
        launch_id = known[-1]
    near = [one for one in known if launch_id and one.startswith(launch_id)]
    if len(near) != 1:
        raise UnknownNameError(
            "launch", launch_id, [*known, "latest"], f"launches are read from {runs / LAUNCHES}"
        )
    return read(runs, near[0])


def read(runs: Path, launch_id: str) -> Launch:
    path = runs / LAUNCHES / f"{launch_id}.json"
    content = json_files.read_json(path)
    if not isinstance(content, dict) or not {"id", "cluster", "jobs"} <= set(content):
        raise DataError(f"{path} is not a launch record; expected id, cluster and jobs")
    return Launch(runs, content)


def ids(runs: Path) -> list[str]:
    """Names of all launches, the oldest first."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        names = os.listdir(runs / LAUNCHES)  # noqa: PTH208 - names only
        return sorted(
            name.removesuffix(".json") for name in names if name[0] != "." and name.endswith(".json")
        )
    return []


def every(runs: Path) -> list[Launch]:
    """All launches, the oldest first; what cannot be read is said and left out."""
    found = []
    for launch_id in ids(runs):
        try:
            found.append(read(runs, launch_id))
        except DataError as error:
            say(f"left out: {error}", important=True)
    return found
