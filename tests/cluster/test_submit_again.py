"""What never reached Slurm is submitted by the same command; what another command took is not. Slurm is made up."""

from __future__ import annotations

import multiprocessing
import shlex
from pathlib import Path
from typing import Any

import pytest

from bench.cluster import arrays, launches, site, snapshot, submit, submit_lock
from bench.cluster.backends import get_backend, local
from bench.cluster.backends import slurm as scheduler
from bench.cluster.launches import LaunchState
from bench.config.request import CommonOptions, RunRequest, expand_requests
from bench.errors import UserError
from bench.system.files import StorageError
from tests.cluster.conftest import Bench

SLURM = ["--cluster", "slurm", "--mem", "1"]
SBATCH = """#!/bin/sh
for last; do :; done
cat "$last" >> {folder}/scripts
number=$(($(cat {folder}/number) + 1))
[ -e {folder}/refuse ] && [ $number -ge $(cat {folder}/refuse) ] && echo 'invalid partition' >&2 && exit 1
echo $number > {folder}/number
echo "Submitted batch job $number"
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that take every job, number 101 and on; ``refuse``: the first number that is refused."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "number").write_text("100")
    programs = {"sbatch": SBATCH.format(folder=folder), "srun": "#!/bin/sh\n", "sacct": "#!/bin/sh\n"}
    programs["squeue"] = f"#!/bin/sh\ncat {folder}/queue 2>/dev/null; true\n"
    programs["scontrol"] = "#!/bin/sh\nexit 1\n"
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_what_slurm_refused_is_new_to_the_corrected_command(bench: Bench, slurm: Path) -> None:
    (slurm / "refuse").write_text("101")
    message = bench.submit(*SLURM, "--partition", "wrong", seed="1,2", code=1)
    assert "invalid partition" in message
    assert "Submitted: nothing. Not submitted: 2 job(s)" in message
    assert message.count("invalid partition") == 1
    assert len(message.strip().splitlines()) == 3
    assert {(row.state, row.kind) for row in bench.rows().values()} == {("failed", "not-submitted")}
    (slurm / "refuse").unlink()
    launch = bench.submit(*SLURM, "--partition", "right", seed="1,2")
    assert [job["job"] for job in launch["jobs"]] == ["101_0", "101_1"]
    assert launch["arrays"][0]["resources"]["partition"] == "right"


def test_what_slurm_refused_can_be_taken_back(bench: Bench, slurm: Path) -> None:
    (slurm / "refuse").write_text("101")
    for partition in ("wrong", "wrong too"):
        bench.submit(*SLURM, "--partition", partition, seed="1,2", code=1)
    refused = sorted(bench.rows())
    assert sorted(bench("cancel", refused[0])["cancelled"]) == refused[:1]
    assert sorted(bench.rows()) == refused[1:]
    assert bench("retry", "--kind", "not-submitted", "--dry-run")["submit"] == 1
    assert bench("cancel", "--launch", "latest")["cancelled"] == refused[1:]
    assert bench.rows() == {}
    assert not any((bench.runs / run_id).exists() for run_id in refused)
    (slurm / "refuse").unlink()
    assert len(bench.submit(*SLURM, seed="1,2")["jobs"]) == 2
    assert len(bench.rows()) == 2


def test_the_refused_part_of_a_launch_is_taken_back_alone(bench: Bench, slurm: Path, tmp_path: Path) -> None:
    (slurm / "refuse").write_text("102")
    file = tmp_path / "site.toml"
    file.write_text("max_array = 2\n")
    bench.submit(*SLURM, "--site", str(file), seed="1,2,3", code=1)
    (slurm / "queue").write_text("101_0|PENDING|None||x\n101_1|PENDING|None||x\n")
    assert len(bench("cancel", "--state", "failed")["cancelled"]) == 1
    assert {row.state for row in bench.rows().values()} == {"queued"}
    assert len(bench.rows()) == 2


def test_a_job_that_asks_for_what_there_is_not(
    bench: Bench, slurm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.cli import main

    bench.submit(*SLURM, seed="1")
    (slurm / "queue").write_text("101|PENDING|PartitionNodeLimit||x\n")
    [row] = bench.rows().values()
    assert row.state == "queued"
    assert row.message is not None
    assert "PartitionNodeLimit" in row.message
    [again] = bench.submit(*SLURM, seed="1")["runs"]
    assert "bench cancel" in again["why"]
    capsys.readouterr()
    main(["status", "--runs", str(bench.runs)])
    assert f"bench cancel {row.run_id}" in capsys.readouterr().out


def test_logs_of_odd_paths_in_slurms_patterns(bench: Bench, slurm: Path, tmp_path: Path) -> None:
    bench.runs = tmp_path / "100% %j:%A" / "it's"
    bench.submit(*SLURM, seed="1,2")
    script = (slurm / "scripts").read_text()
    folder = str(launches.find_launch(bench.runs, "latest").folder)
    escaped = folder.replace("%", "%%")
    [sbatch] = [line.removeprefix("#SBATCH ") for line in script.splitlines() if "--output=" in line]
    assert shlex.split(sbatch) == [f"--output={escaped}/%A_%a_0_log.out"]
    [srun] = [shlex.split(line) for line in script.splitlines() if line.startswith("srun ")]
    assert (
        srun[len(srun) - srun[::-1].index("--output")] == f"{escaped}/%A_%a_%t_log.out"
    )  # the last one counts
    assert "--job" in srun
    assert srun[srun.index("--folder") + 1] == folder
    assert {path.name for path in Path(folder).glob("*.pkl")} == {
        "101_0_submitted.pkl",
        "101_1_submitted.pkl",
    }


@pytest.mark.parametrize("name", ["back\\slash", "line\nbreak", "tab\there", "bell\x07"])
def test_paths_that_slurm_cannot_write_logs_to(name: str, bench: Bench, slurm: Path, tmp_path: Path) -> None:
    bench.runs = tmp_path / name / "runs"
    message = bench.submit(*SLURM, code=2)
    assert "Slurm writes no logs" in message or "--runs" in message
    assert not bench.runs.parent.exists()


def test_which_arrays_were_taken_is_said_and_the_rest_submitted_next(
    bench: Bench, slurm: Path, tmp_path: Path
) -> None:
    (slurm / "refuse").write_text("102")
    file = tmp_path / "site.toml"
    file.write_text("max_array = 2\n")
    message = bench.submit(*SLURM, "--site", str(file), seed="1,2,3", code=1)
    assert "Submitted: 2 job(s) as 101. Not submitted: 1 job(s) of bench-" in message
    (slurm / "queue").write_text("101_0|PENDING|None||x\n101_1|PENDING|None||x\n")
    (slurm / "refuse").unlink()
    launch = bench.submit(*SLURM, seed="1,2,3")
    assert [job["seed"] for job in launch["jobs"]] == [3]


@pytest.mark.parametrize("taken", [False, True])
def test_an_interrupt_while_slurm_is_asked(
    taken: bool, bench: Bench, slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm can have taken what the command did not see it take: it is found by its name."""

    def interrupted(backend: Any, launch: Any, source: Path) -> None:
        if taken:
            name = launch.document.arrays[0].name
            (slurm / "queue").write_text(f"77_0|PENDING|None||{name}\n77_1|PENDING|None||{name}\n")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scheduler.Slurm, "hand_over", interrupted)
        message = bench.submit(*SLURM, seed="1,2", code=1)
    launch = launches.find_launch(bench.runs, "latest")
    assert launch.document.status is LaunchState.NOT_SUBMITTED
    assert launch.document.state.startswith("not submitted")
    told = "Submitted: 2 job(s) as 77" if taken else "Submitted: nothing. Not submitted: 2 job(s)"
    assert told in message
    again = bench.submit(*SLURM, seed="1,2")
    assert len(again["jobs"]) == (0 if taken else 2)
    if taken:
        assert {run["why"] for run in again["runs"]} == {"queued as 77_0", "queued as 77_1"}


def test_a_full_disk_while_it_is_recorded(bench: Bench, slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(scheduler.Slurm, "hand_over", full)
        assert "the disk is full" in bench.submit(*SLURM, code=1)
    assert len(bench.submit(*SLURM)["jobs"]) == 1


def requests(bench: Bench, seeds: str = "1,2,3,4,5") -> list[RunRequest]:
    common = CommonOptions(model=str(bench.model), runs=bench.runs, given={"limit": 6})
    return expand_requests("prompt", "webnlg", seeds, common)


def test_runs_that_another_command_took_since_are_left(bench: Bench, slurm: Path) -> None:
    where = site.load_site(None, {"mem": 1})
    mine, other = (submit.plan_submission(requests(bench), where) for _ in range(2))
    few = submit.plan_submission(requests(bench, "1,2"), where)
    assert submit.submit_plan(few, "slurm", bench.runs, ["submit"]) is not None
    launch = submit.submit_plan(mine, "slurm", bench.runs, ["submit"])
    assert launch is not None
    assert [job.seed for job in launch.jobs] == [3, 4, 5]
    assert [step.action for step in mine.steps] == ["leave", "leave", "submit", "submit", "submit"]
    assert "another command" in mine.steps[0].why
    assert submit.submit_plan(other, "slurm", bench.runs, ["submit"]) is None
    assert len(launches.list_launch_ids(bench.runs)) == 2


def hold(runs: Path, inside: Any, leave: Any) -> None:
    with submit_lock.hold_submit_lock(runs):
        inside.set()
        leave.wait()


def test_only_one_submission_at_a_time_adds_its_launch(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    inside, leave = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, inside, leave))
    other.start()
    assert inside.wait(60)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="list of launches"):
        patch.setattr(submit_lock, "HOLDS", 0.2)
        with submit_lock.hold_submit_lock(tmp_path):
            pass
    leave.set()
    other.join()
    with submit_lock.hold_submit_lock(tmp_path):
        pass


@pytest.mark.parametrize(
    ("most", "shares", "after"), [(1, [1, 1, 1], [None, 0, 1]), (7, [2, 2, 2], [None] * 3)]
)
def test_all_arrays_together_keep_to_max_parallel(
    most: int, shares: list[int], after: list[int | None], bench: Bench, slurm: Path, tmp_path: Path
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(f"max_array = 2\nmax_parallel = {most}\n")
    launch = submit.submit_plan(
        submit.plan_submission(requests(bench), site.load_site(file)), "slurm", bench.runs, ["submit"]
    )
    assert launch is not None
    assert [array.count for array in launch.document.arrays] == [2, 2, 1]
    assert [array.resources["max_parallel"] for array in launch.document.arrays] == shares
    assert [array.after for array in launch.document.arrays] == after
    asked = [line for line in (slurm / "scripts").read_text().splitlines() if "--dependency" in line]
    wanted = [f"#SBATCH --dependency=afterany:{job}" for job in (101, 102)] if most == 1 else []
    assert asked == wanted


def test_arrays_of_different_shapes_share_too(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('max_parallel = 1\n[[shape]]\nmethod = "prompt"\nmem = 2\n')
    both = [*requests(bench, "1"), *expand_requests("ft-top2", "webnlg", "1", requests(bench)[0].common)]
    steps = submit.plan_submission(both, site.load_site(file)).todo
    arrangement = arrays.arrange_jobs(steps, get_backend("slurm"), "x")
    assert [array.after for array in arrangement.arrays] == [None, 0]


@pytest.mark.parametrize("runs", ["/proc/foo", "/sys/foo"])
def test_a_store_that_cannot_be_written_is_one_message(runs: str, bench: Bench, slurm: Path) -> None:
    other = Bench(Path(runs), bench.model, bench.capsys)
    message = other.submit(*SLURM, code=2)
    assert runs in message
    assert "--runs" in message
    assert "Traceback" not in message


def test_debug_is_one_process(bench: Bench) -> None:
    assert "--processes 2" in bench.submit("--cluster", "debug", "--processes", "2", code=2)


def test_a_dry_run_shows_shapes_and_refuses_an_unknown_cluster(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "did you mean 'slurm'" in bench.submit("--cluster", "slrm", "--dry-run", code=2)
    from bench.cli import main

    words = ["submit", "--method", "prompt", "--task", "webnlg", "--model", str(bench.model), "--seed", "1,2"]
    capsys.readouterr()
    assert main([*words, "--runs", str(bench.runs), "--mem", "3", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "2 job(s) with" in shown
    assert "mem=3" in shown
    assert "rough" in shown


def test_a_half_made_snapshot_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    import subprocess
    import sys

    place = tmp_path / "launches" / "snapshots"
    script = "import sys; from bench.system import files; from pathlib import Path\n"
    script += "(files.make_temporary_name(Path(sys.argv[1])) / 'bench').mkdir(parents=True)"
    subprocess.run([sys.executable, "-c", script, str(place / "hash")], check=True)
    assert len(list(place.iterdir())) == 1
    taken = snapshot.take_snapshot(tmp_path)
    assert [path.name for path in place.iterdir()] == [taken["snapshot"]]


def test_processes_that_run_beside_each_other_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    resources = site.load_site(None, {"processes": "2"}).values
    content = {"id": "x", "cluster": "local", "jobs": [], "arrays": [{"resources": resources}]}
    launch = launches.make_launch(Path(), content)
    cores = len(os.sched_getaffinity(0))
    for name in ("OMP_NUM_THREADS", "BENCH_CORES"):
        monkeypatch.setenv(name, "")  # put back afterwards
        monkeypatch.delenv(name)
    local.share_cores(launch, 1)
    assert os.environ["OMP_NUM_THREADS"] == os.environ["BENCH_CORES"] == str(max(1, cores // 2))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    local.share_cores(launch, 1)
    assert os.environ["OMP_NUM_THREADS"] == "7"
