"""Where and with what jobs run: a small TOML file of the site, then the command line, each value with its origin.

The file is ``--site FILE``, else BENCH_SITE, else ``site.toml`` here, else ``~/.config/bench/site.toml``;
``docs/site.example.toml`` shows every key. A ``[[shape]]`` table changes keys for the runs that match it,
so that a large model can have more memory: that is what makes more than one array of a launch.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import DataError, UnknownNameError, UserError


@dataclass(frozen=True)
class Key:
    """One setting of a site. ``kind``: int, float, str, minutes, lines (of shell) or table."""

    name: str
    kind: str
    help: str
    default: Any = None
    minimum: float = 0
    flag: bool = True
    """Whether the command line has it."""


KEYS = (
    Key("partition", "str", "Slurm partition"),
    Key("account", "str", "Slurm account"),
    Key("qos", "str", "Slurm quality of service"),
    Key("constraint", "str", "Slurm node features"),
    Key("exclude", "str", "nodes never to use"),
    Key("nodelist", "str", "nodes to use"),
    Key("time", "minutes", "time limit of a job (4:00:00, 1-00:00:00, or minutes); local: none unless given",
        minimum=1),
    Key("gpus", "int", "GPUs per node", 0),
    Key("nodes", "int", "nodes per job", 1, minimum=1),
    Key("processes", "int", "processes per node; otherwise one per GPU, at least one", minimum=1),
    Key("cpus", "int", "processors per process", minimum=1),
    Key("mem", "float", "memory per node in GB", minimum=0.001),
    Key("max_parallel", "int", "most jobs at once; local: otherwise as many as the GPUs allow, or one", minimum=1),
    Key("max_requeues", "int", "most continuations of a job after time-outs", 100),
    Key("signal_before", "int", "seconds before the time limit at which a job checkpoints", 120, minimum=1),
    Key("max_array", "int", "most jobs in one array (MaxArraySize of the site)", 1000, minimum=1, flag=False),
    Key("modules", "lines", "modules to load on the node (slurm)", flag=False),
    Key("setup", "lines", "shell lines before the job (slurm)", flag=False),
    Key("container", "str", "command that runs a command in the container (slurm)", flag=False),
    Key("python", "str", "the Python to run; otherwise the one that submits", flag=False),
    Key("environment", "table", "variables for the job, everywhere", flag=False),
    Key("slurm", "table", "any other parameter of sbatch", flag=False),
)  # fmt: skip
BY_NAME = {key.name: key for key in KEYS}
MATCHES = ("model", "method", "task", "scale")
DEFAULT_MINUTES = 240
"""Time limit on Slurm where none is given."""


@dataclass(frozen=True)
class Site:
    """What was found, and where."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    shapes: tuple[tuple[Mapping[str, str], Mapping[str, Any]], ...] = ()
    """(what a run must match, the keys that it then has)."""
    typed: Mapping[str, Any] = field(default_factory=dict)
    """What the command line says: the last word."""
    named: bool = False
    """Whether the command line names the file."""

    def resources(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The keys for a run with this model, method, task and scale; None where nothing says."""
        chosen = dict(self.values)
        for match, values in self.shapes:
            if fits(row, match):
                chosen.update(values)
        return {**chosen, **self.typed}

    def resources_again(self, row: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        """The keys for a run that had ``before``: those, but for what the command line, or its file, says."""
        chosen = self.resources(row)
        kept = {name: value for name, value in before.items() if name in BY_NAME}
        if self.named:
            asked = {name for name, origin in self.origins.items() if origin != "default"}
            asked |= {name for match, values in self.shapes if fits(row, match) for name in values}
            kept = {name: value for name, value in kept.items() if name not in asked}
        return {**chosen, **kept, **self.typed}


def load(path: Path | None = None, typed: Mapping[str, Any] | None = None) -> Site:
    """The site's file, if there is one, with the command line's values last.

    Raises ``UserError`` for an unknown key (every valid one is listed) or a value of the wrong kind, and
    ``DataError`` for a file that is not TOML.
    """
    given = {name: value for name, value in (typed or {}).items() if value is not None}
    parsed = {name: parse(known(name, "command line"), value, "--") for name, value in given.items()}
    values: dict[str, Any] = {key.name: key.default for key in KEYS}
    origins = dict.fromkeys(values, "default")
    shapes: list[tuple[Mapping[str, str], Mapping[str, Any]]] = []
    found = path or find()
    if found is not None:
        document = read(found)
        for number, table in enumerate(as_list(document.pop("shape", []), found), 1):
            shapes.append(shape(table, f"{found}, shape {number}"))
        for name, value in document.items():
            values[name] = parse(known(name, str(found)), value, f"{found}: ")
            origins[name] = str(found)
    values.update(parsed)
    origins.update(dict.fromkeys(parsed, "command line"))
    return Site(values, origins, tuple(shapes), parsed, path is not None)


def fits(row: Mapping[str, Any], match: Mapping[str, str]) -> bool:
    return all(str(row[name]) == wanted for name, wanted in match.items())


def find() -> Path | None:
    """The file that counts where none is named."""
    if named := os.environ.get("BENCH_SITE"):
        return Path(named)
    places = (Path("site.toml"), Path("~/.config/bench/site.toml").expanduser())
    return next((place for place in places if place.is_file()), None)


def read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: expected TOML as in docs/site.example.toml: {error}") from error
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); --site FILE or BENCH_SITE names another"
        ) from error


def as_list(value: Any, path: Path) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UserError(f"{path}: expected shapes as [[shape]] tables, as in docs/site.example.toml")
    return value


def shape(table: dict[str, Any], where: str) -> tuple[dict[str, str], dict[str, Any]]:
    match = {name: str(table.pop(name)) for name in MATCHES if name in table}
    if not match:
        raise UserError(f"{where}: expected at least one of {', '.join(MATCHES)} to say which runs it is for")
    return match, {
        name: parse(known(name, where, MATCHES), value, f"{where}: ") for name, value in table.items()
    }


def known(name: str, where: str, also: tuple[str, ...] = ()) -> Key:
    if name not in BY_NAME:
        raise UnknownNameError("site setting", name, [*BY_NAME, *also, *([] if also else ["shape"])], where)
    return BY_NAME[name]


def parse(key: Key, value: Any, where: str) -> Any:
    """``value`` checked and converted."""
    shown = f"{where}{key.name.replace('_', '-') if where == '--' else key.name} {value}"
    if key.kind == "lines":
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise UserError(f"{shown}: expected a list of strings ({key.help})")
        return list(value)
    if key.kind == "table":
        return parse_table(key, value, shown)
    if key.kind == "str":
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise UserError(f"{shown}: expected text ({key.help})")
        return str(value)
    try:
        number = NUMBERS[key.kind](value)
    except (TypeError, ValueError, OverflowError):
        wanted = "a time such as 4:00:00" if key.kind == "minutes" else f"a number ({key.kind})"
        raise UserError(f"{shown}: expected {wanted} ({key.help})") from None
    if number < key.minimum:
        raise UserError(f"{shown}: expected at least {key.minimum:g} ({key.help})")
    return number


def parse_table(key: Key, value: Any, shown: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{shown}: expected a table ({key.help})")
    if key.name != "slurm":
        for name, one in value.items():
            if not isinstance(one, str | int | float):
                raise UserError(f"{shown}: {name} = {one}, expected text or a number ({key.help})")
        return {name: str(one) for name, one in value.items()}
    exported = value.get("export")
    if exported is not None and "ALL" not in str(exported).split(","):
        raise UserError(
            f"{shown}: export = {exported} would keep from the jobs what tells them which source to run and "
            'which job they are; expected no export, "ALL" or "ALL,NAME=value". Variables for the jobs are '
            "given in [environment]"
        )
    return dict(value)


def whole(value: Any) -> int:
    """A whole number as TOML or the command line has it: no part of one, and no truth."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(value)
    return int(value)


def real(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def minutes(text: object) -> int:
    """Whole minutes of a time limit as Slurm writes it: minutes, M:SS, H:MM:SS, D-H, D-H:MM or D-H:MM:SS.

    >>> minutes("4:00:00"), minutes("1-12"), minutes(90), minutes("0:30")
    (240, 2160, 90, 1)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", str(text).strip())
    if found is None:
        raise ValueError(text)
    days, *parts = (None if one is None else int(one) for one in found.groups())
    first, second, third = parts[0] or 0, parts[1], parts[2]
    if days is not None:
        seconds = days * 86400 + first * 3600 + (second or 0) * 60 + (third or 0)
    elif third is not None:
        seconds = first * 3600 + (second or 0) * 60 + third
    else:
        seconds = first * 60 + (second or 0)
    return math.ceil(seconds / 60)


NUMBERS: Mapping[str, Callable[[Any], float]] = {"int": whole, "float": real, "minutes": minutes}


def processes(resources: Mapping[str, Any]) -> int:
    """Processes per node: as asked, or one per GPU."""
    return int(resources["processes"] or max(1, resources["gpus"]))


def setup_lines(resources: Mapping[str, Any], source: Path) -> list[str]:
    """Shell lines before a Slurm job: the site's, then what makes it run the snapshot and nothing else."""
    import shlex

    lines = [f"module load {shlex.quote(name)}" for name in resources["modules"] or []]
    lines += [*(resources["setup"] or [])]
    if resources["cpus"]:  # torch would take the node's; what the user or the modules set stays
        lines.append(f'export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-{resources["cpus"]}}}"')
    variables = {**(resources["environment"] or {}), **source_environment(source)}
    return lines + [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def source_environment(source: Path) -> dict[str, str]:
    """Variables with which Python imports the harness from ``source``, and not from the working directory."""
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {"PYTHONPATH": os.pathsep.join([str(source), *others]), "PYTHONSAFEPATH": "1"}


def executor_parameters(
    resources: Mapping[str, Any], name: str, source: Path, cluster: str
) -> dict[str, Any]:
    """What ``submitit.AutoExecutor.update_parameters`` is told, for any of the clusters."""
    tasks = processes(resources)
    limit = resources["time"] or (DEFAULT_MINUTES if cluster == "slurm" else 60 * 24 * 365)
    parameters: dict[str, Any] = {
        "name": name,
        "timeout_min": limit,
        "nodes": resources["nodes"],
        "tasks_per_node": tasks,
        "stderr_to_stdout": True,
    }
    if resources["gpus"]:
        parameters["gpus_per_node"] = resources["gpus"]
    if resources["cpus"]:
        parameters["cpus_per_task"] = resources["cpus"]
    if resources["mem"]:
        parameters["mem_gb"] = resources["mem"]
    if cluster != "slurm":
        return parameters
    for key in ("partition", "account", "qos", "constraint", "exclude", "nodelist"):
        if resources[key]:
            parameters[f"slurm_{key}"] = resources[key]
    # Slurm looks at the clock every half minute: a short limit needs its signal early enough.
    parameters["slurm_signal_delay_s"] = min(resources["signal_before"], limit * 60 // 2)
    parameters["slurm_setup"] = setup_lines(resources, source)
    parameters["slurm_additional_parameters"] = {"requeue": True, **(resources["slurm"] or {})}
    # One process that fails ends the others, which would wait for it for ever.
    parameters["slurm_srun_args"] = ["--kill-on-bad-exit=1"]
    return parameters
