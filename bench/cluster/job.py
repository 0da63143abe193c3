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
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.cluster.launches import Launch, read
from bench.cluster.ranks import Siblings
from bench.config.comparability import UNFINISHED
from bench.runs.job_context import Place
from bench.store import lease
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system import json_files, provenance

MARK = "bench: failed"
"""Begins the line of a log that says which kind of failure ended the job."""
EXIT_CODES = {
    "error": 1,
    "request": 2,
    "out-of-memory": 70,
    "disk-full": 71,
    "storage": 72,
    "unreadable-data": 73,
    "unavailable": 74,
    "diverged": 75,
    "time-out": 76,
}
STALLED = 3
"""Continuations in a row without any progress, after which a job that times out gives up."""
SIBLINGS = 5.0
"""Seconds in which the other processes of a job have said how they ended."""
SILENT, LOOK_AGAIN = 90.0, 15.0
"""Seconds: a holder that is silent for the one is waited for, looking every other."""


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
        cluster, rank = environment.cluster, environment.global_rank
        job = "debug" if cluster == "debug" else str(environment.job_id)
        launch = read(Path(self.runs), self.launch)
        facts = {
            "launch": self.launch,
            "id": job,
            "cluster": cluster,
            "restarts": int(os.environ.get("SLURM_RESTART_COUNT", "0")),
            "snapshot": launch.content["snapshot"]["snapshot"],
            "nodes": environment.num_nodes,
            "processes": environment.num_tasks,
        }
        facts |= {"because": self.because} if self.because else {}
        signals = () if cluster == "debug" else (requeue_signal(),)
        siblings = Siblings(launch.folder, job, rank, environment.num_tasks, facts["restarts"])
        place = Place(facts, signals, lambda: launch.log_tail(job), siblings_failure(siblings))
        if cluster != "debug":
            siblings.begin()
        if cluster == "slurm":
            os.environ[lease.JOB_VARIABLE] = f"slurm {job}"
        requeue = signal.getsignal(requeue_signal())
        try:
            with heard(place), distributed(environment, job):
                record = self.carry_out(place)
        except KeyboardInterrupt:
            if cluster == "debug":
                raise
            siblings.end("stopped")
            return self.stopped(place, requeue, siblings)
        except lease.LeaseHeldError as busy:
            return self.left(busy, launch, siblings)
        except BaseException as error:
            siblings.end("failed", described := described_here(error, place))
            code = self.failed(error, place, launch, rank, described)
            if cluster == "debug":  # in the process of whoever submits: siblings continue
                return {"run_id": self.run_id, "status": "failed", "error": str(error)}
            raise SystemExit(code) from error
        siblings.end("done")
        return {"run_id": self.run_id, "status": "done" if record is not None else "took part"}

    def carry_out(self, place: Place) -> Mapping[str, Any] | None:
        """The run itself; a holder that seems dead on another machine is waited for."""
        from bench.config.request import read_request, specify_run
        from bench.errors import UserError
        from bench.runs import runner

        request = read_request(self.request)
        found = specify_run(request).spec.run_id
        if found != self.run_id:
            raise UserError(
                f"{self.run_id} was submitted and is {found} here: the data, the backbone or a default is "
                "another one on this node than where it was submitted. Submit it again"
            )
        while True:
            try:
                return runner.run(request, place)
            except lease.LeaseHeldError as busy:
                if busy.holder["silent_s"] < SILENT:
                    raise
                print(f"bench: waiting: {busy}", file=sys.stderr, flush=True)
                time.sleep(LOOK_AGAIN)

    # -- after a signal -------------------------------------------------------------------------

    def stopped(self, place: Place, requeue: Any, siblings: Siblings) -> dict[str, Any]:
        """Continue later, where that is meant; otherwise end. The run's own record is written already."""
        from bench.cluster.backends.slurm import is_wanted
        from bench.runs.failures import describe_error

        by = place.stopped_by or signal.SIGINT
        job, rank = str(place.facts["id"]), siblings.rank
        again = by == requeue_signal()
        if by == signal.SIGTERM and place.facts["cluster"] == "slurm" and rank == 0:
            again = is_wanted(job)
            # srun ends the others in the same way where one has failed or was killed.
            if again and (cause := siblings.cause(SIBLINGS, silence_is_death=True)) is not None:
                launch = read(Path(self.runs), self.launch)
                raise SystemExit(
                    self.failed(RuntimeError(cause["message"]), place, launch, rank, cause, True)
                )
        print(
            f"bench: stopped by {by.name}; {'to be continued' if again else 'ending'}",
            file=sys.stderr,
            flush=True,
        )
        if not again:
            raise SystemExit(128 + by)
        if rank == 0:
            try:
                # submitit's handler: asks ``checkpoint``, keeps the answer, requeues and exits.
                requeue(requeue_signal(), None)
            except Exception as error:
                failure = TimeoutError(f"the job was stopped for its time limit and not continued: {error}")
                facts = {**describe_error(failure), "kind": "time-out"}
                code = self.failed(failure, place, read(Path(self.runs), self.launch), rank, facts, True)
                raise SystemExit(code) from error
        return {"run_id": self.run_id, "status": "stopped"}

    def checkpoint(self) -> Any:
        """What submitit requeues; None once the run has made no progress several times in a row."""
        from submitit.helpers import DelayedSubmission

        mark = progress(Store(self.runs).run(self.run_id))
        stalled = self.stalled + 1 if mark == self.mark else 0
        if stalled >= STALLED:
            return None
        return DelayedSubmission(replace(self, mark=mark, stalled=stalled))

    # -- after a failure ------------------------------------------------------------------------

    def left(self, busy: lease.LeaseHeldError, launch: Launch, siblings: Siblings) -> dict[str, Any]:
        """Somebody else makes the run: this job has nothing to record, and nobody may record it as failed."""
        from bench.system.files import StorageError

        print(f"bench: left to another process, which makes this run: {busy}", file=sys.stderr, flush=True)
        siblings.end("left")
        with contextlib.suppress(StorageError):
            launch.note_end(siblings.job)
        if siblings.count > 1:  # the others wait for this one; srun ends them where one returns so
            raise SystemExit(1)
        return {"run_id": self.run_id, "status": "left"}

    def failed(
        self,
        error: BaseException,
        place: Place,
        launch: Launch,
        rank: int,
        described: Mapping[str, Any],
        after_stop: bool = False,
    ) -> int:
        """Say what it was; make sure that there is a record of it. The exit code.

        ``after_stop``: the run's own record says that it was stopped, which is not the end of it.
        """
        import traceback

        from bench.system.files import StorageError

        traceback.print_exception(error)
        facts = dict(described)
        first_line = (facts["message"].splitlines() or [""])[0]
        print(f"{MARK} [{facts['kind']}] {first_line}", file=sys.stderr, flush=True)
        if rank == 0 and (after_stop or not self.is_recorded(place)):
            facts["log_tail"] = place.log_tail()
            [row] = [one for one in launch.jobs if one["run_id"] == self.run_id]
            with contextlib.suppress(StorageError):
                write_failure(Store(self.runs).run(self.run_id), row, facts, place.facts)
        return EXIT_CODES.get(facts["kind"], 1)

    def is_recorded(self, place: Place) -> bool:
        latest = Store(self.runs).run(self.run_id).latest_record()
        return latest is not None and latest["status"] == "failed" and latest.get("job") == dict(place.facts)


def siblings_failure(siblings: Siblings) -> Callable[[Mapping[str, Any]], Mapping[str, Any] | None]:
    """For ``Place.cause``: a lost connection to another process is not what went wrong."""

    def cause(described: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if siblings.rank > 0 or siblings.count == 1 or described["kind"] != "error":
            return None
        found = siblings.cause(SIBLINGS)
        return None if found is None else {**found, "seen_as": described["message"]}

    return cause


def described_here(error: BaseException, place: Place) -> dict[str, Any]:
    """The error in the words of records, or what another process failed of where that is behind it."""
    from bench.runs.failures import describe_error

    described: dict[str, Any] = {**describe_error(error)}
    return described | dict(place.cause(described) or {})


def write_failure(
    folder: RunDir, row: dict[str, Any], error: dict[str, Any], job: Any, status: str = "failed"
) -> None:
    """A record for an attempt that could not write its own: what was asked for, what ended it, which job."""
    wanted = ("task", "method", "options", "model", "scale", "protocol", "seed", "settings")
    asked: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        asked = folder.read_spec()
    if not asked:
        asked = {name: row.get(name) for name in ("task", "method", "model", "scale", "protocol", "seed")}
        asked |= {"options": {}, "settings": {}}
    content = {name: asked.get(name) for name in wanted}
    folder.write_record(
        {
            **{
                name: asked[name]
                for name in ("model_fingerprint", "data_origin", "data_fingerprint")
                if name in asked
            },
            **content,
            "status": status,
            "command": row["command"],
            "not_comparable": [UNFINISHED.text],
            "incomparable": [UNFINISHED.to_json()],
            "error": error,
            "job": dict(job),
            "ended": provenance.now(),
        }
    )


def requeue_signal() -> signal.Signals:
    """submitit's signal for "stop and continue later"."""
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


@contextlib.contextmanager
def heard(place: Place) -> Iterator[None]:
    """Signals count from the first moment on, also while the run is still looking for its data."""

    def ask(number: int, frame: object) -> None:
        if place.stopped_by is None:
            place.stopped_by = signal.Signals(number)
            raise KeyboardInterrupt

    numbers = (signal.SIGTERM, *place.signals) if place.signals else ()
    old = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number in old:  # what follows must not be disturbed by a repetition
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def distributed(environment: Any, job: str) -> Iterator[None]:
    """The variables by which torch's processes find each other, as ``torchrun`` sets them."""
    if environment.num_tasks == 1:
        yield
        return
    variables = {
        "MASTER_ADDR": reachable(environment.hostnames[0]),
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


def reachable(node: str) -> str:
    """An address of the first node: its name where that resolves, else where srun was started."""
    try:
        socket.getaddrinfo(node, None)
    except OSError:
        return os.environ.get("SLURM_LAUNCH_NODE_IPADDR", node)
    return node


def progress(folder: RunDir) -> str:
    """How far the run is: the stages that are done and the update of the checkpoint."""
    stages = [name for name in ("train", "decode", "score") if folder.product_sha256(name)]
    step = None
    with contextlib.suppress(OSError, ValueError, KeyError), folder.checkpoint.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        step = json.loads(header["__metadata__"]["progress"])["step"]
    return json_files.to_json([stages, step])
