"""What Slurm's commands say about jobs, with or without accounting.

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
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bench.cluster.backends.base import Answer, JobPhase, JobState
from bench.errors import FailureKind
from bench.system.progress import print_message

TIMEOUT = 30
"""Seconds that a scheduler's command may take."""
WAITING = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING", "RESV_DEL_HOLD"}
)
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"})
FAILURES = {
    "TIMEOUT": FailureKind.TIME_OUT,
    "DEADLINE": FailureKind.TIME_OUT,
    "NODE_FAIL": FailureKind.NODE_FAILURE,
    "BOOT_FAIL": FailureKind.NODE_FAILURE,
    "OUT_OF_MEMORY": FailureKind.OUT_OF_MEMORY,
    "PREEMPTED": FailureKind.PREEMPTED,
    "CANCELLED": FailureKind.CANCELLED,
}
"""How Slurm's words for an end are called in records."""


UNFIT = frozenset(
    {
        "AccountNotAllowed",
        "BadConstraints",
        "InvalidAccount",
        "InvalidQOS",
        "PartitionConfig",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "QOSNotAllowed",
    }
)
"""Why a job waits that will not start with what it asks for."""
KILLED = frozenset(range(3, 16))
"""Signals (SIGQUIT to SIGTERM) that srun passes on as exit codes; a job of ours returns none of these itself."""
SWITCHED_OFF = re.compile(
    r"storage is disabled|not running a supported accounting_storage plugin", re.IGNORECASE
)
"""What ``sacct`` says where there is no accounting: then nothing is to be had from it later either."""
ENVIRONMENT = {"TZ": "UTC0", "SLURM_TIME_FORMAT": "standard", "SLURM_BITSTR_LEN": "0"}
"""Times in UTC, and the parts of an array in full, whatever the user has set for the eye."""


def make_state(
    word: str,
    reason: str = "",
    node: str = "",
    exit_code: int | None = None,
    signal: int | None = None,
    restarts: int = 0,
    end: str | None = None,
) -> JobState:
    """A job's state from Slurm's word for it."""
    phase = JobPhase.WAITING if word in WAITING else JobPhase.RUNNING if word in RUNNING else JobPhase.ENDED
    return JobState(
        word,
        reason,
        node,
        exit_code,
        signal,
        restarts,
        end,
        phase,
        FAILURES.get(word),
        unfit=phase is JobPhase.WAITING and reason in UNFIT,
        held=phase is not JobPhase.ENDED and "held" in reason.lower(),
    )


@dataclass
class _KeptAnswer:
    """The latest answer, where one may be used again (``limit_queries``)."""

    seconds: float
    about: frozenset[str] = frozenset()
    answer: Answer | None = None
    asked: float = 0.0


_kept: list[_KeptAnswer] = []


@contextlib.contextmanager
def limit_queries(seconds: float) -> Iterator[None]:
    """Inside, Slurm is not asked about the same jobs again within ``seconds``: it has many to answer."""
    _kept.append(_KeptAnswer(seconds))
    try:
        yield
    finally:
        _kept.pop()


def query_jobs(jobs: Iterable[str]) -> Answer:
    """Slurm about ``jobs`` ("17_3" or "17")."""
    numbers = frozenset(jobs)
    if not _kept:
        return _query_now(numbers)
    latest = _kept[-1]
    if latest.answer is None or latest.about != numbers or time.monotonic() - latest.asked >= latest.seconds:
        latest.answer, latest.about = _query_now(numbers), numbers
        latest.asked = time.monotonic()
    return replace(latest.answer, states=dict(latest.answer.states))


def _query_now(numbers: frozenset[str]) -> Answer:
    if shutil.which("squeue") is None:
        return Answer(reached=False)
    answer = Answer()
    # Everybody's jobs: a shared store has other users' runs. Not --jobs=...: that fails as a whole where one
    # of the jobs is too old to be known.
    listed = read_output(
        ["squeue", "--array", "--noheader", "--states=all", "--format=%i|%T|%r|%N|%j"], important=True
    )
    if listed is None:
        return Answer(reached=False)
    for job, state, reason, node, name in split_fields(listed, 5):
        answer.states[job] = make_state(state, "" if reason == "None" else reason, node)
        answer.names[job.split("_")[0]] = name
    # Whatever has ended: how, and what it returned.
    rest = sorted(
        {job.split("_")[0] for job in numbers if job not in answer.states or answer.states[job].ended}
    )
    if not rest:
        return answer
    states, answer.broken = query_accounting(rest)
    answer.accounting = states is not None
    states = states if states is not None else query_scontrol()
    for job, ended in states.items():
        # squeue is the fresher one on what is alive: accounting lags.
        if job in numbers and (job not in answer.states or answer.states[job].ended):
            answer.states[job] = ended
    return answer


def split_fields(text: str, count: int) -> Iterator[list[str]]:
    """Lines cut at ``|``; the last field may hold more of them."""
    for line in text.splitlines():
        parts = line.split("|", count - 1)
        if len(parts) == count:
            yield [part.strip() for part in parts]


def query_accounting(jobs: list[str]) -> tuple[dict[str, JobState] | None, str | None]:
    """``sacct`` about whole jobs, steps left out; None where it does not answer, and why if it should."""
    if shutil.which("sacct") is None:
        return None, None
    columns = "--format=JobID,State,ExitCode,NodeList,Reason,End"
    done = run_command(["sacct", "-X", "--noheader", "--parsable2", columns, "--jobs", ",".join(jobs)])
    if isinstance(done, str):
        return None, None if SWITCHED_OFF.search(done) else done
    states = {}
    for listed, state, code, node, more in split_fields(done.stdout, 5):
        exit_code, signal = parse_exit(code)
        reason, _, end = more.partition("|")
        if state:
            shared = make_state(
                parse_word(state),
                "" if reason == "None" else reason,
                node,
                exit_code,
                signal,
                end=parse_time(end),
            )
            states.update(dict.fromkeys(expand_array(listed), shared))
    return states, None


def expand_array(listed: str) -> list[str]:
    """The jobs of a line: ``17_[0-2,7%1]``, the part of an array that waits or never began, is four of them.

    >>> expand_array("17_[0-2,7%1]"), expand_array("17_3"), expand_array("17.batch")
    (['17_0', '17_1', '17_2', '17_7'], ['17_3'], [])
    """
    if re.fullmatch(r"\d+(_\d+)?", listed):
        return [listed]
    jobs = []
    if array := re.fullmatch(r"(\d+)_\[([^%\]]*)(?:%\d+)?\]", listed):
        for part in array[2].split(","):
            if piece := re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part):
                first, last, step = int(piece[1]), int(piece[2] or piece[1]), int(piece[3] or 1)
                jobs += [f"{array[1]}_{index}" for index in range(first, last + 1, max(1, step))]
    return jobs


def parse_time(text: str) -> str | None:
    """Slurm's time in UTC as ``provenance.now`` writes it; None for "Unknown" and the like."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat(timespec="microseconds")
    except ValueError:
        return None


def query_scontrol() -> dict[str, JobState]:
    """``scontrol`` about the jobs that the controller still remembers (MinJobAge, minutes)."""
    output = read_output(["scontrol", "--oneliner", "show", "jobs"]) or ""
    states = {}
    for line in output.splitlines():
        pairs = dict(re.findall(r"(\w+)=(\S*)", line))
        if "JobId" not in pairs or "JobState" not in pairs:
            continue
        listed = pairs["JobId"]
        if "ArrayTaskId" in pairs:
            index = pairs["ArrayTaskId"]
            listed = f"{pairs['ArrayJobId']}_{index if index.isdigit() else f'[{index}]'}"
        exit_code, signal = parse_exit(pairs.get("ExitCode", ""))
        node = pairs.get("NodeList", "").replace("(null)", "")
        reason = pairs.get("Reason", "").replace("None", "")
        restarts = int(pairs.get("Restarts", "0") or 0)
        end = parse_time(pairs.get("EndTime", ""))
        shared = make_state(parse_word(pairs["JobState"]), reason, node, exit_code, signal, restarts, end)
        states.update(dict.fromkeys(expand_array(listed), shared))
    return states


def parse_word(state: str) -> str:
    """``CANCELLED by 1000`` and ``COMPLETING+`` without what follows the word."""
    return state.split()[0].rstrip("+") if state else state


def parse_exit(text: str) -> tuple[int | None, int | None]:
    """``1:0`` as exit code and signal.

    A program killed under a shell returns 128 + signal, one killed under srun the signal's number itself.
    """
    match = re.fullmatch(r"(\d+):(\d+)", text)
    if match is None:
        return None, None
    code, signal = int(match[1]), int(match[2])
    if not signal and (code > 128 or code in KILLED):
        signal = code % 128
    return code, signal or None


def run_command(words: list[str]) -> subprocess.CompletedProcess[str] | str:
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


def read_output(words: list[str], important: bool = False) -> str | None:
    """Standard output, or None where the command fails or takes too long."""
    done = run_command(words)
    if isinstance(done, str):
        if important:
            print_message(done, important=True)
        return None
    return done.stdout


def is_wanted(job: str) -> bool:
    """Whether Slurm still means this job to run: it was sent a signal, and nobody is ending it."""
    output = read_output(["scontrol", "--oneliner", "show", "job", job])
    return output is not None and bool(re.search(r"\bJobState=RUNNING\b", output))


def cancel_jobs(jobs: list[str]) -> bool:
    """Stop jobs: SIGTERM, time to checkpoint (KillWait), SIGKILL. Whether Slurm took it."""
    return all(
        read_output(["scancel", *jobs[i : i + 500]], important=True) is not None
        for i in range(0, len(jobs), 500)
    )
