"""The end of a job that could not tell it itself: what it died of, and the record of that, written once.

What reads records must not miss a job that was killed, lost its node or reached its limit. The record has
the scheduler's word for it, the time it ended, the source it ran and the tail of its log.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping

from bench.cluster.backends import JobState
from bench.cluster.launches import SubmittedJob
from bench.cluster.rows import RunRow, RunState
from bench.errors import FailureKind
from bench.store.record import Record, RecordError, RunStatus
from bench.store.run_dir import RunDir
from bench.system.files import StorageError
from bench.system.json_files import JsonObject
from bench.system.progress import print_message

EXPLANATIONS: Mapping[str, str] = {
    FailureKind.TIME_OUT: "the job reached its time limit",
    FailureKind.NODE_FAILURE: "the node failed",
    FailureKind.OUT_OF_MEMORY: "the job used more memory than it had",
    FailureKind.PREEMPTED: "the job was preempted and not continued",
    FailureKind.CANCELLED: "the job was cancelled",
    FailureKind.KILLED: "a process of the job was killed from outside",
    FailureKind.VANISHED: "the scheduler no longer knows the job, and it left no record",
    FailureKind.ERROR: "the job ended with an error and left no record",
    FailureKind.NO_RECORD: "the job ended and left no record",
    FailureKind.NOT_SUBMITTED: "the job was never handed to the scheduler",
}


def find_failure_kind(row: RunRow, job: SubmittedJob, state: JobState) -> str:
    """The kind of failure of a program that ended by itself: its exit code, or the last words in its log."""
    from bench.cluster.job import EXIT_CODES, MARK

    log = job.launch.read_log_tail(get_log_name(row, job))
    kinds = re.findall(rf"^{MARK} \[([\w-]+)\]", log, re.MULTILINE)
    if kinds:
        return str(kinds[-1])
    by_code = {code: kind for kind, code in EXIT_CODES.items() if code > 2}
    if state.exit_code in by_code:
        return by_code[state.exit_code]
    if state.signal:
        return FailureKind.KILLED
    return FailureKind.NO_RECORD if state.completed else FailureKind.ERROR


def describe_end(state: JobState) -> str:
    """``, exit code 1, signal 9``, as far as they are known."""
    parts = [f"exit code {state.exit_code}"] if state.exit_code else []
    parts += [f"signal {state.signal}"] if state.signal else []
    return "".join(f", {part}" for part in parts)


def is_of_launch(record: Record | None, job: SubmittedJob) -> bool:
    """Whether the record is of this launch, or was made by hand after it."""
    if record is None:
        return False
    if record.job is None:
        return record.recorded > job.launch.document.submitted
    return bool(record.job.get("launch") == job.launch.id)


def write_end(row: RunRow, job: SubmittedJob, folder: RunDir, ended: str | None = None) -> None:
    """The record of a job that could not write one; by the first process that sees it.

    ``ended``: when that was, where the scheduler says it; otherwise it is now.
    """
    from bench.cluster.job import write_failure

    name, launch = get_log_name(row, job), job.launch
    error = {"kind": row.kind, "type": "Job", "message": row.message or "", "traceback": ""}
    error["log_tail"] = launch.read_log_tail(name)
    facts = {
        "launch": launch.id,
        "id": name if row.job is not None else None,
        "cluster": launch.cluster,
        "node": row.node,
    }
    more: JsonObject = {"ended": ended} if ended else {}
    if launch.document.snapshot is not None:
        more["code"] = {**launch.source.code, "snapshot": launch.source.snapshot}
    with contextlib.suppress(StorageError):  # a full disk: tried again next time
        noted = name if row.job is not None else row.run_id
        if launch.note_end(noted):
            status = RunStatus.CANCELLED if row.state is RunState.CANCELLED else RunStatus.FAILED
            try:
                write_failure(folder, job.entry, error, facts, status, more)
            except StorageError:
                launch.forget_end(noted)
            except RecordError as error:
                print_message(
                    f"the end of {row.run_id} cannot be recorded, {launch.file} is damaged: {error}", True
                )


def get_log_name(row: RunRow, job: SubmittedJob) -> str:
    """The name that the job's logs begin with."""
    return job.launch.backend.get_log_name(job, row.job)
