"""What the scheduler says about jobs: Slurm with or without accounting, or this machine.

``squeue`` knows what waits and runs, ``sacct`` how jobs ended. Where ``sacct`` fails ``scontrol`` answers
for jobs that ended minutes ago; older ones are told by their records. Each is asked once for all jobs. That
Slurm does not answer is not that a job is gone (``Answer.reached``), and accounting that is out of order
(``Answer.broken``) is not accounting that is switched off.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bench.system.progress import say

TIMEOUT = 30
"""Seconds that a scheduler's command may take."""
WAITING = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING", "RESV_DEL_HOLD"}
)
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"})
KINDS = {
    "TIMEOUT": "time-out",
    "DEADLINE": "time-out",
    "NODE_FAIL": "node-failure",
    "BOOT_FAIL": "node-failure",
    "OUT_OF_MEMORY": "out-of-memory",
    "PREEMPTED": "preempted",
    "CANCELLED": "cancelled",
}
"""How a job ended in Slurm's words, and the kind of failure in a record."""


KILLED = frozenset(range(3, 16))
"""Signals (SIGQUIT to SIGTERM) that srun passes on as exit codes; a job of ours returns none of these itself."""
SWITCHED_OFF = re.compile(
    r"storage is disabled|not running a supported accounting_storage plugin", re.IGNORECASE
)
"""What ``sacct`` says where there is no accounting: then nothing is to be had from it later either."""
ENVIRONMENT = {"TZ": "UTC0", "SLURM_TIME_FORMAT": "standard", "SLURM_BITSTR_LEN": "0"}
"""Times in UTC, and the parts of an array in full, whatever the user has set for the eye."""


@dataclass(frozen=True)
class State:
    """One job. ``state``: Slurm's word. ``exit_code``: what the program returned; ``signal``: what killed it."""

    state: str
    reason: str = ""
    node: str = ""
    exit_code: int | None = None
    signal: int | None = None
    restarts: int = 0
    end: str | None = None
    """When it ended, as ``provenance.now`` writes times, where Slurm says it."""

    @property
    def waiting(self) -> bool:
        return self.state in WAITING

    @property
    def running(self) -> bool:
        return self.state in RUNNING

    @property
    def ended(self) -> bool:
        return not (self.waiting or self.running)


@dataclass
class Answer:
    """What is known. ``reached``: whether the scheduler answered at all; if not, nothing follows from a gap."""

    states: dict[str, State] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Job names by number of the array or job: for launches that were killed before they wrote it down."""
    reached: bool = True
    accounting: bool | None = None
    """Whether sacct answered; None where it was not asked."""
    broken: str | None = None
    """Why sacct could not be asked where it is not switched off: how a job ended may be known later."""


@dataclass
class Kept:
    """The latest answer, where one may be used again (``at_most_every``)."""

    seconds: float
    about: frozenset[str] = frozenset()
    answer: Answer | None = None
    asked: float = 0.0


_kept: list[Kept] = []


@contextlib.contextmanager
def at_most_every(seconds: float) -> Iterator[None]:
    """Inside, Slurm is not asked about the same jobs again within ``seconds``: it has many to answer."""
    _kept.append(Kept(seconds))
    try:
        yield
    finally:
        _kept.pop()


def ask(jobs: Iterable[str]) -> Answer:
    """Slurm about ``jobs`` ("17_3" or "17")."""
    wanted = frozenset(jobs)
    if not _kept:
        return ask_now(wanted)
    kept = _kept[-1]
    if kept.answer is None or kept.about != wanted or time.monotonic() - kept.asked >= kept.seconds:
        kept.answer, kept.about = ask_now(wanted), wanted
        kept.asked = time.monotonic()
    return replace(kept.answer, states=dict(kept.answer.states))


def ask_now(wanted: frozenset[str]) -> Answer:
    if shutil.which("squeue") is None:
        return Answer(reached=False)
    answer = Answer()
    # Everybody's jobs: a shared store has other users' runs. Not --jobs=...: that fails as a whole where one
    # of the jobs is too old to be known.
    listed = command(
        ["squeue", "--array", "--noheader", "--states=all", "--format=%i|%T|%r|%N|%j"], important=True
    )
    if listed is None:
        return Answer(reached=False)
    for job, state, reason, node, name in fields(listed, 5):
        answer.states[job] = State(state, "" if reason == "None" else reason, node)
        answer.names[job.split("_")[0]] = name
    # Whatever has ended: how, and what it returned.
    rest = sorted(
        {job.split("_")[0] for job in wanted if job not in answer.states or answer.states[job].ended}
    )
    if not rest:
        return answer
    told, answer.broken = accounting(rest)
    answer.accounting = told is not None
    told = told if told is not None else from_scontrol()
    for job, ended in told.items():
        # squeue is the fresher one on what is alive: accounting lags.
        if job in wanted and (job not in answer.states or answer.states[job].ended):
            answer.states[job] = ended
    return answer


def fields(text: str, count: int) -> Iterator[list[str]]:
    """Lines cut at ``|``; the last field may hold more of them."""
    for line in text.splitlines():
        parts = line.split("|", count - 1)
        if len(parts) == count:
            yield [part.strip() for part in parts]


def accounting(jobs: list[str]) -> tuple[dict[str, State] | None, str | None]:
    """``sacct`` about whole jobs, steps left out; None where it does not answer, and why if it should."""
    if shutil.which("sacct") is None:
        return None, None
    columns = "--format=JobID,State,ExitCode,NodeList,Reason,End"
    done = carry_out(["sacct", "-X", "--noheader", "--parsable2", columns, "--jobs", ",".join(jobs)])
    if isinstance(done, str):
        return None, None if SWITCHED_OFF.search(done) else done
    states = {}
    for listed, state, code, node, more in fields(done.stdout, 5):
        exit_code, signal = exit_of(code)
        reason, _, end = more.partition("|")
        if state:
            known = State(
                word(state), "" if reason == "None" else reason, node, exit_code, signal, end=time_of(end)
            )
            states.update(dict.fromkeys(members(listed), known))
    return states, None


def members(listed: str) -> list[str]:
    """The jobs of a line: ``17_[0-2,7%1]``, the part of an array that waits or never began, is four of them.

    >>> members("17_[0-2,7%1]"), members("17_3"), members("17.batch")
    (['17_0', '17_1', '17_2', '17_7'], ['17_3'], [])
    """
    if re.fullmatch(r"\d+(_\d+)?", listed):
        return [listed]
    found = []
    if array := re.fullmatch(r"(\d+)_\[([^%\]]*)(?:%\d+)?\]", listed):
        for part in array[2].split(","):
            if piece := re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part):
                first, last, step = int(piece[1]), int(piece[2] or piece[1]), int(piece[3] or 1)
                found += [f"{array[1]}_{index}" for index in range(first, last + 1, max(1, step))]
    return found


def time_of(text: str) -> str | None:
    """Slurm's time in UTC as ``provenance.now`` writes it; None for "Unknown" and the like."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat(timespec="microseconds")
    except ValueError:
        return None


def from_scontrol() -> dict[str, State]:
    """``scontrol`` about the jobs that the controller still remembers (MinJobAge, minutes)."""
    told = command(["scontrol", "--oneliner", "show", "jobs"]) or ""
    states = {}
    for line in told.splitlines():
        pairs = dict(re.findall(r"(\w+)=(\S*)", line))
        if "JobId" not in pairs or "JobState" not in pairs:
            continue
        listed = pairs["JobId"]
        if "ArrayTaskId" in pairs:
            index = pairs["ArrayTaskId"]
            listed = f"{pairs['ArrayJobId']}_{index if index.isdigit() else f'[{index}]'}"
        exit_code, signal = exit_of(pairs.get("ExitCode", ""))
        node = pairs.get("NodeList", "").replace("(null)", "")
        reason = pairs.get("Reason", "").replace("None", "")
        restarts = int(pairs.get("Restarts", "0") or 0)
        end = time_of(pairs.get("EndTime", ""))
        known = State(word(pairs["JobState"]), reason, node, exit_code, signal, restarts, end)
        states.update(dict.fromkeys(members(listed), known))
    return states


def word(state: str) -> str:
    """``CANCELLED by 1000`` and ``COMPLETING+`` without what follows the word."""
    return state.split()[0].rstrip("+") if state else state


def exit_of(text: str) -> tuple[int | None, int | None]:
    """``1:0`` as exit code and signal.

    A program killed under a shell returns 128 + signal, one killed under srun the signal's number itself.
    """
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if found is None:
        return None, None
    code, signal = int(found[1]), int(found[2])
    if not signal and (code > 128 or code in KILLED):
        signal = code % 128
    return code, signal or None


def carry_out(words: list[str]) -> subprocess.CompletedProcess[str] | str:
    """What a command of Slurm's did, or why it did nothing: it fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, numbers from the launch record
            words,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # anybody's job may have any name
            timeout=TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **ENVIRONMENT},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{words[0]} does not answer: {error}"
    return f"{words[0]} failed: {done.stderr.strip()[-300:]}" if done.returncode != 0 else done


def command(words: list[str], important: bool = False) -> str | None:
    """Standard output, or None where the command fails or takes too long."""
    done = carry_out(words)
    if isinstance(done, str):
        if important:
            say(done, important=True)
        return None
    return done.stdout


def is_wanted(job: str) -> bool:
    """Whether Slurm still means this job to run: it was sent a signal, and nobody is ending it."""
    told = command(["scontrol", "--oneliner", "show", "job", job])
    return told is not None and bool(re.search(r"\bJobState=RUNNING\b", told))


def cancel(jobs: list[str]) -> bool:
    """Stop jobs: SIGTERM, time to checkpoint (KillWait), SIGKILL. Whether Slurm took it."""
    return all(
        command(["scancel", *jobs[i : i + 500]], important=True) is not None for i in range(0, len(jobs), 500)
    )
