"""The gate: before a score is believed, its scorer must give known values for golden outputs.

The golden outputs are ours (``bench/metrics/golden/TASK.json``): hypotheses, references, and per metric
the value and the values per segment, with where each is known from (the official script where it could
be run). They are scored once per process. What comes out is also each scorer's fingerprint: a record
whose fingerprints differ from today's was scored by something else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench import metrics
from bench.errors import UnavailableError, UnknownNameError
from bench.system.files import sha256_text
from bench.system.json_files import canonical_json

FOLDER = Path(__file__).resolve().parents[1] / "metrics" / "golden"
PASSED, FAILED, ABSENT = "passed", "failed", "no golden outputs"
TOLERANCE = 1e-6
"""Allowed difference, relative above 1: official values are known to more digits than that."""


@dataclass(frozen=True)
class Outcome:
    """How one metric did: ``problem`` None where every value is right."""

    metric: str
    status: str
    fingerprint: str | None
    checked: int
    problem: str | None = None
    source: str = ""


def tasks() -> list[str]:
    """The tasks that have golden outputs."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@cache
def golden(task: str) -> dict[str, Any]:
    """The golden outputs of a task."""
    if task not in tasks():
        raise UnknownNameError("task with golden outputs", task, tasks())
    document: dict[str, Any] = json.loads((FOLDER / f"{task}.json").read_text(encoding="utf-8"))
    return document


def golden_for(task: str, metric: str) -> str | None:
    """Whose golden outputs test this scorer: the task's own, or those of a task scored by the same one."""
    scorer = metrics.find(task, metric)
    for name in [task, *tasks()]:
        known = name in tasks() and metric in golden(name)["expected"]
        if known and (name == task or metrics.find(name, metric) is scorer):
            return name
    return None


@cache
def outcome(task: str, metric: str) -> Outcome:
    """Score the golden outputs of ``task`` by ``metric`` and compare with what is known."""
    scorer = metrics.find(task, metric)
    source = golden_for(task, metric)
    if source is None:
        return Outcome(metric, ABSENT, None, 0)
    expected, items = golden(source)["expected"][metric], golden(source)["items"]
    if scorer is None:
        return Outcome(metric, FAILED, None, 0, "golden values are shipped and the scorer is not")
    try:
        found = scorer([item["hyp"] for item in items], [item["refs"] for item in items])
    except UnavailableError as error:
        return Outcome(metric, "not computed", None, 0, str(error), expected["source"])
    values = {"value": [found.value], **{name: list(one) for name, one in found.segments.items()}}
    wanted = {"value": [expected["value"]], **expected.get("segments", {})}
    fingerprint = sha256_text(canonical_json([found.signature, rounded(values)]))[:12]
    checked = sum(map(len, wanted.values()))
    digits = expected.get("digits")  # a script that prints few
    problem = difference(wanted, values, TOLERANCE if digits is None else 10.0**-digits)
    status = PASSED if problem is None else FAILED
    return Outcome(metric, status, fingerprint, checked, problem, expected["source"])


def difference(
    wanted: Mapping[str, list[float]], found: Mapping[str, list[float]], tolerance: float = TOLERANCE
) -> str | None:
    """The first value that is not as known, in words."""
    for name, known in wanted.items():
        if name not in found:
            return f"no values per segment called {name}"
        if len(found[name]) != len(known):
            return f"{name}: {len(found[name])} values, expected {len(known)}"
        for number, (one, other) in enumerate(zip(known, found[name], strict=True), 1):
            if not math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance):
                place = "" if name == "value" else f" of item {number}"
                return f"{name}{place} is {other!r}, expected {one!r}"
    return None


def rounded(values: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Values as they go into a fingerprint: the last digits may differ between processors."""
    return {name: [float(f"{value:.7g}") for value in one] for name, one in values.items()}


def verdict(task: str, metric: str) -> str:
    """What a score says of its scorer: ``passed FINGERPRINT``, ``failed: …`` or ``no golden outputs``."""
    result = outcome(task, metric)
    if result.status == FAILED:
        return f"{FAILED}: {result.problem}"
    return f"{PASSED} {result.fingerprint}" if result.fingerprint else result.status


def changed(task: str, scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The metrics whose scorer is another one than when these scores (of all groups) were made."""
    old: dict[str, set[str]] = {}
    for group in scores.values():
        for name, one in group.items():
            if one.get("value") is not None:
                old.setdefault(name, set()).add(str(one.get("gate")))
    return [name for name, seen in old.items() if seen != {verdict(task, name)}]
