"""What records of older versions lack, filled in when they are read.

The one place where sentences of ours are taken apart: version 0.1.0's predecessors wrote states only in words.
What is written today has both, so nothing else needs to read the words. The stored files are not changed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from bench.config.settings import SettingLayer
from bench.scoring.score import GateStatus, ScoreStatus

_SCORE_REASONS = (
    ("not implemented yet", ScoreStatus.NOT_IMPLEMENTED),
    ("failed", ScoreStatus.FAILED),
    ("no items in this group", ScoreStatus.EMPTY),
    ("no reference for", ScoreStatus.NO_REFERENCES),
)
_GATES = (
    ("passed", GateStatus.PASSED),
    ("failed", GateStatus.FAILED),
    ("not computed", GateStatus.NOT_COMPUTED),
    ("no golden outputs", GateStatus.ABSENT),
)
_INCOMPARABLE = (
    ("scale ", "scale"),
    ("protocol ", "protocol"),
    ("data of an invented world", "invented-data"),
    ("the splits' sizes", "row-counts"),
    ("backbone not verified", "backbone-not-verified"),
    ("backbone", "backbone"),
    ("settings from the command line", "typed-settings"),
    ("the run did not finish", "unfinished"),
)
_HUB_ORIGIN = re.compile(r"hub [^@\s]+/[^@\s]+@[0-9a-f]{40}")


def upgrade_record(document: dict[str, Any]) -> dict[str, Any]:
    """``document`` with the typed values that later versions write; malformed parts are left for the schema."""
    upgraded = dict(document)
    for table in ("options", "settings"):
        if isinstance(document.get(table), dict):
            upgraded[table] = {name: _upgrade_setting(entry) for name, entry in document[table].items()}
    if isinstance(document.get("scores"), dict):
        upgraded["scores"] = {
            group: {metric: upgrade_score(score) for metric, score in scores.items()}
            if isinstance(scores, dict)
            else scores
            for group, scores in document["scores"].items()
        }
    reasons = document.get("not_comparable")
    if isinstance(reasons, list) and "incomparable" not in document:
        upgraded["incomparable"] = [
            {"kind": find_incomparable_kind(text), "text": text} for text in reasons if isinstance(text, str)
        ]
    if "model_verification" not in document and _names_hub_revision(document.get("model_origin")):
        upgraded["model_verification"] = {"status": "verified", "how": "hub-cache"}
    if "experiment" not in document:
        upgraded["experiment"] = _find_experiment(document)
    return upgraded


def _names_hub_revision(origin: Any) -> bool:
    """Whether the weights came from the hub's cache at the revision that the version of then had pinned."""
    return isinstance(origin, str) and _HUB_ORIGIN.fullmatch(origin) is not None


def upgrade_score(score: Any) -> Any:
    """A score with its statuses as values."""
    if not isinstance(score, dict):
        return score
    upgraded = dict(score)
    if "status" not in score:
        upgraded["status"] = find_score_status(score.get("value"), score.get("reason"))
    if "gate_status" not in score and isinstance(score.get("gate"), str):
        upgraded["gate_status"] = find_gate_status(score["gate"])
    return upgraded


def find_score_status(value: Any, reason: Any) -> ScoreStatus:
    """The status of a score, from its value or from the words that say why there is none."""
    if value is not None:
        return ScoreStatus.COMPUTED
    text = str(reason or "")
    return next(
        (status for words, status in _SCORE_REASONS if text.startswith(words)), ScoreStatus.UNAVAILABLE
    )


def find_gate_status(text: str) -> GateStatus | None:
    """The status of a gate, from its words; None for words that no version wrote."""
    return next((status for words, status in _GATES if text.startswith(words)), None)


def find_incomparable_kind(text: str) -> str:
    """The kind of a reason (``bench.store.record.IncomparableKind``), from its words."""
    return next((kind for words, kind in _INCOMPARABLE if text.startswith(words)), "other")


def find_launch_status(text: str) -> str:
    """The status of a launch (``bench.cluster.launches.LaunchState``), from its words."""
    if text.startswith("not submitted"):
        return "not-submitted"
    return "submitting" if text == "submitting" else "submitted"


@lru_cache(maxsize=1024)  # a store has few origins and many settings
def find_experiment_name(origin: str) -> str | None:
    """``figure3`` of the origin ``experiment figure3: paper §6.3``; None for other origins."""
    return origin.split(":")[0].split()[1] if origin.startswith("experiment ") else None


def _upgrade_setting(entry: Any) -> Any:
    if not isinstance(entry, dict) or "layer" in entry or not isinstance(entry.get("origin"), str):
        return entry
    return {**entry, "layer": _find_layer(entry["origin"])}


@lru_cache(maxsize=1024)
def _find_layer(origin: str) -> SettingLayer | None:
    if origin == "command line":
        return SettingLayer.COMMAND_LINE
    if origin.startswith("experiment "):
        return SettingLayer.EXPERIMENT
    if origin.startswith("protocol plain"):
        return SettingLayer.PROTOCOL
    return SettingLayer.OPTION if origin == "decided by another option" else None


def _find_experiment(document: dict[str, Any]) -> str | None:
    """The experiment that prescribed a setting, if any did."""
    tables = [document.get(name) for name in ("options", "settings")]
    entries = [entry for table in tables if isinstance(table, dict) for entry in table.values()]
    origins = [entry.get("origin") for entry in entries if isinstance(entry, dict)]
    names = [find_experiment_name(origin) for origin in origins if isinstance(origin, str)]
    return next((name for name in names if name), None)
