"""What the scheduler says about jobs: Slurm with or without accounting, or this machine.

``squeue`` knows what waits and runs, ``sacct`` how jobs ended. Where accounting is off ``sacct`` fails and
``scontrol`` answers for jobs that ended minutes ago; older ones are told by their records. Each is asked
once for all jobs. That Slurm does not answer is not that a job is gone: see ``Answer.reached``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.progress import say

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


KILLED = frozenset({4, 6, 7, 8, 9, 11})
"""Signals that srun passes on as exit codes; a job of ours returns none of these itself."""


@dataclass(frozen=True)
class State:
    """One job. ``state``: Slurm's word. ``exit_code``: what the program returned; ``signal``: what killed it."""

    state: str
    reason: str = ""
    node: str = ""
    exit_code: int | None = None
    signal: int | None = None
    restarts: int = 0

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


def ask(jobs: Iterable[str]) -> Answer:
    """Slurm about ``jobs`` ("17_3" or "17")."""
    wanted = set(jobs)
    if shutil.which("squeue") is None:
        return Answer(reached=False)
    answer = Answer()
    who = ["--user", str(os.getuid())]
    listed = command(
        ["squeue", *who, "--array", "--noheader", "--states=all", "--format=%i|%T|%r|%N|%j"], important=True
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
    told = accounting(rest)
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


def accounting(jobs: list[str]) -> dict[str, State] | None:
    """``sacct`` about whole jobs, steps left out; None where accounting is off."""
    if shutil.which("sacct") is None:
        return None
    columns = "--format=JobID,State,ExitCode,NodeList,Reason"
    told = command(["sacct", "-X", "--noheader", "--parsable2", columns, "--jobs", ",".join(jobs)])
    if told is None:
        return None
    states = {}
    for job, state, code, node, reason in fields(told, 5):
        exit_code, signal = exit_of(code)
        # A waiting part of an array is one line, "17_[4-9]": squeue has these one by one.
        if state and re.fullmatch(r"\d+(_\d+)?", job):
            states[job] = State(word(state), "" if reason == "None" else reason, node, exit_code, signal)
    return states


def from_scontrol() -> dict[str, State]:
    """``scontrol`` about the jobs that the controller still remembers (MinJobAge, minutes)."""
    told = command(["scontrol", "--oneliner", "show", "jobs"]) or ""
    states = {}
    for line in told.splitlines():
        pairs = dict(re.findall(r"(\w+)=(\S*)", line))
        if "JobId" not in pairs or "JobState" not in pairs:
            continue
        job = pairs["JobId"]
        if pairs.get("ArrayTaskId", "").isdigit():
            job = f"{pairs['ArrayJobId']}_{pairs['ArrayTaskId']}"
        exit_code, signal = exit_of(pairs.get("ExitCode", ""))
        node = pairs.get("NodeList", "").replace("(null)", "")
        reason = pairs.get("Reason", "").replace("None", "")
        restarts = int(pairs.get("Restarts", "0") or 0)
        states[job] = State(word(pairs["JobState"]), reason, node, exit_code, signal, restarts)
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


def command(words: list[str], important: bool = False) -> str | None:
    """Standard output, or None where the command fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, numbers from the launch record
            words, capture_output=True, text=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if important:
            say(f"{words[0]} does not answer: {error}", important=True)
        return None
    if done.returncode != 0:
        if important:
            say(f"{words[0]} failed: {done.stderr.strip()[-300:]}", important=True)
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
