"""What an experiment would do: its runs, where each stands, what it will cost. Nothing is run or written.

Works without data, weights or torch. Where data and weights can be found without a network the plan knows
a run's name and looks it up in the store; elsewhere a run is found there by its outline
(``bench.config.run_key``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.config import run_key
from bench.config.request import RunRequest, SpecifiedRun, build_specified_run, list_splits
from bench.config.specification import ResolvedSettings, list_settings_of_other_runs
from bench.data.dataset import find_data
from bench.errors import DataError, UnavailableError, UserError
from bench.experiments.cost_model import ROUGH, RunCost, RunHistory
from bench.experiments.expansion import Expansion, ExperimentRun
from bench.experiments.files import load_experiment
from bench.models.catalogue import LocatedModel, locate_model
from bench.store.damaged import DamagedRecord, DamageKind, document_damage
from bench.store.record import Record, RunStatus
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system.json_files import JsonObject
from bench.task import Prepared
from bench.training.selection import KeepRule


class PlanState(StrEnum):
    """Where a planned run stands, in the order of what is known best: a run that is done once is done."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    UNREADABLE = "unreadable"
    INTERRUPTED = "interrupted"
    TO_DO = "to do"
    NOT_AVAILABLE = "not available"


class StoredState(NamedTuple):
    """What the store says of a run: ``detail`` is the kind of a failure."""

    state: PlanState
    detail: str = ""
    run_id: str | None = None


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan."""

    candidate: ExperimentRun
    state: PlanState
    detail: str = ""
    """The kind of a failure; the reason why a run is not available."""
    run_id: str | None = None
    """None where data or weights are not here and no earlier run is known."""
    estimate: RunCost | None = None


@dataclass(frozen=True)
class ExperimentPlan:
    """All runs of an expansion."""

    expansion: Expansion
    runs: tuple[PlannedRun, ...]
    damaged: tuple[DamagedRecord, ...] = ()
    """What of the store cannot be used."""

    def count(self) -> dict[str, int]:
        """How many runs are in each state."""
        states = Counter(run.state for run in self.runs)
        return {state.value: states[state] for state in PlanState}

    def seconds_left(self) -> float:
        """The estimates of what is not done yet."""
        return sum(run.estimate.seconds for run in self._open() if run.estimate)

    def bases(self) -> dict[str, int]:
        """What the estimates of open runs rest on, each with the number of runs: ``rough``, ``past runs``."""
        kinds = Counter(
            "unknown" if run.estimate is None else ROUGH if run.estimate.basis == ROUGH else "past runs"
            for run in self._open()
        )
        return dict(kinds)

    def trainings(self) -> int:
        """How many trainings the open runs need; those that differ only in what they decode share one.

        So do those that differ in which parameters they keep, where one of them stores both.
        """
        needed, storing, stored_beside = set(), set(), set()
        for run in self._open():
            request, resolved = run.candidate.request, run.candidate.resolved
            if request is None or resolved is None or not request.method.trains:
                continue
            key = run_key.compute_run_key(request, resolved, training=True)
            needed.add(key)
            if resolved.settings["store_both"].value:
                storing.add(key)
                keep = KeepRule(resolved.settings["keep"].value).other
                stored_beside |= {
                    run_key.compute_run_key(request, replace(resolved, settings=settings), training=True)
                    for settings in list_settings_of_other_runs(resolved.settings, keep)
                }
        return len(needed - (stored_beside - storing))

    def _open(self) -> list[PlannedRun]:
        finished = (PlanState.DONE, PlanState.NOT_AVAILABLE)
        return [run for run in self.runs if run.state not in finished]


def plan_runs(expansion: Expansion, store: Store) -> ExperimentPlan:
    """Where every run of ``expansion`` stands, and its cost."""
    stored, inputs = StoredStates(store), LocalInputs()
    runs = tuple(_plan_run(run, stored, inputs) for run in expansion.runs)
    return ExperimentPlan(expansion, runs, tuple(stored.damaged))


def _plan_run(candidate: ExperimentRun, stored: StoredStates, inputs: LocalInputs) -> PlannedRun:
    if candidate.request is None or candidate.resolved is None:
        return PlannedRun(candidate, PlanState.NOT_AVAILABLE, candidate.reason)
    specified = inputs.specify(candidate.request, candidate.resolved)
    run_id = specified.spec.run_id if specified else None
    stored_state = stored.find(candidate.key, run_id)
    estimate = stored.history.estimate_seconds(candidate.request, candidate.resolved)
    return PlannedRun(
        candidate, stored_state.state, stored_state.detail, run_id or stored_state.run_id, estimate
    )


class StoredStates:
    """What the store says of every run, read once."""

    def __init__(self, store: Store) -> None:
        self.by_id: dict[str, StoredState] = {}
        self.by_key: dict[str, list[StoredState]] = {}
        self.damaged = store.survey()
        foreign = {entry.path.name for entry in self.damaged if entry.kind is DamageKind.FOREIGN}
        finished = []
        for folder in store.runs():
            if folder.run_id in foreign:
                continue
            before = len(self.damaged)
            record = folder.latest_record(self.damaged)
            if record is not None and record.status is not RunStatus.DONE:
                record = folder.done_record() or record  # done once is done
            if record is not None and record.status is RunStatus.DONE:
                finished.append(record)
            entry = _read_state(folder, record, len(self.damaged) > before)
            self.by_id[folder.run_id] = entry
            key = _key_of(folder, record)
            if key is not None:
                self.by_key.setdefault(key, []).append(entry)
        self.history = RunHistory(finished)

    def find(self, key: str, run_id: str | None) -> StoredState:
        """Where a run stands, by its name or else by its outline."""
        if run_id is not None:
            return self.by_id.get(run_id, StoredState(PlanState.TO_DO))
        order = list(PlanState)
        entries = self.by_key.get(key, [])
        return min(entries, key=lambda entry: order.index(entry.state), default=StoredState(PlanState.TO_DO))


def _read_state(folder: RunDir, record: Record | None, unreadable: bool) -> StoredState:
    if record is not None and record.status is RunStatus.DONE:
        return StoredState(PlanState.DONE, run_id=folder.run_id)
    if folder.worker() is not None:
        return StoredState(PlanState.RUNNING, run_id=folder.run_id)
    if record is None and unreadable:
        return StoredState(PlanState.UNREADABLE, "its record is made again", folder.run_id)
    if record is None or record.status is RunStatus.CANCELLED:
        return StoredState(PlanState.INTERRUPTED, "continues", folder.run_id)
    detail = record.error.kind if record.error else None
    return StoredState(PlanState.FAILED, detail or "", folder.run_id)


def _key_of(folder: RunDir, record: Record | None) -> str | None:
    """The outline's key of a stored run; None where it has left nothing to tell it by."""
    try:
        return run_key.compute_record_key(record if record is not None else folder.read_specification())
    except (DataError, OSError, KeyError, TypeError):
        return None


class LocalInputs:
    """Finds data and weights that are on this machine, each once; names runs by them."""

    def __init__(self) -> None:
        self._data: dict[tuple[str, Path | None, str, tuple[str, ...]], Prepared | None] = {}
        self._models: dict[str, LocatedModel | None] = {}

    def specify(self, request: RunRequest, resolved: ResolvedSettings) -> SpecifiedRun | None:
        """The request with what it needs, or None where that is not here."""
        model = self._model(request.model)
        data = self._prepared(request, list_splits(request, resolved)) if model else None
        return build_specified_run(request, model, data, resolved) if model and data else None

    def _model(self, name: str) -> LocatedModel | None:
        if name not in self._models:
            try:
                self._models[name] = locate_model(name, allow_download=False)
            except UnavailableError:
                self._models[name] = None
        return self._models[name]

    def _prepared(self, request: RunRequest, splits: tuple[str, ...]) -> Prepared | None:
        common = request.common
        key = (request.task.name, common.data_dir, common.scale, splits)
        if key not in self._data:
            try:
                self._data[key] = find_data(request.task, common.data_dir, False, common.scale, splits)
            except UserError:
                self._data[key] = None
        return self._data[key]


# --- as plain data


def document(plan: ExperimentPlan) -> JsonObject:
    """The plan as one JSON document: experiments, runs with every setting and its origin, totals."""
    return {
        "scale": plan.expansion.scale,
        "experiments": [describe_experiment(name) for name in plan.expansion.names],
        "runs": [_as_json(run) for run in plan.runs],
        "totals": {
            "runs": len(plan.runs),
            **plan.count(),
            "trainings_left": plan.trainings(),
            "duplicates_removed": plan.expansion.duplicates,
            "estimated_seconds_left": round(plan.seconds_left()),
            "estimates": plan.bases(),
        },
        "damaged": document_damage(plan.damaged),
    }


def describe_experiment(name: str) -> JsonObject:
    """What an experiment's file says of itself."""
    content = load_experiment(name)
    return {"name": name, "title": content.title, "source": content.source, "note": content.note}


def _as_json(run: PlannedRun) -> JsonObject:
    prescribed, estimate = run.candidate.prescribed, run.estimate
    return {
        "experiments": run.candidate.experiments,
        "run_id": run.run_id,
        "key": run.candidate.key if run.candidate.request else None,
        "task": prescribed.task,
        "method": prescribed.selector,
        "model": prescribed.model,
        "seed": prescribed.seed,
        "state": run.state.value,
        "detail": run.detail,
        "estimate": {"seconds": round(estimate.seconds, 1), "basis": estimate.basis} if estimate else None,
        "options": list_settings(run, "options"),
        "settings": list_settings(run, "settings"),
    }


def list_settings(run: PlannedRun, table: Literal["options", "settings"]) -> dict[str, dict[str, Any]]:
    """Options or settings of a run with values and origins; what the file prescribes if not resolved."""
    resolved = run.candidate.resolved
    if resolved is not None:
        settings = resolved.options if table == "options" else resolved.settings
        return {name: {"value": s.value, "origin": s.origin} for name, s in settings.items()}
    prescribed = run.candidate.prescribed
    entries = prescribed.options if table == "options" else prescribed.settings
    return {name: {"value": value, "origin": origin} for name, (value, origin) in entries.items()}


class PrescribedValues(NamedTuple):
    """An option or setting that an experiment's file decides, its values in these runs, and why."""

    name: str
    values: list[object]
    origin: str


def list_prescribed_values(runs: Sequence[PlannedRun]) -> list[PrescribedValues]:
    """What the experiments' files decide for these runs."""
    table: dict[tuple[str, str], PrescribedValues] = {}
    for run in runs:
        prescribed = run.candidate.prescribed
        for name, (value, _) in {**prescribed.options, **prescribed.settings}.items():
            words = prescribed.reasons[name]
            entry = table.setdefault((name, words), PrescribedValues(name, [], words))
            if value not in entry.values:
                entry.values.append(value)
    return list(table.values())


def list_differing_settings(runs: Sequence[PlannedRun]) -> list[str]:
    """The settings whose values differ between these runs, in the table's order."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, setting in list_settings(run, "settings").items():
            values.setdefault(name, set()).add(repr(setting["value"]))
    return [name for name, distinct in values.items() if len(distinct) > 1]
