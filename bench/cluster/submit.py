"""From requests to jobs: what there is to do, as one array per resource shape, through submitit.

Submitting again is safe: what is done is skipped, what waits or runs is left alone, what was cancelled
goes on, what failed is tried again only when asked. Nothing waits for a job here.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from bench.cluster import launches, site, snapshot, status, submit_lock
from bench.cluster.arrays import arrange_jobs
from bench.cluster.backends import get_backend
from bench.cluster.launches import Launch, LaunchDocument, LaunchState, SnapshotEntry
from bench.cluster.rows import OPEN, RunRow, RunState
from bench.cluster.site import Resources
from bench.config.request import Resolver, RunRequest, SpecifiedRun
from bench.config.run_key import get_model_name
from bench.config.specification import ResolvedSettings
from bench.errors import FailureKind, UnavailableError, UserError
from bench.experiments.cost_model import RunCost, RunHistory, SubmissionCost, sum_costs
from bench.models.catalogue import ModelOriginKind
from bench.store.damaged import warn_of_damage
from bench.store.store import Store
from bench.system import provenance
from bench.system.cpus import CpuSource
from bench.system.devices import pick_device
from bench.system.execution import ThreadSource, explain_threads
from bench.system.files import StorageError


class Action(StrEnum):
    """What a submission does with a run."""

    SUBMIT = "submit"
    SKIP = "leave"


NEW = "new"
"""State of a run that nothing is known of."""


@dataclass(frozen=True)
class SubmissionStep:
    """What happens with one request."""

    request: RunRequest
    specified: SpecifiedRun
    state: str
    """What the run is now: new, done, queued, running, failed, vanished or cancelled."""
    action: Action
    why: str
    resources: Resources
    because: str | None = None
    cost: RunCost | None = None
    """Estimated device hours, and where that is from."""

    @property
    def run_id(self) -> str:
        return self.specified.spec.run_id

    @property
    def kind(self) -> dict[str, Any]:
        return describe_run(self.specified)

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "what": self.request.describe(),
            "state": self.state,
            "action": self.action,
            "why": self.why,
            "because": self.because,
            "hours": None if self.cost is None else self.cost.seconds / 3600,
            "basis": None if self.cost is None else self.cost.basis,
            "command": self.specified.command,
        }


@dataclass(frozen=True)
class SubmissionPlan:
    """What a submission would do."""

    steps: list[SubmissionStep] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """(request, message) of those that can be seen to be wrong now."""
    missing: list[tuple[str, str]] = field(default_factory=list)
    """(request, message) of those whose data or weights were only looked for, and are not here."""
    seen: frozenset[str] = frozenset()
    """The launches that were there when the runs' states were read."""
    estimate: SubmissionCost | None = None

    @property
    def todo(self) -> list[SubmissionStep]:
        return [step for step in self.steps if step.action is Action.SUBMIT]

    def to_json(self) -> dict[str, Any]:
        return {
            "runs": [step.to_json() for step in self.steps],
            "wrong": [{"what": what, "error": message} for what, message in self.wrong],
            "missing": [{"what": what, "error": message} for what, message in self.missing],
            "submit": len(self.todo),
            "estimate": None if self.estimate is None else self.estimate.to_json(),
        }


def check_devices(plan: SubmissionPlan) -> None:
    """Refuse runs that would compute on this machine and ask for a device that it lacks."""
    for device, precision in {
        (step.specified.spec["device"], step.specified.spec["precision"]) for step in plan.todo
    }:
        if device not in ("auto", "cpu") or precision == "fp16":  # the others need no look, and no torch
            pick_device(device, precision)


def plan_submission(
    requests: Sequence[RunRequest],
    chosen_site: site.Site,
    retry_failed: bool = False,
    smaller: bool = True,
    before: Sequence[Resources] = (),
    fetch: bool = True,
) -> SubmissionPlan:
    """What ``submit`` would do with each request. Data and backbones are looked for; nothing is written.

    ``smaller``: a retry after out-of-memory cuts its micro-batches in two (``bench.config.settings.micro_split``).
    ``before``: the resources that each request had, which it has again. ``fetch``: download what is missing;
    without, such runs are told apart, and cost something all the same.
    """
    resolver = Resolver()
    specified: dict[str, tuple[RunRequest, SpecifiedRun]] = {}
    had: dict[str, Resources] = {}
    wrong: list[tuple[str, str]] = []
    missing: list[tuple[str, str]] = []
    absent = []
    for number, request in enumerate(map(make_absolute, requests)):
        lookup = request if fetch else replace(request, common=replace(request.common, offline=True))
        try:
            needed = resolver.specify(lookup)
            check_backbone(needed)
        except UserError as error:  # the others can still be submitted
            lacks = not fetch and isinstance(error, UnavailableError)
            (missing if lacks else wrong).append((request.describe(), str(error)))
            absent += [request] if lacks else []
            continue
        specified.setdefault(needed.spec.run_id, (request, needed))
        had[needed.spec.run_id] = before[number] if before else {}
    seen = frozenset(launches.list_launch_ids(requests[0].common.runs)) if requests else frozenset()
    runs = requests[0].common.runs if requests else Path("runs")
    report = status.collect_status(runs, only=set(specified))
    warn_of_damage(report.damaged)
    rows = {row.run_id: row for row in report.rows}
    history = RunHistory(Store(runs).read_done())
    steps = []
    for run_id, (request, needed) in specified.items():
        row = rows.get(run_id)
        action, why = decide_action(row, retry_failed)
        because = None
        if action is Action.SUBMIT and row is not None and smaller:
            request, because = cut_work(request, needed, row)
        resources = chosen_site.resources_again(describe_run(needed), had[run_id])
        state = NEW if row is None else row.state.value
        cost = None
        if action is Action.SUBMIT:
            resolved = ResolvedSettings(needed.spec.options, needed.spec.settings)
            cost = history.estimate_device_seconds(request, resolved)
        steps.append(SubmissionStep(request, needed, state, action, why, resources, because, cost))
    asks_gpu = bool(chosen_site.values["gpus"]) or any(step.resources["gpus"] for step in steps)
    costs = [step.cost for step in steps if step.action is Action.SUBMIT]
    costs += [
        history.estimate_device_seconds(request, request.resolve(get_model_name(request)))
        for request in absent
    ]
    return SubmissionPlan(steps, wrong, missing, seen, sum_costs(costs, history.gpu or asks_gpu))


def check_backbone(needed: SpecifiedRun) -> None:
    """Refuse now a user's checkpoint whose tokenizer only the library can judge: the job would refuse it."""
    if needed.model.origin.kind is ModelOriginKind.DIRECTORY and not needed.model.verification.is_verified:
        from bench.models.loading import check_tokenizer

        check_tokenizer(needed.model)


class SubmissionDecision(NamedTuple):
    """Whether to submit a run, and why (not)."""

    action: Action
    why: str


def decide_action(row: RunRow | None, retry_failed: bool) -> SubmissionDecision:
    """Whether to submit a run in that state, and why (not)."""
    if row is None:
        return SubmissionDecision(Action.SUBMIT, NEW)
    if row.kind == FailureKind.NOT_SUBMITTED:
        return SubmissionDecision(Action.SUBMIT, f"{NEW}: it was never handed to the scheduler")
    if row.state in (RunState.FAILED, RunState.VANISHED):
        why = f"{row.state} ({row.kind})" if row.kind else row.state.value
        if row.advice is not None:  # the same seed computes the same numbers
            return SubmissionDecision(Action.SKIP, f"{why}; another learning rate: {row.advice}")
        if retry_failed:
            return SubmissionDecision(Action.SUBMIT, f"again: {why}")
        return SubmissionDecision(Action.SKIP, f"{why}; --retry-failed tries again")
    if row.state is RunState.DONE:
        return SubmissionDecision(Action.SKIP, row.state.value)
    if row.state in OPEN:
        why = f"{row.state} as {row.job}" if row.job else row.state.value
        return SubmissionDecision(Action.SKIP, f"{why}; {row.message}" if row.message else why)
    if row.state is RunState.UNKNOWN:
        return SubmissionDecision(Action.SKIP, "its scheduler does not answer")
    return SubmissionDecision(Action.SUBMIT, f"goes on: {row.state}")


def cut_work(request: RunRequest, needed: SpecifiedRun, row: RunRow) -> tuple[RunRequest, str | None]:
    """The same run in smaller pieces where it ran out of memory, or did before; and why, in words."""
    if row.kind == FailureKind.OUT_OF_MEMORY:
        return use_less_memory(request, needed, row)
    if not row.settings:
        return request, None
    common = replace(request.common, given={**row.settings, **request.common.given})
    because = "cut as before: " + ", ".join(f"{name} {value}" for name, value in row.settings.items())
    return replace(request, common=common), because


def use_less_memory(request: RunRequest, needed: SpecifiedRun, row: RunRow) -> tuple[RunRequest, str]:
    """The same run in smaller pieces: the same batch per update in twice as many micro-batches."""
    before = int(row.settings.get("micro_split", needed.spec["micro_split"]))
    cuts, batch = before * 2 * needed.spec["accumulation"], needed.spec["batch_size"]
    decode = max(1, int(row.settings.get("decode_batch", needed.spec["decode_batch"])) // 2)
    after = before if cuts > batch else before * 2  # not below one example at a time
    given = {**request.common.given, "micro_split": after, "decode_batch": decode}
    because = f"out of memory: micro_split {after}, decode_batch {decode}"
    return replace(request, common=replace(request.common, given=given)), because


def make_absolute(request: RunRequest) -> RunRequest:
    """The request as it holds in any working directory."""
    common = request.common
    model = common.model
    if model is not None and Path(model).is_dir():
        model = str(Path(model).resolve())
    folder = None if common.data_dir is None else common.data_dir.resolve()
    return replace(request, common=replace(common, model=model, data_dir=folder, runs=common.runs.resolve()))


def describe_run(needed: SpecifiedRun) -> dict[str, Any]:
    spec = needed.spec
    return {
        "task": spec.task,
        "method": spec.method,
        "model": spec.model,
        "scale": spec.scale,
        "protocol": spec.protocol,
        "seed": spec.seed,
    }


def submit_plan(
    planned: SubmissionPlan, cluster: str, runs: Path, words: Sequence[str] | None = None
) -> Launch | None:
    """Submit what the plan has to do, write the launch record and return it; None if there is nothing.

    The record is written before the first job is handed over and again with the jobs' numbers: a launch
    that is killed in between is found by the names of its arrays.
    """
    backend = get_backend(cluster)
    steps = planned.todo
    if not steps:
        return None
    backend.check([step.resources for step in steps])
    backend.check_runs(runs)
    source = snapshot.take_snapshot(runs)
    with submit_lock.hold_submit_lock(runs):
        steps = leave_taken_runs(runs, planned)
        if not steps:
            return None
        launch = start_launch(planned, steps, cluster, runs, source, words)
    try:
        backend.hand_over(launch, Path(source["path"]))
    except BaseException as error:
        note_interruption(launch, error)
        raise
    launch.document.set_status(LaunchState.SUBMITTED)
    launch.write()
    backend.run_jobs(launch)
    return launch


def describe_threads(planned: SubmissionPlan, launch: Launch) -> list[str]:
    """With how many threads each process will compute, and what decides it: one line per kind of job."""
    lines = []
    for step in planned.todo:
        setting = step.specified.spec.settings["threads"]
        given = launch.backend.find_process_cpus(launch, step.resources)
        if given is None:
            most = f", {setting.value} at most" if setting.value else ""
            lines.append(f"as many per process as Slurm gives it processors (--cpus N asks for N){most}")
        elif given.source is CpuSource.SLURM_TASK:
            number = min(setting.value or given.number, given.number)
            lines.append(f"{number} per process, which has {given.number} processor(s) (--cpus)")
        else:
            number, source = explain_threads(setting.value, setting.typed)
            if source is ThreadSource.VARIABLE:
                lines.append(
                    f"{os.environ['OMP_NUM_THREADS']} per process ({source}), {given.number} at most"
                )
            else:
                number, source = (given.number, given.source) if number is None else (number, source)
                lines.append(f"{number} per process ({source})")
    return list(dict.fromkeys(lines))


def note_interruption(launch: Launch, error: BaseException) -> None:
    """Keep what was handed over and what was not, so that the same command submits the rest."""
    launch.backend.note_interruption(launch, error)
    launch.document.set_status(LaunchState.NOT_SUBMITTED, str(error) or "interrupted")
    with contextlib.suppress(StorageError):  # a full disk: that this process is gone is seen all the same
        launch.write()
    summary = launch.backend.describe_submitted(launch)
    if summary and isinstance(error, KeyboardInterrupt):
        raise KeyboardInterrupt(summary) from error


def leave_taken_runs(runs: Path, planned: SubmissionPlan) -> list[SubmissionStep]:
    """What there is to do without the runs that other launches took since the plan was made."""
    taken = submit_lock.find_taken_runs(runs, planned.seen)
    for number, step in enumerate(planned.steps):
        if step.action is Action.SUBMIT and step.run_id in taken:
            why = f"submitted meanwhile by another command, as launch {taken[step.run_id]}"
            planned.steps[number] = replace(step, action=Action.SKIP, why=why)
    return planned.todo


def start_launch(
    planned: SubmissionPlan,
    steps: Sequence[SubmissionStep],
    cluster: str,
    runs: Path,
    source: Mapping[str, Any],
    words: Sequence[str] | None,
) -> Launch:
    """The launch with its record written, before anything is handed over."""
    launch_id = launches.make_launch_id()
    arrays, jobs = arrange_jobs(steps, get_backend(cluster), launch_id)
    document = LaunchDocument(
        id=launch_id,
        submitted=provenance.format_current_time(),
        cluster=cluster,
        command=provenance.hide_names(shlex.join(["bench", *(words or sys.argv[1:])])),
        snapshot=SnapshotEntry.model_validate(source),
        host=os.uname().nodename,
        runs=str(runs.resolve()),
        arrays=arrays,
        jobs=jobs,
        left_alone=[
            {"run_id": step.run_id, "why": step.why}
            for step in planned.steps
            if step.action is not Action.SUBMIT
        ],
        wrong=[{"what": what, "error": message} for what, message in planned.wrong],
    )
    document.set_status(LaunchState.SUBMITTING)
    launch = Launch(runs, document)
    snapshot.make_store_directory(launch.folder)
    launch.write()
    return launch
