"""Jobs as processes of this machine, a bounded number at once: ``bench submit --cluster local``.

A supervisor that outlives the command starts the launch's jobs in their order through submitit's local
executor and notes, per job, when its process began and ended:

    RUNS/launches/<id>/local/<number>.json   {"pid", "started", "machine", "began"[, "ended"]}
    RUNS/launches/<id>/local/<number>.cancelled   a wish of ``bench cancel`` for a job that has not begun

    python -m bench.cluster.backends.local RUNS LAUNCH      what ``bench submit`` starts, in the snapshot
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cluster import ranks, site
from bench.cluster.backends.base import Answer, Backend, JobPhase, JobState, refuse_several_nodes
from bench.cluster.plain_folder import open_plain_folder
from bench.cluster.site import Resources
from bench.errors import DataError, FailureKind
from bench.system import cpus, json_files, processes, provenance
from bench.system.cpus import CpuShare, CpuSource
from bench.system.devices import make_waiting_passive
from bench.system.json_files import JsonObject

if TYPE_CHECKING:
    from bench.cluster.launches import JobEntry, Launch, SubmittedJob

POLL = 0.2
NO_LIMIT = 60 * 24 * 365
"""Minutes: a job here has no time limit unless one is given."""


class Local(Backend):
    """Processes of this machine."""

    name = "local"
    summary = "processes of this machine, a bounded number at once"
    runs_here = True

    def check(self, resources: Sequence[Resources]) -> None:
        refuse_several_nodes(self.name, resources)

    def hand_over(self, launch: Launch, source: Path) -> None:
        start_supervisor(launch, source)

    def find_process_cpus(self, launch: Launch, resources: Resources) -> CpuShare | None:
        del resources  # the supervisor shares the machine among all of them
        return compute_share(launch, count_places(launch)) or cpus.find_cpu_share()

    def query(self, jobs: Mapping[str, SubmittedJob]) -> Answer:
        answer = Answer(jobs={run_id: str(job.entry.job) for run_id, job in jobs.items()})
        for launch in {job.launch.id: job.launch for job in jobs.values()}.values():
            states = read_states(launch)
            if states is None:
                answer.silent.add(launch.id)
            else:
                answer.states.update(states)
        answer.reached = not answer.silent
        return answer

    def cancel(self, jobs: Sequence[SubmittedJob], numbers: Sequence[str]) -> list[bool]:
        del numbers
        stopped = []
        for job in jobs:
            here = is_supervised_here(job.launch)
            if here:
                stop_jobs(job.launch, [job.number])
            stopped.append(here)
        return stopped

    def get_log_name(self, job: SubmittedJob, number: str | None) -> str:
        """submitit takes the process's number."""
        del number
        with contextlib.suppress(DataError):
            return str(read_note(job.launch, job.number)["pid"])
        return str(job.entry.job)

    def was_handed_over(self, job: SubmittedJob) -> bool:
        return get_supervisor_file(job.launch).exists()


def get_supervisor_file(launch: Launch) -> Path:
    """Where the supervisor says which process it is."""
    return launch.folder / "local" / "supervisor.json"


def get_note_file(launch: Launch, number: int) -> Path:
    """Where the supervisor notes the process of a job."""
    return launch.folder / "local" / f"{number}.json"


def get_cancel_file(launch: Launch, number: int) -> Path:
    """What says that a job is not to begin."""
    return launch.folder / "local" / f"{number}.cancelled"


def read_note(launch: Launch, number: int) -> JsonObject:
    """The note of a job; ``DataError`` before it has begun."""
    note: JsonObject = json_files.read_json(get_note_file(launch, number))
    return note


def has_not_ended(note: Mapping[str, Any]) -> bool:
    """Whether the process of a note has not ended, as far as can be seen from here."""
    return "ended" not in note and bool(processes.is_running(note))


def start_supervisor(launch: Launch, source: Path) -> None:
    """Start the supervisor, detached from this terminal, and return."""
    launch.folder.mkdir(parents=True, exist_ok=True)
    log = launch.folder / "supervisor.log"
    words = site.make_bootstrap_command(sys.executable, source)
    words += ["-m", "bench.cluster.backends.local", str(launch.runs.resolve()), launch.id]
    with log.open("ab") as output:
        supervisor = subprocess.Popen(  # noqa: S603 - this program again
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **site.make_source_environment(source)},
        )
    supervisor.returncode = 0  # it outlives this command, which is not to wait for it
    until = time.monotonic() + 30
    try:
        while not get_supervisor_file(launch).exists() and time.monotonic() < until:
            time.sleep(0.02)
    except BaseException:  # Ctrl-C: what was not begun is not submitted
        with contextlib.suppress(ProcessLookupError):
            os.killpg(supervisor.pid, signal.SIGKILL)
        raise


def supervise(launch: Launch) -> None:
    """Run every job of the launch, ``max_parallel`` at once; returns when the last has ended."""
    json_files.write_json_atomic(get_supervisor_file(launch), processes.identify_process())
    with open_plain_folder(launch.folder) as folder:
        _run_jobs(launch, folder, Path(provenance.ROOT))


def _run_jobs(launch: Launch, folder: Path, source: Path) -> None:
    """``folder``: the launch's, by a path that submitit can read; ``source``: what the jobs run."""
    running: dict[int, Any] = {}
    slots: dict[int, int] = {}
    waiting = list(enumerate(launch.jobs))
    places = count_places(launch)
    share = share_cores(launch, places)
    while waiting or running:
        while waiting and len(running) < places:
            number, entry = waiting.pop(0)
            if get_cancel_file(launch, number).exists():
                continue
            slots[number] = min(set(range(places)) - {slots[job] for job in running})
            executor = make_executor(launch, entry, slots[number], folder, make_python_command(source, share))
            running[number] = start_job(launch, number, entry, executor)
        for number in [number for number, process in running.items() if process.poll() is not None]:
            note = read_note(launch, number)
            if ranks.list_running_workers(launch.folder, str(note["pid"])):
                continue  # who started it is gone, and it goes on
            process = running.pop(number)
            killed = ranks.was_killed(launch.folder, str(note["pid"]), process.returncode < 0)
            note |= {
                "ended": provenance.format_current_time(),
                "returned": process.returncode,
                "killed": killed,
            }
            json_files.write_json_atomic(get_note_file(launch, number), note)
        time.sleep(POLL)


def compute_share(launch: Launch, at_once: int) -> CpuShare | None:
    """The processors of each process where several run beside each other; None where one has all of them."""
    at_once = max(1, min(at_once, len(launch.jobs)))
    beside = at_once * max(site.count_processes(array.resources) for array in launch.document.arrays)
    if beside == 1:
        return None
    return CpuShare(max(1, cpus.find_cpu_share().number // beside), CpuSource.SHARE)


def share_cores(launch: Launch, at_once: int) -> CpuShare | None:
    """``compute_share``; in OMP_NUM_THREADS too, where the user sets none, for what is not a job."""
    share = compute_share(launch, at_once)
    if share is not None and "OMP_NUM_THREADS" not in os.environ:
        os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", cpus.SHARE_OF_CORES), str(share.number)))
    return share


def make_python_command(source: Path, share: CpuShare | None) -> str:
    """The shell words with which a job begins; ``share``: its processors, where it does not have all."""
    cores = [] if share is None else ["--cores", str(share.number)]
    return shlex.join(site.make_bootstrap_command(sys.executable, source, "--job", *cores))


def count_places(launch: Launch) -> int:
    """How many jobs run at once: as asked, or as many as the GPUs allow, or one."""
    first = launch.document.arrays[0].resources
    asked = [array.resources["max_parallel"] for array in launch.document.arrays]
    if least := min(filter(None, asked), default=0):
        return int(least)
    if first["gpus"]:
        import torch

        return max(1, torch.cuda.device_count() // int(first["gpus"]))
    return 1


def make_executor(launch: Launch, entry: JobEntry, slot: int, folder: Path, python: str) -> Any:
    """submitit's, for one job: ``slot`` tells its GPUs from those of the jobs beside it."""
    from submitit import AutoExecutor

    resources = launch.get_resources(entry)
    options = {"local_max_num_timeout": resources["max_requeues"], "local_python": python}
    executor = AutoExecutor(folder, cluster="local", **options)
    limit = resources["time"] or NO_LIMIT
    executor.update_parameters(**site.make_executor_parameters(resources, entry.run_id, limit))
    if gpus := resources["gpus"]:  # jobs beside each other use different ones
        executor.update_parameters(local_visible_gpus=list(range(slot * gpus, (slot + 1) * gpus)))
    return executor


def start_job(launch: Launch, number: int, entry: JobEntry, executor: Any) -> Any:
    """Start one job through submitit; its process."""
    from bench.cluster.job import make_job

    os.environ.update(launch.get_resources(entry)["environment"] or {})
    job = executor.submit(make_job(entry, launch))
    process: Any = job._process  # noqa: SLF001 - submitit says it nowhere else
    note = {**processes.identify_process(process.pid), "began": provenance.format_current_time()}
    json_files.write_json_atomic(get_note_file(launch, number), note)
    return process


def read_states(launch: Launch) -> dict[str, JobState] | None:
    """The launch's jobs by number, in Slurm's words; None where only another machine can tell."""
    try:
        supervised = processes.is_running(json_files.read_json(get_supervisor_file(launch)))
    except DataError:
        supervised = False
    if supervised is None:
        return None
    states: dict[str, JobState] = {}
    for number, entry in enumerate(launch.jobs):
        state = _read_state(launch, number, supervised)
        if state is not None:
            states[str(entry.job)] = state
    return states


def _read_state(launch: Launch, number: int, supervised: bool) -> JobState | None:
    try:
        note = read_note(launch, number)
    except DataError:
        if get_cancel_file(launch, number).exists():
            return JobState("CANCELLED", failure=FailureKind.CANCELLED)
        return JobState("PENDING", "waits for a place", phase=JobPhase.WAITING) if supervised else None
    if "ended" in note:
        return JobState("FAILED", signal=signal.SIGKILL) if note.get("killed") else JobState("COMPLETED")
    # A supervisor is about to note how a process ended that is gone by now; without one nobody will.
    if (
        supervised
        or processes.is_running(note)
        or ranks.list_running_workers(launch.folder, str(note["pid"]))
    ):
        return JobState("RUNNING", node=os.uname().nodename, phase=JobPhase.RUNNING)
    return None


def is_supervised_here(launch: Launch) -> bool:
    """Whether the launch's processes are of this machine."""
    try:
        return processes.is_running(json_files.read_json(get_supervisor_file(launch))) is not None
    except DataError:
        return False


def find_process(launch: Launch, number: int) -> int | None:
    """The process of a job that has begun and still runs."""
    with contextlib.suppress(DataError):
        note = read_note(launch, number)
        if has_not_ended(note):
            return int(note["pid"])
    return None


def stop_jobs(launch: Launch, numbers: list[int]) -> None:
    """Stop jobs, with a checkpoint; those that wait never begin."""
    for number in numbers:
        (launch.folder / "local").mkdir(parents=True, exist_ok=True)
        get_cancel_file(launch, number).touch()
        pid = find_process(launch, number)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)  # submitit's controller passes it on
            continue
        with contextlib.suppress(DataError):  # the controller is gone: its processes may go on
            note = read_note(launch, number)
            for worker in ranks.list_running_workers(launch.folder, str(note["pid"])):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGTERM)


if __name__ == "__main__":
    from bench.cluster.launches import read_launch

    make_waiting_passive()
    supervise(read_launch(Path(sys.argv[1]), sys.argv[2]))
