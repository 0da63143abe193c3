"""What the processes of one job note about themselves: which of them ended, and how.

    RUNS/launches/<id>/processes/<job>_<rank>.json   {"pid", "started", "machine", "attempt"[, "ended", "error"]}

Where one of several processes fails, the first one sees no more than a lost connection, or the SIGTERM with
which srun ends the rest: the note says what it was. A process that is gone without having said so was killed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench.errors import DataError, FailureKind
from bench.system import json_files, processes
from bench.system.files import StorageError
from bench.system.json_files import JsonObject

FOLDER = "processes"
POLL = 0.2


class ProcessEnd(StrEnum):
    """How a process of a job said that it ends."""

    DONE = "done"
    LEFT = "left"
    """Another process makes the run."""
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class JobProcesses:
    """The processes of a job as its process number ``rank`` sees them. ``attempt``: how often it was requeued."""

    launch: Path
    """The launch's folder."""
    job: str
    rank: int
    count: int
    attempt: int = 0
    in_process: bool = False
    """Whether it is the process of whoever submits, which leaves no notes."""

    def get_file(self, rank: int) -> Path:
        return self.launch / FOLDER / f"{self.job}_{rank}.json"

    def begin(self) -> None:
        self._write({})

    def end(self, outcome: ProcessEnd, error: Mapping[str, Any] | None = None) -> None:
        """Note how this process ends. The first note counts: what follows are consequences."""
        if "ended" not in (self.read(self.rank) or {}):
            self._write({"ended": outcome, **({"error": dict(error)} if error else {})})

    def _write(self, more: Mapping[str, Any]) -> None:
        if self.in_process:  # many jobs in one process
            return
        with contextlib.suppress(StorageError, OSError):  # a full disk: the job has worse to tell
            json_files.write_json_atomic(
                self.get_file(self.rank), {**processes.identify_process(), "attempt": self.attempt, **more}
            )

    def read(self, rank: int) -> JsonObject | None:
        """The note of a process in this attempt."""
        with contextlib.suppress(DataError, OSError):
            note = json_files.read_json(self.get_file(rank))
            if isinstance(note, dict) and note.get("attempt") == self.attempt:
                return note
        return None

    def find_cause(self, wait: float, silence_is_death: bool = False) -> dict[str, Any] | None:
        """What happened to another process that explains a failure or a signal here; None if nothing did.

        Waits until every other process has ended, or seems dead, at most so many seconds.
        ``silence_is_death``: also a process of another machine that then has not ended counts as killed;
        otherwise only one whose absence can be seen from here does.
        """
        until = time.monotonic() + wait
        ranks = [rank for rank in range(self.count) if rank != self.rank]
        while ranks:
            notes = {rank: self.read(rank) for rank in ranks}
            for rank, note in notes.items():
                if (
                    note
                    and note.get("ended") == ProcessEnd.FAILED
                    and note.get("error", {}).get("kind") != FailureKind.ERROR
                ):
                    return {**note["error"], "process": rank}
            gone = [rank for rank, note in notes.items() if is_gone(note)]
            over = time.monotonic() >= until
            silent = [rank for rank, note in notes.items() if note is not None and "ended" not in note]
            if gone or (over and silence_is_death and silent):
                return describe_kill((gone or silent)[0])
            if over or not silent:
                failed = [(rank, note["error"]) for rank, note in notes.items() if note and "error" in note]
                causes = [
                    {**error, "process": rank} for rank, error in failed if not is_lost_connection(error)
                ]
                return causes[0] if causes else None
            time.sleep(POLL)
        return None


def is_lost_connection(error: Mapping[str, Any]) -> bool:
    """Whether it is only that another process was gone."""
    return "connection" in str(error.get("message", "")).lower()


def is_gone(note: Mapping[str, Any] | None) -> bool:
    """Whether that process was of this machine, no longer runs and has not said that it ends."""
    return note is not None and "ended" not in note and processes.is_running(note) is False


def describe_kill(rank: int) -> JsonObject:
    message = f"process {rank} of the job was killed from outside"
    return {
        "kind": FailureKind.KILLED.value,
        "type": "Job",
        "message": message,
        "traceback": "",
        "process": rank,
    }


def list_running_workers(launch: Path, job: str) -> list[int]:
    """Process numbers of the job's workers that run on this machine."""
    numbers = []
    for path in sorted((launch / FOLDER).glob(f"{job}_*.json")):
        with contextlib.suppress(DataError, OSError):
            note = json_files.read_json(path)
            if "ended" not in note and processes.is_running(note):
                numbers.append(int(note["pid"]))
    return numbers


def was_killed(launch: Path, job: str, controller: bool = False) -> bool:
    """Whether a process of an ended job is gone without a word; or what was to start it was killed before."""
    notes = []
    for path in (launch / FOLDER).glob(f"{job}_*.json"):
        with contextlib.suppress(DataError, OSError):
            notes.append(json_files.read_json(path))
    return any(is_gone(note) for note in notes) or (controller and not notes)
