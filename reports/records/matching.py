"""Whose runs a cell or a claim asks for, and whether a run is one of them.

A run belongs to a cell if task, model and method are the cell's; the options that the cell names have
its values and the others are what the method resolves to for that task; and every setting that can
change the result is the default, save those that the cell's own experiment prescribes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from bench import registry
from bench.config import settings
from bench.config.specification import resolve_run_settings
from bench.errors import UserError
from bench.models.catalogue import kind_of_model
from reports.paper.published import Cell
from reports.records.runs import Profile, experiment_of
from reports.records.values import COUNT_METRICS

CONDITIONS = {"train_size": "train_subset", "train_share": "train_share"}
"""What a cell says about the training data -> the setting of a run that decides it."""
MINI_MODELS = {"gpt2-medium": "mini-gpt2", "bart-large": "mini-bart"}
"""The backbone that plays a published one's part at scale mini."""
NamedValues = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class RunQuery:
    """Whose runs are looked for. None: any."""

    table: str
    task: str | None
    model: str | None
    method: str | None
    options: NamedValues
    conditions: NamedValues
    """By the names of run settings; those of ``CONDITIONS`` that are not here must be unset."""
    split: str | None
    counts: bool = False
    """Whether it is a number of parameters, which no setting of the training changes."""
    memory: bool = False


def make_query(what: Cell | Mapping[str, Any]) -> RunQuery:
    """What a cell, or a claim's selector, asks for."""
    fields: Mapping[str, Any] = what if isinstance(what, Mapping) else vars(what)
    conditions = {CONDITIONS.get(name, name): value for name, value in (fields.get("settings") or {}).items()}
    return RunQuery(
        table=str(fields.get("table", "")),
        task=fields.get("task"),
        model=fields.get("model"),
        method=fields.get("method"),
        options=sort_items(fields.get("options") or {}),
        conditions=sort_items(conditions),
        split=fields.get("split"),
        counts=fields.get("metric") in COUNT_METRICS,
        memory=fields.get("metric") == "memory_share",
    )


def sort_items(values: Mapping[str, Any]) -> NamedValues:
    return tuple(sorted(values.items()))


def translate_to_mini(what: RunQuery) -> RunQuery | None:
    """The same question at scale mini; None where mini has no such model.

    An option that is the paper's own choice for the task becomes mini's own choice, except in figures,
    whose points are at the values that they name.
    """
    if what.model not in MINI_MODELS:
        return None
    model, options = MINI_MODELS[what.model], what.options
    if what.task is not None and what.method is not None and not what.table.startswith("figure"):
        paper = resolve_defaults(what.task, what.method, what.model, "paper", ())
        mini = resolve_defaults(what.task, what.method, model, "mini", ())
        if paper is not None and mini is not None:
            usual = {name for name, value in options if paper.options.get(name) == value}
            options = tuple((name, mini.options[name] if name in usual else v) for name, v in options)
    return replace(what, model=model, options=options)


@dataclass(frozen=True)
class DefaultRun:
    """What a run has when nobody changes anything."""

    options: Mapping[str, Any]
    settings: Mapping[str, Any]
    trains: bool


@lru_cache(maxsize=4096)
def resolve_defaults(
    task: str, method: str, model: str, scale: str, options: NamedValues
) -> DefaultRun | None:
    """Options and settings of that run; None for a task or method that this version does not have."""
    try:
        known = registry.get_method(method)
        kind = kind_of_model(model)
        found = resolve_run_settings(
            registry.get_task(task), known, dict(options), {}, model, scale, "original", kind
        )
    except UserError:
        return None
    return DefaultRun(
        {name: one.value for name, one in found.options.items()},
        {name: one.value for name, one in found.settings.items()},
        known.trains,
    )


def find_mismatch(profile: Profile, what: RunQuery) -> str | None:
    """None if the profile's runs are those that are asked for, else what differs."""
    usual = resolve_defaults(profile.task, profile.method, profile.model, profile.scale, what.options)
    asked, conditions = dict(what.options), dict(what.conditions)
    for name, value in profile.options.items():
        if name in asked:
            if value != (asked if usual is None else usual.options)[name]:
                return f"option {name}={value}"
        elif not is_unchanged(profile, what, name, value, usual.options if usual else None):
            return f"option {name}={value}"
    if what.counts:
        return None
    for name in CONDITIONS.values():
        if profile.settings.get(name) != conditions.get(name):
            return f"{name}={profile.settings.get(name)}"
    split = profile.settings.get("test_split")
    if what.split is not None and split not in (None, what.split):
        return f"split {split}"
    if what.memory and profile.settings.get("batch_size") != 1:
        return "the paper's shares of memory are for batch size 1"
    for name, value in profile.settings.items():
        if name in conditions or name == "test_split" or not decides_result(name, usual):
            continue
        if not is_unchanged(profile, what, name, value, usual.settings if usual else None):
            return f"setting {name}={value}"
    return None


def is_unchanged(
    profile: Profile, what: RunQuery, name: str, value: Any, usual: Mapping[str, Any] | None
) -> bool:
    """Whether an option or setting is what nobody changed, or what the cell's experiment prescribes.

    Figures 3, 5, 7 and 8 share their runs with little data, so there any experiment may prescribe; so
    may any at scale mini, where settings are cut down to size. Runs that only measure memory stop early
    and are in no other cell.
    """
    origin = profile.origins.get(name, "")
    if usual is None or name not in usual:
        return origin != "command line"
    if value == usual[name]:
        return True
    by = experiment_of(origin)
    if by is None or (by == "efficiency" and not what.memory):
        return False
    cut_down = profile.scale == "mini" and name not in profile.options
    return bool(what.conditions) or by == what.table or cut_down


def decides_result(name: str, usual: DefaultRun | None) -> bool:
    """Whether a setting can change the result of the run."""
    known = settings.DEFINITIONS_BY_NAME.get(name)
    if known is None:
        return False
    return known.identity and (usual is None or usual.trains or known.stage != "train")
