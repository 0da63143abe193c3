"""Scoring stored runs again, from their stored outputs: no data, no model, no training.

A new record is added, the old one stays: what was believed before can be seen. Nothing is added where
every value and signature is what it was.
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Sequence
from typing import Any

from bench.errors import UnknownNameError, UserError
from bench.registry import get_task
from bench.scoring import evaluation
from bench.store.run_dir import RunDir
from bench.store.store import Store
from bench.system import provenance
from bench.system.files import sha256_file
from bench.system.progress import say
from bench.task import Task


def select_runs(store: Store, pattern: str) -> list[RunDir]:
    """The runs whose name is, starts with, or (with ``*``) fits ``pattern``; ``UserError`` if none does."""
    if not pattern.strip():  # an unset variable in a script; every name starts so
        raise UserError(
            f"--run {pattern!r}: an empty name; expected a run's name, its beginning, a pattern or all"
        )
    folders = {folder.run_id: folder for folder in store.runs()}
    if pattern == "all":
        found = list(folders)
    elif pattern in folders:
        found = [pattern]
    else:
        found = [name for name in folders if fnmatch.fnmatch(name, pattern) or name.startswith(pattern)]
    if not found:
        if not folders:
            raise UserError(f"--run {pattern}: there is no run in {store.root} (--runs DIR, BENCH_RUNS)")
        raise UnknownNameError(
            "run", pattern, list(folders)[:20], "bench list runs; a pattern with * chooses several"
        )
    return [folders[name] for name in found]


def rescore_run(folder: RunDir, task: Task | None = None, only: Sequence[str] = ()) -> dict[str, Any]:
    """Score one run again: ``{"run", "changed": [...], "values": {metric: [old, new]}}`` or ``{"error"}``.

    ``task``: where it is no registered one. ``only``: these metrics; the others stay as the record has them.
    """
    record = folder.done_record()
    if record is None:
        return {"run": folder.run_id, "error": "not done: there is nothing to score"}
    try:
        rows = folder.read_generations()
        sha256 = folder.product_sha256("decode")
        if sha256 is None or sha256_file(folder.generations) != sha256:
            return {"run": folder.run_id, "error": "generations.jsonl is not what the run left"}
        task = task or get_task(record["task"])
        with folder.claim():
            started, clock = provenance.now(), time.monotonic()
            items, outputs = evaluation.of_rows(rows)
            scores = evaluation.score(task, items, outputs, only)
            evaluation.warn_of_gate(scores)
            if only:
                if lacking := evaluation.unanswered(scores["all"], only):
                    told = "; ".join(
                        f"{name} not computed: {scores['all'][name]['reason']}" for name in lacking
                    )
                    return {"run": folder.run_id, "error": f"{told}; the record stays as it is"}
                kept = record["scores"]
                scores = {group: {**kept.get(group, {}), **found} for group, found in scores.items()}
            elif all(one["value"] is None for one in scores["all"].values()):
                told = "; ".join(dict.fromkeys(str(one["reason"]) for one in scores["all"].values()))
                return {"run": folder.run_id, "error": f"no score: {told}; the record stays as it is"}
            else:
                scores = keep_unavailable_scores(record["scores"], scores)
            differing = find_changed_scores(record["scores"], scores)
            if differing:
                folder.write_scores(scores)
                folder.finish_stage("score", sha256)
                seconds = {**record["seconds"], "score": round(time.monotonic() - clock, 3)}
                folder.write_record(
                    {
                        **record,
                        "scores": scores,
                        "seconds": seconds,
                        "scored": {
                            "started": started,
                            "code": provenance.code_state() or {"source_sha256": provenance.source_sha256()},
                            "packages": provenance.package_versions(),
                            "replaces_attempt": record["attempt"],
                            **({"metrics": list(only)} if only else {}),
                        },
                    }
                )
    except UserError as error:
        return {"run": folder.run_id, "error": str(error)}
    old, new = record["scores"]["all"], scores["all"]
    values = {
        name: [old.get(name, {}).get("value"), new[name]["value"]]
        for name in new
        if old.get(name, {}).get("value") != new[name]["value"]
    }
    return {"run": folder.run_id, "changed": differing, "values": values}


def keep_unavailable_scores(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """``new``, with the old values of scores that cannot be had here: absent weights take no value away.

    A scorer that broke is another matter, and stands as it is.
    """
    lost = [
        name
        for name, one in new["all"].items()
        if one["value"] is None
        and not str(one.get("reason", "")).startswith(evaluation.FAILED)
        and old.get("all", {}).get(name, {}).get("value") is not None
    ]
    if lost:
        say(f"not computed here, so left as recorded: {', '.join(lost)}", important=True)
    return {
        group: {**found, **{name: old[group][name] for name in lost if name in old.get(group, {})}}
        for group, found in new.items()
    }


def find_changed_scores(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The metrics that differ in any group: in value, signature, reason or gate."""
    return [
        name
        for name in new["all"]
        if any(old.get(group, {}).get(name) != new[group].get(name) for group in new)
    ]
