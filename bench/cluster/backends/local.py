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
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.cluster import ranks, site
from bench.cluster.backends.slurm import State
from bench.cluster.launches import Launch, read
from bench.cluster.ranks import lives, me
from bench.errors import DataError
from bench.system import json_files, processes, provenance

POLL = 0.2


def start(launch: Launch, source: Path) -> None:
    """Start the supervisor, detached from this terminal, and return."""
    launch.folder.mkdir(parents=True, exist_ok=True)
    log = launch.folder / "supervisor.log"
    words = [sys.executable, "-m", "bench.cluster.backends.local", str(launch.runs.resolve()), launch.id]
    with log.open("ab") as output:
        supervisor = subprocess.Popen(  # noqa: S603 - this program again
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **site.source_environment(source)},
        )
    supervisor.returncode = 0  # it outlives this command, which is not to wait for it
    until = time.monotonic() + 30
    try:
        while not (launch.folder / "local" / "supervisor.json").exists() and time.monotonic() < until:
            time.sleep(0.02)
    except BaseException:  # Ctrl-C: what was not begun is not submitted
        with contextlib.suppress(ProcessLookupError):
            os.killpg(supervisor.pid, signal.SIGKILL)
        raise


def supervise(launch: Launch) -> None:
    """Run every job of the launch, ``max_parallel`` at once; returns when the last has ended."""
    place = launch.folder / "local"
    json_files.write_json_atomic(place / "supervisor.json", me())
    running: dict[int, Any] = {}
    slots: dict[int, int] = {}
    waiting = list(enumerate(launch.jobs))
    most = slots_of(launch)
    share_cores(launch, most)
    while waiting or running:
        while waiting and len(running) < most:
            number, row = waiting.pop(0)
            if (place / f"{number}.cancelled").exists():
                continue
            slots[number] = min(set(range(most)) - {slots[other] for other in running})
            running[number] = begin(launch, number, row, slots[number])
        for number in [number for number, process in running.items() if process.poll() is not None]:
            note = json_files.read_json(place / f"{number}.json")
            if ranks.living(launch.folder, str(note["pid"])):
                continue  # who started it is gone, and it goes on
            process = running.pop(number)
            killed = ranks.was_killed(launch.folder, str(note["pid"]), process.returncode < 0)
            note |= {"ended": provenance.now(), "returned": process.returncode, "killed": killed}
            json_files.write_json_atomic(place / f"{number}.json", note)
        time.sleep(POLL)


def share_cores(launch: Launch, at_once: int) -> None:
    """Every process that runs beside others gets its part of the cores: all of them would each take all."""
    resources = [array["resources"] for array in launch.content["arrays"]]
    beside = at_once * max(site.processes(one) for one in resources)
    if beside > 1 and "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        os.environ["OMP_NUM_THREADS"] = str(max(1, cores // beside))


def slots_of(launch: Launch) -> int:
    """How many jobs run at once: as asked, or as many as the GPUs allow, or one."""
    first = launch.content["arrays"][0]["resources"]
    asked = [array["resources"]["max_parallel"] for array in launch.content["arrays"]]
    if least := min(filter(None, asked), default=0):
        return int(least)
    if first["gpus"]:
        import torch

        return max(1, torch.cuda.device_count() // int(first["gpus"]))
    return 1


def begin(launch: Launch, number: int, row: dict[str, Any], slot: int) -> Any:
    """Start one job through submitit; its process."""
    from submitit import AutoExecutor

    from bench.cluster.arrays import job_of

    resources = launch.content["arrays"][row["array"]]["resources"]
    os.environ.update(resources["environment"] or {})
    executor = AutoExecutor(launch.folder, cluster="local", local_max_num_timeout=resources["max_requeues"])
    source = Path(launch.content["snapshot"]["path"])
    executor.update_parameters(**site.executor_parameters(resources, row["run_id"], source, "local"))
    if gpus := resources["gpus"]:  # jobs beside each other use different ones
        executor.update_parameters(local_visible_gpus=list(range(slot * gpus, (slot + 1) * gpus)))
    job = executor.submit(job_of(row, launch))
    process: Any = job._process
    note = {"pid": process.pid, "started": processes.process_started(process.pid)}
    note |= {"machine": processes.machine(), "began": provenance.now()}
    json_files.write_json_atomic(launch.folder / "local" / f"{number}.json", note)
    return process


def states(launch: Launch) -> tuple[dict[str, State], bool]:
    """The launch's jobs by number, in Slurm's words; and whether this machine can tell at all."""
    place = launch.folder / "local"
    try:
        supervised = lives(json_files.read_json(place / "supervisor.json"))
    except DataError:
        supervised = False
    if supervised is None:
        return {}, False
    told: dict[str, State] = {}
    for number, row in enumerate(launch.jobs):
        try:
            note = json_files.read_json(place / f"{number}.json")
        except DataError:
            if (place / f"{number}.cancelled").exists():
                told[row["job"]] = State("CANCELLED")
            elif supervised:
                told[row["job"]] = State("PENDING", "waits for a place")
            continue
        if "ended" in note:
            told[row["job"]] = State("FAILED", signal=9) if note.get("killed") else State("COMPLETED")
        elif lives(note) or ranks.living(launch.folder, str(note["pid"])):
            told[row["job"]] = State("RUNNING", node=os.uname().nodename)
    return told, True


def lives_here(launch: Launch) -> bool:
    """Whether the launch's processes are of this machine."""
    try:
        return lives(json_files.read_json(launch.folder / "local" / "supervisor.json")) is not None
    except DataError:
        return False


def pid_of(launch: Launch, number: int) -> int | None:
    """The process of a job that has begun and lives."""
    with contextlib.suppress(DataError):
        note = json_files.read_json(launch.folder / "local" / f"{number}.json")
        if "ended" not in note and lives(note):
            return int(note["pid"])
    return None


def cancel(launch: Launch, numbers: list[int]) -> None:
    """Stop jobs, with a checkpoint; those that wait never begin."""
    for number in numbers:
        (launch.folder / "local").mkdir(parents=True, exist_ok=True)
        (launch.folder / "local" / f"{number}.cancelled").touch()
        if pid := pid_of(launch, number):
            os.kill(pid, signal.SIGTERM)  # submitit's controller passes it on
            continue
        with contextlib.suppress(DataError):  # the controller is gone: its processes may live
            note = json_files.read_json(launch.folder / "local" / f"{number}.json")
            for pid in ranks.living(launch.folder, str(note["pid"])):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)


def log_name(launch: Launch, row: dict[str, Any]) -> str:
    """The name under which the job's logs are kept: submitit takes the process's number."""
    with contextlib.suppress(DataError):
        return str(json_files.read_json(launch.folder / "local" / f"{launch.jobs.index(row)}.json")["pid"])
    return str(row["job"])


if __name__ == "__main__":
    supervise(read(Path(sys.argv[1]), sys.argv[2]))
