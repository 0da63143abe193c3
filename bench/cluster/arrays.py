"""Jobs as a scheduler gets them: one array per set of resources, handed to submitit one after the other."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cluster import site
from bench.cluster.backends import local
from bench.cluster.backends import slurm as scheduler
from bench.cluster.job import Job
from bench.cluster.launches import Launch
from bench.system import json_files, provenance
from bench.system.files import StorageError

if TYPE_CHECKING:
    from bench.cluster.submit import Step


def arranged(
    steps: Sequence[Step], cluster: str, launch_id: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Arrays of equal resources (cut at the site's largest size) and the jobs in their order.

    Where ``max_parallel`` is given all arrays together keep to it: each has its part, or, where there are
    more arrays than that, begins when the one before has ended (``after``).
    """
    by_shape: dict[str, list[Step]] = {}
    for step in steps:
        by_shape.setdefault(json_files.canonical_json(dict(step.resources)), []).append(step)
    arrays: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    pieces = []
    for same in by_shape.values():
        size = same[0].resources["max_array"] if cluster == "slurm" else len(same)
        pieces += [same[i : i + size] for i in range(0, len(same), size)]
    for number, piece in enumerate(pieces):
        resources = dict(piece[0].resources)
        array = {"name": f"bench-{launch_id}-{number}", "job": None, "count": len(piece)}
        arrays.append(array | {"resources": resources})
        if (most := resources["max_parallel"]) and cluster == "slurm" and len(pieces) > 1:
            if most >= len(pieces):
                resources["max_parallel"] = most // len(pieces)
            elif number:
                arrays[-1]["after"] = number - 1
            arrays[-1]["max_parallel"] = most  # as it was asked for: what a retry goes by
        rows += [row(step, number, index) for index, step in enumerate(piece)]
    for number, one in enumerate(rows):
        one["job"] = None if cluster == "slurm" else f"{cluster}-{launch_id}-{number}"
    return arrays, rows


def row(step: Step, array: int, index: int) -> dict[str, Any]:
    return {
        "run_id": step.run_id,
        **step.kind,
        "what": step.request.describe(),
        "array": array,
        "index": index,
        "because": step.because,
        "command": provenance.without_names(step.specified.command),
        "request": step.request.to_json(),
    }


def job_of(one: Mapping[str, Any], launch: Launch) -> Job:
    """The callable for a row of the launch record."""
    return Job(
        run_id=one["run_id"],
        request=one["request"],
        launch=launch.id,
        runs=str(launch.runs.resolve()),
        command=one["command"],
        because=one["because"],
    )


def hand_over(launch: Launch, content: dict[str, Any], source: Path) -> None:
    """Give the jobs to submitit; their numbers go into ``content``."""
    from submitit import AutoExecutor

    if launch.cluster == "local":
        local.start(launch, source)
        return
    if launch.cluster == "debug":
        return
    for number, array in enumerate(content["arrays"]):
        resources = array["resources"]
        mine = [one for one in content["jobs"] if one["array"] == number]
        options: dict[str, Any] = {"slurm_max_num_timeout": resources["max_requeues"]}
        if resources["container"] or resources["python"]:
            python = shlex.quote(resources["python"] or sys.executable)
            options["slurm_python"] = f"{resources['container'] or ''} {python}".strip()
        executor = AutoExecutor(launch.folder, cluster="slurm", **options)
        told = site.executor_parameters(resources, array["name"], source, "slurm")
        if "after" in array:
            more = told["slurm_additional_parameters"]
            before = f"afterany:{content['arrays'][array['after']]['job']}"
            more["dependency"] = ",".join(filter(None, [more.get("dependency"), before]))
        executor.update_parameters(**told)
        if resources["max_parallel"]:
            executor.update_parameters(slurm_array_parallelism=resources["max_parallel"])
        try:
            with executor.batch():
                jobs = [executor.submit(job_of(one, launch)) for one in mine]
        except Exception as error:
            raise StorageError(
                f"Slurm did not take {array['name']}: {error}\n{taken(content)}. Correct the cause and issue the "
                "same command again: it submits what was not submitted, and nothing twice"
            ) from error
        for one, job in zip(mine, jobs, strict=True):
            one["job"] = job.job_id
        array["job"] = jobs[0].job_id.split("_")[0]
        launch.write()  # what was handed over is known even if the next array is refused


def taken(content: Mapping[str, Any]) -> str:
    """Which arrays of a launch the scheduler has, and which not."""
    given = [f"{one['count']} job(s) as {one['job']}" for one in content["arrays"] if one["job"]]
    rest = [f"{one['count']} job(s) of {one['name']}" for one in content["arrays"] if not one["job"]]
    return f"Submitted: {', '.join(given) or 'nothing'}. Not submitted: {', '.join(rest) or 'nothing'}"


def run_here(launch: Launch) -> None:
    """The jobs one after another in this process, through submitit's debug executor."""
    from submitit import AutoExecutor

    for one in launch.jobs:
        resources = launch.content["arrays"][one["array"]]["resources"]
        os.environ.update(resources["environment"] or {})
        executor = AutoExecutor(launch.folder, cluster="debug")
        job = executor.submit(job_of(one, launch))
        os.environ["SUBMITIT_DEBUG_JOB_ID"] = job.job_id  # by which the job knows where it is
        try:
            # Not result(): submitit's debug executor opens a debugger there.
            if (error := job.exception()) is not None:
                raise error
        finally:
            del os.environ["SUBMITIT_DEBUG_JOB_ID"]


def interrupted(launch: Launch, content: dict[str, Any], error: BaseException) -> None:
    """Keep what was handed over and what was not, so that the same command submits the rest."""
    if launch.cluster == "slurm" and not isinstance(error, Exception):
        names = {name: job for job, name in scheduler.ask(()).names.items()}
        for number, array in enumerate(content["arrays"]):  # Slurm may have taken what we did not see it take
            if array["job"] is None and array["name"] in names:
                array["job"] = names[array["name"]]
                for one in content["jobs"]:
                    if one["array"] == number:
                        index = "" if array["count"] == 1 else f"_{one['index']}"
                        one["job"] = f"{array['job']}{index}"
    told = str(error) or "interrupted"
    content["state"] = f"not submitted: {told}"
    with contextlib.suppress(StorageError):  # a full disk: that this process is gone is seen all the same
        launch.write()
    if launch.cluster == "slurm" and isinstance(error, KeyboardInterrupt):
        raise KeyboardInterrupt(taken(content)) from error
