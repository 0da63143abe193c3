"""What the verbs do to jobs that were submitted: stop them, ask for them again, show what they said."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cluster import status
from bench.cluster.backends import get_backend
from bench.cluster.launches import LaunchState, find_latest_jobs, read_launches
from bench.cluster.post_mortem import get_log_name, write_end
from bench.cluster.rows import RunRow, RunState
from bench.cluster.site import Resources
from bench.config.request import RunRequest, read_request
from bench.errors import FailureKind
from bench.store.store import Store


def cancel_runs(runs: Path, rows: Sequence[RunRow]) -> list[RunRow]:
    """Stop the jobs of ``rows``; returns those that could not be stopped from here."""
    jobs = find_latest_jobs(runs)
    stopped: set[str] = set()
    by_backend: dict[str, list[RunRow]] = {}
    for row in rows:
        if row.kind == FailureKind.NOT_SUBMITTED:
            take_back_refused(runs, row.run_id)
            stopped.add(row.run_id)
        elif row.launch is not None and row.job is not None and row.cluster is not None:
            by_backend.setdefault(row.cluster, []).append(row)
    for name, group in by_backend.items():
        numbers = [str(row.job) for row in group]
        outcomes = get_backend(name).cancel([jobs[row.run_id] for row in group], numbers)
        stopped |= {row.run_id for row, outcome in zip(group, outcomes, strict=True) if outcome}
    for row in rows:
        # A job that runs writes its own record, with the checkpoint; one that waits cannot.
        if row.run_id in stopped and row.state is RunState.QUEUED:
            message = "cancelled while it waited (bench cancel)"
            row.set_state(RunState.CANCELLED, FailureKind.CANCELLED, message)
            write_end(row, jobs[row.run_id], Store(runs).run(row.run_id))
    return [row for row in rows if row.run_id not in stopped]


def take_back_refused(runs: Path, run_id: str) -> None:
    """Forget every submission of a run that was refused or interrupted, so that none of them comes to light again."""
    for launch in read_launches(runs):
        over = launch.document.status is LaunchState.NOT_SUBMITTED or launch.being_submitted
        if over and not launch.is_in_progress():
            for entry in launch.jobs:
                if entry.run_id == run_id and entry.job is None:
                    launch.take_back(run_id)


@dataclass(frozen=True)
class EarlierSubmission:
    """A run as it was submitted last: the request, and what its job had."""

    request: RunRequest
    resources: Resources
    cluster: str


def find_earlier_submissions(runs: Path, rows: Sequence[RunRow]) -> dict[str, EarlierSubmission]:
    """How each of ``rows`` was submitted in its own latest launch; those that never were are left out."""
    jobs = find_latest_jobs(runs)
    submissions = {}
    for row in rows:
        job = jobs.get(row.run_id)
        if job is not None:
            request = read_request(job.entry.request)
            request = replace(request, common=replace(request.common, runs=runs))
            resources = dict(job.array.resources)
            if job.array.max_parallel is not None:  # several arrays shared it
                resources["max_parallel"] = job.array.max_parallel
            submissions[row.run_id] = EarlierSubmission(request, resources, job.launch.cluster)
    return submissions


def find_log(runs: Path, row: RunRow, process: int = 0) -> Path | None:
    """The log of the run's latest job, if it has one."""
    job = find_latest_jobs(runs).get(row.run_id)
    if job is None:
        return None
    path = job.launch.folder / f"{get_log_name(row, job)}_{process}_log.out"
    return path if path.is_file() else None


def read_recorded_tail(runs: Path, row: RunRow) -> str:
    """The end of the log as the latest record has it."""
    record = Store(runs).run(row.run_id).latest_record()
    error = {} if record is None else record.get("error") or {}
    return str(error.get("log_tail") or error.get("traceback") or "") if isinstance(error, dict) else ""


def has_ended(runs: Path, run_id: str) -> bool:
    """Whether a run's job has: a record may be there while the job still writes its last lines."""
    if status.collect_status(runs, only=[run_id]).open:
        return False
    job = find_latest_jobs(runs).get(run_id)
    if job is None:
        return True
    answers = status.query_backends({run_id: job})
    state = answers.get_answer(job).states.get(answers.get_number(run_id, job) or "")
    return state is None or not state.running


def read_log(
    runs: Path, row: RunRow, process: int, follow: bool, lines: int | None, every: float = 1.0
) -> Iterator[str]:
    """The log in pieces; ``follow`` goes on, through requeues, until the job has ended."""
    position: int | None = None
    while True:
        ended = not follow or has_ended(runs, row.run_id)
        path = find_log(runs, row, process)
        if path is not None:
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
