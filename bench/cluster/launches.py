"""What was submitted: one JSON file per launch, written whole, never by two processes.

    RUNS/launches/<id>.json     the launch record: what, where, from which source, which job is which run
    RUNS/launches/<id>/         submitit's files and the jobs' logs; ends/ notes jobs that were seen to end,
                                taken_back/ those that were never handed over and are not wanted any more
    RUNS/launches/snapshots/    the source that the jobs run

Nothing here is shared between launches, so that many can be made at once on one shared directory.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.cluster.backends import Backend, get_backend, list_backends
from bench.errors import DataError, UnknownNameError, UserError
from bench.foreign_text import quote_foreign
from bench.store import legacy
from bench.store.damaged import DamagedRecord, DamageKind, warn_of_damage
from bench.store.run_dir import RUN_ID
from bench.store.store import LAUNCHES
from bench.system import files, json_files, processes
from bench.system.json_files import JsonObject
from bench.system.paths import find_folder_problem

LOG_END = 4000
"""Bytes of a log that go into the record of a failure."""
TAKEN_BACK = "taken_back"
YOUNG = timedelta(minutes=10)
"""So long a launch is taken for one being submitted where it cannot be seen whether its process lives."""


def make_launch_id() -> str:
    """A name that sorts by time, to the microsecond, and that nobody else has."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S%f}-{secrets.token_hex(3)}"


class LaunchState(StrEnum):
    """How far the handing over of a launch's jobs came."""

    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    NOT_SUBMITTED = "not-submitted"
    """It was interrupted or refused: some of the jobs, or all, were never handed over."""


class _LaunchPart(BaseModel):
    """A part of a launch record: what it does not declare is kept beside."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    def to_json(self) -> JsonObject:
        """As the file has it: what was never set is left out."""
        return self.model_dump(mode="json", exclude_unset=True)


def check_run_id(run_id: str) -> str:
    """``run_id``, if it can name a run; ``ValueError`` otherwise."""
    if not RUN_ID.fullmatch(run_id):
        raise ValueError(f"{quote_foreign(run_id)} cannot name a run")
    return run_id


def check_job_number(job: str | None) -> str | None:
    """``job``, if files can be called by it; ``ValueError`` otherwise."""
    if job is not None and not re.fullmatch(r"[^/\0]{1,100}", job):
        raise ValueError(f"{quote_foreign(job)} cannot be the number of a job")
    return job


class JobEntry(_LaunchPart):
    """The job of one run: what it is, what it was asked for with, and its number (``job``) once it has one."""

    run_id: Annotated[str, AfterValidator(check_run_id)]
    job: Annotated[str | None, AfterValidator(check_job_number)] = None
    array: int = Field(default=0, ge=0)
    index: int = 0
    """Its place in the array."""
    because: str | None = None
    """Why it differs from what was asked for."""
    command: str = ""
    request: dict[str, Any] = {}
    task: str | None = None
    method: str | None = None
    model: str | None = None
    scale: str | None = None
    protocol: str | None = None
    seed: int | None = None


class ArrayEntry(_LaunchPart):
    """Jobs of equal resources that are handed over together."""

    name: str = ""
    job: str | None = None
    count: int = 0
    resources: dict[str, Any] = {}
    after: int | None = None
    """The array that must have ended before this one begins."""
    max_parallel: int | None = None
    """The most jobs at once as it was asked for, where several arrays share it."""


class SnapshotEntry(_LaunchPart):
    """The copy of the source that the jobs run (``bench.cluster.snapshot``)."""

    path: str = ""
    snapshot: str = ""
    code: dict[str, Any] = {}


class LaunchDocument(_LaunchPart):
    """A launch record. ``state`` is ``status`` in words, with what went wrong."""

    id: str
    cluster: str
    jobs: list[JobEntry]
    submitted: str = ""
    command: str = ""
    snapshot: SnapshotEntry | None = None
    host: str = ""
    runs: str = ""
    arrays: list[ArrayEntry] = []
    left_alone: list[dict[str, Any]] = []
    wrong: list[dict[str, Any]] = []
    state: str = ""
    status: LaunchState | None = None
    writer: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.arrays and any(job.array >= len(self.arrays) for job in self.jobs):
            raise ValueError("a job is of an array that is not there")
        if self.cluster not in list_backends():
            raise ValueError(f"there is no cluster {quote_foreign(self.cluster)} here")
        return self

    @model_validator(mode="before")
    @classmethod
    def _add_status(cls, content: Any) -> Any:
        if isinstance(content, dict) and "status" not in content and isinstance(content.get("state"), str):
            return {**content, "status": legacy.find_launch_status(content["state"])}
        return content

    def set_status(self, status: LaunchState, problem: str = "") -> None:
        """Note how far the handing over came."""
        words = status.value.replace("-", " ")
        self.status, self.state = status, f"{words}: {problem}" if problem else words


@dataclass(frozen=True)
class Launch:
    """One ``bench submit``, by its record in ``runs``."""

    runs: Path
    document: LaunchDocument

    @property
    def id(self) -> str:
        return self.document.id

    @property
    def cluster(self) -> str:
        """The name of its backend."""
        return self.document.cluster

    @property
    def backend(self) -> Backend:
        """Where its jobs run."""
        return get_backend(self.document.cluster)

    @property
    def jobs(self) -> list[JobEntry]:
        """One entry per run."""
        return self.document.jobs

    @property
    def source(self) -> SnapshotEntry:
        """The copy of the source that its jobs run."""
        return self.document.snapshot or SnapshotEntry()

    def get_resources(self, entry: JobEntry) -> dict[str, Any]:
        """What the job's array was given."""
        return self.document.arrays[entry.array].resources

    @property
    def folder(self) -> Path:
        """Where submitit and the jobs write."""
        return self.runs.resolve() / LAUNCHES / self.id

    @property
    def file(self) -> Path:
        return self.runs / LAUNCHES / f"{self.id}.json"

    def write(self) -> Path:
        """Write the record; ``writer`` tells others whether whoever submits is still at it."""
        json_files.write_json_atomic(
            self.file, {**self.document.to_json(), "writer": processes.identify_process()}
        )
        return self.file

    @property
    def being_submitted(self) -> bool:
        """Whether the latest that is known is that the jobs are being handed over; see ``is_in_progress``."""
        return self.document.status is LaunchState.SUBMITTING

    def is_in_progress(self) -> bool:
        """Whether jobs may still be handed over: the process runs, or, seen from elsewhere, it began lately."""
        if not self.being_submitted:
            return False
        writer = self.document.writer
        runs = None if writer is None else processes.is_running(writer)
        if runs is not None:
            return runs
        try:
            submitted = datetime.fromisoformat(self.document.submitted).astimezone(UTC)
        except (ValueError, OverflowError):  # by nobody of ours
            return False
        return abs(datetime.now(UTC) - submitted) < YOUNG  # before or after: a clock may have jumped

    def list_logs(self, job: str) -> list[Path]:
        """The logs of a job, one per process; the first process's first. None may be there yet."""
        paths = self.folder.glob(f"{job}_*_log.out")
        return sorted(paths, key=lambda path: int(path.name.removesuffix("_log.out").rpartition("_")[2]))

    def read_log_tail(self, job: str, size: int = LOG_END) -> str:
        """The last ``size`` bytes of what the job's processes said, the first process last."""
        parts = []
        for path in reversed(self.list_logs(job)):
            if text := read_tail(path, size):
                parts.append(text if len(self.list_logs(job)) == 1 else f"--- {path.name}\n{text}")
        return "\n".join(parts)[-size:]

    def note_end(self, job: str) -> bool:
        """Whether this process is the first to see the job's end: the one that may write about it."""
        try:
            files.create_new(self.folder / "ends" / job, "")
        except files.NameTakenError:
            return False
        return True

    def take_back(self, run_id: str) -> None:
        """Note that a job that was never handed over is not wanted any more: as if it had not been asked for."""
        with contextlib.suppress(files.NameTakenError):
            files.create_new(self.folder / TAKEN_BACK / run_id, "")

    def list_taken_back(self) -> set[str]:
        """The runs whose jobs were taken back."""
        if self.document.status is LaunchState.SUBMITTED:
            return set()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return set(os.listdir(self.folder / TAKEN_BACK))  # noqa: PTH208 - names only
        return set()

    def forget_end(self, job: str) -> None:
        """What was to be written about the job's end could not be: another may try."""
        (self.folder / "ends" / job).unlink(missing_ok=True)


def read_tail(path: Path, size: int = LOG_END) -> str:
    """The end of a text file; what cannot be read is empty."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


@dataclass(frozen=True)
class SubmittedJob:
    """The latest job of a run: entry ``number`` of a launch."""

    launch: Launch
    number: int
    entry: JobEntry

    @property
    def array(self) -> ArrayEntry:
        """The array that it is a part of."""
        return self.launch.document.arrays[self.entry.array]


def find_launch(runs: Path, launch_id: str) -> Launch:
    """The launch called so; ``latest`` is the last one."""
    names = list_launch_ids(runs)
    if not names:
        raise UserError(
            f"nothing was submitted yet: no launches in {runs / LAUNCHES}; see bench submit --help"
        )
    if launch_id == "latest":
        launch_id = names[-1]
    matches = [name for name in names if launch_id and name.startswith(launch_id)]
    if len(matches) != 1:
        raise UnknownNameError(
            "launch", launch_id, [*names, "latest"], f"launches are read from {runs / LAUNCHES}"
        )
    return read_launch(runs, matches[0])


def read_launch(runs: Path, launch_id: str) -> Launch:
    """The launch of that name; ``DataError`` where its record is damaged."""
    path = runs / LAUNCHES / f"{launch_id}.json"
    return make_launch(runs, json_files.read_json(path), path)


def make_launch(runs: Path, content: object, path: Path | None = None) -> Launch:
    """The launch of a record; ``DataError`` says what is not as declared."""
    try:
        launch = Launch(runs, LaunchDocument.model_validate(content))
        get_backend(launch.cluster)
    except UnknownNameError as error:
        raise DataError(f"{path or 'the record'} is not a launch record: {error}") from error
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"])) or "the document"
        problem = f"is not a launch record ({place}: {detail['msg']}); expected id, cluster and jobs"
        raise DataError(f"{path or 'the record'} {problem}", problem) from error
    if path is not None and path.stem != launch.id:
        problem = f"is not a launch record: it is named {quote_foreign(launch.id)} inside"
        raise DataError(f"{path} {problem}", problem)
    return launch


def list_launch_ids(runs: Path) -> list[str]:
    """Names of all launches, the oldest first; ``DataError`` where their folder cannot be read."""
    folder = runs / LAUNCHES
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names only
    except (OSError, ValueError) as error:
        if (problem := find_folder_problem(folder)) is not None:
            raise DataError(f"cannot read the launches in {folder}: {problem}") from error
        if isinstance(error, FileNotFoundError):
            return []
        raise
    return sorted(name.removesuffix(".json") for name in names if name[0] != "." and name.endswith(".json"))


def read_launches(runs: Path, damaged: list[DamagedRecord] | None = None) -> list[Launch]:
    """All launches, the oldest first; what cannot be read is left out, and goes to ``damaged`` or is said."""
    launches = []
    unreadable: list[DamagedRecord] = []
    for launch_id in list_launch_ids(runs):
        try:
            launches.append(read_launch(runs, launch_id))
        except DataError as error:
            path = runs / LAUNCHES / f"{launch_id}.json"
            unreadable.append(DamagedRecord(path, error.problem or str(error), DamageKind.LAUNCH))
    if damaged is None:
        warn_of_damage(unreadable)
    else:
        damaged += unreadable
    return launches


def find_latest_jobs(runs: Path, damaged: list[DamagedRecord] | None = None) -> dict[str, SubmittedJob]:
    """For each run that was ever submitted, the job of the latest launch; ``damaged`` as in ``read_launches``."""
    jobs: dict[str, SubmittedJob] = {}
    for launch in read_launches(runs, damaged):
        taken_back = launch.list_taken_back()
        for number, entry in enumerate(launch.jobs):
            if entry.run_id not in taken_back:
                jobs[entry.run_id] = SubmittedJob(launch, number, entry)
    return jobs
