"""Where one process of a job fails or is killed, the record says so, and not what the others saw of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waiting import ROOT

from bench.cluster import job as jobs
from bench.cluster import launches, ranks, status
from bench.cluster import slurm_queries as scheduler
from bench.cluster.ranks import JobProcesses
from bench.config.request import CommonOptions, expand_requests, specify_run
from bench.runs import runner
from bench.runs.attempt import Attempt
from bench.runs.job_context import JobContext
from bench.store import lease
from bench.store.store import Store
from tests.cluster.conftest import Bench

OOM = {"kind": "out-of-memory", "type": "OutOfMemoryError", "message": "CUDA out of memory", "traceback": ""}
LOST = RuntimeError("[gloo] Connection closed by peer")


def of_two(tmp_path: Path, attempt: int = 0) -> tuple[JobProcesses, JobProcesses]:
    first, second = (JobProcesses(tmp_path, "17", rank, 2, attempt) for rank in (0, 1))
    first.begin()
    second.begin()
    return first, second


def begun_elsewhere(tmp_path: Path) -> None:
    """Process 1 begins as a process of its own, and is gone."""
    script = "import sys; from pathlib import Path; from bench.cluster.ranks import JobProcesses\n"
    script += "JobProcesses(Path(sys.argv[1]), '17', 1, 2).begin()"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=ROOT)


def test_the_failure_of_another_process_is_found(tmp_path: Path) -> None:
    first, second = of_two(tmp_path)
    second.end(ranks.ProcessEnd.FAILED, OOM)
    second.end(ranks.ProcessEnd.DONE)  # the first word counts
    assert first.find_cause(5) == {**OOM, "process": 1}
    assert JobProcesses(tmp_path, "17", 0, 2, attempt=1).find_cause(0) is None  # of the attempt before


def test_a_lost_connection_explains_nothing(tmp_path: Path) -> None:
    first, second = of_two(tmp_path)
    second.end(ranks.ProcessEnd.FAILED, {"kind": "error", "message": str(LOST)})
    assert first.find_cause(5) is None


def test_a_process_that_is_gone_without_a_word_was_killed(tmp_path: Path) -> None:
    first = JobProcesses(tmp_path, "17", 0, 2)
    begun_elsewhere(tmp_path)
    found = first.find_cause(5)
    assert found is not None
    assert (found["kind"], found["process"]) == ("killed", 1)
    assert ranks.was_killed(tmp_path, "17")


def test_one_that_still_works_is_no_cause_unless_all_should_have_stopped(tmp_path: Path) -> None:
    first, second = of_two(tmp_path)
    assert first.find_cause(0) is None
    assert (first.find_cause(0, silence_is_death=True) or {})["kind"] == "killed"
    second.end(ranks.ProcessEnd.STOPPED)
    assert first.find_cause(0, silence_is_death=True) is None
    assert not ranks.was_killed(tmp_path, "17x")


def test_the_record_of_the_run_has_the_cause(tmp_path: Path, tiny_model: Path) -> None:
    first, second = of_two(tmp_path)
    second.end(ranks.ProcessEnd.FAILED, OOM)
    [request] = expand_requests("prompt", "webnlg", "1", CommonOptions(model=str(tiny_model), runs=tmp_path))
    specified = specify_run(request)
    context = JobContext({}, cause=jobs.make_cause_finder(first))
    folder = Store(tmp_path).run(specified.spec.run_id)
    told = Attempt(specified, folder, job=context).describe_failure(LOST)
    assert (told["kind"], told["process"], told["seen_as"]) == ("out-of-memory", 1, str(LOST))
    told = Attempt(specified, folder, job=context).describe_failure(MemoryError())
    assert "process" not in told  # its own


@pytest.fixture
def as_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A submitted job, to be carried out as process 0 of ``count`` of a Slurm job."""
    monkeypatch.setattr("bench.cluster.backends.debug.Debug.run_jobs", lambda self, launch: None)
    bench.submit("--cluster", "debug", code=1)
    launch = launches.find_launch(bench.runs, "latest")
    launch.document.cluster = "slurm"
    launch.jobs[0].job = "17"
    launch.write()
    monkeypatch.setattr(jobs, "join_processes", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(jobs, "PROCESSES_END_WITHIN", 0.5)
    monkeypatch.setattr(scheduler, "is_wanted", lambda job: True)
    monkeypatch.delenv(lease.JOB_VARIABLE, raising=False)

    def carry_out(count: int, run: Any) -> tuple[Any, Any]:
        from bench.cluster.job import make_job

        facts = {"cluster": "slurm", "global_rank": 0, "job_id": "17", "num_nodes": 1, "num_tasks": count}
        monkeypatch.setattr("submitit.JobEnvironment", lambda: SimpleNamespace(**facts))
        monkeypatch.setattr(runner, "run_specified", run)
        returned: Any = None
        kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
        try:
            returned = make_job(launch.jobs[0], launch)()
        except SystemExit as end:
            returned = end.code
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
            os.environ.pop(lease.JOB_VARIABLE, None)
        return returned, Store(bench.runs).run(launch.jobs[0].run_id)

    carry_out.launch = launch  # type: ignore[attr-defined]
    return carry_out


def test_srun_ends_the_rest_where_one_was_killed(as_job: Any) -> None:
    begun_elsewhere(as_job.launch.folder)

    def run(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    code, folder = as_job(2, run)
    assert code == 1
    assert folder.latest_record()["error"]["kind"] == "killed"


def test_out_of_memory_in_another_process_is_the_exit_code(as_job: Any) -> None:
    second = JobProcesses(as_job.launch.folder, "17", 1, 2)
    second.begin()
    second.end(ranks.ProcessEnd.FAILED, OOM)

    def run(*_: Any) -> None:
        raise LOST

    code, folder = as_job(2, run)
    assert code == jobs.EXIT_CODES["out-of-memory"]
    assert folder.latest_record()["error"]["kind"] == "out-of-memory"


def test_a_job_whose_run_another_makes_leaves_no_record(
    as_job: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> None:
        raise lease.LeaseHeldError("held by pid 5 on n1", {"silent_s": 0.0, "host": "n1", "pid": 5})

    returned, folder = as_job(1, run)
    assert returned["status"] == "left"
    said = capsys.readouterr().err
    assert "left to another process" in said
    assert jobs.MARK not in said
    told = scheduler.Answer({"17": scheduler.make_state("COMPLETED")})
    monkeypatch.setattr(scheduler, "query_jobs", lambda names: told)
    status.collect_status(as_job.launch.runs)
    assert folder.records() == []
