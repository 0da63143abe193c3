"""Made-up records as ``bench.runs.attempt`` writes them, for tests of everything that reads records."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from bench import registry
from bench.config.specification import resolve_run_settings
from bench.models.catalogue import find_model_kind
from reports.paper import published

SIGNATURE = "nrefs:3|case:lc|made-up"
VALUES = [54.1, 55.0, 55.3, 54.6, 56.2]
"""Scores of five seeds."""
CODE = {"commit": "c" * 40, "dirty": False, "changed": [], "changes_sha256": None}
DIRTY = {**CODE, "dirty": True, "changed": ["bench/x.py"], "changes_sha256": "e" * 64}
EXECUTION = {
    "threads": 2,
    "matmul_precision": "highest",
    "processes": 1,
    "deterministic": False,
    "device": "cpu",
    "cpu_capability": "AVX2",
}
_numbers = itertools.count(1)


def of_seeds(values: list[float], subset: int | None = None) -> dict[tuple[int | None, int], float]:
    """Values by (data seed, seed), as ``reports.stats.intervals`` takes them."""
    return {(subset, seed): value for seed, value in enumerate(values)}


def origins(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    return {name: {"value": value, "origin": origin} for name, value in values.items()}


def scores(values: Mapping[str, float | None], group: str = "all", **more: Any) -> dict[str, Any]:
    """``record["scores"]`` with these values in our units; ``more`` is added to each (gate, reason)."""
    return {group: {name: {"value": v, "signature": SIGNATURE, **more} for name, v in values.items()}}


def record(
    method: str = "prefix",
    task: str = "webnlg",
    seed: int = 1,
    bleu: float | None = 55.0,
    *,
    model: str = "gpt2-medium",
    scale: str = "paper",
    options: Mapping[str, Any] | None = None,
    preset: Mapping[str, Any] | None = None,
    experiment: str = "figure3",
    status: str = "done",
    **changes: Any,
) -> dict[str, Any]:
    """One attempt at a run with the settings that the real resolution gives it.

    ``preset``: settings that ``experiment`` prescribes. ``changes`` replace fields of the record.
    """
    number = next(_numbers)
    method_object, kind = registry.get_method(method), find_model_kind(model)
    resolved = resolve_run_settings(
        registry.get_task(task), method_object, options or {}, {}, model, scale, "original", kind
    )
    settings = {n: {"value": s.value, "origin": s.origin} for n, s in resolved.settings.items()}
    settings |= origins(preset or {}, f"experiment {experiment}: paper §6.3")
    made = {
        "run_id": f"{task}-{method}-{model}-s{seed}-{number:012x}",
        "task": task,
        "method": method,
        "options": {n: {"value": s.value, "origin": s.origin} for n, s in resolved.options.items()},
        "model": model,
        "model_fingerprint": "m" * 64,
        "scale": scale,
        "protocol": "original",
        "seed": seed,
        "data_origin": "directory" if scale == "paper" else "mini",
        "data_fingerprint": "d" * 64,
        "settings": settings,
        "status": status,
        "command": f"bench run --method {method} --task {task} --seed {seed}",
        "model_origin": "BENCH_MODELS" if scale == "paper" else "mini",
        "model_verification": {"status": "verified", "how": "proof-file"} if scale == "paper" else None,
        "not_comparable": [] if scale == "paper" else [f"scale {scale}", "data of an invented world"],
        "started": f"2026-01-01T00:00:00.{number:06d}+00:00",
        "ended": f"2026-01-02T00:00:00.{number:06d}+00:00",
        "seconds": {"train": 700.0, "decode": 60.0, "score": 5.0, "attempt": 770.0},
        "code": CODE,
        "packages": {"torch": "2.13.0"},
        "hardware": {
            "host": "node",
            "system": "Linux 6",
            "cpu": "a processor",
            "cores": 8,
            "memory_bytes": 2**36,
            "accelerators": [{"name": "an accelerator", "memory_bytes": 2**35}],
        },
        "peak_memory_bytes": {"process_bytes": 2**32, "accelerator_bytes": 2**33},
        "parameters": {"trained": 25_744_896, "stored": 245_760, "backbone": 354_823_168},
        "training": {
            "updates": 18_025,
            "planned_updates": 18_025,
            "seconds": 3600.0,
            "rows": 18_025,
            "processes": 1,
        },
        "decoding": {"items": 1862, "seconds": 60.0, "seconds_per_item": 0.03},
        "scores": scores({"bleu": bleu}),
    }
    return {**made, **changes}


def failed(kind: str = "out-of-memory", **changes: Any) -> dict[str, Any]:
    """A failed attempt; ``kind`` ``cancelled`` makes a cancelled one."""
    status = "cancelled" if kind == "cancelled" else "failed"
    made = record(status=status, **changes)
    made["error"] = {"kind": kind, "type": "Error", "message": "no", "traceback": "no"}
    del made["scores"]
    return made


def seeds(values: list[float], **changes: Any) -> list[dict[str, Any]]:
    """A run per BLEU value, seeds 1, 2, ..."""
    return [record(seed=number, bleu=value, **changes) for number, value in enumerate(values, 1)]


System = tuple[str | None, str]
"""(section, row) of a table of the paper."""


def of_printed(
    system: System,
    numbers: System | None = None,
    table: str = "table2",
    bleu: float = 0.0,
    spread: float = 0.15,
) -> list[dict[str, Any]]:
    """Three seeds of ``system`` on each of its tasks with the numbers that the paper prints for ``numbers``.

    ``bleu`` is added to every BLEU; ``spread``: of BLEU between seeds, other metrics in proportion.
    """
    made = []
    cells = [c for c in published.read_cells(table) if (c.section, c.row) == system]
    printed = {
        (c.task, c.group, c.metric): c.ours
        for c in published.read_cells(table)
        if (c.section, c.row) == (numbers or system)
    }
    for task in dict.fromkeys(c.task for c in cells):
        first = next(c for c in cells if c.task == task)
        for seed in (1, 2, 3):
            values: dict[str, dict[str, Any]] = {}
            for c in cells:
                if c.task == task:
                    value = printed[task, c.group, c.metric] * (1 + (seed - 2) * spread / 60)
                    value += bleu if c.metric == "bleu" else 0.0
                    values.setdefault(c.group, {}).update(scores({c.metric: value})["all"])
            model = first.model or "gpt2-medium"
            made.append(
                record(first.method, task, seed, None, options=first.options, model=model, scores=values)
            )
    return made


def of_others(
    method: str = "lora", options: Mapping[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """A run of a method that neither the paper nor this project has: a plug-in's, which may be gone today."""
    made = record(**changes)
    chosen = {"rank": 4} if options is None else options
    made |= {"method": method, "options": origins(chosen, "command line")}
    made["run_id"] = made["run_id"].replace("prefix", method)
    return made


def cell(table: str = "table2", **fields: Any) -> published.Cell:
    """The one cell of the paper that the selector picks."""
    cells = published.find_cells({"table": table, **fields})
    assert len(cells) == 1, [cell.place for cell in cells]
    return cells[0]


def webnlg_prefix(metric: str = "bleu", group: str = "all") -> published.Cell:
    """Table 2, PREFIX(0.1%), WebNLG, GPT-2 medium: BLEU A is 55.0."""
    return cell(task="webnlg", method="prefix", model="gpt2-medium", metric=metric, group=group)


def many(count: int) -> list[dict[str, Any]]:
    """About ``count`` records for speed: Table 2's systems with many seeds, low data, mini, failures."""
    templates = make_templates()
    records = []
    for seed in range(1, count // len(templates) + 1):
        for template in templates:
            number = next(_numbers)
            made = {**template, "seed": seed, "run_id": f"{template['run_id'][:-12]}{number:012x}"}
            if "data_seed" in made["settings"] and made["settings"]["data_seed"]["value"] is not None:
                drawn = {"value": seed % 5, "origin": "experiment figure3: paper §6.3"}
                made["settings"] = {**made["settings"], "data_seed": drawn}
            if number % 20 == 0:
                made |= {"status": "failed", "error": {"kind": "out-of-memory"}}
            values = {"bleu": 50 + (number % 97) / 20, "meteor": 0.4, "ter": 0.5, "rouge_l": 0.7}
            made["scores"] = {group: scores(values)["all"] for group in ("all", "seen", "unseen")}
            records.append(made)
    return records


def make_templates() -> list[dict[str, Any]]:
    """A record of every system of Table 2 at both scales, and of low data."""
    second_options: dict[str, dict[str, Any]] = {"adapter": {"size": "0.1%"}}
    second_options |= {method: {"length": 20} for method in ("prefix", "embedding", "infix")}
    templates = []
    for task, method in itertools.product(
        ("e2e", "webnlg", "dart"), ("prefix", "ft-full", "ft-top2", "adapter", "embedding", "infix")
    ):
        for options in ({}, *([second_options[method]] if method in second_options else [])):
            for model, scale in (("gpt2-medium", "paper"), ("gpt2-large", "paper"), ("mini-gpt2", "mini")):
                templates.append(record(method, task, options=options, model=model, scale=scale))
    for size, method in itertools.product((50, 100, 200, 500), ("prefix", "ft-full")):
        preset = {"train_subset": size, "dev_subset": size * 3 // 10, "test_split": "dev", "data_seed": 0}
        options = {"init": "table-to-text:"} if method == "prefix" else {}
        templates.append(record(method, "e2e", options=options, preset=preset))
    return templates
