"""Scoring stored runs again, from their stored outputs: no data, no model, no training.

A new record is added, the old one stays: what was believed before can be seen. Nothing is added where
every value and signature is what it was.
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import UnknownNameError, UserError
from bench.registry import get_task
from bench.scoring import evaluation
from bench.scoring.score import ScoreStatus
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system import provenance
from bench.system.json_files import JsonObject
from bench.system.progress import print_message
from bench.task import Task


def select_runs(store: Store, pattern: str) -> list[RunDir]:
    """The runs whose name is, starts with, or (with ``*``) fits ``pattern``; ``UserError`` if none does."""
    if not pattern.strip():  # an unset variable in a script; every name starts so
        raise UserError(
            f"--run {pattern!r}: an empty name; expected a run's name, its beginning, a pattern or all"
        )
    folders = {folder.run_id: folder for folder in store.runs()}
    if pattern == "all":
        matches = list(folders)
    elif pattern in folders:
        matches = [pattern]
    else:
        matches = [name for name in folders if fnmatch.fnmatch(name, pattern) or name.startswith(pattern)]
    if not matches:
        if not folders:
            raise UserError(f"--run {pattern}: there is no run in {store.root} (--runs DIR, BENCH_RUNS)")
        raise UnknownNameError(
            "run", pattern, list(folders)[:20], "bench list runs; a pattern with * chooses several"
        )
    return [folders[name] for name in matches]


class RescoringError(UserError):
    """A run cannot be scored again; its record stays as it is."""


@dataclass(frozen=True)
class RescoredRun:
    """What scoring a run again came to: the metrics that differ now, and of those with another value both values."""

    run_id: str
    changed: list[str]
    values: dict[str, tuple[float | None, float | None]]

    def to_json(self) -> JsonObject:
        """For ``bench score --run --json``."""
        values = {metric: list(pair) for metric, pair in self.values.items()}
        return {"run": self.run_id, "changed": self.changed, "values": values}


def rescore_run(folder: RunDir, task: Task | None = None, only: Sequence[str] = ()) -> RescoredRun:
    """Score one run again; a new record is added where something differs.

    ``task``: where it is no registered one. ``only``: these metrics; the others stay as the record has them.
    Raises ``UserError`` where there is nothing to score, or no score comes out.
    """
    record = folder.done_record()
    if record is None:
        raise RescoringError("not done: there is nothing to score")
    rows = folder.read_generations()
    sha256 = folder.product_sha256("decode")
    if sha256 is None:  # else reading has compared it
        raise RescoringError("generations.jsonl is not what the run left")
    task = task or get_task(record.task)
    with folder.claim():
        started, clock = provenance.format_current_time(), time.monotonic()
        items, outputs = evaluation.read_generation_rows(rows)
        computed = evaluation.make_score_documents(evaluation.score_outputs(task, items, outputs, only))
        evaluation.warn_of_failed_gates(computed)
        scores = combine_scores(record["scores"], computed, only)
        changed = find_changed_scores(record["scores"], scores)
        if changed:
            folder.write_scores(scores)
            folder.finish_stage("score", sha256)
            seconds = {**record["seconds"], "score": round(time.monotonic() - clock, 3)}
            account = {
                "started": started,
                "code": provenance.identify_code(),
                "packages": provenance.list_package_versions(),
                "replaces_attempt": record.attempt,
                **({"metrics": list(only)} if only else {}),
            }
            folder.write_record({**record, "scores": scores, "seconds": seconds, "scored": account})
    old, new = record["scores"]["all"], scores["all"]
    values = {name: (old.get(name, {}).get("value"), new[name]["value"]) for name in new}
    return RescoredRun(
        folder.run_id, changed, {name: pair for name, pair in values.items() if pair[0] != pair[1]}
    )


def combine_scores(recorded: JsonObject, computed: JsonObject, only: Sequence[str]) -> dict[str, Any]:
    """The scores to keep: what was computed now, and of the recorded ones what cannot be had or was not asked for.

    Raises ``UserError`` where a score that was asked for by name, or every score, is missing.
    """
    if only:
        lacking = evaluation.list_missing_scores(computed["all"], only)
        if lacking:
            reasons = [f"{name} not computed: {computed['all'][name]['reason']}" for name in lacking]
            raise RescoringError(f"{'; '.join(reasons)}; the record stays as it is")
        return {group: {**recorded.get(group, {}), **scores} for group, scores in computed.items()}
    if all(score["value"] is None for score in computed["all"].values()):
        reasons = list(dict.fromkeys(str(score["reason"]) for score in computed["all"].values()))
        raise RescoringError(f"no score: {'; '.join(reasons)}; the record stays as it is")
    return keep_unavailable_scores(recorded, computed)


def keep_unavailable_scores(old: JsonObject, new: JsonObject) -> dict[str, Any]:
    """``new``, with the old values of scores that cannot be had here: absent weights take no value away.

    A scorer that broke is another matter, and stands as it is.
    """
    lost = [
        name
        for name, score in new["all"].items()
        if score["value"] is None
        and score["status"] != ScoreStatus.FAILED
        and old.get("all", {}).get(name, {}).get("value") is not None
    ]
    if lost:
        print_message(f"not computed here, so left as recorded: {', '.join(lost)}", important=True)
    return {
        group: {**scores, **{name: old[group][name] for name in lost if name in old.get(group, {})}}
        for group, scores in new.items()
    }


def find_changed_scores(old: JsonObject, new: JsonObject) -> list[str]:
    """The metrics that differ in any group: in value, signature, reason or gate.

    Fields that later versions added say nothing new and are not compared.
    """
    fields = ("value", "signature", "reason", "gate")

    def describe(scores: JsonObject, group: str, name: str) -> list[Any] | None:
        score = scores.get(group, {}).get(name)
        return None if score is None else [score.get(field) for field in fields]

    return [
        name
        for name in new["all"]
        if any(describe(old, group, name) != describe(new, group, name) for group in new)
    ]
