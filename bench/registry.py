"""Which methods, tasks and metrics there are: found by looking, never listed by hand.

Every file in ``baselines/``, ``tasks/`` and ``bench/metrics/`` whose name does not start with ``_`` is
imported, and the methods, tasks or metrics it defines are offered under their ``name``. Other packages add
theirs by an entry point (group ``bench.methods``, ``bench.tasks`` or ``bench.metrics``) that names a class.
A file that cannot be used is kept as broken, with its cause, and the others go on working: what it prints, raises
and changes when it is imported stays with it (``bench.system.isolation``), and what it declares is checked
(``bench.plugin_checks``). Only what ends the process at once, ``os._exit`` or a crash, cannot be held up.

Nothing here imports torch, and neither do the files of this project. A file that does so at its top
works too: the listing then takes as long as importing torch, and without torch that one is broken.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import EntryPoint, distributions, entry_points
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar

from bench.errors import UnknownNameError, UserError
from bench.foreign_text import quote_foreign, show_foreign
from bench.method import Method
from bench.metric import Metric
from bench.plugin_checks import check_name, check_plugin
from bench.system.isolation import GuestError, UnfitGuestError, call_guest, describe_guest_error
from bench.task import Task

T = TypeVar("T")


@dataclass
class Discovery(Generic[T]):
    """What one kind of plug-in came to: usable ones by name, and (file or entry point, cause)."""

    usable: dict[str, T] = field(default_factory=dict)
    broken: list[tuple[str, str]] = field(default_factory=list)
    origin: dict[str, str] = field(default_factory=dict)
    """Name -> file or entry point it came from."""


def methods() -> dict[str, Method]:
    """All usable methods by name."""
    return dict(_methods().usable)


def tasks() -> dict[str, Task]:
    """All usable tasks by name."""
    return dict(_tasks().usable)


def metrics() -> dict[str, Metric]:
    """All usable metrics by name, each in its usual form; ``find_metric`` gives a task's own."""
    return dict(_metrics().usable)


def list_metric_names(task: Task) -> list[str]:
    """The scores of a task: those of the paper's columns, then the metrics that are reported beside them."""
    return list(dict.fromkeys([*task.metrics, *task.scorers, *list_supplementary_metrics(task.name)]))


def list_supplementary_metrics(task: str) -> list[str]:
    """The metrics that are reported beside those of the paper's columns."""
    discovery = _metrics()
    return [name for name in discovery.origin if task in discovery.usable[name].reported_for]


def find_metric(task: str | Task, name: str) -> Metric | None:
    """The metric ``name`` as the task has it computed, or None if there is none.

    A task's own (``Task.scorers``) comes before the one of that name here. A task by a name that nothing
    has (a record of a task that was removed) gets each metric's usual form. ``UserError`` with the cause for
    a metric whose file is broken.
    """
    task_name = task if isinstance(task, str) else task.name
    plugin = tasks().get(task) if isinstance(task, str) else task
    if plugin is not None and (scorer := plugin.scorers.get(name)) is not None:
        return scorer() if isinstance(scorer, type) else scorer
    discovery = _metrics()
    if name in discovery.usable:
        return discovery.usable[name].for_task(task_name)
    _refuse_broken("metric", name, discovery)
    return None


def broken(kind: Literal["methods", "tasks", "metrics"] | None = None) -> list[tuple[str, str]]:
    """(file or entry point, cause in one line) of every method, task and metric that cannot be used."""
    discoveries: dict[str, Callable[[], Discovery[Any]]] = {
        "methods": _methods,
        "tasks": _tasks,
        "metrics": _metrics,
    }
    return [entry for name in discoveries if kind in (None, name) for entry in discoveries[name]().broken]


def list_names(kind: Literal["methods", "tasks"]) -> list[str]:
    """The names of all methods or tasks, and those that broken files and entry points would have."""
    discovery: Discovery[Any] = _methods() if kind == "methods" else _tasks()
    files = [location.split(" = ")[0] for location, _ in discovery.broken]
    return [*discovery.usable, *(Path(file).stem.replace("_", "-") for file in files)]


def get_method(name: str) -> Method:
    """The method ``name``; ``UserError`` with the nearest names, or with the cause if it is broken."""
    return get_plugin("method", name, _methods())


def get_task(name: str) -> Task:
    """The task ``name``; ``UserError`` as for methods."""
    return get_plugin("task", name, _tasks())


@cache
def _methods() -> Discovery[Method]:
    return discover_plugins("baselines", Method, "bench.methods")


@cache
def _tasks() -> Discovery[Task]:
    return discover_plugins("tasks", Task, "bench.tasks")


@cache
def _metrics() -> Discovery[Metric]:
    return discover_plugins("bench.metrics", Metric, "bench.metrics")


def get_plugin(kind: str, name: str, discovery: Discovery[T]) -> T:
    """``found.usable[name]``, or the error that helps."""
    if name in discovery.usable:
        return discovery.usable[name]
    _refuse_broken(kind, name, discovery)
    raise UnknownNameError(kind, name, discovery.usable, f"bench list {kind}s")


def _refuse_broken(kind: str, name: str, discovery: Discovery[Any]) -> None:
    """``UserError`` with the cause where the file that should define ``name`` is broken."""
    for location, cause in discovery.broken:
        if _is_named_after(location, name) or location.split(" = ")[0] == name:
            raise UserError(f"{kind} {name!r} cannot be used: {location} is broken: {cause}")


def discover_plugins(package: str, base: type, group: str) -> Discovery[Any]:
    """Import every file of ``package`` and every entry point of ``group``; keep those of ``base``."""
    discovery: Discovery[Any] = Discovery()
    points, discovery.broken = _list_entry_points(group)
    sources: list[tuple[str, _File | _Entry]] = [*_files(package), *points]
    for location, load in sources:
        try:
            call_guest(partial(_load, discovery, load, base, location))
        except GuestError as error:
            discovery.broken.append((location, error.cause))
    discovery.usable = dict(sorted(discovery.usable.items()))
    return discovery


def _load(discovery: Discovery[Any], load: _File | _Entry, base: type, location: str) -> None:
    classes = load(base)
    if not classes:
        raise UnfitGuestError(
            f"defines no {base.__name__.lower()} (a class deriving from "
            f"{base.__module__}.{base.__name__} with every method written)"
        )
    for cls in classes:
        _add(discovery, cls, base, location)


def _add(discovery: Discovery[Any], cls: type, base: type, location: str) -> None:
    name = check_name(cls)
    plugin = cls()
    check_plugin(plugin, base)
    if name in discovery.usable:
        holder = discovery.origin[name]
        if not _is_named_after(location, name) or _is_named_after(holder, name):
            raise UnfitGuestError(f"the name {name!r} is taken by {holder}")
        # The file that is named after it has the name, whichever was read first.
        discovery.broken.append((holder, f"the name {name!r} is taken by {location}"))
    discovery.usable[name] = plugin
    discovery.origin[name] = location


def _is_named_after(location: str, name: str) -> bool:
    """Whether a file is named after what it defines: ft-full is in ft_full.py."""
    return " = " not in location and Path(location).stem == name.replace("-", "_")


@dataclass(frozen=True)
class _File:
    """Loads the plug-in classes that one module defines (not those that it imports)."""

    module: str

    def __call__(self, base: type) -> list[type]:
        return _defined_in(importlib.import_module(self.module), base)


@dataclass(frozen=True)
class _Entry:
    """Loads the class that an entry point names."""

    point: EntryPoint

    def __call__(self, base: type) -> list[type]:
        loaded = self.point.load()
        if isinstance(loaded, ModuleType):
            return _defined_in(loaded, base)
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise TypeError(f"{show_foreign(self.point.value)} is not a {base.__name__}")
        return [loaded]


def _defined_in(module: ModuleType, base: type) -> list[type]:
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and not inspect.isabstract(value)
    ]


def _files(package: str) -> Iterator[tuple[str, _File]]:
    """Every module of ``package`` in the order of its names, shown as ``baselines/prefix.py``."""
    paths = importlib.import_module(package).__path__
    for info in sorted(pkgutil.iter_modules(paths), key=lambda info: info.name):
        if not info.name.startswith("_"):
            label = f"{package.replace('.', '/')}/{info.name}" + ("" if info.ispkg else ".py")
            yield label, _File(f"{package}.{info.name}")


def _list_entry_points(group: str) -> tuple[list[tuple[str, _Entry]], list[tuple[str, str]]]:
    """The entry points of ``group`` as (label, loader), and what cannot be read of the installed packages' lists."""
    broken: list[tuple[str, str]] = []
    try:
        points = list(entry_points(group=group))
    except Exception:  # noqa: BLE001 - a damaged list of one package; the others are read by themselves
        points = []
        for distribution in distributions():
            try:
                points += distribution.entry_points.select(group=group)
            except Exception as error:  # noqa: BLE001 - see above
                label = f"entry points in {show_foreign(getattr(distribution, '_path', '?'), 200)}"
                broken.append((label, describe_guest_error(error)))
    distinct = {(point.name, point.value): point for point in reversed(points)}
    labelled = [
        (f"{show_foreign(point.name)} = {show_foreign(point.value)}", _Entry(point))
        for _, point in sorted(distinct.items())
    ]
    return labelled, broken


def parse_selector(text: str) -> list[tuple[str, dict[str, str]]]:
    """The selections that ``text`` stands for: (name, options) with every combination of the lists.

    A selector is a name with options in brackets; selectors are separated by commas. In brackets
    ``;`` or ``,`` separates options, and a comma between plain values makes a list.

    >>> parse_selector("prefix[length=5,10;init=summarize]")
    [('prefix', {'length': '5', 'init': 'summarize'}), ('prefix', {'length': '10', 'init': 'summarize'})]
    >>> parse_selector("prefix[length=5,hidden=64],ft-full")
    [('prefix', {'length': '5', 'hidden': '64'}), ('ft-full', {})]

    Raises ``UserError`` for what is no selector, and for more than ``MOST_SELECTIONS``.
    """
    selections: list[tuple[str, dict[str, str]]] = []
    for name, inside in _split(text):
        lists = _options(inside, text)
        count = len(selections) + math.prod(map(len, lists.values()))
        if count > MOST_SELECTIONS:
            raise UserError(
                f"selector {quote_foreign(text)}: its lists make {show_foreign(count, 40)} selections or more; "
                f"expected at most {MOST_SELECTIONS:,}"
            )
        for values in product(*lists.values()):
            selections.append((name, dict(zip(lists, values, strict=True))))
    return selections


MOST_SELECTIONS = 10_000
"""A product of lists grows beyond what anybody means."""
EXPECTED = "expected NAME or NAME[OPTION=VALUE,…], for example 'prefix[length=5,10],ft-full'"


def _split(text: str) -> Iterator[tuple[str, str]]:
    """(name, text in brackets) of each selector."""
    rest = text
    while True:
        end = next((i for i, letter in enumerate(rest) if letter in ",[]"), len(rest))
        name, inside = rest[:end].strip(), ""
        if not name:
            raise UserError(f"selector {text!r}: a name is missing; {EXPECTED}")
        rest = rest[end:]
        if rest.startswith("["):
            inside, closed, rest = rest[1:].partition("]")
            if not closed or "[" in inside:
                raise UserError(f"selector {text!r}: a '[' after {name!r} is not closed; {EXPECTED}")
            rest = rest.lstrip()
        yield name, inside
        if not rest:
            return
        if not rest.startswith(","):
            problem = "a ']' without '['" if rest.startswith("]") else f"{rest!r} after ']'"
            raise UserError(f"selector {text!r}: {problem}; {EXPECTED}")
        rest = rest[1:]


def _options(inside: str, text: str) -> Mapping[str, list[str]]:
    """Option -> its values. A piece with ``=`` starts an option, one without adds a value to the last."""
    options: dict[str, list[str]] = {}
    for part in inside.split(";") if inside.strip() else []:
        current: list[str] | None = None
        for piece in part.split(","):
            name, equals, value = (word.strip() for word in piece.partition("="))
            if not equals:
                name, value = "", name
            if not value or (equals and not name) or (not equals and current is None):
                raise UserError(f"selector {text!r}: {piece!r} is not OPTION=VALUE; {EXPECTED}")
            if equals:
                if name in options:
                    raise UserError(
                        f"selector {text!r}: {name!r} is given twice; expected one list, "
                        f"as in {name}={options[name][0]},{value}"
                    )
                current = options[name] = []
            assert current is not None
            current.append(value)
    return options
