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

from bench import registry
from bench.errors import UnavailableError, UnknownNameError
from bench.metric import format_signature
from bench.scoring.score import GateStatus, GateVerdict
from bench.system.files import sha256_text
from bench.system.json_files import JsonObject, to_canonical_json
from bench.task import Task

FOLDER = Path(__file__).resolve().parents[1] / "metrics" / "golden"
TOLERANCE = 1e-6
"""Allowed difference, relative above 1: official values are known to more digits than that."""
STATUS_WORDS = {GateStatus.ABSENT: "no golden outputs", GateStatus.NOT_COMPUTED: "not computed"}
"""What tables call a status, where it is not the status's own word."""


@dataclass(frozen=True)
class GoldenOutcome:
    """How one metric did: ``verdict.problem`` None where every value is right, ``checked`` how many there are.

    ``source``: where the right values are known from.
    """

    metric: str
    verdict: GateVerdict
    checked: int = 0
    source: str = ""

    @property
    def status_words(self) -> str:
        """The status as tables show it."""
        return STATUS_WORDS.get(self.verdict.status, self.verdict.status.value)

    def to_json(self) -> JsonObject:
        """For ``bench score --self-test --json``."""
        return {
            "metric": self.metric,
            "status": self.status_words,
            "gate_status": self.verdict.status,
            "fingerprint": self.verdict.fingerprint,
            "checked": self.checked,
            "problem": self.verdict.problem,
            "source": self.source,
        }


def list_golden_tasks() -> list[str]:
    """The tasks that have golden outputs."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@cache
def read_golden_outputs(task: str) -> JsonObject:
    """The golden outputs of a task: ``items`` and, per metric, ``expected`` values."""
    if task not in list_golden_tasks():
        raise UnknownNameError("task with golden outputs", task, list_golden_tasks())
    document: JsonObject = json.loads((FOLDER / f"{task}.json").read_text(encoding="utf-8"))
    return document


def find_golden_task(task: str | Task, metric: str) -> str | None:
    """Whose golden outputs test this scorer: the task's own, or those of a task scored by the same one."""
    scorer = registry.find_metric(task, metric)
    task_name = task if isinstance(task, str) else task.name
    tested = [name for name in list_golden_tasks() if metric in read_golden_outputs(name)["expected"]]
    if task_name in tested:
        return task_name
    return next((name for name in tested if registry.find_metric(name, metric) == scorer), None)


@cache
def check_scorer(task: str | Task, metric: str) -> GoldenOutcome:
    """Score the golden outputs of ``task`` by ``metric`` and compare with what is known; once per process."""
    scorer = registry.find_metric(task, metric)
    golden_task = find_golden_task(task, metric)
    if golden_task is None:
        return GoldenOutcome(metric, GateVerdict(GateStatus.ABSENT))
    golden = read_golden_outputs(golden_task)
    entry, items = golden["expected"][metric], golden["items"]
    if scorer is None:
        problem = "golden values are shipped and the scorer is not"
        return GoldenOutcome(metric, GateVerdict(GateStatus.FAILED, problem=problem))
    try:
        result = scorer.score([item["hyp"] for item in items], [item["refs"] for item in items])
    except UnavailableError as error:
        verdict = GateVerdict(GateStatus.NOT_COMPUTED, problem=str(error))
        return GoldenOutcome(metric, verdict, source=entry["source"])
    computed = {"value": [result.value], **{name: list(values) for name, values in result.segments.items()}}
    expected = {"value": [entry["value"]], **entry.get("segments", {})}
    signature = format_signature(result.signature)
    fingerprint = sha256_text(to_canonical_json([signature, round_values(computed)]))[:12]
    digits = entry.get("digits")  # a script that prints few
    difference = find_difference(expected, computed, TOLERANCE if digits is None else 10.0**-digits)
    status = GateStatus.PASSED if difference is None else GateStatus.FAILED
    checked = sum(map(len, expected.values()))
    return GoldenOutcome(metric, GateVerdict(status, fingerprint, difference), checked, entry["source"])


def find_difference(
    expected: Mapping[str, list[float]], computed: Mapping[str, list[float]], tolerance: float = TOLERANCE
) -> str | None:
    """The first value that is not as known, in words."""
    for name, right in expected.items():
        if name not in computed:
            return f"no values per segment called {name}"
        if len(computed[name]) != len(right):
            return f"{name}: {len(computed[name])} values, expected {len(right)}"
        for number, (value, result) in enumerate(zip(right, computed[name], strict=True), 1):
            if not math.isclose(value, result, rel_tol=tolerance, abs_tol=tolerance):
                item = "" if name == "value" else f" of item {number}"
                return f"{name}{item} is {result!r}, expected {value!r}"
    return None


def round_values(values: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Values as they go into a fingerprint: the last digits may differ between processors."""
    return {name: [float(f"{value:.7g}") for value in column] for name, column in values.items()}


def judge_scorer(task: str | Task, metric: str) -> GateVerdict:
    """What a score says of its scorer."""
    return check_scorer(task, metric).verdict


def list_changed_scorers(task: str | Task, scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The metrics whose scorer is another one than when these scores (of all groups) were made."""
    recorded: dict[str, set[str]] = {}
    for of_group in scores.values():
        for name, score in of_group.items():
            if score.get("value") is not None:
                recorded.setdefault(name, set()).add(str(score.get("gate")))
    return [name for name, gates in recorded.items() if gates != {str(judge_scorer(task, name))}]
