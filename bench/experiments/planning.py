"""What an experiment would do: its runs, where each stands, what it will cost. Nothing is run or written.

Works without data, weights or torch. Where data and weights can be found without a network the plan knows
a run's name and looks it up in the store; elsewhere a run is found there by its outline
(``bench.config.run_key``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config import run_key
from bench.config.request import RunRequest, SpecifiedRun, build_specified_run, list_splits
from bench.config.specification import ResolvedSettings
from bench.data.dataset import found
from bench.errors import DataError, UserError
from bench.experiments.cost_model import Estimate, History
from bench.experiments.expansion import Expansion, ExperimentRun
from bench.experiments.files import load_experiment
from bench.models.catalogue import Located, locate
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system.json_files import read_json
from bench.task import Prepared

STATES = ("done", "running", "failed", "interrupted", "to do", "not available")
"""In the order of what is known best: a run that is done once is done."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan."""

    candidate: ExperimentRun
    state: str
    detail: str = ""
    """The kind of a failure; the reason why a run is not available."""
    run_id: str | None = None
    """None where data or weights are not here and no earlier run is known."""
    estimate: Estimate | None = None


@dataclass(frozen=True)
class ExperimentPlan:
    """All runs of an expansion."""

    expansion: Expansion
    runs: tuple[PlannedRun, ...]

    def count(self) -> dict[str, int]:
        """How many runs are in each state."""
        states = Counter(run.state for run in self.runs)
        return {state: states[state] for state in STATES}

    def seconds_left(self) -> float:
        """The estimates of what is not done yet."""
        return sum(run.estimate.seconds for run in self._open() if run.estimate)

    def bases(self) -> dict[str, int]:
        """What the estimates of open runs rest on, each with the number of runs: ``rough``, ``past runs``."""
        kinds = Counter(
            "unknown" if run.estimate is None else "rough" if run.estimate.basis == "rough" else "past runs"
            for run in self._open()
        )
        return dict(kinds)

    def trainings(self) -> int:
        """How many trainings the open runs need; those that differ only in what they decode share one."""
        return len(
            {
                run_key.compute_run_key(run.candidate.request, run.candidate.resolved, training=True)
                for run in self._open()
                if run.candidate.request is not None and run.candidate.request.method.trains
            }
        )

    def _open(self) -> list[PlannedRun]:
        return [run for run in self.runs if run.state not in ("done", "not available")]


def plan_runs(expansion: Expansion, store: Store) -> ExperimentPlan:
    """Where every run of ``expansion`` stands, and its cost."""
    known = Known(store)
    finder = LocalInputs()
    return ExperimentPlan(
        expansion, tuple(_planned(candidate, known, finder) for candidate in expansion.runs)
    )


def _planned(candidate: ExperimentRun, known: Known, finder: LocalInputs) -> PlannedRun:
    if candidate.request is None or candidate.resolved is None:
        return PlannedRun(candidate, "not available", candidate.reason)
    there = finder.find(candidate.request, candidate.resolved)
    run_id = there.spec.run_id if there else None
    state, detail, seen = known.state(candidate.key, run_id)
    estimate = known.history.estimate(candidate.request, candidate.resolved)
    return PlannedRun(candidate, state, detail, run_id or seen, estimate)


class Known:
    """What the store knows, read once."""

    def __init__(self, store: Store) -> None:
        self.by_id: dict[str, tuple[str, str, str | None]] = {}
        self.by_key: dict[str, list[tuple[str, str, str | None]]] = {}
        finished = []
        for folder in store.runs():
            record = folder.latest_record()
            if record is not None and record["status"] != "done":
                record = folder.done_record() or record  # done once is done
            if record is not None and record["status"] == "done":
                finished.append(record)
            state, detail = _state(folder, record)
            entry = (state, detail, folder.run_id)
            self.by_id[folder.run_id] = entry
            if key := _key_of(folder, record):
                self.by_key.setdefault(key, []).append(entry)
        self.history = History(finished)

    def state(self, key: str, run_id: str | None) -> tuple[str, str, str | None]:
        """(state, detail, run id if one is known) of a run, by its name or else by its outline."""
        if run_id is not None:
            return self.by_id.get(run_id, ("to do", "", None))
        same = self.by_key.get(key, [])
        return min(same, key=lambda one: STATES.index(one[0]), default=("to do", "", None))


def _state(folder: RunDir, record: Mapping[str, Any] | None) -> tuple[str, str]:
    if record is not None and record["status"] == "done":
        return "done", ""
    if folder.worker() is not None:
        return "running", ""
    if record is None or record["status"] == "cancelled":
        return "interrupted", "continues"
    return "failed", str((record.get("error") or {}).get("kind", ""))


def _key_of(folder: RunDir, record: Mapping[str, Any] | None) -> str | None:
    """The outline's key of a stored run; None where it has left nothing to tell it by."""
    try:
        return run_key.compute_record_key(record if record is not None else read_json(folder.spec))
    except (DataError, OSError, KeyError, TypeError):
        return None


class LocalInputs:
    """Finds data and weights that are on this machine, each once; names runs by them."""

    def __init__(self) -> None:
        self._data: dict[tuple[str, Path | None, str, tuple[str, ...]], Prepared | None] = {}
        self._models: dict[str, Located | None] = {}

    def find(self, request: RunRequest, resolved: ResolvedSettings) -> SpecifiedRun | None:
        """The request with what it needs, or None where that is not here."""
        model = self._model(request.model)
        data = self._prepared(request, list_splits(request, resolved)) if model else None
        return build_specified_run(request, model, data) if model and data else None

    def _model(self, name: str) -> Located | None:
        if name not in self._models:
            try:
                self._models[name] = locate(name, allow_download=False)
            except UserError:
                self._models[name] = None
        return self._models[name]

    def _prepared(self, request: RunRequest, splits: tuple[str, ...]) -> Prepared | None:
        common = request.common
        key = (request.task.name, common.data_dir, common.scale, splits)
        if key not in self._data:
            try:
                self._data[key] = found(request.task, common.data_dir, False, common.scale, splits)
            except UserError:
                self._data[key] = None
        return self._data[key]


# --- as plain data


def document(plan: ExperimentPlan) -> dict[str, Any]:
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
    }


def describe_experiment(name: str) -> dict[str, Any]:
    """What an experiment's file says of itself."""
    content = load_experiment(name)
    return {"name": name, "title": content["title"], "source": content["source"], "note": content.get("note")}


def _as_json(run: PlannedRun) -> dict[str, Any]:
    wanted, estimate = run.candidate.wanted, run.estimate
    return {
        "experiments": run.candidate.experiments,
        "run_id": run.run_id,
        "key": run.candidate.key if run.candidate.request else None,
        "task": wanted.task,
        "method": wanted.selector,
        "model": wanted.model,
        "seed": wanted.seed,
        "state": run.state,
        "detail": run.detail,
        "estimate": {"seconds": round(estimate.seconds, 1), "basis": estimate.basis} if estimate else None,
        "options": list_settings(run, "options"),
        "settings": list_settings(run, "settings"),
    }


def list_settings(run: PlannedRun, which: str) -> dict[str, dict[str, Any]]:
    """``options`` or ``settings`` of a run with values and origins; what the file prescribes if not resolved."""
    resolved = run.candidate.resolved
    if resolved is not None:
        table = resolved.options if which == "options" else resolved.settings
        return {name: {"value": one.value, "origin": one.origin} for name, one in table.items()}
    wanted = run.candidate.wanted
    entries = wanted.options if which == "options" else wanted.settings
    return {name: {"value": value, "origin": origin} for name, (value, origin) in entries.items()}


def list_prescribed_values(runs: Sequence[PlannedRun]) -> list[tuple[str, list[object], str]]:
    """What the experiment's file decides for these runs: (option or setting, its values, origin)."""
    found: dict[tuple[str, str], list[object]] = {}
    for run in runs:
        wanted = run.candidate.wanted
        for name, (value, origin) in {**wanted.options, **wanted.settings}.items():
            values = found.setdefault((name, origin), [])
            if value not in values:
                values.append(value)
    return [(name, values, origin) for (name, origin), values in found.items()]


def list_differing_settings(runs: Sequence[PlannedRun]) -> list[str]:
    """The settings whose values differ between these runs, in the table's order."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, one in list_settings(run, "settings").items():
            values.setdefault(name, set()).add(repr(one["value"]))
    return [name for name, found in values.items() if len(found) > 1]
