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
from bench.config.settings import SettingLayer
from bench.config.specification import resolve_run_settings
from bench.errors import UserError
from bench.experiments.files import find_only_table
from bench.models.catalogue import find_model_kind
from reports.paper.published import Cell
from reports.records.runs import Profile
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


def make_query(selector: Cell | Mapping[str, Any]) -> RunQuery:
    """What a cell, or a claim's selector, asks for."""
    fields: Mapping[str, Any] = selector if isinstance(selector, Mapping) else vars(selector)
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
    """As a value that can be a key."""
    return tuple(sorted(values.items()))


def translate_to_mini(query: RunQuery) -> RunQuery | None:
    """The same question at scale mini; None where mini has no such model.

    An option that is the paper's own choice for the task becomes mini's own choice, except in figures,
    whose points are at the values that they name.
    """
    if query.model not in MINI_MODELS:
        return None
    model, options = MINI_MODELS[query.model], query.options
    if query.task is not None and query.method is not None and not query.table.startswith("figure"):
        paper = resolve_defaults(query.task, query.method, query.model, "paper", ())
        mini = resolve_defaults(query.task, query.method, model, "mini", ())
        if paper is not None and mini is not None:
            usual = {name for name, value in options if paper.options.get(name) == value}
            options = tuple((name, mini.options[name] if name in usual else v) for name, v in options)
    return replace(query, model=model, options=options)


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
        description = registry.get_method(method)
        resolved = resolve_run_settings(
            registry.get_task(task),
            description,
            dict(options),
            {},
            model,
            scale,
            "original",
            find_model_kind(model),
        )
    except UserError:
        return None
    return DefaultRun(
        {name: setting.value for name, setting in resolved.options.items()},
        {name: setting.value for name, setting in resolved.settings.items()},
        description.trains,
    )


def find_mismatch(profile: Profile, query: RunQuery) -> str | None:
    """None if the profile's runs are those that are asked for, else what differs."""
    defaults = resolve_defaults(profile.task, profile.method, profile.model, profile.scale, query.options)
    option = _find_other_option(profile, query, defaults)
    if option is not None or query.counts:
        return option
    conditions = dict(query.conditions)
    for name in CONDITIONS.values():
        if profile.settings.get(name) != conditions.get(name):
            return f"{name}={profile.settings.get(name)}"
    split = profile.settings.get("test_split")
    if query.split is not None and split not in (None, query.split):
        return f"split {split}"
    if query.memory and profile.settings.get("batch_size") != 1:
        return "the paper's shares of memory are for batch size 1"
    for name, value in profile.settings.items():
        if name in conditions and value != conditions[name]:
            return f"setting {name}={value}"
        if name in conditions or name == "test_split" or not decides_result(name, defaults):
            continue
        if not is_unchanged(profile, query, name, defaults.settings if defaults else None):
            return f"setting {name}={value}"
    return None


def _find_other_option(profile: Profile, query: RunQuery, defaults: DefaultRun | None) -> str | None:
    """An option that is neither as the query names it nor what nobody changed; None without any."""
    asked = dict(query.options)
    for name, value in profile.options.items():
        if name in asked:
            same = value == (asked if defaults is None else defaults.options)[name]
        else:
            same = is_unchanged(profile, query, name, defaults.options if defaults else None)
        if not same:
            return f"option {name}={value}"
    return None


def is_unchanged(profile: Profile, query: RunQuery, name: str, defaults: Mapping[str, Any] | None) -> bool:
    """Whether an option or setting is what nobody changed, or what the cell's experiment prescribes.

    Figures 3, 5, 7 and 8 share their runs with little data, so there any experiment may prescribe; so
    may any at scale mini, where settings are cut down to size. Runs that only measure memory stop early
    and are in no other cell; those of an experiment that is apart (a search) are in no other table's.
    """
    entry = profile.entries[name]
    if defaults is None or name not in defaults:
        return not entry.typed
    if entry.value == defaults[name]:
        return True
    if entry.layer is not SettingLayer.EXPERIMENT:
        return False
    if profile.experiment == "efficiency" and not query.memory:
        return False
    if (only_table := find_only_table(profile.experiment)) is not None:
        return only_table == query.table
    cut_down = profile.scale == "mini" and name not in profile.options
    return bool(query.conditions) or profile.experiment == query.table or cut_down


def decides_result(name: str, defaults: DefaultRun | None) -> bool:
    """Whether a setting can change the result of the run."""
    definition = settings.DEFINITIONS_BY_NAME.get(name)
    if definition is None:
        return False
    return definition.identity and (defaults is None or defaults.trains or definition.stage != "train")
