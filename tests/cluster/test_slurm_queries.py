"""What Slurm prints, read: with accounting and without, and when it does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cluster import slurm_queries as scheduler
from bench.cluster.backends import JobPhase
from bench.cluster.slurm_queries import make_state

SQUEUE = """\
17_0|RUNNING|None|n1|bench-a-0
17_1|PENDING|JobArrayTaskLimit||bench-a-0
17_2|COMPLETING|NonZeroExitCode|n1|bench-a-0
18|FAILED|NonZeroExitCode|n2|odd|name
"""
SACCT = """\
17_0|PENDING|0:0|None assigned|None
17_3|TIMEOUT|0:0|n1|None
17_4|CANCELLED by 1000|0:15|n1|None
17_5|FAILED|9:0|n1|NonZeroExitCode
17_6|FAILED|70:0|n1|NonZeroExitCode
17_[7-9%2]|PENDING|0:0|None assigned|JobArrayTaskLimit
18|OUT_OF_MEMORY|0:125|n2|OutOfMemory
"""
SCONTROL = (
    "JobId=20 ArrayJobId=17 ArrayTaskId=5 JobName=x UserId=u(1) JobState=FAILED Reason=NonZeroExitCode "
    "Restarts=2 ExitCode=137:0 NodeList=n1\n"
    "JobId=21 ArrayJobId=17 ArrayTaskId=7-9%2 JobName=x JobState=PENDING Reason=None ExitCode=0:0 NodeList=(null)\n"
    "JobId=18 JobName=x JobState=COMPLETED Reason=None Restarts=0 ExitCode=0:0 NodeList=n2\n"
)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that print what Slurm would; a missing text is a failure."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("squeue", "sacct", "scontrol"):
        program = folder / name
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/{name}.called\ncat {folder}/{name}.txt 2>/dev/null\n'
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


ALL = [*(f"17_{i}" for i in range(7)), "18", "99"]


def test_the_queue_and_the_accounting(slurm: Path) -> None:
    (slurm / "squeue.txt").write_text(SQUEUE)
    (slurm / "sacct.txt").write_text(SACCT)
    answer = scheduler.query_jobs(ALL)
    assert answer.reached
    assert answer.accounting
    assert answer.states["17_0"] == make_state("RUNNING", "", "n1")  # the queue is fresher than accounting
    assert answer.states["17_1"].phase is JobPhase.WAITING
    assert answer.states["17_2"].running
    assert answer.states["17_3"].state == "TIMEOUT"
    assert answer.states["17_4"].state == "CANCELLED"
    assert answer.states["17_5"].signal == 9
    assert answer.states["17_6"].exit_code == 70
    assert answer.states["18"].state == "OUT_OF_MEMORY"
    assert "99" not in answer.states
    assert answer.names == {"17": "bench-a-0", "18": "odd|name"}


def test_without_accounting(slurm: Path) -> None:
    (slurm / "squeue.txt").write_text(SQUEUE)
    (slurm / "scontrol.txt").write_text(SCONTROL)
    answer = scheduler.query_jobs(ALL)
    assert answer.reached
    assert answer.accounting is False
    assert answer.states["17_5"] == make_state("FAILED", "NonZeroExitCode", "n1", 137, 9, 2)
    assert answer.states["18"].state == "COMPLETED"
    assert answer.states["17_0"].running
    assert "17_3" not in answer.states


def test_each_is_asked_once_for_all(slurm: Path) -> None:
    (slurm / "squeue.txt").write_text(SQUEUE)
    (slurm / "sacct.txt").write_text(SACCT)
    scheduler.query_jobs(f"{array}_{index}" for array in range(10) for index in range(100))
    assert len((slurm / "squeue.called").read_text().splitlines()) == 1
    assert len((slurm / "sacct.called").read_text().splitlines()) == 1


def test_the_jobs_of_all_users_are_asked_for(slurm: Path) -> None:
    """A shared store has runs of several; --jobs would fail as a whole where one is too old to be known."""
    (slurm / "squeue.txt").write_text(SQUEUE)
    scheduler.query_jobs(["17_0"])
    asked = (slurm / "squeue.called").read_text()
    assert "--user" not in asked
    assert "--jobs" not in asked


@pytest.mark.parametrize(
    ("listed", "jobs"),
    [
        ("128_[0-2]", ["128_0", "128_1", "128_2"]),
        ("128_[0-2%1]", ["128_0", "128_1", "128_2"]),
        ("128_[1,3,5-7]", ["128_1", "128_3", "128_5", "128_6", "128_7"]),
        ("128_[0-6:3]", ["128_0", "128_3", "128_6"]),
        ("128_7", ["128_7"]),
        ("128", ["128"]),
        ("128_7.batch", []),
        ("128_[1,...]", ["128_1"]),
    ],
)
def test_an_array_that_waits_is_one_line(listed: str, jobs: list[str], slurm: Path) -> None:
    assert scheduler.expand_array(listed) == jobs
    (slurm / "squeue.txt").write_text("")
    (slurm / "sacct.txt").write_text(f"{listed}|PENDING|0:0|None assigned|Priority|Unknown\n")
    (slurm / "scontrol.txt").write_text("")
    assert set(scheduler.query_jobs(jobs or ["128_7"]).states) == set(jobs)


def test_an_array_that_waits_is_one_line_of_scontrols_too(slurm: Path) -> None:
    (slurm / "squeue.txt").write_text("")
    (slurm / "sacct").write_text("#!/bin/sh\nexit 1\n")
    (slurm / "scontrol.txt").write_text(SCONTROL)
    assert scheduler.query_jobs(["17_7", "17_9"]).states["17_9"].phase is JobPhase.WAITING


def test_anybodys_job_may_have_any_name(slurm: Path) -> None:
    (slurm / "squeue.txt").write_bytes(b"18|RUNNING|None|n1|caf\xe9\n" + SQUEUE.encode())
    answer = scheduler.query_jobs(ALL)
    assert answer.reached
    assert answer.states["17_0"].running


def test_when_it_ended(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    (slurm / "squeue.txt").write_text("")
    (slurm / "sacct").write_text(
        '#!/bin/sh\necho "17_3|TIMEOUT|0:0|n1|None|2026-01-02T03:04:05"; echo $TZ >&2\n'
    )
    assert scheduler.query_jobs(["17_3"]).states["17_3"].end == "2026-01-02T03:04:05.000000+00:00"
    assert scheduler.ENVIRONMENT["TZ"] == "UTC0"  # in which Slurm's programs say it
    assert scheduler.parse_time("Unknown") is None


@pytest.mark.parametrize(
    ("error", "broken"),
    [
        ("Slurm accounting storage is disabled", False),
        ("You are not running a supported accounting_storage plugin", False),
        ("sacct: error: Problem talking to the database: Connection refused", True),
    ],
)
def test_accounting_that_is_out_of_order_is_not_one_that_is_switched_off(
    error: str, broken: bool, slurm: Path
) -> None:
    (slurm / "squeue.txt").write_text("")
    (slurm / "sacct").write_text(f"#!/bin/sh\necho '{error}' >&2; exit 1\n")
    answer = scheduler.query_jobs(["17_3"])
    assert answer.accounting is False
    assert (answer.broken is not None) == broken


def test_nothing_follows_from_a_scheduler_that_does_not_answer(
    slurm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not scheduler.query_jobs(["17"]).reached
    assert "squeue" in capsys.readouterr().err


def test_no_slurm_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not scheduler.query_jobs(["17"]).reached
