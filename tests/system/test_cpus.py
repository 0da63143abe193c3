"""How many processors a process was given, and that libraries start no more threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.system import cpus
from bench.system.cpus import CpuShare, CpuSource


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with eight processors and no quota."""
    monkeypatch.setattr(cpus, "count_affinity", lambda: 8)
    monkeypatch.setattr(cpus, "read_cgroup_quota", lambda: None)


@pytest.mark.parametrize(
    ("variables", "share", "expected"),
    [
        ({}, None, (8, CpuSource.AFFINITY)),
        ({}, 3, (3, CpuSource.SHARE)),
        ({"SLURM_CPUS_PER_TASK": "2"}, None, (2, CpuSource.SLURM_TASK)),
        ({"SLURM_CPUS_PER_TASK": "2", "SLURM_CPUS_ON_NODE": "4"}, None, (2, CpuSource.SLURM_TASK)),
        ({"SLURM_CPUS_PER_TASK": "6", "SLURM_CPUS_ON_NODE": "1"}, None, (1, CpuSource.SLURM_NODE)),  # inherited
        ({"SLURM_CPUS_ON_NODE": "1"}, None, (1, CpuSource.SLURM_NODE)),
        ({"SLURM_CPUS_ON_NODE": "6", "SLURM_TASKS_PER_NODE": "3"}, None, (2, CpuSource.SLURM_NODE)),
        ({"SLURM_CPUS_ON_NODE": "6", "SLURM_TASKS_PER_NODE": "2(x2),6", "SLURM_NODEID": "2"}, None,
            (1, CpuSource.SLURM_NODE)),
        ({"SLURM_CPUS_ON_NODE": "6", "SLURM_TASKS_PER_NODE": "2(x2),6", "SLURM_NODEID": "0"}, None,
            (3, CpuSource.SLURM_NODE)),
        ({"SLURM_CPUS_ON_NODE": "6", "SLURM_TASKS_PER_NODE": "nonsense", "SLURM_NTASKS_PER_NODE": "6"}, None,
            (1, CpuSource.SLURM_NODE)),
        ({"SLURM_CPUS_ON_NODE": "1", "SLURM_TASKS_PER_NODE": "4"}, None, (1, CpuSource.SLURM_NODE)),
        ({"SLURM_CPUS_PER_TASK": "64"}, None, (8, CpuSource.AFFINITY)),  # a node that claims more than it has
        ({"SLURM_CPUS_PER_TASK": "4"}, 2, (2, CpuSource.SHARE)),
        *(({"SLURM_CPUS_PER_TASK": text, "SLURM_CPUS_ON_NODE": text}, None, (8, CpuSource.AFFINITY))
          for text in ("", "0", "-1", "x", "1.5", "9" * 5000, "²", "1\x00")),
    ],
)  # fmt: skip
def test_the_least_that_anybody_gives(
    variables: dict[str, str], share: int | None, expected: tuple[int, CpuSource]
) -> None:
    assert cpus.find_cpu_share(share, variables) == expected


@pytest.mark.parametrize(
    ("variables", "share", "expected"),
    [
        ({}, None, {}),  # OpenMP keeps to the affinity by itself
        ({"OMP_NUM_THREADS": "4"}, None, {"OMP_NUM_THREADS": "4"}),
        ({"OMP_NUM_THREADS": "64"}, None, {"OMP_NUM_THREADS": "8", "BENCH_CORES": "8"}),
        ({"SLURM_CPUS_PER_TASK": "2"}, None, {"OMP_NUM_THREADS": "2", "BENCH_CORES": "2"}),
        ({"SLURM_CPUS_ON_NODE": "1", "OMP_NUM_THREADS": "8"}, None, {"OMP_NUM_THREADS": "1", "BENCH_CORES": "1"}),
        ({"SLURM_CPUS_PER_TASK": "2", "OMP_NUM_THREADS": "1"}, None, {"OMP_NUM_THREADS": "1"}),
        ({"OMP_NUM_THREADS": "none"}, 2, {"OMP_NUM_THREADS": "2", "BENCH_CORES": "2"}),
        ({"MKL_NUM_THREADS": "8", "OPENBLAS_NUM_THREADS": "1"}, 2,
            {"OMP_NUM_THREADS": "2", "BENCH_CORES": "2", "MKL_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}),
        # What another process was given is no wish of the user's.
        ({"OMP_NUM_THREADS": "1", "BENCH_CORES": "1"}, 4, {"OMP_NUM_THREADS": "4", "BENCH_CORES": "4"}),
        ({"OMP_NUM_THREADS": "1", "BENCH_CORES": "1"}, None, {}),
    ],
)  # fmt: skip
def test_libraries_start_no_more_threads(
    variables: dict[str, str], share: int | None, expected: dict[str, str]
) -> None:
    environment = dict(variables)
    cpus.limit_threads(share, environment)
    changed = {
        name: value for name, value in environment.items() if not name.startswith(("SLURM_", "RAYON_"))
    }
    assert changed == expected


def test_the_quota_of_control_groups(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("0::/slice/job\n")
    group = tmp_path / "fs" / "slice" / "job"
    group.mkdir(parents=True)
    read = read_quota(tmp_path, membership)
    assert read() is None
    (group / "cpu.max").write_text("max 100000\n")
    assert read() is None
    (group.parent / "cpu.max").write_text("250000 100000\n")  # two and a half: no more than two
    assert read() == 2
    (group / "cpu.max").write_text("50000 100000\n")
    assert read() == 1
    (group / "cpu.max").write_text("garbage\n")
    (group.parent / "cpu.max").write_text("1 0\n")
    assert read() is None


def test_the_quota_of_the_first_kind_of_control_groups(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("4:cpu,cpuacct:/docker/a\n3:memory:/x\nnonsense\n")
    group = tmp_path / "fs" / "cpu,cpuacct" / "docker" / "a"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text("-1")
    (group / "cpu.cfs_period_us").write_text("100000")
    assert read_quota(tmp_path, membership)() is None
    (group / "cpu.cfs_quota_us").write_text("300000")
    assert read_quota(tmp_path, membership)() == 3
    assert read_quota(tmp_path, tmp_path / "none")() is None


def read_quota(folder: Path, membership: Path) -> Callable[[], int | None]:
    return lambda: READ_CGROUP_QUOTA(folder / "fs", membership)


READ_CGROUP_QUOTA = cpus.read_cgroup_quota


def test_a_share_reads_well() -> None:
    assert CpuShare(2, CpuSource.SLURM_TASK).to_text() == "2 (SLURM_CPUS_PER_TASK)"
