"""Slurm: arrays through submitit, and what its commands say about jobs, with or without accounting.

``squeue`` knows what waits and runs, ``sacct`` how jobs ended. Where ``sacct`` fails ``scontrol`` answers
for jobs that ended minutes ago; older ones are told by their records. Each is asked once for all jobs. That
Slurm does not answer is not that a job is gone (``Answer.reached``), and accounting that is out of order
(``Answer.broken``) is not accounting that is switched off.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cluster import site
from bench.cluster.backends.base import Answer, Backend, JobPhase, JobState
from bench.cluster.plain_folder import open_plain_folder
from bench.cluster.site import Resources
from bench.errors import FailureKind, UserError
from bench.foreign_text import quote_foreign, show_foreign
from bench.store import lease
from bench.system.cpus import CpuShare, CpuSource
from bench.system.files import StorageError
from bench.system.progress import print_message

if TYPE_CHECKING:
    from bench.cluster.launches import ArrayEntry, Launch, SubmittedJob

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


class Slurm(Backend):
    """Arrays of a Slurm cluster, one per set of resources."""

    name = "slurm"
    summary = "jobs of a Slurm cluster"
    takes_arrays = True

    def check(self, resources: Sequence[Resources]) -> None:
        del resources  # Slurm says itself what it does not have
        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise UserError(
                "--cluster slurm: no sbatch and srun here; submit from a login node of the cluster, or "
                "--cluster local runs the same jobs as processes of this machine"
            )

    def check_runs(self, runs: Path) -> None:
        check_log_folder(runs)

    def find_process_cpus(self, launch: Launch, resources: Resources) -> CpuShare | None:
        """As many as are asked for; otherwise one each, unless the site has another default."""
        del launch
        return CpuShare(resources["cpus"], CpuSource.SLURM_TASK) if resources["cpus"] else None

    def hand_over(self, launch: Launch, source: Path) -> None:
        with open_plain_folder(launch.folder) as folder:
            for number, array in enumerate(launch.document.arrays):
                self._submit_array(launch, number, array, source, folder)
                launch.write()  # what was handed over is known even if the next array is refused

    def _submit_array(
        self, launch: Launch, number: int, array: ArrayEntry, source: Path, folder: Path
    ) -> None:
        """``folder``: the launch's, by a path that submitit can read."""
        from submitit import AutoExecutor

        from bench.cluster.job import make_job

        entries = [entry for entry in launch.jobs if entry.array == number]
        options: dict[str, Any] = {"slurm_max_num_timeout": array.resources["max_requeues"]}
        options["slurm_python"] = make_python_command(array.resources, source, launch.folder)
        executor = AutoExecutor(folder, cluster="slurm", **options)
        parameters = make_executor_parameters(array.resources, array.name, source)
        parameters["slurm_additional_parameters"] |= {
            "output": make_log_pattern(launch.folder, len(entries), "0")
        }
        parameters["slurm_srun_args"] += ["--output", make_log_pattern(launch.folder, len(entries), "%t")]
        if array.after is not None:
            additional = parameters["slurm_additional_parameters"]
            before = f"afterany:{launch.document.arrays[array.after].job}"
            additional["dependency"] = ",".join(filter(None, [additional.get("dependency"), before]))
        executor.update_parameters(**parameters)
        if array.resources["max_parallel"]:
            executor.update_parameters(slurm_array_parallelism=array.resources["max_parallel"])
        try:
            # submitit prints what sbatch says besides raising it.
            with contextlib.redirect_stderr(io.StringIO()), executor.batch():
                jobs = [executor.submit(make_job(entry, launch)) for entry in entries]
        except Exception as error:
            raise StorageError(
                f"Slurm did not take {array.name}: {describe_refusal(str(error))}\n{describe_submitted(launch)}. "
                "Submit again with what is corrected: what was taken is not submitted twice;\n"
                f"bench cancel --launch {launch.id} takes back what was not taken"
            ) from error
        for entry, job in zip(entries, jobs, strict=True):
            entry.job = job.job_id
        array.job = jobs[0].job_id.split("_")[0]

    def note_interruption(self, launch: Launch, error: BaseException) -> None:
        """Slurm may have taken what was not seen to be taken: it is found by the arrays' names."""
        if isinstance(error, Exception):
            return
        numbers = {name: job for job, name in query_jobs(()).names.items()}
        for number, array in enumerate(launch.document.arrays):
            if array.job is None and array.name in numbers:
                array.job = numbers[array.name]
                for entry in launch.jobs:
                    if entry.array == number:
                        index = "" if array.count == 1 else f"_{entry.index}"
                        entry.job = f"{array.job}{index}"

    def describe_submitted(self, launch: Launch) -> str:
        return describe_submitted(launch)

    def query(self, jobs: Mapping[str, SubmittedJob]) -> Answer:
        numbers = {run_id: job.entry.job for run_id, job in jobs.items() if job.entry.job is not None}
        answer = query_jobs(numbers.values())
        if not answer.reached:
            answer.silent = {job.launch.id for job in jobs.values()}
        for run_id, job in jobs.items():
            # What Slurm refused can be in its list all the same, under that name and as failed.
            if run_id not in numbers and job.launch.being_submitted:
                number = _find_by_name(job, answer)
                if number is not None:
                    numbers[run_id] = number
        answer.jobs = numbers
        return answer

    def cancel(self, jobs: Sequence[SubmittedJob], numbers: Sequence[str]) -> list[bool]:
        """SIGTERM, time to checkpoint (KillWait), SIGKILL."""
        del jobs
        return [cancel_jobs(list(numbers))] * len(numbers)

    def limit_queries(self, seconds: float) -> contextlib.AbstractContextManager[None]:
        return limit_queries(seconds)

    def prepare_job(self, number: str) -> None:
        os.environ[lease.JOB_VARIABLE] = f"slurm {number}"

    def is_wanted(self, number: str) -> bool:
        return is_wanted(number)


def describe_refusal(text: str) -> str:
    """What sbatch said, in one line, without its name before every part."""
    parts = [re.sub(r"^sbatch: (error: )?", "", line.strip()) for line in text.splitlines()]
    return show_foreign("; ".join(filter(None, parts)), 240)


def describe_submitted(launch: Launch) -> str:
    """Which arrays of a launch the scheduler has, and which not."""
    arrays = launch.document.arrays
    taken = [f"{array.count} job(s) as {array.job}" for array in arrays if array.job]
    rest = [f"{array.count} job(s) of {array.name}" for array in arrays if not array.job]
    return f"Submitted: {', '.join(taken) or 'nothing'}. Not submitted: {', '.join(rest) or 'nothing'}"


def _find_by_name(job: SubmittedJob, answer: Answer) -> str | None:
    """The job of a launch that was killed before it wrote the numbers down."""
    array = job.array
    for number, name in answer.names.items():
        if name == array.name:
            return number if array.count == 1 else f"{number}_{job.entry.index}"
    return None


def make_executor_parameters(resources: Resources, name: str, source: Path) -> dict[str, Any]:
    """What ``submitit.AutoExecutor.update_parameters`` is told for an array."""
    limit = resources["time"] or site.DEFAULT_MINUTES
    parameters = site.make_executor_parameters(resources, name, limit)
    for key in ("partition", "account", "qos", "constraint", "exclude", "nodelist"):
        if resources[key]:
            parameters[f"slurm_{key}"] = resources[key]
    # Slurm looks at the clock every half minute and may send a signal so much earlier. A job of a minute that got it
    # half a minute before its end got it at its beginning.
    parameters["slurm_signal_delay_s"] = min(resources["signal_before"], max(10, limit * 60 - 50))
    parameters["slurm_setup"] = site.list_setup_lines(resources, source)
    parameters["slurm_additional_parameters"] = {"requeue": True, **(resources["slurm"] or {})}
    # One process that fails ends the others, which would wait for it for ever.
    parameters["slurm_srun_args"] = ["--kill-on-bad-exit=1", "--quiet"]
    if resources["cpus"]:  # what sbatch is asked for srun no longer takes over by itself
        parameters["slurm_srun_args"].append(f"--cpus-per-task={resources['cpus']}")
    return parameters


def make_python_command(resources: Resources, source: Path, folder: Path) -> str:
    """The shell words that begin a job: container, Python and what makes it run ``source``."""
    options = ["--job", *(["--folder", str(folder)] if "%" in str(folder) else [])]
    words = site.make_bootstrap_command(resources["python"] or sys.executable, source, *options)
    return f"{resources['container'] or ''} {shlex.join(words)}".strip()


def make_log_pattern(folder: Path, jobs: int, task: str) -> str:
    """The name of a job's logs in Slurm's patterns: a ``%`` of the folder is itself."""
    number = "%A_%a" if jobs > 1 else "%j"
    return f"{str(folder).replace('%', '%%')}/{number}_{task}_log.out"


def check_log_folder(runs: Path) -> None:
    """Refuse a path that Slurm cannot write logs to: with a backslash it fills in no number, and a line ends it."""
    path = str(runs.resolve())
    if any(character == "\\" or not character.isprintable() for character in path):
        raise UserError(
            f"--runs {quote_foreign(path)}: Slurm writes no logs below a path with a backslash, a line break or "
            "another control character; choose another directory (--runs DIR or BENCH_RUNS), or --cluster local"
        )


# -- what Slurm's commands say


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
