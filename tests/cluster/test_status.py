"""What `bench status` makes of a scheduler that is slow, silent, half out of order or somebody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from least_record import least

from bench.cli import main
from bench.cluster import status, submit
from bench.cluster.launches import find_latest_jobs
from bench.cluster.rows import RunRow, RunState
from bench.store.store import Store
from bench.system import provenance
from tests.cluster.stand_in import Slurm, gone_process, launch, written_by

INTERRUPTED = {"kind": "interrupted", "message": "", "signal": "SIGTERM"}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", made.path)
    for program in ("squeue", "sacct", "scontrol"):
        made.says(program, "")
    return made


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def rows(runs: Path) -> dict[str, RunRow]:
    return {row.run_id: row for row in status.collect_status(runs).rows}


def records(runs: Path, run_id: str) -> list[dict[str, object]]:
    return Store(runs).run(run_id).records()


def shown(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main([*words]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


# --- silence


def test_a_run_that_waits_again_is_unknown_while_the_scheduler_is_silent(slurm: Slurm, runs: Path) -> None:
    launch(runs, {"a": "17_0"})
    job = {"launch": "20260101-a", "id": "17_0"}
    Store(runs).run("a").write_record(least("cancelled", error=INTERRUPTED, job=job))
    slurm.says("squeue", "17_0|PENDING|BeginTime||bench-20260101-a-0\n")
    assert rows(runs)["a"].state == "queued"
    slurm.fails("squeue")
    row = rows(runs)["a"]
    assert row.state == "unknown"
    assert submit.decide_action(row, retry_failed=True) == (
        submit.Action.SKIP,
        "its scheduler does not answer",
    )
    slurm.says("squeue", "")
    assert rows(runs)["a"].state == "cancelled"


def test_a_silent_slurm_says_nothing_about_what_was_cancelled_while_it_waited(
    slurm: Slurm, runs: Path
) -> None:
    launch(runs, {"a": "17_0"})
    slurm.says("sacct", "17_0|CANCELLED by 0|0:0||None|2026-01-01T10:00:00\n")
    assert rows(runs)["a"].state == "cancelled"
    slurm.fails("squeue")
    assert rows(runs)["a"].state == "cancelled"


def test_a_silent_slurm_says_nothing_about_runs_of_this_machine(slurm: Slurm, runs: Path) -> None:
    launch(runs, {"far": "17_0"})
    launch(runs, {"here": "local-b-0"}, "20260101-b", cluster="local")
    place = {"job": {"launch": "20260101-b", "id": "1"}, "error": INTERRUPTED}
    Store(runs).run("here").write_record(least("cancelled", **place))
    slurm.fails("squeue")
    found = status.collect_status(runs)
    assert not found.reached
    assert {row.run_id: row.state for row in found.rows} == {"far": "unknown", "here": "cancelled"}


def test_without_squeue_nothing_is_submitted_twice(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    launch(runs, {"a": "17_0"})
    place = {"job": {"launch": "20260101-a", "id": "17_0"}, "error": INTERRUPTED}
    Store(runs).run("a").write_record(least("cancelled", **place))
    assert submit.decide_action(rows(runs)["a"], retry_failed=True)[0] == submit.Action.SKIP


# --- being submitted


def test_what_is_being_submitted_is_left_alone(
    slurm: Slurm, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(runs, {"a": None, "b": None}, state="submitting")
    found = status.collect_status(runs)
    assert [row.state for row in found.rows] == ["submitting", "submitting"]
    assert found.open == 2
    assert found.group_failures() == []
    assert records(runs, "a") == records(runs, "b") == []
    assert submit.decide_action(found.rows[0], retry_failed=True) == (submit.Action.SKIP, "submitting")
    assert main(["cancel", "--all", "--runs", str(runs)]) == 1
    assert "left       a  is being submitted" in capsys.readouterr().out
    # A job that has ended before sbatch has: not ours to judge yet.
    slurm.says("squeue", "17_0|FAILED|NonZeroExitCode||bench-20260101-a-0\n")
    assert {row.state for row in rows(runs).values()} == {"submitting"}
    slurm.says("squeue", "17_0|RUNNING|None|n1|bench-20260101-a-0\n17_1|PENDING|None||bench-20260101-a-0\n")
    assert [(row.state, row.job) for row in rows(runs).values()] == [("running", "17_0"), ("queued", "17_1")]


def test_a_launch_of_this_machine_is_being_submitted_too(slurm: Slurm, runs: Path) -> None:
    made = launch(runs, {"a": "local-a-0"}, state="submitting", cluster="local")
    assert rows(runs)["a"].state == "submitting"
    written_by(made, pid=gone_process())
    assert (rows(runs)["a"].state, rows(runs)["a"].kind) == ("failed", "not-submitted")
    assert records(runs, "a") == []


def test_a_submission_that_died_left_runs_that_were_not_submitted(slurm: Slurm, runs: Path) -> None:
    made = launch(runs, {"a": None, "b": None}, state="submitting")
    written_by(made, pid=gone_process())
    assert {(row.state, row.kind) for row in rows(runs).values()} == {("failed", "not-submitted")}
    assert records(runs, "a") == []
    slurm.fails("squeue")  # it may have them
    assert {row.state for row in rows(runs).values()} == {"unknown"}
    slurm.says("squeue", "17_0|RUNNING|None|n1|bench-20260101-a-0\n")
    assert rows(runs)["a"].state == "running"


def test_from_another_machine_a_young_submission_is_taken_to_be_going_on(slurm: Slurm, runs: Path) -> None:
    made = launch(runs, {"a": None}, state="submitting", submitted=provenance.format_current_time())
    written_by(made, machine="another")
    assert rows(runs)["a"].state == "submitting"
    made = launch(runs, {"a": None}, state="submitting")  # begun long ago
    written_by(made, machine="another")
    assert rows(runs)["a"].kind == "not-submitted"


def test_what_slurm_refused_is_not_found_by_its_name(slurm: Slurm, runs: Path) -> None:
    """sbatch refuses, and the refused job is in squeue's list for some minutes, as failed."""
    launch(runs, {"a": None}, state="not submitted: Memory specification can not be satisfied")
    slurm.says("squeue", "17|FAILED|BadConstraints||bench-20260101-a-0\n")
    row = rows(runs)["a"]
    assert (row.state, row.kind, row.job) == ("failed", "not-submitted", None)
    assert "Memory specification" in str(row.message)
    assert records(runs, "a") == []


def test_what_helps_with_runs_that_were_not_submitted(
    slurm: Slurm, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(runs, {"a": None}, state="not submitted: no such partition")
    out = shown(capsys, "status", "--runs", str(runs))
    assert "no such partition" in out
    assert "the same bench submit again | bench retry --kind not-submitted" in out
    assert "bench logs" not in out
    err = shown(capsys, "logs", "a", "--runs", str(runs), code=2)
    assert "no such partition" in err
    assert "bench retry a" in err


# --- records of dead jobs


def test_every_dead_job_of_a_launch_gets_its_record(slurm: Slurm, runs: Path) -> None:
    """Also jobs without a number: of a launch that was killed before it noted them, and that failed."""
    made = launch(runs, {"a": None, "b": None}, state="submitting")
    written_by(made, pid=gone_process())
    for row in status.collect_status(runs).rows:
        row.state, row.kind, row.job = RunState.FAILED, "killed", None
        status.write_end(row, find_latest_jobs(runs)[row.run_id], Store(runs).run(row.run_id))
    assert len(records(runs, "a")) == len(records(runs, "b")) == 1


def test_a_record_has_the_jobs_end_and_source(slurm: Slurm, runs: Path) -> None:
    launch(runs, {"a": "17_0"})
    slurm.says("sacct", "17_0|TIMEOUT|0:0|n1|None|2026-01-02T03:04:05\n")
    row = rows(runs)["a"]
    assert (row.kind, row.attempts) == ("time-out", 1)  # seen for the first time, and counted
    [record] = records(runs, "a")
    assert record["ended"] == "2026-01-02T03:04:05.000000+00:00"
    assert record["code"] == {"commit": "c" * 40, "snapshot": "5" * 16}
    assert rows(runs)["a"] == row


@pytest.mark.parametrize("code", [10, 12, 15])
def test_a_signal_from_outside_is_no_error_of_ours(code: int, slurm: Slurm, runs: Path) -> None:
    launch(runs, {"a": "17_0"})
    slurm.says("sacct", f"17_0|FAILED|{code}:0|n1|NonZeroExitCode|Unknown\n")
    assert (rows(runs)["a"].state, rows(runs)["a"].kind) == ("failed", "killed")


# --- accounting


def test_no_verdict_while_the_accounting_is_out_of_order(
    slurm: Slurm, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(runs, {"a": "17_0"})
    slurm.fails("sacct", "Problem talking to the database: Connection refused")
    assert rows(runs)["a"].state == "unknown"
    assert records(runs, "a") == []
    out = shown(capsys, "status", "--runs", str(runs))
    assert "accounting does not answer" in out
    assert "Connection refused" in out
    slurm.says("sacct", "17_0|OUT_OF_MEMORY|0:125|n1|None|Unknown\n")
    assert rows(runs)["a"].kind == "out-of-memory"


def test_where_accounting_is_switched_off_a_job_that_nobody_knows_has_vanished(
    slurm: Slurm, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(runs, {"a": "17_0"})
    slurm.fails("sacct", "Slurm accounting storage is disabled")
    assert "accounting" not in shown(capsys, "status", "--runs", str(runs))
    assert rows(runs)["a"].state == "vanished"
    assert len(records(runs, "a")) == 1


def test_the_waiting_jobs_of_somebody_else(slurm: Slurm, runs: Path) -> None:
    """squeue need not show them; accounting has them in one line."""
    launch(runs, {"a": "128_0", "b": "128_1", "c": "128_2"})
    slurm.says("sacct", "128_[0-2%1]|PENDING|0:0|None assigned|None|Unknown\n")
    assert {row.state for row in rows(runs).values()} == {"queued"}
    assert records(runs, "a") == []


# --- how far it is, what came of it, and what to type


def test_a_run_that_is_done_shows_its_time_and_its_score(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"all": {"meteor": {"value": 0.4}, "bleu": {"value": 50.061}}}
    Store(runs).run("a").write_record(least("done", scores=scores, seconds={"attempt": 440.2}))
    row = rows(runs)["a"]
    assert row.score == ("bleu", 50.061)
    assert row.elapsed_seconds == 440.2
    table = shown(capsys, "status", "--runs", str(runs))
    assert "7 min 20 s" in table
    assert "BLEU 50.06" in table
    [document] = json.loads(shown(capsys, "status", "--runs", str(runs), "--json"))["runs"]
    assert document["score"] == {"metric": "bleu", "value": 50.061}
    assert (document["elapsed_seconds"], document["progress"], document["advice"]) == (440.2, None, None)


def test_a_run_under_way_shows_how_far_it_is(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Store(runs).run("a")
    with folder.claim(beat_every=None):
        folder.note_progress("training", 120, 1000)
        row = rows(runs)["a"]
        assert (row.state, row.progress) == ("running", ("training", 120, 1000))
        assert row.elapsed_seconds is not None
        assert "training 120/1000" in shown(capsys, "status", "--runs", str(runs))
        [document] = json.loads(shown(capsys, "status", "--runs", str(runs), "--json"))["runs"]
        assert document["progress"] == {"stage": "training", "done": 120, "total": 1000}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"stage": 1, "done": 2, "total": 3}',
        '{"stage": "a", "done": true, "total": 3}',
    ],
)
def test_a_damaged_note_of_progress_is_none(text: str, runs: Path) -> None:
    folder = Store(runs).run("a")
    with folder.claim(beat_every=None):
        folder.progress.write_text(text)
        assert rows(runs)["a"].progress is None


def write_diverged(runs: Path, slurm: Slurm, lr: float = 0.5) -> None:
    launch(runs, {"a": "17_0"})
    error = {"kind": "diverged", "message": "the loss became nan at update 3; try a lower --lr than 0.5"}
    settings = {"lr": {"value": lr, "origin": "command line"}}
    command = f"bench run --method prefix --task webnlg --lr {lr} --seed 1"
    job = {"launch": "20260101-a", "id": "17_0"}
    Store(runs).run("a").write_record(
        least("failed", error=error, settings=settings, command=command, job=job)
    )
    slurm.says("sacct", "17_0|FAILED|75:0|n1|None|Unknown\n")


def test_what_diverged_is_to_have_another_learning_rate(
    runs: Path, slurm: Slurm, capsys: pytest.CaptureFixture[str]
) -> None:
    write_diverged(runs, slurm)
    row = rows(runs)["a"]
    better = "bench submit --method prefix --task webnlg --seed 1 --cluster slurm --lr 0.25"
    assert (row.kind, row.advice) == ("diverged", better)
    text = shown(capsys, "status", "--runs", str(runs))
    assert better in text
    assert "bench retry" not in text
    assert better in shown(capsys, "retry", "--kind", "diverged", "--runs", str(runs))
    for retry_failed in (False, True):
        decision = submit.decide_action(row, retry_failed)
        assert decision.action == "leave"
        assert better in decision.why
