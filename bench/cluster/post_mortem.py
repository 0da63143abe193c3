"""The end of a job that could not tell it itself: what it died of, and the record of that, written once.

What reads records must not miss a job that was killed, lost its node or reached its limit. The record has
the scheduler's word for it, the time it ended, the source it ran and the tail of its log.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cluster.backends import local
from bench.cluster.backends.slurm import State
from bench.store.record import Record
from bench.store.run_dir import RunDir
from bench.system.files import StorageError

if TYPE_CHECKING:
    from bench.cluster.status import Row, Submitted

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


class Told(RunDir):
    """A run's folder whose next record also has ``facts``, which somebody else knows than who writes it."""

    def __init__(self, folder: RunDir, facts: Mapping[str, Any]) -> None:
        super().__init__(folder.path.parent, folder.run_id)
        self.facts = facts

    def write_record(self, record: Mapping[str, Any]) -> Path:
        return super().write_record({**record, **self.facts})


def write_end(row: Row, one: Submitted, folder: RunDir, ended: str | None = None) -> None:
    """The record of a job that could not write one; by the first process that sees it.

    ``ended``: when that was, where the scheduler says it; otherwise it is now.
    """
    from bench.cluster.job import write_failure

    job = log_name(row, one)
    error = {"kind": row.kind, "type": "Job", "message": row.message or "", "traceback": ""}
    error["log_tail"] = one.launch.log_tail(job)
    facts = {
        "launch": one.launch.id,
        "id": job if row.job is not None else None,
        "cluster": one.launch.cluster,
        "node": row.node,
    }
    known: dict[str, Any] = {"ended": ended} if ended else {}
    if (source := one.launch.content.get("snapshot")) is not None:
        known["code"] = {**source["code"], "snapshot": source["snapshot"]}
    with contextlib.suppress(StorageError):  # a full disk: tried again next time
        if one.launch.note_end(noted := job if row.job is not None else row.run_id):
            status = "cancelled" if row.state == "cancelled" else "failed"
            try:
                write_failure(Told(folder, known), dict(one.row), error, facts, status)
            except StorageError:
                one.launch.forget_end(noted)


def log_name(row: Row, one: Submitted) -> str:
    """The name that the job's logs begin with."""
    return local.log_name(one.launch, dict(one.row)) if one.launch.cluster == "local" else str(row.job)
