"""What a job does: one run through ``bench.runs.runner``, and what follows from signals.

submitit starts it, in the snapshot of the source, in one process or in one per GPU. On the time-out
signal (USR2) the run stops after its update with a checkpoint, and submitit requeues the job, which
then continues. SIGTERM comes from whoever ends the job: Slurm itself requeues what it preempts, so the
run only stops with a checkpoint; a bare SIGTERM to a job that Slurm still wants is a preemption too.
Whatever goes wrong is in the run's record, as the last line of the log, and in the exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bench.cluster import job_start
from bench.cluster.launches import JobEntry, Launch, read_launch
from bench.cluster.ranks import JobProcesses, ProcessEnd
from bench.config.comparability import UNFINISHED
from bench.errors import FailureKind
from bench.foreign_text import escape_controls, quote_foreign
from bench.runs.job_context import JobContext
from bench.store import lease
from bench.store.record import Record, RunStatus
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system import json_files, provenance
from bench.system.json_files import JsonObject
from bench.system.progress import format_duration, print_message, print_traceback
from bench.system.safetensors_header import LARGEST_HEADER

MARK = "bench: failed"
"""Begins the line of a log that says which kind of failure ended the job."""
EXIT_CODES: Mapping[str, int] = {
    FailureKind.ERROR: 1,
    FailureKind.REQUEST: 2,
    FailureKind.OUT_OF_MEMORY: 70,
    FailureKind.DISK_FULL: 71,
    FailureKind.STORAGE: 72,
    FailureKind.UNREADABLE_DATA: 73,
    FailureKind.UNAVAILABLE: 74,
    FailureKind.DIVERGED: 75,
    FailureKind.TIME_OUT: 76,
}
STALLED = 3
"""Continuations in a row without any progress, after which a job that times out gives up."""
PROCESSES_END_WITHIN = 5.0
"""Seconds in which the other processes of a job have said how they ended."""
SILENT, ASK_AGAIN = 90.0, 15.0
"""Seconds: a holder that is silent for so long is waited for, and asked after so often."""


@dataclass(frozen=True)
class Job:
    """The callable that submitit keeps as a pickle: plain data, so that any version can read it."""

    run_id: str
    request: dict[str, Any]
    launch: str
    runs: str
    command: str = ""
    because: str | None = None
    """Why this differs from what was asked for (smaller micro-batches after out-of-memory)."""
    mark: str = ""
    stalled: int = 0

    def __call__(self) -> dict[str, Any]:
        from submitit import JobEnvironment

        environment: Any = JobEnvironment()
        launch = read_launch(Path(self.runs), self.launch)
        backend = launch.backend
        number = backend.name if backend.in_process else str(environment.job_id)
        context, processes = self._make_context(environment, launch, number)
        if not backend.in_process:
            processes.begin()
            self.print_beginning(launch, processes)
        backend.prepare_job(number)
        requeue = signal.getsignal(requeue_signal())
        try:
            with catch_signals(context), join_processes(environment, number):
                check_source(launch)
                record = self.carry_out(context)
        except KeyboardInterrupt:
            if backend.in_process:
                raise
            processes.end(ProcessEnd.STOPPED)
            return self.stop(context, requeue, processes)
        except lease.LeaseHeldError as busy:
            return self.leave(busy, launch, processes)
        except BaseException as error:
            described = describe_failure(error, context)
            processes.end(ProcessEnd.FAILED, described)
            code = self.fail(error, context, launch, processes.rank, described)
            if backend.in_process:  # in the process of whoever submits: its other jobs continue
                return {"run_id": self.run_id, "status": "failed", "error": str(error)}
            raise SystemExit(code) from error
        processes.end(ProcessEnd.DONE)
        if record is not None and not backend.in_process:
            print_scores(record)
        return {"run_id": self.run_id, "status": "done" if record is not None else "took part"}

    def print_beginning(self, launch: Launch, processes: JobProcesses) -> None:
        """The first lines of the log: the command that does the same by hand, and which job this is."""
        process = f", process {processes.rank} of {processes.count}" if processes.count > 1 else ""
        again = f", continued for the {processes.attempt}. time" if processes.attempt else ""
        job = (
            f"bench: job {processes.job} of launch {launch.id} ({launch.cluster}){process}{again} on "
            f"{socket.gethostname()}, {provenance.format_current_time()}, processors: "
            f"{job_start.get_cpus().to_text()}"
        )
        print(f"$ {escape_controls(self.command)}\n{escape_controls(job)}", flush=True)

    def _make_context(self, environment: Any, launch: Launch, number: str) -> tuple[JobContext, JobProcesses]:
        """What the run is told of its job, and the job's processes."""
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        facts = {
            "launch": self.launch,
            "id": number,
            "cluster": launch.cluster,
            "restarts": restarts,
            "snapshot": launch.source.snapshot,
            "nodes": environment.num_nodes,
            "processes": environment.num_tasks,
        }
        facts |= {"because": self.because} if self.because else {}
        signals = () if launch.backend.in_process else (requeue_signal(),)
        if not launch.backend.in_process:
            given = job_start.get_cpus()
            facts |= {"cpus": given.number, "cpus_from": given.source.value}
        processes = JobProcesses(
            launch.folder,
            number,
            environment.global_rank,
            environment.num_tasks,
            restarts,
            launch.backend.in_process,
        )
        context = JobContext(
            facts, signals, lambda: launch.read_log_tail(number), make_cause_finder(processes)
        )
        return context, processes

    def carry_out(self, context: JobContext) -> Record | None:
        """The run itself; a holder that seems dead on another machine is waited for."""
        from bench.config.request import read_request, specify_run
        from bench.errors import UserError
        from bench.runs import runner

        specified = specify_run(read_request(self.request))
        run_id = specified.spec.run_id
        if run_id != self.run_id:
            raise UserError(
                f"{self.run_id} was submitted and is {run_id} here: the data, the backbone or a default is "
                "another one on this node than where it was submitted. Submit it again"
            )
        while True:
            try:
                return runner.run_specified(specified, context)
            except lease.LeaseHeldError as busy:
                if busy.holder["silent_s"] < SILENT:
                    raise
                print_message(f"bench: waiting: {busy}", important=True)
                time.sleep(ASK_AGAIN)

    # -- after a signal -------------------------------------------------------------------------

    def stop(self, context: JobContext, requeue: Any, processes: JobProcesses) -> dict[str, Any]:
        """Continue later, where that is meant; otherwise end. The run's own record is written already."""
        from bench.runs.failures import describe_error

        by = context.stopped_by or signal.SIGINT
        rank = processes.rank
        launch = read_launch(Path(self.runs), self.launch)
        again = by == requeue_signal()
        if by == signal.SIGTERM and rank == 0 and launch.backend.is_wanted(str(context.facts["id"])):
            again = True
            # srun ends the others in the same way where one has failed or was killed.
            cause = processes.find_cause(PROCESSES_END_WITHIN, silence_is_death=True)
            if cause is not None:
                raise SystemExit(
                    self.fail(RuntimeError(cause["message"]), context, launch, rank, cause, True)
                )
        print_message(
            f"bench: stopped by {by.name}; {'to be continued' if again else 'ending'}", important=True
        )
        if not again:
            raise SystemExit(128 + by)
        if rank == 0:
            try:
                # submitit's handler: asks ``checkpoint``, keeps the answer, requeues and exits.
                requeue(requeue_signal(), None)
            except Exception as error:
                failure = TimeoutError(f"the job was stopped for its time limit and not continued: {error}")
                facts = {**describe_error(failure), "kind": FailureKind.TIME_OUT.value}
                code = self.fail(failure, context, launch, rank, facts, True)
                raise SystemExit(code) from error
        return {"run_id": self.run_id, "status": "stopped"}

    def checkpoint(self) -> Any:
        """What submitit requeues; None once the run has made no progress several times in a row."""
        from submitit.helpers import DelayedSubmission

        mark = read_progress(Store(self.runs).run(self.run_id))
        stalled = self.stalled + 1 if mark == self.mark else 0
        if stalled >= STALLED:
            return None
        return DelayedSubmission(replace(self, mark=mark, stalled=stalled))

    # -- after a failure ------------------------------------------------------------------------

    def leave(self, busy: lease.LeaseHeldError, launch: Launch, processes: JobProcesses) -> dict[str, Any]:
        """Somebody else makes the run: this job has nothing to record, and nobody may record it as failed."""
        from bench.system.files import StorageError

        print_message(f"bench: left to another process, which makes this run: {busy}", important=True)
        processes.end(ProcessEnd.LEFT)
        with contextlib.suppress(StorageError):
            launch.note_end(processes.job)
        if processes.count > 1:  # the others wait for this one; srun ends them where one returns so
            raise SystemExit(1)
        return {"run_id": self.run_id, "status": "left"}

    def fail(
        self,
        error: BaseException,
        context: JobContext,
        launch: Launch,
        rank: int,
        described: Mapping[str, Any],
        after_stop: bool = False,
    ) -> int:
        """Say what it was; make sure that there is a record of it. The exit code.

        ``after_stop``: the run's own record says that it was stopped, which is not the end of it.
        """
        from bench.system.files import StorageError

        print_traceback(error)
        facts = dict(described)
        first_line = (facts["message"].splitlines() or [""])[0]
        print_message(f"{MARK} [{facts['kind']}] {first_line}", important=True)
        if rank == 0 and (after_stop or not self.is_recorded(context)):
            facts["log_tail"] = context.log_tail()
            [entry] = [entry for entry in launch.jobs if entry.run_id == self.run_id]
            with contextlib.suppress(StorageError):
                write_failure(Store(self.runs).run(self.run_id), entry, facts, context.facts)
        return EXIT_CODES.get(facts["kind"], 1)

    def is_recorded(self, context: JobContext) -> bool:
        """Whether the run has a record of this job's failure."""
        latest = Store(self.runs).run(self.run_id).latest_record()
        failed = latest is not None and latest.status is RunStatus.FAILED
        return failed and latest is not None and latest.job == dict(context.facts)


def check_source(launch: Launch) -> None:
    """Refuse to run another source than the launch's copy: the record would name what did not run."""
    from bench.errors import UserError

    if job_start.cpus is None or not launch.source.snapshot:
        return
    running = (provenance.describe_code() or {}).get("snapshot")
    if running != launch.source.snapshot:
        raise UserError(
            f"this job is to run snapshot {launch.source.snapshot} of the source and runs "
            f"{running or 'no snapshot'}, from {quote_foreign(str(provenance.ROOT))}: nothing was run. Submit "
            "it again from an environment where no other bench comes first"
        )


def print_scores(record: Record) -> None:
    """The last lines of the log of a job whose run is done."""
    from bench.runs.score_lines import list_score_lines

    seconds = float(record["seconds"]["attempt"])
    lines = [f"bench: {record['run_id']} is done, {format_duration(seconds)}"]
    lines += [f"  {line}" for line in list_score_lines(record)]
    print("\n".join(map(escape_controls, lines)), flush=True)


def make_job(entry: JobEntry, launch: Launch) -> Job:
    """The callable for an entry of the launch record."""
    return Job(
        run_id=entry.run_id,
        request=entry.request,
        launch=launch.id,
        runs=str(launch.runs.resolve()),
        command=entry.command,
        because=entry.because,
    )


def make_cause_finder(processes: JobProcesses) -> Callable[[Mapping[str, Any]], Mapping[str, Any] | None]:
    """For ``JobContext.cause``: a lost connection to another process is not what went wrong."""

    def find_cause(described: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if processes.rank > 0 or processes.count == 1 or described["kind"] != FailureKind.ERROR:
            return None
        cause = processes.find_cause(PROCESSES_END_WITHIN)
        return None if cause is None else {**cause, "seen_as": described["message"]}

    return find_cause


def describe_failure(error: BaseException, context: JobContext) -> JsonObject:
    """The error in the words of records, or what another process failed of where that is behind it."""
    from bench.runs.failures import describe_error

    described: JsonObject = {**describe_error(error)}
    return described | dict(context.cause(described) or {})


SPECIFIED = ("task", "method", "options", "model", "scale", "protocol", "seed", "settings")
FINGERPRINTS = ("model_fingerprint", "data_origin", "data_fingerprint")


def write_failure(
    folder: RunDir,
    entry: JobEntry,
    error: JsonObject,
    job: Mapping[str, Any],
    status: RunStatus = RunStatus.FAILED,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """A record for an attempt that could not write its own: what was asked for, what ended it, which job.

    ``more``: what is known of it beyond that; it replaces what is worked out here.
    """
    specification: JsonObject = {**entry.to_json(), "options": {}, "settings": {}}
    with contextlib.suppress(Exception):
        specification = dict(folder.read_specification())
    folder.write_record(
        {
            **{name: specification[name] for name in FINGERPRINTS if name in specification},
            **{name: specification.get(name) for name in SPECIFIED},
            "status": status.value,
            "command": entry.command,
            "not_comparable": [UNFINISHED.text],
            "incomparable": [UNFINISHED.to_json()],
            "error": error,
            "job": dict(job),
            "ended": provenance.format_current_time(),
            **more,
        }
    )


def requeue_signal() -> signal.Signals:
    """submitit's signal for "stop and continue later"."""
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


@contextlib.contextmanager
def catch_signals(context: JobContext) -> Iterator[None]:
    """Signals count from the first moment on, also while the run is still looking for its data."""

    def ask(number: int, _frame: object) -> None:
        if context.stopped_by is None:
            context.stopped_by = signal.Signals(number)
            raise KeyboardInterrupt

    numbers = (signal.SIGTERM, *context.signals) if context.signals else ()
    old = {number: signal.signal(number, ask) for number in numbers}
    try:
        if job_start.signals and numbers:  # while Python still imported
            ask(job_start.signals[0], None)
        yield
    finally:
        for number in old:  # what follows must not be disturbed by a repetition
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def join_processes(environment: Any, job: str) -> Iterator[None]:
    """The variables by which torch's processes find each other, as ``torchrun`` sets them."""
    if environment.num_tasks == 1:
        yield
        return
    variables = {
        "MASTER_ADDR": find_address(environment.hostnames[0]),
        # The same on every node, another one for each job of a node.
        "MASTER_PORT": str(20000 + zlib.crc32(job.encode()) % 12000),
        "RANK": str(environment.global_rank),
        "WORLD_SIZE": str(environment.num_tasks),
        "LOCAL_RANK": str(environment.local_rank),
        "LOCAL_WORLD_SIZE": str(environment.num_tasks // environment.num_nodes),
        "NODE_RANK": str(environment.node),
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def find_address(node: str) -> str:
    """An address of the first node: its name where that resolves, else where srun was started."""
    try:
        socket.getaddrinfo(node, None)
    except OSError:
        return os.environ.get("SLURM_LAUNCH_NODE_IPADDR", node)
    return node


def read_progress(folder: RunDir) -> str:
    """How far the run is: the stages that are done and the update of the checkpoint."""
    stages = [name for name in ("train", "decode", "score") if folder.product_sha256(name)]
    step = None
    unreadable = (OSError, ValueError, LookupError, TypeError, RecursionError)
    with contextlib.suppress(*unreadable), folder.checkpoint.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, LARGEST_HEADER)))
        step = json.loads(header["__metadata__"]["progress"])["step"]
    return json_files.to_json([stages, step])
