"""How it is going: scheduler, records and claims put together, one row per run.

    done                 a record says so, whatever came later
    queued, running      the scheduler says so, or a live claim
    failed, cancelled    the record says why, or the scheduler does where the job could not write one
    vanished             a job that nobody knows any more and that left neither record nor claim
    interrupted          a run that was started by hand and is gone without a record
    unknown              the scheduler does not answer, and the records do not say

A job that ended without a record (killed, lost node, time limit) gets one here, once, with the
scheduler's word for it and the tail of its log: what reads records must not miss it.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.cluster import launches, local, scheduler
from bench.cluster.launches import Launch
from bench.cluster.scheduler import KINDS, State
from bench.files import StorageError
from bench.rundir import Record, RunDir
from bench.store import Store

STATES = ("queued", "running", "done", "failed", "vanished", "cancelled", "interrupted", "unknown")
WORDS = {
    "time-out": "the job reached its time limit",
    "node-failure": "the node failed",
    "out-of-memory": "the job used more memory than it had",
    "preempted": "the job was preempted and not continued",
    "cancelled": "the job was cancelled",
    "killed": "a process of the job was killed from outside",
    "vanished": "the scheduler no longer knows the job, and it left no record",
    "error": "the job ended with an error and left no record",
    "no-record": "the job ended and left no record",
    "not-submitted": "the job was never handed to the scheduler",
}


@dataclass
class Row:
    """One run."""

    run_id: str
    state: str
    kind: str | None = None
    message: str | None = None
    job: str | None = None
    launch: str | None = None
    cluster: str | None = None
    node: str | None = None
    reason: str | None = None
    attempts: int = 0
    task: str | None = None
    method: str | None = None
    model: str | None = None
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the latest attempt: how its work was cut."""


@dataclass
class Status:
    """All rows, and how sure they are."""

    rows: list[Row]
    reached: bool = True
    """Whether every scheduler that was needed answered."""
    accounting: bool | None = None

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(row.state for row in self.rows)
        return {state: counted[state] for state in STATES if counted[state]}

    @property
    def open(self) -> int:
        """Runs that the scheduler still has."""
        return sum(row.state in ("queued", "running") for row in self.rows)

    def failures(self) -> list[dict[str, Any]]:
        """Identical failures together, the most frequent first; numbers in messages do not tell them apart."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            if row.state in ("failed", "vanished"):
                alike = re.sub(
                    r"\d+(\.\d+)?|0x[0-9a-f]+", "#", first_line(row.message).replace(row.run_id, "RUN")
                )
                groups.setdefault((row.kind or "error", alike), []).append(row)
        ordered = sorted(groups.items(), key=lambda one: -len(one[1]))
        return [
            {
                "kind": kind,
                "count": len(rows),
                "message": first_line(rows[0].message),
                "runs": [r.run_id for r in rows],
            }
            for (kind, _), rows in ordered
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "counts": self.counts,
            "scheduler_answers": self.reached,
            "accounting": self.accounting,
            "failures": self.failures(),
            "runs": [asdict(row) for row in self.rows],
        }


@dataclass(frozen=True)
class Submitted:
    """The latest job of a run."""

    launch: Launch
    number: int
    row: Mapping[str, Any]


def collect(runs: Path, only: Iterable[str] | None = None, repair: bool = True) -> Status:
    """The state of every run in ``runs``, or of those named in ``only``.

    ``repair``: write the records that dead jobs could not write themselves.
    """
    store = Store(runs)
    submitted = latest_jobs(runs)
    names = {*submitted, *(run.run_id for run in store.runs())}
    names = names if only is None else names & set(only)
    folders = {name: store.run(name) for name in sorted(names)}
    records = {name: folder.latest_record() for name, folder in folders.items()}
    done = {name for name, record in records.items() if is_done(folders[name], record)}
    wanted = {name: one for name, one in submitted.items() if name in names and name not in done}
    jobs, told = ask(wanted)
    rows = []
    for name, folder in folders.items():
        record, one = records[name], submitted.get(name)
        row = described(name, record, one, jobs.get(name))
        if name in done:
            row.state = "done"
        elif one is None:
            by_hand(row, record, folder)
        else:
            judge(row, record, one, told.states.get(row.job or ""), told.reached, folder)
            if repair and needs_record(row, record, one):
                write_end(row, one, folder)
        rows.append(row)
    return Status(rows, told.reached, told.accounting)


def latest_jobs(runs: Path) -> dict[str, Submitted]:
    """For each run that was ever submitted, the job of the latest launch."""
    found: dict[str, Submitted] = {}
    for launch in launches.every(runs):
        for number, row in enumerate(launch.jobs):
            found[row["run_id"]] = Submitted(launch, number, row)
    return found


def is_done(folder: RunDir, record: Record | None) -> bool:
    if record is None:
        return False
    return record["status"] == "done" or (record["attempt"] > 1 and folder.done_record() is not None)


def ask(wanted: Mapping[str, Submitted]) -> tuple[dict[str, str], scheduler.Answer]:
    """Each run's job and what the schedulers say about all of them."""
    on_slurm = {name: one for name, one in wanted.items() if one.launch.cluster == "slurm"}
    jobs = {name: str(one.row["job"]) for name, one in wanted.items() if one.row["job"] is not None}
    answer = scheduler.Answer()
    if on_slurm:
        answer = scheduler.ask(jobs[name] for name in on_slurm if name in jobs)
        for name, one in on_slurm.items():
            if name not in jobs and (found := by_name(one, answer)):
                jobs[name] = found
    for launch in {
        one.launch.id: one.launch for one in wanted.values() if one.launch.cluster == "local"
    }.values():
        states, here = local.states(launch)
        answer.states.update(states)
        answer.reached = answer.reached and here
    return jobs, answer


def by_name(one: Submitted, answer: scheduler.Answer) -> str | None:
    """The job of a launch that was killed before it wrote the numbers down."""
    array = one.launch.content["arrays"][one.row["array"]]
    for number, name in answer.names.items():
        if name == array["name"]:
            return number if array["count"] == 1 else f"{number}_{one.row['index']}"
    return None


def described(name: str, record: Record | None, one: Submitted | None, job: str | None) -> Row:
    known: Mapping[str, Any] = one.row if one is not None else record or {}
    row = Row(name, "unknown", attempts=record["attempt"] if record else 0)
    row.task, row.method, row.model, row.seed = (known.get(k) for k in ("task", "method", "model", "seed"))
    if one is not None:
        row.job, row.launch, row.cluster = job or one.row["job"], one.launch.id, one.launch.cluster
        row.settings = {
            k: v for k, v in one.row["request"]["given"].items() if k in ("micro_split", "decode_batch")
        }
    return row


def by_hand(row: Row, record: Record | None, folder: RunDir) -> None:
    """A run that no launch knows: ``bench run``."""
    if record is None or record["status"] == "cancelled":
        row.state = "running" if folder.worker() else "interrupted" if record is None else "cancelled"
    else:
        row.state = record["status"]
    if record is not None:
        row.kind, row.message = error_of(record)


def judge(
    row: Row, record: Record | None, one: Submitted, state: State | None, reached: bool, folder: RunDir
) -> None:
    """The state of a run that was submitted and is not done."""
    if state is not None:
        row.node, row.reason = state.node or None, state.reason or None
        if not state.ended:
            row.state = "running" if state.running else "queued"
            if "held" in state.reason.lower():  # it will wait for ever
                row.kind = "held"
                row.message = (
                    f"Slurm holds the job ({state.reason}); scontrol release {row.job} lets it go on"
                )
            return
    mine = belongs(record, one)
    if mine and record is not None and record["status"] == "failed":
        row.kind, row.message = error_of(record)
        row.state = "vanished" if row.kind == "vanished" else "failed"
        return
    if state is None:
        gone(row, record if mine else None, one, reached, folder)
        return
    if state.state == "CANCELLED" or (state.state == "COMPLETED" and mine):
        row.state, row.kind = "cancelled", "cancelled"
    elif folder.worker():
        row.state = "running"  # by somebody else
        return
    else:
        row.state = "failed"
        row.kind = KINDS.get(state.state) or how_it_died(row, one, state)
    row.message = WORDS.get(row.kind, row.kind) + f" (scheduler: {state.state}{ending(state)})"


def gone(row: Row, record: Record | None, one: Submitted, reached: bool, folder: RunDir) -> None:
    """No scheduler knows the job (any more), or none answers."""
    if folder.worker():
        row.state = "running"
    elif one.launch.content["state"].startswith("not submitted") and one.row["job"] is None:
        row.state, row.kind, row.message = "failed", "not-submitted", one.launch.content["state"]
    elif record is not None:
        row.state = "cancelled"
        row.kind, row.message = error_of(record)
    elif not reached:
        row.state = "unknown"
    elif one.launch.cluster == "debug":
        row.state, row.kind = "interrupted", "interrupted"
    else:
        row.state, row.kind, row.message = "vanished", "vanished", WORDS["vanished"]


def how_it_died(row: Row, one: Submitted, state: State) -> str:
    """The kind of failure of a program that ended by itself: its exit code, or the last words in its log."""
    from bench.cluster.job import EXIT_CODES, MARK

    said = re.findall(rf"^{MARK} \[([\w-]+)\]", one.launch.log_tail(log_name(row, one)), re.MULTILINE)
    if said:
        return str(said[-1])
    kinds = {code: kind for kind, code in EXIT_CODES.items() if code > 2}
    if state.exit_code in kinds:
        return kinds[state.exit_code]
    if state.signal:
        return "killed"
    return "no-record" if state.state == "COMPLETED" else "error"


def ending(state: State) -> str:
    parts = [f"exit code {state.exit_code}"] if state.exit_code else []
    parts += [f"signal {state.signal}"] if state.signal else []
    return "".join(f", {part}" for part in parts)


def belongs(record: Record | None, one: Submitted) -> bool:
    """Whether the record is of this launch, or was made by hand after it."""
    if record is None:
        return False
    job = record.get("job")
    if job is None:
        return bool(record["recorded"] > one.launch.content["submitted"])
    return bool(job.get("launch") == one.launch.id)


def needs_record(row: Row, record: Record | None, one: Submitted) -> bool:
    if row.state not in ("failed", "vanished", "cancelled") or row.kind == "not-submitted":
        return False
    mine = belongs(record, one)
    return not mine or (row.state == "failed" and record is not None and record["status"] != "failed")


def write_end(row: Row, one: Submitted, folder: RunDir) -> None:
    """The record of a job that could not write one; by the first process that sees it."""
    from bench.cluster.job import write_failure

    job = log_name(row, one)
    error = {"kind": row.kind, "type": "Job", "message": row.message or "", "traceback": ""}
    error["log_tail"] = one.launch.log_tail(job)
    facts = {"launch": one.launch.id, "id": job, "cluster": one.launch.cluster, "node": row.node}
    with contextlib.suppress(StorageError):  # a full disk: tried again next time
        if one.launch.note_end(job):
            status = "cancelled" if row.state == "cancelled" else "failed"
            try:
                write_failure(folder, dict(one.row), error, facts, status)
            except StorageError:
                one.launch.forget_end(job)


def log_name(row: Row, one: Submitted) -> str:
    """The name that the job's logs begin with."""
    return local.log_name(one.launch, dict(one.row)) if one.launch.cluster == "local" else str(row.job)


def error_of(record: Record) -> tuple[str | None, str | None]:
    error = record.get("error") or {}
    if isinstance(error, str):
        return "error", error
    return error.get("kind"), error.get("message")


def first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
