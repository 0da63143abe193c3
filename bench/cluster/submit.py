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

from bench.cluster import budget, launches, site, snapshot, status, submit_lock
from bench.cluster.arrays import arranged, hand_over, interrupted, run_here
from bench.cluster.launches import Launch
from bench.config.request import Resolver, RunRequest, SpecifiedRun
from bench.errors import UnavailableError, UnknownNameError, UserError
from bench.system import provenance

CLUSTERS = ("slurm", "local", "debug")
SUBMIT, SKIP = "submit", "leave"


@dataclass(frozen=True)
class Step:
    """What happens with one request."""

    request: RunRequest
    specified: SpecifiedRun
    state: str
    """What the run is now: new, done, queued, running, failed, vanished or cancelled."""
    action: str
    why: str
    resources: Mapping[str, Any]
    because: str | None = None
    cost: budget.Cost | None = None
    """Estimated device hours, and where that is from."""

    @property
    def run_id(self) -> str:
        return self.specified.spec.run_id

    @property
    def kind(self) -> dict[str, Any]:
        return describe(self.specified)

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "what": self.request.describe(),
            "state": self.state,
            "action": self.action,
            "why": self.why,
            "because": self.because,
            "hours": None if self.cost is None else self.cost.hours,
            "basis": None if self.cost is None else self.cost.basis,
            "command": self.specified.command,
        }


@dataclass(frozen=True)
class Plan:
    """What a submission would do."""

    steps: list[Step] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """(request, message) of those that can be seen to be wrong now."""
    missing: list[tuple[str, str]] = field(default_factory=list)
    """(request, message) of those whose data or weights were only looked for, and are not here."""
    seen: frozenset[str] = frozenset()
    """The launches that were there when the runs' states were read."""
    estimate: budget.Estimate | None = None

    @property
    def todo(self) -> list[Step]:
        return [step for step in self.steps if step.action == SUBMIT]

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": [step.to_json() for step in self.steps],
            "wrong": [{"what": what, "error": message} for what, message in self.wrong],
            "missing": [{"what": what, "error": message} for what, message in self.missing],
            "submit": len(self.todo),
            "estimate": None if self.estimate is None else self.estimate.to_json(),
        }


def plan(
    requests: Sequence[RunRequest],
    where: site.Site,
    retry_failed: bool = False,
    smaller: bool = True,
    before: Sequence[Mapping[str, Any]] = (),
    fetch: bool = True,
) -> Plan:
    """What ``submit`` would do with each request. Data and backbones are looked for; nothing is written.

    ``smaller``: a retry after out-of-memory cuts its micro-batches in two (``bench.config.settings.micro_split``).
    ``before``: the resources that each request had, which it has again. ``fetch``: download what is missing;
    without, such runs are told apart, and cost something all the same.
    """
    resolver = Resolver()
    specified: dict[str, tuple[RunRequest, SpecifiedRun]] = {}
    had: dict[str, Mapping[str, Any]] = {}
    wrong: list[tuple[str, str]] = []
    missing: list[tuple[str, str]] = []
    absent = []
    for number, one in enumerate(map(absolute, requests)):
        look = one if fetch else replace(one, common=replace(one.common, offline=True))
        try:
            needed = resolver.specify(look)
        except UserError as error:  # the others can still be submitted
            lacks = not fetch and isinstance(error, UnavailableError)
            (missing if lacks else wrong).append((one.describe(), str(error)))
            absent += [one] if lacks else []
            continue
        specified.setdefault(needed.spec.run_id, (one, needed))
        had[needed.spec.run_id] = before[number] if before else {}
    seen = frozenset(launches.ids(requests[0].common.runs)) if requests else frozenset()
    runs = requests[0].common.runs if requests else Path("runs")
    rows = {row.run_id: row for row in status.collect(runs, only=set(specified)).rows}
    past = budget.Past(runs)
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
        resources = where.resources_again(describe(needed), had[run_id])
        state = "new" if row is None else row.state
        cost = past.cost(one, needed.spec) if action == SUBMIT else None
        steps.append(Step(one, needed, state, action, why, resources, because, cost))
    past.gpu |= bool(where.values["gpus"]) or any(step.resources["gpus"] for step in steps)
    costs = [step.cost for step in steps if step.action == SUBMIT] + [past.cost(one) for one in absent]
    return Plan(steps, wrong, missing, seen, past.estimate(costs))


def decide(row: status.Row | None, retry_failed: bool) -> tuple[str, str]:
    """Whether to submit a run in that state, and why (not)."""
    if row is None:
        return SUBMIT, "new"
    if row.state == "done":
        return SKIP, "done"
    if row.kind == "not-submitted":
        return SUBMIT, "new: it was never handed to the scheduler"
    if row.state in ("submitting", "queued", "running"):
        return SKIP, f"{row.state} as {row.job}" if row.job else row.state
    if row.state in ("failed", "vanished"):
        why = f"{row.state} ({row.kind})" if row.kind else row.state
        return (SUBMIT, f"again: {why}") if retry_failed else (SKIP, f"{why}; --retry-failed tries again")
    if row.state == "unknown":
        return SKIP, "its scheduler does not answer"
    return SUBMIT, f"goes on: {row.state}"


def with_less_memory(one: RunRequest, needed: SpecifiedRun, row: status.Row) -> tuple[RunRequest, str]:
    """The same run in smaller pieces: the same batch per update in twice as many micro-batches."""
    before = int(row.settings.get("micro_split", needed.spec["micro_split"]))
    cuts, batch = before * 2 * needed.spec["accumulation"], needed.spec["batch_size"]
    decode = max(1, int(row.settings.get("decode_batch", needed.spec["decode_batch"])) // 2)
    after = before if cuts > batch else before * 2  # not below one example at a time
    given = {**one.common.given, "micro_split": after, "decode_batch": decode}
    because = f"out of memory: micro_split {after}, decode_batch {decode}"
    return replace(one, common=replace(one.common, given=given)), because


def absolute(one: RunRequest) -> RunRequest:
    """The request as it holds in any working directory."""
    common = one.common
    model = common.model
    if model is not None and Path(model).is_dir():
        model = str(Path(model).resolve())
    folder = None if common.data_dir is None else common.data_dir.resolve()
    return replace(one, common=replace(common, model=model, data_dir=folder, runs=common.runs.resolve()))


def describe(needed: SpecifiedRun) -> dict[str, Any]:
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
    check_name(cluster)
    steps = planned.todo
    if not steps:
        return None
    check(cluster, steps)
    source = snapshot.take(runs)
    with submit_lock.alone(runs):
        steps = not_taken(runs, planned)
        if not steps:
            return None
        launch = begun(planned, steps, cluster, runs, source, words)
    content = dict(launch.content)
    launch = Launch(runs, content)
    try:
        hand_over(launch, content, Path(source["path"]))
    except BaseException as error:
        interrupted(launch, content, error)
        raise
    content["state"] = "submitted"
    launch.write()
    if cluster == "debug":
        run_here(launch)
    return launch


def not_taken(runs: Path, planned: Plan) -> list[Step]:
    """What there is to do without the runs that other launches took since the plan was made."""
    taken = submit_lock.taken_since(runs, planned.seen)
    for number, step in enumerate(planned.steps):
        if step.action == SUBMIT and step.run_id in taken:
            why = f"submitted meanwhile by another command, as launch {taken[step.run_id]}"
            planned.steps[number] = replace(step, action=SKIP, why=why)
    return planned.todo


def begun(
    planned: Plan,
    steps: Sequence[Step],
    cluster: str,
    runs: Path,
    source: Mapping[str, Any],
    words: Sequence[str] | None,
) -> Launch:
    """The launch with its record written, before anything is handed over."""
    launch_id = launches.new_id()
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
    snapshot.make_directory(launch.folder)
    launch.write()
    return launch


def check_name(cluster: str) -> None:
    if cluster not in CLUSTERS:
        raise UnknownNameError("cluster", cluster, CLUSTERS)


def check(cluster: str, steps: Sequence[Step]) -> None:
    """Refuse what the cluster cannot do, before anything is written."""
    try:
        import submitit  # noqa: F401 - asked only whether it is here
    except ImportError as error:
        raise UnavailableError("bench submit needs the package submitit: pip install submitit") from error
    if cluster == "slurm":
        import shutil

        if shutil.which("sbatch") is None or shutil.which("srun") is None:
            raise UserError(
                "--cluster slurm: no sbatch and srun here; submit from a login node of the cluster, or "
                "--cluster local runs the same jobs as processes of this machine"
            )
        return
    for step in steps:
        if cluster == "debug" and (step.resources["processes"] or 1) > 1:
            raise UserError(
                f"--processes {step.resources['processes']}: --cluster debug is one process, this one; give "
                "--processes 1 or --cluster local"
            )
        if step.resources["nodes"] > 1:
            raise UserError(
                f"--nodes {step.resources['nodes']}: --cluster {cluster} has one node; give --nodes 1"
            )
