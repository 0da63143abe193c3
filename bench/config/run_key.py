"""A run before its data and weights are found: what a plan can say of it anywhere.

A run's name hashes the files that it reads; without them there is no name. The outline has all the
rest, task, method, options, the backbone's name, scale, protocol, seed and settings, and its key finds
the records of the same run, whoever made them: ``key(request) == record_key(record)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import registry
from bench.config.request import RunRequest
from bench.config.settings import DEFINITIONS
from bench.config.specification import ResolvedSettings, is_part_of_identity, select_training_settings
from bench.models.catalogue import is_model_path
from bench.system.files import sha256_text
from bench.system.json_files import to_canonical_json


def get_model_name(request: RunRequest) -> str:
    """The backbone's name as it stands in records."""
    return Path(request.model).resolve().name if is_model_path(request.model) else request.model


def compute_run_key(
    request: RunRequest, resolved: ResolvedSettings | None = None, training: bool = False
) -> str:
    """SHA-256 of the outline; ``resolved``: the request's own options and settings, if at hand.

    With ``training`` of what the training depends on: runs with the same one share it.
    """
    resolved = resolved or request.resolve(get_model_name(request))
    return _key(
        {
            "task": request.task.name,
            "method": request.method.name,
            "model": get_model_name(request),
            "scale": request.common.scale,
            "protocol": request.common.protocol,
            "seed": request.seed,
        },
        {name: setting.value for name, setting in resolved.options.items()},
        {name: setting.value for name, setting in resolved.settings.items()},
        request.method.trains,
        training,
    )


def compute_record_key(record: Mapping[str, Any]) -> str:
    """The same of a record or of a run's ``spec.json``. Settings that it lacks count as at their defaults."""

    def values(table: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: entry["value"] if isinstance(entry, Mapping) else entry for name, entry in table.items()
        }

    method = registry.methods().get(record["method"])
    names = ("task", "method", "model", "scale", "protocol", "seed")
    return _key(
        {name: record[name] for name in names},
        values(record["options"]),
        values(record["settings"]),
        method.trains if method else True,
    )


def _key(
    names: Mapping[str, Any],
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    trains: bool,
    training: bool = False,
) -> str:
    deciding = {
        definition.name: settings.get(definition.name, definition.default)
        for definition in DEFINITIONS
        if is_part_of_identity(definition.name, trains)
    }
    if training:
        deciding = select_training_settings(deciding)
    outline = {**names, "options": dict(options), "settings": deciding}
    return sha256_text(to_canonical_json(outline))
