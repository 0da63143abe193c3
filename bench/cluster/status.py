"""How it is going: scheduler, records and claims put together, one row per run.

    done                 a record says so, whatever came later
    submitting           bench submit is handing it over
    queued, running      the scheduler says so, or a live claim
    failed, cancelled    the record says why, or the scheduler does where the job could not write one
    vanished             a job that nobody knows any more and that left neither record nor claim
    interrupted          a run that was started by hand and is gone without a record
    unreadable           a run that left records, none of which can be read; whoever issues it again makes a new one
    unknown              the scheduler or its accounting does not answer, and the records do not say

A job that ended without a record (killed, lost node, time limit) gets one here, once (``bench.cluster.post_mortem``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.cluster.backends import Answer, JobState, get_backend
from bench.cluster.launches import LaunchState, SubmittedJob, find_latest_jobs
from bench.cluster.post_mortem import (
    EXPLANATIONS,
    describe_end,
    find_failure_kind,
    is_of_launch,
    write_end,
)
from bench.cluster.rows import HELD, OPEN, MainScore, RunRow, RunState
from bench.errors import FailureKind
from bench.foreign_text import show_foreign
from bench.runs.advice import suggest_lower_rate
from bench.store.damaged import DamagedRecord, DamageKind, document_damage
from bench.store.record import Record, RunStatus
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system.json_files import JsonObject

MAIN_METRICS = ("bleu", "rougeL")
CUT_SETTINGS = ("micro_split", "decode_batch")
"""Settings that say how a run's work was cut."""


class FailureGroup(NamedTuple):
    """Failures of the same kind and message; numbers in messages do not tell them apart."""

    kind: str
    message: str
    runs: list[str]

    def to_json(self) -> JsonObject:
        """For ``bench status --json``."""
        return {"kind": self.kind, "count": len(self.runs), "message": self.message, "runs": self.runs}


@dataclass
class StatusReport:
    """All rows, and how sure they are."""

    rows: list[RunRow]
    reached: bool = True
    """Whether every scheduler that was needed answered."""
    accounting: bool | None = None
    accounting_broken: str | None = None
    """Why accounting did not answer where it should."""
    damaged: list[DamagedRecord] = field(default_factory=list)
    """What of the whole store cannot be used: records, specifications, folders that are no runs, launch records."""

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state that occurs."""
        counted = Counter(row.state for row in self.rows)
        return {state.value: counted[state] for state in RunState if counted[state]}

    @property
    def open(self) -> int:
        """Runs that the scheduler still has, or is being given."""
        return sum(row.state in OPEN for row in self.rows)

    def group_failures(self) -> list[FailureGroup]:
        """Identical failures together, the most frequent first."""
        groups: dict[tuple[str, str], list[RunRow]] = {}
        for row in self.rows:
            if row.state in (RunState.FAILED, RunState.VANISHED):
                message = get_first_line(row.message).replace(row.run_id, "RUN")
                pattern = re.sub(r"\d+(\.\d+)?|0x[0-9a-f]+", "#", message)
                groups.setdefault((row.kind or FailureKind.ERROR, pattern), []).append(row)
        ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
        return [
            FailureGroup(kind, get_first_line(rows[0].message), [row.run_id for row in rows])
            for (kind, _), rows in ordered
        ]

    def to_json(self) -> JsonObject:
        """For ``bench status --json``."""
        return {
            "counts": self.counts,
            "scheduler_answers": self.reached,
            "accounting": self.accounting,
            "accounting_broken": self.accounting_broken,
            "damaged": document_damage(self.damaged),
            "failures": [group.to_json() for group in self.group_failures()],
            "runs": [row.to_json() for row in self.rows],
        }


@dataclass
class SchedulerAnswers:
    """What the backends of some runs say about their jobs."""

    by_backend: dict[str, Answer] = field(default_factory=dict)

    def get_answer(self, job: SubmittedJob) -> Answer:
        """Of the job's backend."""
        return self.by_backend.get(job.launch.cluster) or Answer()

    def get_number(self, run_id: str, job: SubmittedJob) -> str | None:
        """The job's number, as far as it is known."""
        return self.get_answer(job).jobs.get(run_id) or job.entry.job

    @property
    def reached(self) -> bool:
        """Whether every one of them answered."""
        return not any(answer.silent for answer in self.by_backend.values())

    @property
    def accounting(self) -> bool | None:
        """Whether an accounting answered; None where none was asked."""
        asked = [answer.accounting for answer in self.by_backend.values() if answer.accounting is not None]
        return all(asked) if asked else None

    @property
    def broken(self) -> str | None:
        """Why an accounting did not answer where it should."""
        return next((answer.broken for answer in self.by_backend.values() if answer.broken), None)


def collect_status(runs: Path, only: Iterable[str] | None = None, repair: bool = True) -> StatusReport:
    """The state of every run in ``runs``, or of those named in ``only``.

    ``repair``: write the records that dead jobs could not write themselves.
    """
    store = Store(runs)
    started = store.runs()  # first: it says where the folder cannot be read
    damaged = store.survey()
    foreign = {entry.path.name for entry in damaged if entry.kind is DamageKind.FOREIGN}
    submitted = find_latest_jobs(runs, damaged)
    names = {*submitted, *(run.run_id for run in started)} - foreign
    names = names if only is None else names & set(only)
    folders = {name: store.run(name) for name in sorted(names)}
    records: dict[str, Record | None] = {}
    unreadable: dict[str, DamagedRecord] = {}
    for name, folder in folders.items():
        before = len(damaged)
        records[name] = folder.latest_record(damaged)
        if records[name] is None and len(damaged) > before:
            unreadable[name] = damaged[before]
    done = {name for name, record in records.items() if is_done(folders[name], record)}
    answers = query_backends({name: submitted[name] for name in names - done if name in submitted})
    rows = []
    for name, folder in folders.items():
        record, job = records[name], submitted.get(name)
        row = make_row(name, record, job)
        rows.append(row)
        if name in done:
            row.state = RunState.DONE
        elif job is None:
            find_unsubmitted_state(row, record, folder)
        else:
            row.job = answers.get_number(name, job)
            find_job_state(row, record, job, answers.get_answer(job), folder)
        if name in unreadable and row.state not in (*OPEN, RunState.UNKNOWN):
            row.set_state(RunState.UNREADABLE, None, show_foreign(unreadable[name].reason, 200))
        elif job is not None and repair and needs_record(row, record, job):
            state = answers.get_answer(job).states.get(row.job or "")
            write_end(row, job, folder, state.end if state else None)
            written = folder.latest_record()
            row.attempts = row.attempts if written is None else written.attempt
        add_details(row, record, folder, job)
    return StatusReport(rows, answers.reached, answers.accounting, answers.broken, damaged)


def add_details(row: RunRow, record: Record | None, folder: RunDir, job: SubmittedJob | None) -> None:
    """How long it took or takes, how far it is, what came of it, and what to type where it diverged."""
    if row.state is RunState.RUNNING:
        worker = folder.worker()
        if worker is not None:
            row.elapsed_seconds = measure_time_since(str(worker["since"]))
        row.progress = folder.read_progress()
        return
    if row.state is RunState.DONE and record is not None and record.status is not RunStatus.DONE:
        record = folder.done_record()
    if record is None:
        return
    row.elapsed_seconds = record.seconds.get("attempt")
    if row.state is RunState.DONE:
        row.score = find_main_score(record)
    elif row.kind == FailureKind.DIVERGED and record.settings and "lr" in record.settings:
        command, rate = str(record.get("command") or ""), record.settings["lr"].value
        if command and isinstance(rate, int | float):
            row.advice = suggest_lower_rate(command, rate, None if job is None else job.launch.cluster)


def measure_time_since(start: str) -> float | None:
    """Seconds from a time as ``provenance.format_current_time`` writes it; None where it is none, or to come."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None
    return round(seconds, 1) if seconds >= 0 else None


def find_main_score(record: Record) -> MainScore | None:
    """The score by the task's main metric (BLEU, or ROUGE-L for summaries); the first that there is otherwise."""
    scores = {
        name: score.value for name, score in record.scores.get("all", {}).items() if score.value is not None
    }
    metric = next((name for name in (*MAIN_METRICS, *scores) if name in scores), None)
    return None if metric is None else MainScore(metric, float(scores[metric]))


def is_done(folder: RunDir, record: Record | None) -> bool:
    """Whether any attempt at the run is done; ``record`` is its latest."""
    if record is None:
        return False
    done_before = record.attempt > 1 and folder.done_record() is not None
    return record.status is RunStatus.DONE or done_before


def query_backends(jobs: Mapping[str, SubmittedJob]) -> SchedulerAnswers:
    """Each backend about all of its jobs at once."""
    by_backend: dict[str, dict[str, SubmittedJob]] = {}
    for run_id, job in jobs.items():
        by_backend.setdefault(job.launch.cluster, {})[run_id] = job
    return SchedulerAnswers({name: get_backend(name).query(group) for name, group in by_backend.items()})


def make_row(run_id: str, record: Record | None, job: SubmittedJob | None) -> RunRow:
    """The run's row, before its state is known."""
    row = RunRow(run_id, RunState.UNKNOWN, attempts=record.attempt if record else 0)
    row.continued = (
        record is not None and record.execution is not None and bool(record.execution.continued_under)
    )
    source = job.entry if job is not None else record
    if source is not None:
        row.task, row.method, row.model, row.seed = source.task, source.method, source.model, source.seed
    if job is not None:
        row.job, row.launch, row.cluster = job.entry.job, job.launch.id, job.launch.cluster
        given = job.entry.request.get("given")
        if isinstance(given, dict):
            row.settings = {name: value for name, value in given.items() if name in CUT_SETTINGS}
    return row


def find_unsubmitted_state(row: RunRow, record: Record | None, folder: RunDir) -> None:
    """The state of a run that no launch has: ``bench run``."""
    if record is not None:
        row.kind, row.message = get_error(record)
        if record.status is not RunStatus.CANCELLED:
            row.state = RunState(record.status.value)
            return
    if folder.worker():
        row.state = RunState.RUNNING
    else:
        row.state = RunState.INTERRUPTED if record is None else RunState.CANCELLED


def find_job_state(
    row: RunRow, record: Record | None, job: SubmittedJob, answer: Answer, folder: RunDir
) -> None:
    """The state of a run that was submitted and is not done."""
    state = answer.states.get(row.job or "")
    if state is not None:
        row.node, row.reason = state.node or None, state.reason or None
        if not state.ended:
            row.state = RunState.RUNNING if state.running else RunState.QUEUED
            if state.held:  # it will wait for ever
                row.kind = HELD
                row.message = (
                    f"Slurm holds the job ({state.reason}); scontrol release {row.job} lets it go on"
                )
            elif state.unfit:
                row.message = (
                    f"it asks for what it will not get ({state.reason}); bench cancel {row.run_id} takes it back, "
                    "and the next bench submit can ask for something else"
                )
            return
    launched = record if is_of_launch(record, job) else None
    if launched is not None and launched.status is RunStatus.FAILED:
        kind, message = get_error(launched)
        vanished = kind == FailureKind.VANISHED
        row.set_state(RunState.VANISHED if vanished else RunState.FAILED, kind, message)
    elif (state is None or job.entry.job is None) and job.launch.is_in_progress():
        row.state = RunState.RUNNING if folder.worker() else RunState.SUBMITTING
    elif state is None:
        find_lost_state(row, launched, job, answer, folder)
    else:
        find_ended_state(row, launched is not None, job, state, folder)


def find_ended_state(row: RunRow, recorded: bool, job: SubmittedJob, state: JobState, folder: RunDir) -> None:
    """A scheduler says that the job has ended. ``recorded``: the run has a record of it."""
    if state.cancelled or (state.completed and recorded):
        row.state, row.kind = RunState.CANCELLED, FailureKind.CANCELLED
    elif folder.worker():
        row.state = RunState.RUNNING  # by somebody else
        return
    else:
        row.state = RunState.FAILED
        row.kind = state.failure or find_failure_kind(row, job, state)
    explanation = EXPLANATIONS.get(str(row.kind), str(row.kind))
    row.message = f"{explanation} (scheduler: {state.state}{describe_end(state)})"


def find_lost_state(
    row: RunRow, record: Record | None, job: SubmittedJob, answer: Answer, folder: RunDir
) -> None:
    """No scheduler knows the job (any more), or none answers. ``record``: of this launch."""
    launch = job.launch
    reached, handed_over = launch.id not in answer.silent, launch.backend.was_handed_over(job)
    kind, message = (None, None) if record is None else get_error(record)
    if folder.worker():
        row.state = RunState.RUNNING
    elif launch.document.status is LaunchState.NOT_SUBMITTED and not handed_over:
        row.set_state(RunState.FAILED, FailureKind.NOT_SUBMITTED, launch.document.state)
    elif record is not None and (reached or kind == FailureKind.CANCELLED):
        row.set_state(RunState.CANCELLED, kind, message)
    elif not reached:  # it may wait for its continuation
        row.state, row.message = RunState.UNKNOWN, "its scheduler does not answer"
    elif launch.being_submitted and not handed_over:
        not_submitted = FailureKind.NOT_SUBMITTED
        row.set_state(RunState.FAILED, not_submitted, EXPLANATIONS[not_submitted])
    elif launch.backend.in_process:
        row.state, row.kind = RunState.INTERRUPTED, FailureKind.INTERRUPTED
    elif answer.broken is not None:
        row.state = RunState.UNKNOWN
        row.message = f"it has ended; how is not known: {answer.broken}"
    else:
        row.set_state(RunState.VANISHED, FailureKind.VANISHED, EXPLANATIONS[FailureKind.VANISHED])


def needs_record(row: RunRow, record: Record | None, job: SubmittedJob) -> bool:
    """Whether the end of the run's job is in no record yet."""
    if row.state not in (RunState.FAILED, RunState.VANISHED, RunState.CANCELLED):
        return False
    if row.kind == FailureKind.NOT_SUBMITTED:
        return False
    if not is_of_launch(record, job):
        return True
    return row.state is RunState.FAILED and record is not None and record.status is not RunStatus.FAILED


class RecordedError(NamedTuple):
    """Kind and message of a record's error."""

    kind: str | None
    message: str | None


def get_error(record: Record) -> RecordedError:
    """What the attempt failed of; nothing where it did not."""
    error = record.error
    return RecordedError(None, None) if error is None else RecordedError(error.kind, error.message)


def get_first_line(text: str | None) -> str:
    """The first line of a message."""
    return (text or "").strip().partition("\n")[0]
