"""Whether a plug-in declares what its contract asks for; each fault is one sentence that names class and attribute.

``bench.registry`` calls this for every method, task and metric that it finds, before anything reads them.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from bench.errors import UserError
from bench.foreign_text import quote_foreign, show_foreign
from bench.method import Method, ModelKind, Option
from bench.metric import Metric, PipelineMetric, Requirements
from bench.system.isolation import UnfitGuestError
from bench.task import PublishedFile, RowCount, Task, TaskKind

NAME = re.compile(r"\w[\w.+%-]{0,63}")
"""Names stand in selectors, file names and tables."""
NAME_EXPECTED = "a name of up to 64 letters, digits, '_', '-', '.', '+' and '%'"


class Attribute(NamedTuple):
    """One attribute of a contract: what it must be, in words and as a test."""

    name: str
    expected: str
    fits: Callable[[Any], bool]


def is_name(value: object) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def is_text(value: object) -> bool:
    """Text that can be written: without NUL and halves of surrogate pairs."""
    return isinstance(value, str) and not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)


def is_line(value: object) -> bool:
    return is_text(value) and isinstance(value, str) and value.strip() != "" and len(value.splitlines()) == 1


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_sequence(value: object, fits: Callable[[Any], bool], least: int = 0) -> bool:
    return isinstance(value, tuple | list) and len(value) >= least and all(map(fits, value))


def is_table(value: object, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) and fits(value[key]) for key in value)


def is_settings(value: object) -> bool:
    """``{"lr": (5e-5, "paper Table 6")}``."""
    return is_table(value, lambda entry: is_sequence(entry, lambda _: True, 2) and is_sourced(entry))


def is_sourced(entry: Any) -> bool:
    return len(entry) == 2 and isinstance(entry[1], str)


def is_tables(value: object) -> bool:
    return is_table(value, lambda by_task: is_table(by_task, is_settings))


def is_path_below(value: object) -> bool:
    """A relative path that does not lead out of its folder."""
    if not is_text(value) or not isinstance(value, str) or not value:
        return False
    path = PurePosixPath(value)
    return not path.is_absolute() and ".." not in path.parts


def is_row_count(value: object) -> bool:
    return isinstance(value, RowCount) and all(
        isinstance(count, int) and not isinstance(count, bool) and count >= 0
        for count in (value.rows, value.items)
    )


def is_published_file(value: object) -> bool:
    return (
        isinstance(value, PublishedFile)
        and is_path_below(value.path)
        and is_text(value.url)
        and (value.sha256 is None or is_text(value.sha256))
    )


def is_scorer(value: object) -> bool:
    return isinstance(value, Metric) or (
        isinstance(value, type) and issubclass(value, Metric) and not inspect.isabstract(value)
    )


def is_requirements(value: object) -> bool:
    return (
        isinstance(value, Requirements)
        and is_sequence(value.packages, is_text)
        and (value.weights is None or is_text(value.weights))
        and isinstance(value.references, bool)
    )


SOURCED = "names with pairs of a value and its origin"
TABLES = f"scales with tasks with {SOURCED}"
MAPPINGS = "a tuple of mappings from option names to values"
METHOD_ATTRIBUTES = (
    Attribute("summary", "a text of one line", is_line),
    Attribute("source", "a text", is_text),
    Attribute(
        "kinds",
        f"a tuple of {' and '.join(ModelKind)}",
        lambda value: is_sequence(value, lambda kind: kind in list(ModelKind), 1),
    ),
    Attribute(
        "options",
        "a tuple of bench.method.Option",
        lambda value: is_sequence(value, lambda option: isinstance(option, Option)),
    ),
    Attribute("variants", MAPPINGS, lambda value: is_sequence(value, lambda v: is_table(v, lambda _: True))),
    Attribute("trains", "True or False", lambda value: isinstance(value, bool)),
    Attribute("rules", SOURCED, is_settings),
    Attribute("settings", TABLES, is_tables),
    Attribute("mini_lr", "None or a number above 0", lambda v: v is None or (is_number(v) and v > 0)),
    Attribute("seq2seq_rules", SOURCED, is_settings),
    Attribute("seq2seq_settings", TABLES, is_tables),
    Attribute(
        "seq2seq_variants",
        f"None or {MAPPINGS}",
        lambda v: v is None or is_sequence(v, lambda variant: is_table(variant, lambda _: True)),
    ),
)
TASK_ATTRIBUTES = (
    Attribute("title", "a text of one line", is_line),
    Attribute("kind", f"one of {', '.join(TaskKind)}", lambda value: value in list(TaskKind)),
    Attribute("folder", "the name of a folder below the data directory", is_path_below),
    Attribute("licence", "a text", is_text),
    Attribute(
        "published",
        "a tuple of bench.task.PublishedFile with relative paths",
        lambda value: is_sequence(value, is_published_file),
    ),
    Attribute(
        "expected", "splits with their bench.task.RowCount", lambda value: is_table(value, is_row_count)
    ),
    Attribute(
        "files",
        "splits with tuples of patterns below the task's folder",
        lambda value: is_table(value, lambda patterns: is_sequence(patterns, is_path_below)),
    ),
    Attribute("metrics", f"a tuple with {NAME_EXPECTED} each", lambda value: is_sequence(value, is_name)),
    Attribute(
        "scorers",
        "names with metrics (bench.metric.Metric)",
        lambda value: is_table(value, is_scorer) and all(map(is_name, value)),
    ),
    Attribute("groups", "a tuple of texts", lambda value: is_sequence(value, is_line, 1)),
    Attribute(
        "paper_lengths",
        "None or two numbers",
        lambda value: value is None or (is_sequence(value, is_number, 2) and len(value) == 2),
    ),
    Attribute("instruction", "a text", is_text),
    Attribute("settings", f"scales with {SOURCED}", lambda value: is_table(value, is_settings)),
)
METRIC_ATTRIBUTES = (
    Attribute("summary", "a text of one line", is_line),
    Attribute("requirements", "bench.metric.Requirements", is_requirements),
    Attribute("reported_for", "a tuple of names of tasks", lambda value: is_sequence(value, is_name)),
)
ATTRIBUTES: Mapping[type, tuple[Attribute, ...]] = {
    Method: METHOD_ATTRIBUTES,
    Task: TASK_ATTRIBUTES,
    Metric: METRIC_ATTRIBUTES,
}
ROWS = ("split", "root", "protocol")
CALLS: Mapping[type, Mapping[str, tuple[str, ...]]] = {
    Method: {
        "build": ("backbone", "tokenizer", "options", "seed"),
        "tables": ("kind",),
        "variants_for": ("kind",),
        "settings_for": ("scale", "task", "options", "model", "kind"),
        "settings_by_option": ("scale", "task", "options"),
        "paper_share": ("model", "options"),
        "count_positions": ("options", "kind"),
        "instruct": ("source", "task", "options"),
        "settle": ("options",),
        "resolve_options": ("chosen",),
    },
    Task: {
        "rows": ROWS,
        "items": ROWS,
        "iterate_rows": ROWS,
        "iterate_items": ROWS,
        "count": ROWS[:2],
        "dataset": (*ROWS, "view"),
        "groups_of": ("category", "place"),
        "found": ROWS[:2],
        "missing": ROWS[:2],
    },
    Metric: {"score": ("hypotheses", "references"), "for_task": ("task",)},
}
"""Contract -> its methods with what they are called with, in this order."""


def check_plugin(plugin: Any, contract: type) -> None:
    """Refuse what ``plugin``, a new instance, lacks of ``contract``: an `UnfitGuestError` with one sentence."""
    label = f"class {show_foreign(type(plugin).__name__)}"
    if not isinstance(plugin, contract):
        raise UnfitGuestError(f"{label} is no {contract.__name__}")
    for attribute in ATTRIBUTES[contract]:
        try:
            value = getattr(plugin, attribute.name)
        except AttributeError:
            raise UnfitGuestError(
                f"{label} has no `{attribute.name}`; expected {attribute.expected}"
            ) from None
        if not attribute.fits(value):
            raise UnfitGuestError(
                f"{label}: `{attribute.name}` is {show_foreign(repr(value), 60)}, expected {attribute.expected}"
            )
    for name, arguments in CALLS[contract].items():
        check_call(label, name, getattr(plugin, name), arguments)
    if isinstance(plugin, Method):
        check_options(label, plugin)
    if isinstance(plugin, PipelineMetric):
        check_pipelines(label, plugin)


def check_name(cls: type) -> str:
    """The name of a plug-in's class; `UnfitGuestError` where it is none."""
    name = getattr(cls, "name", None)
    if not isinstance(name, str):
        raise UnfitGuestError(f"class {show_foreign(cls.__name__)} has no `name`")
    if not is_name(name):
        raise UnfitGuestError(
            f"class {show_foreign(cls.__name__)}: `name` is {quote_foreign(name)}, expected {NAME_EXPECTED}"
        )
    return name


def check_call(label: str, name: str, function: Any, arguments: tuple[str, ...]) -> None:
    """Refuse a method that cannot be called with ``arguments``, in order and, the last one, by its name."""
    if not callable(function):
        raise UnfitGuestError(f"{label}: `{name}` is {show_foreign(repr(function), 60)}, expected a method")
    try:
        signature = inspect.signature(function)
    except ValueError:  # written in C, or it takes not even itself
        if not inspect.ismethod(function):
            return
        raise UnfitGuestError(f"{label}: `{name}` takes no argument, expected a method") from None
    try:
        signature.bind(*arguments)
        if name == "build":  # the seed is named where parameters are counted
            signature.bind(*arguments[:-1], **{arguments[-1]: 0})
    except TypeError as error:
        raise UnfitGuestError(
            f"{label}: {name}{show_foreign(signature)} cannot be called as {name}({', '.join(arguments)}): {error}"
        ) from None
    if inspect.iscoroutinefunction(function):
        raise UnfitGuestError(f"{label}: `{name}` is a coroutine, expected a method that returns its result")


def check_pipelines(label: str, metric: PipelineMetric) -> None:
    """Refuse ways of computing that are no functions, and a usual one that is not among them."""
    pipelines = getattr(metric, "pipelines", None)
    if not is_table(pipelines, callable):
        raise UnfitGuestError(
            f"{label}: `pipelines` is {show_foreign(repr(pipelines), 60)}, expected names of tasks with functions"
        )
    if metric.usual is not None and metric.usual not in list(metric.pipelines):
        raise UnfitGuestError(
            f"{label}: `usual` is {show_foreign(repr(metric.usual), 60)}, expected None or a name in `pipelines`"
        )


def check_options(label: str, method: Method) -> None:
    """Refuse options that nobody could choose, and variants of a method that are no choice of its options."""
    declared: dict[str, Option] = {}
    for option in method.options:
        if not is_name(option.name):
            raise UnfitGuestError(
                f"{label}: an option is called {quote_foreign(option.name)}, expected {NAME_EXPECTED}"
            )
        if option.name in declared:
            raise UnfitGuestError(f"{label}: two options are called {option.name!r}")
        declared[option.name] = option
        check_option(label, option, method.name)
    for name, variants in (
        ("variants", method.variants),
        ("seq2seq_variants", method.seq2seq_variants or ()),
    ):
        try:
            for variant in variants:
                method.resolve_options(variant)
        except UserError as error:
            raise UnfitGuestError(f"{label}: `{name}` are no choices of its options: {error}") from None


def check_option(label: str, option: Option, method: str) -> None:
    """Refuse an option whose kind, help, limits or default are none."""
    checks = (
        Attribute("kind", "a type such as int", lambda value: isinstance(value, type)),
        Attribute("help", "a text", is_text),
        Attribute(
            "choices",
            "None or a tuple of values",
            lambda value: value is None or is_sequence(value, lambda _: True, 1),
        ),
        Attribute("minimum", "None or a number", lambda value: value is None or is_number(value)),
        Attribute("maximum", "None or a number", lambda value: value is None or is_number(value)),
    )
    for attribute in checks:
        value = getattr(option, attribute.name)
        if not attribute.fits(value):
            raise UnfitGuestError(
                f"{label}: option {option.name!r}: `{attribute.name}` is {show_foreign(repr(value), 60)}, "
                f"expected {attribute.expected}"
            )
    if option.default is None:
        return
    try:
        parsed = option.parse(option.default, method)
    except UserError as error:
        raise UnfitGuestError(f"{label}: the default of an option is refused: {error}") from None
    if parsed != option.default:
        raise UnfitGuestError(
            f"{label}: option {option.name!r}: its default is {show_foreign(repr(option.default), 60)}, "
            f"expected a value of type {option.kind.__name__}"
        )
