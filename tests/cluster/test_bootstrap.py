"""The first lines of a job: the snapshot and nothing else, few threads, and no signal that is too early."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from waiting import PATIENCE, ROOT

from bench.cluster import site
from bench.cluster.plain_folder import open_plain_folder

ODD_NAMES = (
    "run_14:15",
    "a b",
    "line\nbreak",
    "it's",
    'say "so"',
    "100%",
    "%j_%t %A %a",
    "$(id)",
    "`id`",
    "día",
    "-dash",
    "back\\slash",
    ":",
    "a:b:c",
)


def make_source(root: Path) -> Path:
    """A source tree with the real first lines of a job, and a module that says what it sees."""
    for name in ("bench/cluster", "bench/system"):
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").write_text("")
    (root / "bench" / "__init__.py").write_text("WHICH = 'snapshot'\n")
    for name in ("cluster/bootstrap.py", "cluster/job_start.py", "cluster/plain_folder.py", "system/cpus.py"):
        shutil.copy(ROOT / "bench" / name, root / "bench" / name)
    (root / "bench" / "probe.py").write_text(
        textwrap.dedent("""\
            import json, os, sys
            import bench
            from bench.cluster import job_start
            threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "BENCH_CORES")}
            print(json.dumps([bench.WHICH, bench.__file__, sys.argv[1:], threads, job_start.signals]))
        """)
    )
    return root


def run(source: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``bench.probe`` of ``source`` with the checkout of these tests first in PYTHONPATH."""
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "OMP_", "BENCH_"))
    }
    command = site.make_bootstrap_command(sys.executable, source, *words)
    return subprocess.run(
        [*command, "-u", "-m", "bench.probe", "last"],
        env={**plain, "PYTHONPATH": str(ROOT), **site.make_source_environment(source), **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_snapshot_is_imported_whatever_its_path(name: str, tmp_path: Path) -> None:
    source = make_source(tmp_path / name / "launches" / "snapshots" / "5f")
    done = run(source, "--job")
    assert done.returncode == 0, done.stderr
    which, file, words, _, signals = json.loads(done.stdout)
    assert (which, words, signals) == ("snapshot", ["last"], [])
    assert Path(file).is_relative_to(source)
    assert "bench" not in done.stderr


def test_another_bench_that_comes_first_is_no_job(tmp_path: Path) -> None:
    """A hook that answers before the path is asked, as an editable installation can have one."""
    source = make_source(tmp_path / "snapshot")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r}); import bench\n")
    done = run(source, "--job", PYTHONPATH=str(hooks))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "bench: failed [error]" in done.stderr
    assert "nothing was run" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "variables", "threads"),
    [
        ([], {"SLURM_CPUS_PER_TASK": "1"}, "1"),
        ([], {"SLURM_CPUS_ON_NODE": "1"}, "1"),
        ([], {"SLURM_CPUS_ON_NODE": "1", "OMP_NUM_THREADS": "64"}, "1"),
        (["--cores", "1"], {}, "1"),
        ([], {"OMP_NUM_THREADS": "1"}, "1"),
    ],
)
def test_threads_are_limited_before_anything_is_loaded(
    words: list[str], variables: dict[str, str], threads: str, tmp_path: Path
) -> None:
    done = run(make_source(tmp_path / "snapshot"), "--job", *words, **variables)
    assert json.loads(done.stdout)[3]["OMP_NUM_THREADS"] == threads


def test_a_signal_while_python_imports_is_noted(tmp_path: Path) -> None:
    source = make_source(tmp_path / "snapshot")
    begun = tmp_path / "begun"
    (source / "bench" / "__init__.py").write_text(
        f"WHICH = 'slow'\nimport time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(1)\n"
    )
    process = subprocess.Popen(
        [*site.make_bootstrap_command(sys.executable, source, "--job"), "-u", "-m", "bench.probe"],
        stdout=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + PATIENCE
    while not begun.exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR2)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert json.loads(output)[4] == [signal.SIGUSR2]


@pytest.mark.parametrize("name", ["plain", "100%", "%j"])
def test_submitit_gets_a_path_that_it_can_read(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with open_plain_folder(folder) as plain:
        assert plain.resolve() == folder.resolve()
        assert "%" not in plain.name
        (plain / "made").touch()
        kept = plain
    assert (folder / "made").exists()
    assert kept.exists() == (name == "plain")


def test_the_folder_of_a_job_replaces_the_link_of_another_machine(tmp_path: Path) -> None:
    folder = tmp_path / "%j"
    folder.mkdir()
    done = run(make_source(tmp_path / "snapshot"), "--job", "--folder", str(folder))
    [word] = json.loads(done.stdout)[2]
    assert "%" not in word
