"""How it is going: scheduler, records and claims put together, one row per run.

    done                 a record says so, whatever came later
    submitting           bench submit is handing it over
    queued, running      the scheduler says so, or a live claim
    failed, cancelled    the record says why, or the scheduler does where the job could not write one
    vanished             a job that nobody knows any more and that left neither record nor claim
    interrupted          a run that was started by hand and is gone without a record
    unknown              the scheduler or its accounting does not answer, and the records do not say

A job that ended without a record (killed, lost node, time limit) gets one here, once (``bench.cluster.post_mortem``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.cluster import launches
from bench.cluster.backends import local
from bench.cluster.backends import slurm as scheduler
from bench.cluster.backends.slurm import KINDS, State
from bench.cluster.launches import Launch
from bench.cluster.post_mortem import WORDS, belongs, ending, how_it_died
from bench.cluster.post_mortem import log_name as log_name
from bench.cluster.post_mortem import write_end as write_end
from bench.store.record import Record
from bench.store.run_dir import RunDir
from bench.store.store import Store

STATES = (
    "submitting", "queued", "running", "done", "failed", "vanished", "cancelled", "interrupted", "unknown"
)  # fmt: skip


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
    accounting_broken: str | None = None
    """Why accounting did not answer where it should."""

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(row.state for row in self.rows)
        return {state: counted[state] for state in STATES if counted[state]}

    @property
    def open(self) -> int:
        """Runs that the scheduler still has, or is being given."""
        return sum(row.state in ("submitting", "queued", "running") for row in self.rows)

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
            "accounting_broken": self.accounting_broken,
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
    jobs, told, silent = ask(wanted)
    rows = []
    for name, folder in folders.items():
        record, one = records[name], submitted.get(name)
        row = described(name, record, one, jobs.get(name))
        if name in done:
            row.state = "done"
        elif one is None:
            by_hand(row, record, folder)
        else:
            state = told.states.get(row.job or "")
            broken = told.broken if one.launch.cluster == "slurm" else None
            judge(row, record, one, state, one.launch.id not in silent, broken, folder)
            if repair and needs_record(row, record, one):
                write_end(row, one, folder, state.end if state else None)
                written = folder.latest_record()
                row.attempts = row.attempts if written is None else written.attempt
        rows.append(row)
    return Status(rows, not silent, told.accounting, told.broken)


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


def ask(wanted: Mapping[str, Submitted]) -> tuple[dict[str, str], scheduler.Answer, set[str]]:
    """Each run's job, what the schedulers say about all of them, and the launches whose scheduler is silent."""
    on_slurm = {name: one for name, one in wanted.items() if one.launch.cluster == "slurm"}
    jobs = {name: str(one.row["job"]) for name, one in wanted.items() if one.row["job"] is not None}
    answer, silent = scheduler.Answer(), set()
    if on_slurm:
        answer = scheduler.ask(jobs[name] for name in on_slurm if name in jobs)
        if not answer.reached:
            silent |= {one.launch.id for one in on_slurm.values()}
        for name, one in on_slurm.items():
            # What Slurm refused can be in its list all the same, under that name and as failed.
            if name not in jobs and one.launch.being_submitted and (found := by_name(one, answer)):
                jobs[name] = found
    for launch in {
        one.launch.id: one.launch for one in wanted.values() if one.launch.cluster == "local"
    }.values():
        states, here = local.states(launch)
        answer.states.update(states)
        if not here:
            silent.add(launch.id)
    return jobs, answer, silent


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
    row: Row,
    record: Record | None,
    one: Submitted,
    state: State | None,
    reached: bool,
    broken: str | None,
    folder: RunDir,
) -> None:
    """The state of a run that was submitted and is not done. ``broken``: why accounting cannot be asked."""
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
    if (state is None or one.row["job"] is None) and one.launch.in_progress():
        row.state = "running" if folder.worker() else "submitting"
        return
    if state is None:
        gone(row, record if mine else None, one, reached, broken, folder)
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


def gone(
    row: Row, record: Record | None, one: Submitted, reached: bool, broken: str | None, folder: RunDir
) -> None:
    """No scheduler knows the job (any more), or none answers."""
    kind, message = (None, None) if record is None else error_of(record)
    told = str(one.launch.content["state"])
    if folder.worker():
        row.state = "running"
    elif told.startswith("not submitted") and not handed_over(one):
        row.state, row.kind, row.message = "failed", "not-submitted", told
    elif record is not None and (reached or kind == "cancelled"):
        row.state, row.kind, row.message = "cancelled", kind, message
    elif not reached:  # it may wait for its continuation
        row.state, row.message = "unknown", "its scheduler does not answer"
    elif one.launch.being_submitted and not handed_over(one):
        row.state, row.kind, row.message = "failed", "not-submitted", WORDS["not-submitted"]
    elif one.launch.cluster == "debug":
        row.state, row.kind = "interrupted", "interrupted"
    elif broken is not None:
        row.state, row.message = "unknown", f"it has ended; how is not known: {broken}"
    else:
        row.state, row.kind, row.message = "vanished", "vanished", WORDS["vanished"]


def handed_over(one: Submitted) -> bool:
    """Whether a scheduler ever had the job, as far as the launch's files tell."""
    if one.launch.cluster == "local":
        return (one.launch.folder / "local" / "supervisor.json").exists()
    return one.launch.cluster == "debug" or one.row["job"] is not None


def needs_record(row: Row, record: Record | None, one: Submitted) -> bool:
    if row.state not in ("failed", "vanished", "cancelled") or row.kind == "not-submitted":
        return False
    mine = belongs(record, one)
    return not mine or (row.state == "failed" and record is not None and record["status"] != "failed")


def error_of(record: Record) -> tuple[str | None, str | None]:
    error = record.get("error") or {}
    if isinstance(error, str):
        return "error", error
    return error.get("kind"), error.get("message")


def first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]
