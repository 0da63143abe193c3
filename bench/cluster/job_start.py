"""What the first lines of a job's process noted for what comes later (``bench.cluster.bootstrap``)."""

from __future__ import annotations

from bench.system.cpus import CpuShare, find_cpu_share

signals: list[int] = []
"""The signals that came while Python still imported, the first one first."""
cpus: CpuShare | None = None
"""The processors that the job was given; None in a process that ``bootstrap`` did not start."""


def get_cpus() -> CpuShare:
    """The processors of this process."""
    return cpus or find_cpu_share()
