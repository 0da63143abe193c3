"""From requests to jobs: what there is to do, as one array per resource shape, through submitit.

Submitting again is safe: what is done is skipped, what waits or runs is left alone, what was cancelled
goes on, what failed is tried again only when asked. Nothing waits for a job here.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import json_files, provenance
from bench.cluster import estimate, launches, local, site, snapshot, status
from bench.cluster.job import Job
from bench.cluster.launches import Launch
from bench.errors import UnavailableError, UserError, unknown
from bench.files import StorageError
from bench.request import Request, Specified, specify

CLUSTERS = ("slurm", "local", "debug")
SUBMIT, SKIP = "submit", "leave"


@dataclass(frozen=True)
class Step:
    """What happens with one request."""

    request: Request
    specified: Specified
    state: str
    """What the run is now: new, done, queued, running, failed, vanished or cancelled."""
    action: str
    why: str
    resources: Mapping[str, Any]
    because: str | None = None
    hours: float | None = None
    """Estimated device hours, from records of runs like it."""

    @property
    def run_id(self) -> str:
        return self.specified.spec.run_id

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "what": self.request.describe(),
            "state": self.state,
            "action": self.action,
            "why": self.why,
            "because": self.because,
            "hours": self.hours,
            "command": self.specified.command,
        }


@dataclass(frozen=True)
class Plan:
    """What a submission would do."""

    steps: list[Step] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """(request, message) of those that can be seen to be wrong now."""
    estimate: estimate.Estimate | None = None

    @property
    def todo(self) -> list[Step]:
        return [step for step in self.steps if step.action == SUBMIT]

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": [step.to_json() for step in self.steps],
            "wrong": [{"what": what, "error": message} for what, message in self.wrong],
            "submit": len(self.todo),
            "estimate": None if self.estimate is None else self.estimate.to_json(),
        }


def plan(
    requests: Sequence[Request],
    where: site.Site,
    retry_failed: bool = False,
    smaller: bool = True,
) -> Plan:
    """What ``submit`` would do with each request. Data and backbones are looked for; nothing is written.

    ``smaller``: a retry after out-of-memory cuts its micro-batches in two (``bench.settings.micro_split``).
    """
    found: dict[tuple[object, ...], Any] = {}
    specified: dict[str, tuple[Request, Specified]] = {}
    wrong: list[tuple[str, str]] = []
    for one in map(absolute, requests):
        try:
            needed = specify(one, found)
        except UserError as error:  # the others can still be submitted
            wrong.append((one.describe(), str(error)))
            continue
        specified.setdefault(needed.spec.run_id, (one, needed))
    runs = requests[0].common.runs if requests else Path("runs")
    rows = {row.run_id: row for row in status.collect(runs, only=set(specified)).rows}
    past = estimate.Past(runs)
    steps = []
    for run_id, (one, needed) in specified.items():
        row = rows.get(run_id)
        action, why = decide(row, retry_failed)
        because = None
        if action == SUBMIT and row is not None and smaller:
            if row.kind == "out-of-memory":
                one, because = with_less_memory(one, needed, row)
            elif row.settings:  # it needed smaller pieces before, and still does
                one = replace(one, common=replace(one.common, given={**row.settings, **one.common.given}))
                because = "cut as before: " + ", ".join(f"{k} {v}" for k, v in row.settings.items())
        resources = where.resources(describe(needed))
        state = "new" if row is None else row.state
        hours = past.hours(needed.spec) if action == SUBMIT else None
        steps.append(Step(one, needed, state, action, why, resources, because, hours))
    return Plan(steps, wrong, past.estimate([step.hours for step in steps if step.action == SUBMIT]))


def decide(row: status.Row | None, retry_failed: bool) -> tuple[str, str]:
    """Whether to submit a run in that state, and why (not)."""
    if row is None:
        return SUBMIT, "new"
    if row.state == "done":
        return SKIP, "done"
    if row.state in ("queued", "running"):
        return SKIP, f"{row.state} as {row.job}" if row.job else row.state
    if row.state in ("failed", "vanished"):
        why = f"{row.state} ({row.kind})" if row.kind else row.state
        return (SUBMIT, f"again: {why}") if retry_failed else (SKIP, f"{why}; --retry-failed tries again")
    if row.state == "unknown":
        return SKIP, "its scheduler does not answer"
    return SUBMIT, f"goes on: {row.state}"


def with_less_memory(one: Request, needed: Specified, row: status.Row) -> tuple[Request, str]:
    """The same run in smaller pieces: the same batch per update in twice as many micro-batches."""
    before = int(row.settings.get("micro_split", needed.spec["micro_split"]))
    cuts, batch = before * 2 * needed.spec["accumulation"], needed.spec["batch_size"]
    decode = max(1, int(row.settings.get("decode_batch", needed.spec["decode_batch"])) // 2)
    after = before if cuts > batch else before * 2  # not below one example at a time
    given = {**one.common.given, "micro_split": after, "decode_batch": decode}
    because = f"out of memory: micro_split {after}, decode_batch {decode}"
    return replace(one, common=replace(one.common, given=given)), because


def absolute(one: Request) -> Request:
    """The request as it holds in any working directory."""
    common = one.common
    model = common.model
    if model is not None and Path(model).is_dir():
        model = str(Path(model).resolve())
    folder = None if common.data_dir is None else common.data_dir.resolve()
    return replace(one, common=replace(common, model=model, data_dir=folder, runs=common.runs.resolve()))


def describe(needed: Specified) -> dict[str, Any]:
    spec = needed.spec
    return {
        "task": spec.task,
        "method": spec.method,
        "model": spec.model,
        "scale": spec.scale,
        "protocol": spec.protocol,
        "seed": spec.seed,
    }


def submit(planned: Plan, cluster: str, runs: Path, words: Sequence[str] | None = None) -> Launch | None:
    """Submit what the plan has to do, write the launch record and return it; None if there is nothing.

    The record is written before the first job is handed over and again with the jobs' numbers: a launch
    that is killed in between is found by the names of its arrays.
    """
    if cluster not in CLUSTERS:
        raise unknown("cluster", cluster, CLUSTERS)
    steps = planned.todo
    if not steps:
        return None
    check(cluster, steps)
    launch_id = launches.new_id()
    source = snapshot.take(runs)
    arrays, rows = arranged(steps, cluster, launch_id)
    content: dict[str, Any] = {
        "id": launch_id,
        "submitted": provenance.now(),
        "cluster": cluster,
        "command": provenance.without_names(shlex.join(["bench", *(words or sys.argv[1:])])),
        "snapshot": source,
        "host": os.uname().nodename,
        "runs": str(runs.resolve()),
        "arrays": arrays,
        "jobs": rows,
        "left_alone": [{"run_id": s.run_id, "why": s.why} for s in planned.steps if s.action != SUBMIT],
        "wrong": [{"what": what, "error": message} for what, message in planned.wrong],
        "state": "submitting",
    }
    launch = Launch(runs, content)
    launch.folder.mkdir(parents=True, exist_ok=True)
    launch.write()
    try:
        hand_over(launch, content, Path(source["path"]))
    except Exception as error:
        content["state"] = f"not submitted: {error}"
        launch.write()
        raise
    content["state"] = "submitted"
    launch.write()
    if cluster == "debug":
        run_here(launch)
    return launch


def check(cluster: str, steps: Sequence[Step]) -> None:
    """Refuse what the cluster cannot do, before anything is written."""
    try:
        import submitit  # noqa: F401 - asked only whether it is here
    except ImportError as error:
        raise UnavailableError(
            "bench submit needs the package submitit: pip install 'prefix-bench[cluster]'"
        ) from error
    if cluster == "slurm":
        import shutil

        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise UserError(
                "--cluster slurm: no sbatch and srun here; submit from a login node of the cluster, or "
                "--cluster local runs the same jobs as processes of this machine"
            )
        return
    for step in steps:
        if step.resources["nodes"] > 1:
            raise UserError(
                f"--nodes {step.resources['nodes']}: --cluster {cluster} has one node; give --nodes 1"
            )


def arranged(
    steps: Sequence[Step], cluster: str, launch_id: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Arrays of equal resources (cut at the site's largest size) and the jobs in their order."""
    by_shape: dict[str, list[Step]] = {}
    for step in steps:
        by_shape.setdefault(json_files.canonical_json(dict(step.resources)), []).append(step)
    arrays: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for same in by_shape.values():
        size = same[0].resources["max_array"] if cluster == "slurm" else len(same)
        pieces = [same[i : i + size] for i in range(0, len(same), size)]
        for piece in pieces:
            resources = dict(piece[0].resources)
            if resources["max_parallel"] and len(pieces) > 1:  # together no more than was asked for
                resources["max_parallel"] = max(1, resources["max_parallel"] // len(pieces))
            number = len(arrays)
            name = f"bench-{launch_id}-{number}"
            arrays.append({"name": name, "job": None, "count": len(piece), "resources": resources})
            rows += [row(step, number, index) for index, step in enumerate(piece)]
    for number, one in enumerate(rows):
        one["job"] = None if cluster == "slurm" else f"{cluster}-{launch_id}-{number}"
    return arrays, rows


def row(step: Step, array: int, index: int) -> dict[str, Any]:
    return {
        "run_id": step.run_id,
        **describe(step.specified),
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
        executor.update_parameters(**site.executor_parameters(resources, array["name"], source, "slurm"))
        if resources["max_parallel"]:
            executor.update_parameters(slurm_array_parallelism=resources["max_parallel"])
        try:
            with executor.batch():
                jobs = [executor.submit(job_of(one, launch)) for one in mine]
        except Exception as error:
            raise StorageError(f"Slurm did not take the array of {len(mine)}: {error}") from error
        for one, job in zip(mine, jobs, strict=True):
            one["job"] = job.job_id
        array["job"] = jobs[0].job_id.split("_")[0]
        launch.write()  # what was handed over is known even if the next array is refused


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
