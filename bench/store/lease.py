"""One worker at a time on a run: numbered claim files, without a lock that a dead process could keep.

The highest number holds. Taking over means taking the next number, so nothing is removed to win, and
two processes cannot both win. A claim is stale, whatever it says,

- at once, where it is of this machine and no process with its number started when it says;
- at once, where it is of the job that asks, which the scheduler ended elsewhere and started again here;
- else once its file was last touched more than ``STALE_AFTER`` seconds away from now by the clock that stamps
  files, before or after: no holder gives signs of life from the future, so a clock that jumped keeps nobody out.
  That decides about claims of other machines, of processes without a start, and of files that hold no claim.

A file that is empty was released.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import stat
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import DataError, UserError
from bench.foreign_text import show_foreign
from bench.system import files, json_files, processes, provenance

STALE_AFTER = 600.0  # seconds without a sign of life before another machine may take a run over
BEAT_EVERY = 30.0  # seconds between signs of life
JOB_VARIABLE = "BENCH_JOB"  # a scheduler's job says here which one it is; a requeued job keeps its number
LARGEST_CLAIM = 64 * 1024
"""Bytes; a larger file holds no claim of ours and is not read whole."""
_NUMBERED = re.compile(r"([0-9]{4,18})\.json")


class LeaseHeldError(UserError):
    """Somebody else works on it. ``holder``: host, pid, since, silent_s, file."""

    def __init__(self, message: str, holder: dict[str, Any]) -> None:
        super().__init__(message)
        self.holder = holder


def list_numbers(directory: Path) -> list[int]:
    """The numbers in use in ``directory``, ascending. Temporaries and strangers do not count.

    Raises ``DataError`` where the folder is there and cannot be read.
    """
    try:
        names = os.listdir(directory)  # noqa: PTH208 - thousands of runs: names only
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise DataError(f"{directory} {problem}", problem) from error
    return sorted(int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name)))


def get_numbered_path(directory: Path, number: int) -> Path:
    return directory / f"{number:04d}.json"


class Lease:
    """The right to work on something alone, held in a numbered file.

    The holder is the highest number. Claims are never removed to take over, only outnumbered: two
    processes that judge the same claim stale both try for the next number, and one gets it. Releasing
    empties the file, which needs no disk space and keeps the number.
    """

    def __init__(self, directory: Path, number: int, subject: str, content: str) -> None:
        self.path = get_numbered_path(directory, number)
        self.content = content
        self.lost = False
        self._number, self._what, self._pid = number, subject, os.getpid()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def take(cls, directory: Path, subject: str, stale_after: float) -> Lease:
        """Become the holder, or say who is."""
        started = processes.find_process_start(os.getpid())
        owner = {"host": socket.gethostname(), "machine": processes.identify_machine(), "pid": os.getpid()}
        owner |= {
            "started": started,
            "since": provenance.format_current_time(),
            "token": secrets.token_hex(8),
        }
        owner["job"] = os.environ.get(JOB_VARIABLE)
        for _ in range(1000):
            highest = max(list_numbers(directory), default=0)
            if highest and (holder := find_holder(directory, highest, stale_after)):
                host = show_foreign(holder["host"])
                raise LeaseHeldError(
                    f"{subject} is being worked on by pid {holder['pid']} on {host} (last sign of "
                    f"life {holder['silent_s']:.0f} s ago). Wait for it, or, if you know that it is gone, "
                    f"remove {holder['file']} and try again.",
                    holder,
                )
            claim = cls(directory, highest + 1, subject, json_files.to_json(owner, indent=2) + "\n")
            try:
                files.create_new(claim.path, claim.content)
            except files.NameTakenError:
                continue  # somebody was quicker: look again
            if max(list_numbers(directory), default=0) == highest + 1:
                claim._remove_lower()
                return claim
            # Our number had been used, left and outnumbered while we looked at the one before it.
            claim.path.unlink(missing_ok=True)
        raise UserError(f"too many processes want to work on {subject} at once; start one")

    def beat(self) -> None:
        """Give a sign of life; UserError if the claim was taken over or removed meanwhile."""
        self.lost = self.lost or not self._held()
        if self.lost:
            raise UserError(
                f"this process no longer holds {self._what}: it gave no sign of life for too long, or "
                f"{self.path} was removed. Issue the same command again."
            )
        os.utime(self.path)

    def _held(self) -> bool:
        """Whether the file is still ours: once removed by hand, its number can be another's."""
        try:
            ours = self.path.read_bytes() == self.content.encode()
        except FileNotFoundError:
            return False
        return ours and max(list_numbers(self.path.parent), default=0) == self._number

    def start_beating(self, every: float) -> None:
        """Give signs of life from a thread, whatever else the process is busy with."""

        def beat_on() -> None:
            while not self._stop.wait(every):
                # A hiccup of the file system must not end the signs; a lost claim does.
                with contextlib.suppress(OSError):
                    try:
                        self.beat()
                    except UserError:
                        return

        self._thread = threading.Thread(target=beat_on, name="claim", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Let others work on it. A forked child that leaves the block does not release for its parent."""
        if os.getpid() != self._pid:
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(OSError):  # a full disk: a dead process's claim is taken over anyway
            if self._held():
                os.truncate(self.path, 0)

    def _remove_lower(self) -> None:
        for number in list_numbers(self.path.parent):
            if number < self._number:
                with contextlib.suppress(OSError):
                    get_numbered_path(self.path.parent, number).unlink()
        files.remove_leftovers(self.path.parent)


class _Owner(BaseModel):
    """Who a claim says holds it; it may say more."""

    model_config = ConfigDict(strict=True, frozen=True)

    host: str
    pid: int = Field(ge=1)
    since: str
    machine: str
    started: str | None = None
    job: str | None = None


def find_holder(directory: Path, number: int, stale_after: float) -> dict[str, Any] | None:
    """Who holds claim ``number`` and since how many seconds it has been silent; None if nobody alive.

    The head of this module says when a claim is stale. A claim that cannot be read is of an unknown host.
    """
    path = get_numbered_path(directory, number)
    try:
        content, touched = _read_claim(path)
    except FileNotFoundError:
        return None  # its successor has just removed it
    if content == b"":
        return None  # released
    owner = None if content is None else _parse_owner(path, content)
    if owner is None:
        holder: dict[str, Any] = {"host": "an unknown host", "pid": 0, "since": ""}
    else:
        holder = {"host": owner.host, "pid": owner.pid, "since": owner.since}
        here = owner.machine == processes.identify_machine()
        if not here and owner.job is not None and owner.job == os.environ.get(JOB_VARIABLE):
            return None  # this very job, before the scheduler ended it there and started it again here
        if here and owner.started is not None and processes.find_process_start(owner.pid) != owner.started:
            return None
    away = read_file_system_time(directory) - touched
    decided_by_time = owner is None or not here or owner.started is None
    if decided_by_time and abs(away) > stale_after:
        return None
    return {**holder, "silent_s": max(0.0, away), "file": str(path)}


def _read_claim(path: Path) -> tuple[bytes | None, float]:
    """The file's content, None where it can hold no claim, and when it was last touched."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise
    except OSError:  # a circle of links
        return None, path.lstat().st_mtime
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_CLAIM:
        return None, status.st_mtime
    try:
        with path.open("rb") as file:  # opening makes a network file system look again
            return file.read(LARGEST_CLAIM), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        raise
    except OSError:  # not readable for us: its age decides
        return None, status.st_mtime


def _parse_owner(path: Path, content: bytes) -> _Owner | None:
    """Who the claim says holds it; None where it does not say it as we write it."""
    try:
        return _Owner.model_validate(json_files.parse_json(path, content, any_text=True))
    except (DataError, ValidationError):
        return None


def read_file_system_time(directory: Path) -> float:
    """The present by the clock that stamps files: a server's clock may differ from ours."""
    probe = files.make_temporary_name(directory / "clock")
    try:
        probe.touch(exist_ok=False)
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
