"""Several commands that submit at once: no run is submitted twice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Container, Iterator
from pathlib import Path

from bench.cluster import launches, snapshot
from bench.cluster.launches import LaunchState
from bench.errors import DataError
from bench.store import lease
from bench.store.store import LAUNCHES

HOLDS = 20.0
"""Seconds after which a submission of another machine that gave no sign no longer holds others up."""


@contextlib.contextmanager
def hold_submit_lock(runs: Path) -> Iterator[None]:
    """One submission at a time reads what was submitted and adds its own, or two would take the same runs."""
    folder = runs / LAUNCHES / "submitting"
    snapshot.make_store_directory(folder)
    until = time.monotonic() + 3 * HOLDS
    while True:
        try:
            held = lease.Lease.take(folder, f"the list of launches in {runs}", HOLDS)
            break
        except lease.LeaseHeldError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    try:
        yield
    finally:
        held.release()


def find_taken_runs(runs: Path, seen: Container[str]) -> dict[str, str]:
    """Run -> launch, of the runs in launches that are not among those ``seen`` before."""
    taken: dict[str, str] = {}
    for launch_id in launches.list_launch_ids(runs):
        if launch_id in seen:
            continue
        with contextlib.suppress(DataError):  # damaged, and said so by whatever lists launches
            launch = launches.read_launch(runs, launch_id)
            refused = launch.document.status is LaunchState.NOT_SUBMITTED
            numbered = launch.backend.takes_arrays
            for entry in launch.jobs:
                if not refused or (numbered and entry.job):
                    taken[entry.run_id] = launch_id
    return taken
