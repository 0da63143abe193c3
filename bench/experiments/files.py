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
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bench.config.settings import DEFINITIONS_BY_NAME
from bench.config.specification import SCALES
from bench.errors import DataError, UnknownNameError
from bench.registry import parse_selector

FOLDER = Path(__file__).parent
LISTS = ("tasks", "methods", "models", "seeds")
GRID = {*LISTS, "settings", "scales", *SCALES}
REUSE = {"experiment", "tasks", "methods", "models", "scales"}
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
    """All experiments, tables first, by number."""
    stems = (path.stem for path in FOLDER.glob("*.toml"))
    return tuple(sorted(stems, key=lambda name: (not name.startswith("table"), len(name), name)))


def has_experiment(name: str) -> bool:
    return name in list_experiments()


def list_paper_experiments() -> tuple[str, ...]:
    """Those that ``all`` stands for: what is behind the paper's tables, figures and claims."""
    return tuple(name for name in list_experiments() if not load_experiment(name).get("apart", False))


def find_only_table(experiment: str | None) -> str | None:
    """The only table whose cells the runs of an experiment that is ``apart`` may fill; empty where there is none.

    None for every other experiment, for none, and for one that this version does not have.
    """
    if experiment is None or not has_experiment(experiment):
        return None
    content = load_experiment(experiment)
    return str(content.get("stands_for", "")) if content.get("apart", False) else None


@cache
def load_experiment(name: str) -> Mapping[str, Any]:
    """The file as it is; ``DataError`` naming what is wrong with it."""
    path = FOLDER / f"{name}.toml"
    if not path.is_file():
        raise UnknownNameError("experiment", name, list_experiments(), "bench list experiments")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: not TOML ({error})") from error
    _refuse_unknown(path, content, {"title", "source", "note", "apart", "stands_for", "grid", "reuse"})
    for key in ("title", "source"):
        if not isinstance(content.get(key), str):
            raise DataError(f"{path}: expected a text as {key}")
    _check_placement(path, content)
    for grid in content.get("grid", ()):
        _refuse_unknown(path, grid, GRID)
        for scale in SCALES:
            _refuse_unknown(path, grid.get(scale, {}), {*LISTS, "settings"})
            _check_grid(path, _at(grid, scale), scale)
    for block in content.get("reuse", ()):
        _refuse_unknown(path, block, REUSE)
        if block.get("experiment") not in list_experiments() or block["experiment"] == name:
            raise DataError(f"{path}: [[reuse]] expected the name of another experiment")
    return content


def _refuse_unknown(path: Path, table: Mapping[str, Any], allowed: set[str]) -> None:
    for key in table:
        if key not in allowed:
            raise UnknownNameError(f"key in {path}", key, allowed)


def _check_placement(path: Path, content: Mapping[str, Any]) -> None:
    if not isinstance(content.get("apart", False), bool):
        raise DataError(f"{path}: apart: expected true or false")
    if "stands_for" in content and content["stands_for"] not in list_experiments():
        raise DataError(f"{path}: stands_for: expected the name of an experiment")


def _check_grid(path: Path, grid: Mapping[str, Any], scale: str) -> None:
    if scale not in grid.get("scales", SCALES):
        return
    for key in LISTS:
        if not isinstance(grid.get(key), list) or not grid[key]:
            raise DataError(f"{path}: a [[grid]] has no {key} at scale {scale}")
    for name, entry in grid["settings"].items():
        if name not in DEFINITIONS_BY_NAME or name in NEVER:
            raise UnknownNameError(f"setting in {path}", name, set(DEFINITIONS_BY_NAME) - set(NEVER))
        _refuse_unknown(path, entry, {"value", "values", "per", "origin"})
        if not isinstance(entry.get("origin"), str) or ("value" in entry) == ("values" in entry):
            raise DataError(f"{path}: {name}: expected an origin, and either value or values")
        for value in entry.get("values", [entry.get("value")]):
            DEFINITIONS_BY_NAME[name].parse(value)
        if "per" in entry:
            leader = grid["settings"].get(entry["per"], {})
            if len(leader.get("values", ())) != len(entry.get("values", ())) or "per" in leader:
                raise DataError(f"{path}: {name}: expected one value for each of {entry['per']}")


def _at(grid: Mapping[str, Any], scale: str) -> dict[str, Any]:
    """A grid as it is at a scale."""
    scaled = grid.get(scale, {})
    settings = {**grid.get("settings", {}), **scaled.get("settings", {})}
    return {**grid, **scaled, "settings": settings}


@cache
def list_prescribed_runs(name: str, scale: str) -> tuple[PrescribedRun, ...]:
    """Every run of an experiment at a scale, as its file words it, in the order of the file."""
    content = load_experiment(name)
    runs: list[PrescribedRun] = []
    for grid in content.get("grid", ()):
        if scale in grid.get("scales", SCALES):
            runs += _product(name, content["source"], _at(grid, scale), scale)
    for block in content.get("reuse", ()):
        if scale in block.get("scales", SCALES):
            runs += _reused(block, scale)
    return tuple(runs)


def _product(name: str, source: str, grid: Mapping[str, Any], scale: str) -> Iterator[PrescribedRun]:
    methods = [selection for text in grid["methods"] for selection in parse_selector(text)]
    combinations = list(_settings(name, grid["settings"]))
    why = {key: entry["origin"] for key, entry in grid["settings"].items()}
    varied = tuple(n for n, entry in grid["settings"].items() if "values" in entry and "per" not in entry)
    for task, model, (method, options), settings, seed in itertools.product(
        grid["tasks"], grid["models"], methods, combinations, grid["seeds"]
    ):
        prescribed_options: dict[str, Entry] = {
            key: (value, format_origin(name, source)) for key, value in options.items()
        }
        reasons = {**dict.fromkeys(options, source), **why}
        yield PrescribedRun(
            name, scale, task, method, prescribed_options, model, seed, settings, varied, reasons
        )


def _settings(name: str, table: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Entry]]:
    """Every combination of the dimensions, with what is fixed and what goes with them."""
    leaders = {
        key: entry["values"] for key, entry in table.items() if "values" in entry and "per" not in entry
    }
    for places in itertools.product(*(range(len(values)) for values in leaders.values())):
        place = dict(zip(leaders, places, strict=True))
        chosen: dict[str, Entry] = {}
        for key, entry in table.items():
            value = entry["value"] if "value" in entry else entry["values"][place[entry.get("per", key)]]
            chosen[key] = (value, format_origin(name, entry["origin"]))
        yield chosen


def _reused(block: Mapping[str, Any], scale: str) -> Sequence[PrescribedRun]:
    """The runs of another experiment that a ``[[reuse]]`` names; they keep their experiment."""
    fitting = [
        run
        for run in list_prescribed_runs(block["experiment"], scale)
        # At scale mini one backbone plays the parts of all.
        if (scale == "mini" or run.model in block.get("models", (run.model,)))
        and run.task in block.get("tasks", (run.task,))
        and run.method in block.get("methods", (run.method,))
    ]
    if not fitting:
        raise DataError(f"[[reuse]] of {block['experiment']} at scale {scale} fits no run")
    return fitting
