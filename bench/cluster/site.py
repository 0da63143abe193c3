"""Where and with what jobs run: a small TOML file of the site, then the command line, each value with its origin.

The file is ``--site FILE``, else BENCH_SITE, else ``site.toml`` here, else ``~/.config/bench/site.toml``;
``docs/site.example.toml`` shows every key. A ``[[shape]]`` table changes keys for the runs that match it,
so that a large model can have more memory: that is what makes more than one array of a launch.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from bench import registry
from bench.errors import DataError, UnknownNameError, UserError
from bench.foreign_text import quote_foreign, show_foreign
from bench.system.cpus import SHARE_OF_CORES
from bench.system.toml_files import read_toml
from bench.task import SCALES

Resources: TypeAlias = Mapping[str, Any]
"""Keys of a site (``KEYS``) with their values, as they hold for some jobs."""


@dataclass(frozen=True)
class SiteKey:
    """One setting of a site. ``kind``: int, float, str, minutes, lines (of shell), table or sbatch (a table too)."""

    name: str
    kind: str
    help: str
    default: Any = None
    minimum: float = 0
    maximum: float = 1_000_000
    flag: bool = True
    """Whether the command line has it."""


KEYS = (
    SiteKey("partition", "str", "Slurm partition"),
    SiteKey("account", "str", "Slurm account"),
    SiteKey("qos", "str", "Slurm quality of service"),
    SiteKey("constraint", "str", "Slurm node features"),
    SiteKey("exclude", "str", "nodes never to use"),
    SiteKey("nodelist", "str", "nodes to use"),
    SiteKey("time", "minutes", "time limit of a job (4:00:00, 1-00:00:00, or minutes); local: none unless given",
        minimum=1),
    SiteKey("gpus", "int", "GPUs per node", 0),
    SiteKey("nodes", "int", "nodes per job", 1, minimum=1),
    SiteKey("processes", "int", "processes per node; otherwise one per GPU, at least one", minimum=1),
    SiteKey("cpus", "int", "processors per process", minimum=1),
    SiteKey("mem", "float", "memory per node in GB", minimum=0.001),
    SiteKey("max_parallel", "int", "most jobs at once; local: otherwise as many as GPUs allow, or one", minimum=1),
    SiteKey("max_requeues", "int", "most continuations of a job after time-outs", 100),
    SiteKey("signal_before", "int", "seconds before the time limit at which a job checkpoints", 120, minimum=1),
    SiteKey("max_array", "int", "most jobs in one array (MaxArraySize of the site)", 1000, minimum=1, flag=False),
    SiteKey("modules", "lines", "modules to load on the node (slurm)", flag=False),
    SiteKey("setup", "lines", "shell lines before the job (slurm)", flag=False),
    SiteKey("container", "str", "command that runs a command in the container (slurm)", flag=False),
    SiteKey("python", "str", "the Python to run; otherwise the one that submits", flag=False),
    SiteKey("environment", "table", "variables for the job, everywhere", flag=False),
    SiteKey("slurm", "sbatch", "any other parameter of sbatch", flag=False),
)  # fmt: skip
LONGEST_TEXT = 4_000
"""Characters of a text, a line of shell or a variable's value."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
SBATCH_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,79}")
SBATCH_OF_OURS = frozenset(
    {
        "array",
        "error",
        "help",
        "job-name",
        "open-mode",
        "output",
        "parsable",
        "signal",
        "test-only",
        "usage",
        "version",
        "wrap",
    }
)
"""Options of sbatch that submitit sets, or that keep it from submitting."""
OURS = frozenset(
    {"PYTHONPATH", "PYTHONSAFEPATH", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}
)
"""Variables by which a job finds its source and its processes each other."""
SCHEDULERS = ("SLURM_", "SUBMITIT_", "PMI_", "PMIX_", "OMPI_")
BY_NAME = {key.name: key for key in KEYS}
MATCHES = ("model", "method", "task", "scale")
DEFAULT_MINUTES = 240
"""Time limit on Slurm where none is given."""


@dataclass(frozen=True)
class Site:
    """What was found, and where."""

    values: Resources
    origins: Mapping[str, str]
    shapes: tuple[tuple[Mapping[str, str], Mapping[str, Any]], ...] = ()
    """(what a run must match, the keys that it then has)."""
    typed: Resources = field(default_factory=dict)
    """What the command line says: the last word."""
    chosen: frozenset[str] = frozenset()
    """The keys that the file or the command line sets."""
    named: bool = False
    """Whether the command line names the file."""

    def resources(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The keys for a run with this model, method, task and scale; None where nothing says."""
        chosen = dict(self.values)
        for match, values in self.shapes:
            if matches_run(row, match):
                chosen.update(values)
        return {**chosen, **self.typed}

    def resources_again(self, row: Mapping[str, Any], before: Resources) -> dict[str, Any]:
        """The keys for a run that had ``before``: those, but for what the command line, or its file, says."""
        chosen = self.resources(row)
        earlier = {name: value for name, value in before.items() if name in BY_NAME}
        if self.named:
            asked = set(self.chosen)
            asked |= {name for match, values in self.shapes if matches_run(row, match) for name in values}
            earlier = {name: value for name, value in earlier.items() if name not in asked}
        return {**chosen, **earlier, **self.typed}


def load_site(path: Path | None = None, typed: Resources | None = None) -> Site:
    """The site's file, if there is one, with the command line's values last.

    Raises ``UserError`` for an unknown key (every valid one is listed) or a value of the wrong kind, and
    ``DataError`` for a file that is not TOML.
    """
    present = {name: value for name, value in (typed or {}).items() if value is not None}
    parsed = {
        name: parse_value(get_key(name, "command line"), value, "--") for name, value in present.items()
    }
    values: dict[str, Any] = {key.name: key.default for key in KEYS}
    origins = dict.fromkeys(values, "default")
    shapes: list[tuple[Mapping[str, str], Mapping[str, Any]]] = []
    file = path or find_site_file()
    document: dict[str, Any] = {}
    if file is not None:
        document = read_site_file(file)
        for number, table in enumerate(check_shapes(document.pop("shape", []), file), 1):
            shapes.append(parse_shape(table, f"{file}, shape {number}"))
        for name, value in document.items():
            values[name] = parse_value(get_key(name, str(file)), value, f"{file}: ")
            origins[name] = str(file)
    values.update(parsed)
    origins.update(dict.fromkeys(parsed, "command line"))
    return Site(values, origins, tuple(shapes), parsed, frozenset({*document, *parsed}), path is not None)


def matches_run(row: Mapping[str, Any], match: Mapping[str, str]) -> bool:
    return all(str(row[name]) == expected for name, expected in match.items())


def find_site_file() -> Path | None:
    """The file that counts where none is named."""
    if named := os.environ.get("BENCH_SITE"):
        return Path(named)
    places = (Path("site.toml"), Path(os.path.expanduser("~/.config/bench/site.toml")))  # noqa: PTH111 - never raises
    # What is there and no file, such as a link that leads nowhere, is refused by name when it is read.
    return next((place for place in places if os.path.lexists(place)), None)


def read_site_file(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except DataError as error:
        raise DataError(
            f"{error}; expected a site as in docs/site.example.toml, or another by --site FILE"
        ) from error


def check_shapes(value: Any, path: Path) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise UserError(f"{path}: expected shapes as [[shape]] tables, as in docs/site.example.toml")
    return value


def parse_shape(table: dict[str, Any], source: str) -> tuple[dict[str, str], dict[str, Any]]:
    match = {name: check_text(table.pop(name), f"{source}: {name}") for name in MATCHES if name in table}
    if not match:
        raise UserError(
            f"{source}: expected at least one of {', '.join(MATCHES)} to say which runs it is for"
        )
    choices = {
        "task": registry.list_names("tasks"),
        "method": registry.list_names("methods"),
        "scale": SCALES,
    }
    for name, valid in choices.items():
        if name in match and match[name] not in valid:
            raise UnknownNameError(f"{name} in {source}", show_foreign(match[name]), valid)
    return match, {
        name: parse_value(get_key(name, source, MATCHES), value, f"{source}: ")
        for name, value in table.items()
    }


def get_key(name: str, source: str, also: tuple[str, ...] = ()) -> SiteKey:
    if name not in BY_NAME:
        raise UnknownNameError("site setting", name, [*BY_NAME, *also, *([] if also else ["shape"])], source)
    return BY_NAME[name]


def parse_value(key: SiteKey, value: Any, source: str) -> Any:
    """``value`` checked and converted."""
    from_flag = source == "--"
    label = f"{source}{key.name.replace('_', '-') if from_flag else key.name} {show_foreign(value)}"
    if key.kind == "lines":
        if not isinstance(value, list):
            raise UserError(f"{label}: expected a list of strings ({key.help})")
        return [check_text(line, f"{label}: a line", lines=True) for line in value]
    if key.kind in ("table", "sbatch"):
        return parse_table(key, value, label)
    if key.kind == "str":
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise UserError(f"{label}: expected text ({key.help})")
        return check_text(str(value), label)
    try:
        if isinstance(value, str) and not from_flag and key.kind != "minutes":
            raise TypeError(value)  # a file has types
        number = NUMBERS[key.kind](value)
    except (TypeError, ValueError, OverflowError):
        expected = "a time such as 4:00:00" if key.kind == "minutes" else f"a number ({key.kind})"
        raise UserError(f"{label}: expected {expected} ({key.help})") from None
    if number < key.minimum:
        raise UserError(f"{label}: expected at least {key.minimum:g} ({key.help})")
    if number > key.maximum:
        raise UserError(f"{label}: expected at most {key.maximum:,.0f} ({key.help})")
    return number


def check_text(value: Any, label: str, lines: bool = False) -> str:
    """``value`` if it is a text that scheduler and shell can take; ``lines``: it may have several lines."""
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{label}: expected a text that is not empty")
    if len(value) > LONGEST_TEXT:
        raise UserError(f"{label}: {len(value):,} characters; expected at most {LONGEST_TEXT:,}")
    plain = value.replace("\n", " ").replace("\t", " ") if lines else value
    if not plain.isprintable():
        raise UserError(
            f"{label}: expected a text without control characters{'' if lines else ' and line breaks'}"
        )
    return value


def parse_table(key: SiteKey, value: Any, label: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{label}: expected a table ({key.help})")
    if key.kind == "table":
        return {
            check_variable_name(name, label): check_variable(name, item, label)
            for name, item in value.items()
        }
    exported = value.get("export")
    if exported is not None and "ALL" not in str(exported).split(","):
        raise UserError(
            f"{label}: export = {exported} would keep from the jobs what tells them which source to run and "
            'which job they are; expected no export, "ALL" or "ALL,NAME=value". Variables for the jobs are '
            "given in [environment]"
        )
    return {
        check_sbatch_name(name, label): check_sbatch_value(name, item, label) for name, item in value.items()
    }


def check_variable_name(name: str, label: str) -> str:
    """``name`` if a job can have a variable of that name from its site."""
    if not VARIABLE.fullmatch(name):
        raise UserError(
            f"{label}: {quote_foreign(name)} is no name of a variable; expected letters, digits and _, no digit first"
        )
    if name in OURS or name.startswith(SCHEDULERS):
        raise UserError(
            f"{label}: {name} is set by the harness or the scheduler, by which a job finds its source and its "
            "processes; expected another variable"
        )
    return name


def check_variable(name: str, value: Any, label: str) -> str:
    """The value of a variable as text; it may be empty."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UserError(f"{label}: {name} = {show_foreign(value)}, expected text or a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{label}: {name} = {value}, expected a finite number")
    return check_text(str(value), f"{label}: {name}") if value != "" else ""


def check_sbatch_name(name: str, label: str) -> str:
    if not SBATCH_OPTION.fullmatch(name):
        raise UserError(
            f"{label}: {quote_foreign(name)} is no long option of sbatch; expected one such as mail-type"
        )
    if name.replace("_", "-") in SBATCH_OF_OURS:
        raise UserError(
            f"{label}: {name} is set by the harness, by which it finds its jobs and what they print; expected "
            "another option"
        )
    return name


def check_sbatch_value(name: str, value: Any, label: str) -> Any:
    """The value of an option of sbatch; true stands for one without a value."""
    if value is True:
        return value
    return (
        value
        if isinstance(value, int) and not isinstance(value, bool)
        else check_text(value, f"{label}: {name}")
    )


def parse_whole(value: Any) -> int:
    """A whole number as TOML or the command line has it: no part of one, and no truth."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(value)
    return int(value)


def parse_real(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(number := float(value)):
        raise ValueError(value)
    return number


def parse_minutes(text: object) -> int:
    """Whole minutes of a time limit as Slurm writes it: minutes, M:SS, H:MM:SS, D-H, D-H:MM or D-H:MM:SS.

    >>> parse_minutes("4:00:00"), parse_minutes("1-12"), parse_minutes(90), parse_minutes("0:30")
    (240, 2160, 90, 1)
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", str(text).strip())
    if match is None:
        raise ValueError(text)
    days, *parts = (None if part is None else int(part) for part in match.groups())
    first, second, third = parts[0] or 0, parts[1], parts[2]
    if days is not None:
        seconds = days * 86400 + first * 3600 + (second or 0) * 60 + (third or 0)
    elif third is not None:
        seconds = first * 3600 + (second or 0) * 60 + third
    else:
        seconds = first * 60 + (second or 0)
    return math.ceil(seconds / 60)


NUMBERS: Mapping[str, Callable[[Any], float]] = {
    "int": parse_whole,
    "float": parse_real,
    "minutes": parse_minutes,
}


def count_processes(resources: Resources) -> int:
    """Processes per node: as asked, or one per GPU."""
    return int(resources["processes"] or max(1, resources["gpus"]))


def list_setup_lines(resources: Resources, source: Path) -> list[str]:
    """Shell lines before a Slurm job: the site's, then what makes it run the snapshot and nothing else."""
    import shlex

    lines = [f"module load {shlex.quote(name)}" for name in resources["modules"] or []]
    lines += [*(resources["setup"] or [])]
    if resources[
        "cpus"
    ]:  # for what the lines above and the job start; what the user or the modules set stays
        lines.append(f'[ -n "${{OMP_NUM_THREADS:-}}" ] || export {SHARE_OF_CORES}={resources["cpus"]}')
        lines.append(f'export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-{resources["cpus"]}}}"')
    variables = {**(resources["environment"] or {}), **make_source_environment(source)}
    return lines + [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def make_source_environment(source: Path) -> dict[str, str]:
    """Variables with which Python imports the harness from ``source``, and not from the working directory.

    For what a job starts; the job itself is started by ``make_bootstrap_command``, since PYTHONPATH cannot name a
    directory with a ``:`` in its path.
    """
    named = [] if os.pathsep in str(source) else [str(source)]
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {"PYTHONPATH": os.pathsep.join([*named, *others]), "PYTHONSAFEPATH": "1"}


def make_bootstrap_command(python: str, source: Path, *options: str) -> list[str]:
    """The words with which ``python`` runs a module of the source in ``source``; ``-m MODULE ...`` follows."""
    return [python, "-P", str(source / "bench" / "cluster" / "bootstrap.py"), *options]


def make_executor_parameters(resources: Resources, name: str, limit: int) -> dict[str, Any]:
    """What ``submitit.AutoExecutor.update_parameters`` is told on any backend; ``limit`` in minutes."""
    parameters: dict[str, Any] = {
        "name": name,
        "timeout_min": limit,
        "nodes": resources["nodes"],
        "tasks_per_node": count_processes(resources),
        "stderr_to_stdout": True,
    }
    if resources["gpus"]:
        parameters["gpus_per_node"] = resources["gpus"]
    if resources["cpus"]:
        parameters["cpus_per_task"] = resources["cpus"]
    if resources["mem"]:
        parameters["mem_gb"] = resources["mem"]
    return parameters
