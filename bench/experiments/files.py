"""What an experiment's file may hold, and reading it.

    title, source         shown by `bench list experiments` and `bench plan`; ``source`` is the paper's place
    note                  what a reader should know; the only content of an experiment without runs
    apart                 true: not part of `all`; reports put its runs into no table or figure
    stands_for            with ``apart``: the table whose cells its runs may fill where that table has none
    [[grid]]              the product of its lists is a set of runs
      tasks, models, seeds
      methods             selectors as on the command line: "prefix[length=1,5]"
      scales              where the grid exists; both without it
      [grid.settings]     setting = {value = …, origin = "…"} for all runs, {values = […], origin = "…"} for
                          a further dimension, {values = […], per = "train_subset", origin = "…"} for a
                          value that goes with each of another one's
      [grid.paper], [grid.mini]    replace any of these at a scale; their settings are added
    [[reuse]]             runs of another experiment: its name, with tasks, methods, models, scales to narrow

Origins become ``experiment NAME: ORIGIN``; options in selectors have the experiment's ``source``.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from bench.config.settings import DEFINITIONS_BY_NAME, format_flag
from bench.config.specification import SCALES
from bench.errors import DataError, UnknownNameError, UserError
from bench.experiments.document import ExperimentFile, Grid, PrescribedSetting, Reuse, ScaledGrid
from bench.foreign_text import quote_foreign, show_foreign
from bench.registry import methods, parse_selector
from bench.system.documents import make_document_error
from bench.system.toml_files import read_toml

FOLDER = Path(__file__).parent
LISTS = ("tasks", "methods", "models", "seeds")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
MOST_RUNS = 100_000
"""Of one grid, and of one experiment; a product of lists grows beyond what anybody means."""
MOST_REUSED = 100
"""Other experiments whose runs one takes, directly or through others."""
ALL = "all"
"""What stands for every experiment of the paper."""
NEVER = ("limit",)
"""No experiment prescribes these: partial data must not look like the paper's."""

Entry = tuple[object, str]
"""A value and where it comes from."""


@dataclass(frozen=True)
class PrescribedRun:
    """One run as a file words it; whether task, method and model exist is not known yet."""

    experiment: str
    scale: str
    task: str
    method: str
    options: Mapping[str, Entry]
    model: str
    seed: int
    settings: Mapping[str, Entry]
    varied: tuple[str, ...]
    """The settings that are dimensions of its grid."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Of each option and setting: why the file has it so, without the experiment's name."""

    @property
    def selector(self) -> str:
        """``prefix[length=5]``."""
        inside = ",".join(f"{name}={value}" for name, (value, _) in self.options.items())
        return f"{self.method}[{inside}]" if inside else self.method

    def words(self) -> tuple[object, ...]:
        """What makes it this run, as worded."""
        values = {**self.options, **self.settings}
        chosen = tuple(sorted((name, repr(value)) for name, (value, _) in values.items()))
        return (self.scale, self.task, self.method, self.model, self.seed, chosen)


def format_origin(name: str, reason: str) -> str:
    """The origin of what an experiment prescribes, as records have it."""
    return f"experiment {name}: {reason}"


def list_experiments() -> tuple[str, ...]:
    """All experiments, tables first, by number; those whose files are damaged included."""
    # Editors and other systems leave hidden files beside those that they open.
    stems = (path.stem for path in FOLDER.glob("*.toml") if not path.name.startswith("."))
    return tuple(sorted(stems, key=lambda name: (not name.startswith("table"), len(name), name)))


def has_experiment(name: str) -> bool:
    return name in list_experiments()


def list_broken_experiments() -> dict[str, str]:
    """Name -> what is wrong with its file, of those that cannot be used."""
    return {name: problem for name in list_experiments() if (problem := find_problem(name)) is not None}


def find_problem(name: str) -> str | None:
    """What is wrong with an experiment's file, or with one whose runs it takes; None where it can be used."""
    try:
        for scale in SCALES:
            list_prescribed_runs(name, scale)
    except UserError as error:
        return str(error)
    return None


def list_paper_experiments() -> tuple[str, ...]:
    """Those that ``all`` stands for: what is behind the paper's tables, figures and claims.

    A damaged file raises: without it `all` would not be all.
    """
    return tuple(name for name in list_experiments() if not load_experiment(name).apart)


def find_only_table(experiment: str | None) -> str | None:
    """The only table whose cells the runs of an experiment that is ``apart`` may fill; empty where there is none.

    None for every other experiment, for none, and for one that this version does not have. Runs of a damaged
    file fill no cell: it may have said so.
    """
    if experiment is None or not has_experiment(experiment):
        return None
    try:
        content = load_experiment(experiment)
    except UserError:
        return ""
    return (content.stands_for or "") if content.apart else None


@cache
def load_experiment(name: str) -> ExperimentFile:
    """An experiment's file, every value of its type; ``DataError`` naming what is wrong with it."""
    path = FOLDER / f"{name}.toml"
    if not has_experiment(name):
        raise UnknownNameError("experiment", name, list_experiments(), "bench list experiments")
    if not NAME.fullmatch(name) or name == ALL:
        raise DataError(
            f"{quote_foreign(path)}: expected a name of letters, digits, `.`, `_` and `-`, and not {ALL!r}"
        )
    tables = read_toml(path)
    _refuse_unknown_keys(path, tables)
    try:
        content = ExperimentFile.model_validate(tables)
    except ValidationError as error:
        raise make_document_error(path, error) from error
    if content.stands_for is not None and not has_experiment(content.stands_for):
        raise DataError(f"{path}: stands_for: expected the name of an experiment")
    for grid in content.grid:
        for scale in grid.scales:
            _check_grid(path, merge_scale(grid, scale), scale)
    for block in content.reuse:
        if block.experiment == name or not has_experiment(block.experiment):
            raise DataError(f"{path}: [[reuse]] expected the name of another experiment")
    return content


def _refuse_unknown_keys(path: Path, tables: Mapping[str, Any]) -> None:
    """Unknown keys, with the nearest that there are; what is no table is left to the types."""
    _refuse_unknown(path, tables, ExperimentFile)
    for grid in _list_tables(tables.get("grid")):
        _refuse_unknown(path, grid, Grid)
        for part in (grid, *_list_tables([grid.get(scale) for scale in SCALES])):
            if part is not grid:
                _refuse_unknown(path, part, ScaledGrid)
            settings = part.get("settings")
            for entry in _list_tables(list(settings.values()) if isinstance(settings, dict) else []):
                _refuse_unknown(path, entry, PrescribedSetting)
    for block in _list_tables(tables.get("reuse")):
        _refuse_unknown(path, block, Reuse)


def _list_tables(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _refuse_unknown(path: Path, table: Mapping[str, Any], model: type[BaseModel]) -> None:
    for key in table:
        if key not in model.model_fields:
            raise UnknownNameError(f"key in {path}", show_foreign(key), model.model_fields)


def _check_grid(path: Path, grid: ScaledGrid, scale: str) -> None:
    for key in LISTS:
        if not getattr(grid, key):
            raise DataError(f"{path}: a [[grid]] has no {key} at scale {scale}")
    selections = [selection for text in grid.methods or () for selection in _parse_methods(path, text)]
    for name, entry in grid.settings.items():
        if name not in DEFINITIONS_BY_NAME or name in NEVER:
            raise UnknownNameError(
                f"setting in {path}", show_foreign(name), set(DEFINITIONS_BY_NAME) - set(NEVER)
            )
        for value in entry.choices:
            _check_value(path, name, value)
        if entry.per is not None:
            leader = grid.settings.get(entry.per)
            if leader is None or leader.per is not None or len(leader.choices) != len(entry.choices):
                raise DataError(f"{path}: {name}: expected one value for each of {entry.per}")
    sizes = [len(selections), *(len(getattr(grid, key)) for key in LISTS if key != "methods")]
    count = math.prod(
        [*sizes, *(len(entry.choices) for entry in grid.settings.values() if entry.per is None)]
    )
    if count > MOST_RUNS:
        raise DataError(
            f"{path}: a [[grid]] of {count:,} runs at scale {scale}; expected at most {MOST_RUNS:,}"
        )


def _parse_methods(path: Path, text: str) -> list[tuple[str, dict[str, str]]]:
    """The selections of a selector; of a method that is here the options are checked as well."""
    try:
        selections = parse_selector(text)
        for name, options in selections:
            if (method := methods().get(name)) is not None:
                method.resolve_options(options)
    except UserError as error:
        raise DataError(f"{path}: methods: {error}") from error
    return selections


def _check_value(path: Path, name: str, value: object) -> None:
    definition = DEFINITIONS_BY_NAME[name]
    # A text would be read as a number, and a truth counts as one; a file has types, and they must be the setting's.
    typed = {bool: bool, int: int, float: int | float, str: str}[definition.kind]
    special = definition.optional and value == "none"
    if not special and (
        not isinstance(value, typed) or (isinstance(value, bool) and definition.kind is not bool)
    ):
        raise DataError(
            f"{path}: {name}: {format_flag(name)} {show_foreign(value)}: expected {definition.kind.__name__} "
            f"({definition.help})"
        )
    try:
        definition.parse(value)
    except UserError as error:
        raise DataError(f"{path}: {name}: {error}") from error


def merge_scale(grid: Grid, scale: str) -> ScaledGrid:
    """A grid as it is at a scale."""
    scaled: ScaledGrid = getattr(grid, scale)
    lists = {
        key: getattr(grid, key) if getattr(scaled, key) is None else getattr(scaled, key) for key in LISTS
    }
    return ScaledGrid(**lists, settings={**grid.settings, **scaled.settings})


@cache
def list_prescribed_runs(name: str, scale: str) -> tuple[PrescribedRun, ...]:
    """Every run of an experiment at a scale, as its file words it, in the order of the file."""
    _refuse_circle(name)
    content = load_experiment(name)
    runs: list[PrescribedRun] = []
    for grid in content.grid:
        if scale in grid.scales:
            runs += _product(name, content.source, merge_scale(grid, scale), scale)
            _check_count(name, len(runs), scale)
    for block in content.reuse:
        if scale in block.scales:
            runs += _reused(block, scale)
        _check_count(name, len(runs), scale)
    return tuple(runs)


def _check_count(name: str, count: int, scale: str) -> None:
    if count > MOST_RUNS:
        raise DataError(
            f"{FOLDER / name}.toml: {count:,} runs or more at scale {scale}; expected at most {MOST_RUNS:,}"
        )


def _refuse_circle(name: str) -> None:
    """``DataError`` where an experiment takes the runs of one that takes its own."""
    users: dict[str, tuple[str, ...]] = {name: (name,)}
    """Every experiment that is taken from -> the shortest way to it."""
    waiting = [name]
    for current in waiting:
        for block in load_experiment(current).reuse:
            if block.experiment == name:
                circle = " -> ".join((*users[current], name))
                raise DataError(f"{FOLDER / name}.toml: [[reuse]] goes in a circle: {circle}")
            if block.experiment not in users:
                users[block.experiment] = (*users[current], block.experiment)
                waiting.append(block.experiment)
    if len(users) > MOST_REUSED:
        raise DataError(f"{FOLDER / name}.toml: [[reuse]] leads to more than {MOST_REUSED} experiments")


def _product(name: str, source: str, grid: ScaledGrid, scale: str) -> Iterator[PrescribedRun]:
    methods = [selection for text in grid.methods or () for selection in parse_selector(text)]
    combinations = list(_combine_settings(name, grid.settings))
    why = {key: entry.origin for key, entry in grid.settings.items()}
    varied = tuple(key for key, entry in grid.settings.items() if entry.is_dimension)
    for task, model, (method, options), settings, seed in itertools.product(
        grid.tasks or (), grid.models or (), methods, combinations, grid.seeds or ()
    ):
        prescribed_options: dict[str, Entry] = {
            key: (value, format_origin(name, source)) for key, value in options.items()
        }
        reasons = {**dict.fromkeys(options, source), **why}
        yield PrescribedRun(
            name, scale, task, method, prescribed_options, model, seed, settings, varied, reasons
        )


def _combine_settings(name: str, entries: Mapping[str, PrescribedSetting]) -> Iterator[dict[str, Entry]]:
    """Every combination of the dimensions, with what is fixed and what goes with them."""
    leaders = {key: entry.choices for key, entry in entries.items() if entry.is_dimension}
    for positions in itertools.product(*(range(len(values)) for values in leaders.values())):
        position = dict(zip(leaders, positions, strict=True))
        yield {
            key: (
                entry.value if entry.values is None else entry.values[position[entry.per or key]],
                format_origin(name, entry.origin),
            )
            for key, entry in entries.items()
        }


def _reused(block: Reuse, scale: str) -> Sequence[PrescribedRun]:
    """The runs of another experiment that a ``[[reuse]]`` names; they keep their experiment."""
    fitting = [
        run
        for run in list_prescribed_runs(block.experiment, scale)
        # At scale mini one backbone plays the parts of all.
        if (scale == "mini" or block.models is None or run.model in block.models)
        and (block.tasks is None or run.task in block.tasks)
        and (block.methods is None or run.method in block.methods)
    ]
    if not fitting:
        raise DataError(f"[[reuse]] of {block.experiment} at scale {scale} fits no run")
    return fitting
