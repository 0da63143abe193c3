"""How many processors this process was given: by a scheduler, by whoever started it beside others, by the system.

More threads than that do not compute faster: seven jobs of one processor each with two threads that spin took
thirteen times as long. Nothing here imports torch, which reads its number of threads when it is loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

CGROUPS = Path("/sys/fs/cgroup")
SHARE_OF_CORES = "BENCH_CORES"
"""Environment variable beside an equal OMP_NUM_THREADS: that is a job's share of the cores, and no wish of a user."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""How many threads the libraries of torch and numpy start; the latter two follow the first where they are not set."""


class CpuSource(StrEnum):
    """Who says how many processors a process has."""

    SLURM_TASK = "SLURM_CPUS_PER_TASK"
    SLURM_NODE = "SLURM_CPUS_ON_NODE"
    SHARE = "share of the machine"
    """Of jobs that run beside each other on it (``bench submit --cluster local``)."""
    QUOTA = "cgroup quota"
    AFFINITY = "affinity"


class CpuShare(NamedTuple):
    """So many processors, and who says so."""

    number: int
    source: CpuSource

    def to_text(self) -> str:
        """``2 (SLURM_CPUS_PER_TASK)``."""
        return f"{self.number} ({self.source})"


def find_cpu_share(share: int | None = None, environment: Mapping[str, str] = os.environ) -> CpuShare:
    """The processors of this process: the least that anybody gives it; of equal ones the first of ``CpuSource``.

    ``share``: what whoever started it beside others left to it.
    """
    limits = [_read_slurm_share(environment)]
    limits += [CpuShare(max(1, share), CpuSource.SHARE)] if share is not None else []
    if (quota := read_cgroup_quota()) is not None:
        limits.append(CpuShare(quota, CpuSource.QUOTA))
    limits.append(CpuShare(count_affinity(), CpuSource.AFFINITY))
    return min((limit for limit in limits if limit is not None), key=lambda limit: limit.number)


def limit_threads(share: int | None = None, environment: MutableMapping[str, str] | None = None) -> CpuShare:
    """Let the libraries that torch loads start no more threads than this process was given; what that is.

    Fewer that the user chose stay. To be called before torch and numpy are loaded.
    """
    variables = os.environ if environment is None else environment
    given = find_cpu_share(share, variables)
    if variables.get("OMP_NUM_THREADS") == variables.get(SHARE_OF_CORES):  # of another process: inherited
        for name in ("OMP_NUM_THREADS", SHARE_OF_CORES):
            variables.pop(name, None)
    chosen = _parse_count(variables.get("OMP_NUM_THREADS"))
    by_itself = chosen is None and given.source is CpuSource.AFFINITY  # which OpenMP keeps to
    if not by_itself and (chosen is None or chosen > given.number):
        variables.update({"OMP_NUM_THREADS": str(given.number), SHARE_OF_CORES: str(given.number)})
        variables.setdefault("RAYON_NUM_THREADS", str(given.number))  # of tokenizers
    for name in THREAD_VARIABLES:
        if (number := _parse_count(variables.get(name))) is not None and number > given.number:
            variables[name] = str(given.number)
    return given


def keep_to_allotted_processors() -> None:
    """``limit_threads`` for what is started by hand: by what the user set only inside a scheduler's job."""
    if "SLURM_JOB_ID" in os.environ or "OMP_NUM_THREADS" not in os.environ:
        limit_threads()


def count_affinity() -> int:
    """Processors that the system lets this process run on."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def read_cgroup_quota(root: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """Whole processors of the time that this process's control groups have; None where nothing limits it."""
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, _, entry = line.partition(":")
        controllers, _, name = entry.partition(":")
        if not controllers:
            quotas += _read_quotas(root, name, _read_cpu_max)
        elif "cpu" in controllers.split(","):
            quotas += _read_quotas(root / controllers, name, _read_cfs_quota)
            quotas += _read_quotas(root / "cpu", name, _read_cfs_quota)
    return max(1, int(min(quotas))) if quotas else None


def _read_quotas(root: Path, name: str, read: Callable[[Path], float | None]) -> list[float]:
    """Those of a group and of all around it; in a container its own group is the root of what can be seen."""
    quotas = []
    folder = root / name.strip().lstrip("/")
    for group in [folder, *folder.parents]:
        if group == root or root in group.parents:
            quotas.append(read(group))
    return [quota for quota in quotas if quota is not None and quota > 0]


def _read_cpu_max(group: Path) -> float | None:
    """``cpu.max`` (cgroup v2): ``max 100000`` or ``150000 100000``."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_cfs_quota(group: Path) -> float | None:
    """``cpu.cfs_quota_us`` (cgroup v1): -1 is no limit."""
    try:
        quota, period = (int((group / f"cpu.cfs_{part}_us").read_text()) for part in ("quota", "period"))
        return quota / period
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_slurm_share(environment: Mapping[str, str]) -> CpuShare | None:
    """What Slurm gives each process; an inherited SLURM_CPUS_PER_TASK gives no more than the node's processors."""
    per_task = _parse_count(environment.get("SLURM_CPUS_PER_TASK"))
    on_node = _parse_count(environment.get("SLURM_CPUS_ON_NODE"))
    if per_task is not None and (on_node is None or per_task <= on_node):
        return CpuShare(per_task, CpuSource.SLURM_TASK)
    if on_node is None:
        return None
    return CpuShare(max(1, on_node // count_slurm_tasks(environment)), CpuSource.SLURM_NODE)


def count_slurm_tasks(environment: Mapping[str, str] = os.environ) -> int:
    """Processes of a Slurm job on this node: ``2(x3),1`` of SLURM_TASKS_PER_NODE is 2, 2, 2 and 1."""
    for name in ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_NTASKS_PER_NODE"):
        tasks: list[int] = []
        for part in environment.get(name, "").split(","):
            if match := re.fullmatch(r"(\d{1,9})(?:\(x(\d{1,6})\))?", part.strip()):
                tasks += [int(match[1])] * int(match[2] or 1)
        node = _parse_count(environment.get("SLURM_NODEID"), 0)
        if tasks:
            return max(1, tasks[node] if node is not None and node < len(tasks) else max(tasks))
    return 1


def _parse_count(text: str | None, minimum: int = 1) -> int | None:
    """A whole number from ``minimum`` on; None for anything else, as libraries ignore it too."""
    if text is None or not re.fullmatch(r"\s*\d{1,9}\s*", text, re.ASCII):
        return None
    return number if (number := int(text)) >= minimum else None
