"""Jobs as a scheduler gets them: one array per set of resources, in the order in which they are handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from bench.cluster.backends import Backend
from bench.cluster.launches import ArrayEntry, JobEntry
from bench.system import json_files, provenance

if TYPE_CHECKING:
    from bench.cluster.submit import SubmissionStep


class Arrangement(NamedTuple):
    """The arrays of a launch, and its jobs in their order."""

    arrays: list[ArrayEntry]
    jobs: list[JobEntry]


def arrange_jobs(steps: Sequence[SubmissionStep], backend: Backend, launch_id: str) -> Arrangement:
    """Arrays of equal resources (cut at the site's largest size) and the jobs in their order.

    Where ``max_parallel`` is given all arrays together keep to it: each has its part, or, where there are
    more arrays than that, begins when the one before has ended (``after``).
    """
    pieces = _split_by_resources(steps, backend)
    arrays: list[ArrayEntry] = []
    jobs: list[JobEntry] = []
    for number, piece in enumerate(pieces):
        resources = dict(piece[0].resources)
        array = ArrayEntry(
            name=f"bench-{launch_id}-{number}", job=None, count=len(piece), resources=resources
        )
        limit = resources["max_parallel"]
        if limit and backend.takes_arrays and len(pieces) > 1:
            if limit >= len(pieces):
                resources["max_parallel"] = limit // len(pieces)
            elif number:
                array.after = number - 1
            array.max_parallel = limit  # as it was asked for: what a retry goes by
            array.resources = resources
        arrays.append(array)
        jobs += [make_entry(step, number, index) for index, step in enumerate(piece)]
    if not backend.takes_arrays:
        for number, entry in enumerate(jobs):
            entry.job = f"{backend.name}-{launch_id}-{number}"
    return Arrangement(arrays, jobs)


def _split_by_resources(steps: Sequence[SubmissionStep], backend: Backend) -> list[Sequence[SubmissionStep]]:
    by_resources: dict[str, list[SubmissionStep]] = {}
    for step in steps:
        by_resources.setdefault(json_files.to_canonical_json(dict(step.resources)), []).append(step)
    pieces: list[Sequence[SubmissionStep]] = []
    for group in by_resources.values():
        size = group[0].resources["max_array"] if backend.takes_arrays else len(group)
        pieces += [group[start : start + size] for start in range(0, len(group), size)]
    return pieces


def make_entry(step: SubmissionStep, array: int, index: int) -> JobEntry:
    """The launch record's entry of a step's job, before it has a number."""
    return JobEntry.model_validate(
        {
            "run_id": step.run_id,
            **step.kind,
            "what": step.request.describe(),
            "array": array,
            "index": index,
            "because": step.because,
            "command": provenance.hide_names(step.specified.command),
            "request": step.request.to_json(),
            "job": None,
        }
    )
