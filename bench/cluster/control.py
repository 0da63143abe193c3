"""What the verbs do to jobs that were submitted: stop them, ask for them again, show what they said."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.cluster import status
from bench.cluster.backends import local
from bench.cluster.backends import slurm as scheduler
from bench.cluster.status import Row
from bench.config.request import RunRequest, read_request
from bench.store.store import Store

ENDED_BADLY = ("failed", "vanished", "cancelled")


def cancel(runs: Path, rows: Sequence[Row]) -> list[Row]:
    """Stop the jobs of ``rows``; returns those that could not be stopped from here."""
    jobs = status.latest_jobs(runs)
    left = [row for row in rows if row.launch is None or row.job is None or row.cluster == "debug"]
    on_slurm = [row for row in rows if row not in left and row.cluster == "slurm"]
    if on_slurm and not scheduler.cancel([str(row.job) for row in on_slurm]):
        left += on_slurm
    for row in rows:
        if row in left or row.cluster != "local":
            continue
        one = jobs[row.run_id]
        if local.lives_here(one.launch):
            local.cancel(one.launch, [one.number])
        else:
            left.append(row)
    for row in rows:
        # A job that runs writes its own record, with the checkpoint; one that waits cannot.
        if row not in left and row.state == "queued":
            row.state, row.kind, row.message = (
                "cancelled",
                "cancelled",
                "cancelled while it waited (bench cancel)",
            )
            status.write_end(row, jobs[row.run_id], Store(runs).run(row.run_id))
    return left


@dataclass(frozen=True)
class Again:
    """A run as it was submitted last: the request, and what its job had."""

    request: RunRequest
    resources: Mapping[str, Any]
    cluster: str


def again(runs: Path, rows: Sequence[Row]) -> dict[str, Again]:
    """How each of ``rows`` was submitted in its own latest launch; those that never were are left out."""
    jobs = status.latest_jobs(runs)
    found = {}
    for row in rows:
        if (one := jobs.get(row.run_id)) is not None:
            request = read_request(one.row["request"])
            request = replace(request, common=replace(request.common, runs=runs))
            array = one.launch.content["arrays"][one.row["array"]]
            resources = dict(array["resources"])
            if "max_parallel" in array:  # several arrays shared it
                resources["max_parallel"] = array["max_parallel"]
            found[row.run_id] = Again(request, resources, one.launch.cluster)
    return found


def log_path(runs: Path, row: Row, process: int = 0) -> Path | None:
    """The log of the run's latest job, if it has one."""
    one = status.latest_jobs(runs).get(row.run_id)
    if one is None:
        return None
    path = one.launch.folder / f"{status.log_name(row, one)}_{process}_log.out"
    return path if path.is_file() else None


def recorded_tail(runs: Path, row: Row) -> str:
    """The end of the log as the latest record has it."""
    record = Store(runs).run(row.run_id).latest_record()
    error = {} if record is None else record.get("error") or {}
    return str(error.get("log_tail") or error.get("traceback") or "") if isinstance(error, dict) else ""


def read_log(
    runs: Path, row: Row, process: int, follow: bool, lines: int | None, every: float = 1.0
) -> Iterator[str]:
    """The log in pieces; ``follow`` goes on, through requeues, until the job has ended."""
    position: int | None = None
    while True:
        ended = not follow or status.collect(runs, only=[row.run_id]).open == 0
        if (path := log_path(runs, row, process)) is not None:
            with path.open("rb") as file:
                if position is None and lines is not None:
                    content = file.read()
                    position = len(content)
                    yield "\n".join(content.decode(errors="replace").splitlines()[-lines:]) + "\n"
                else:
                    file.seek(position or 0)
                    content = file.read()
                    position = (position or 0) + len(content)
                    if content:
                        yield content.decode(errors="replace")
        if ended:
            return
        time.sleep(every)
