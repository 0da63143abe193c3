"""Where and with what jobs run: a small TOML file of the site, then the command line, each value with its origin.

The file is ``--site FILE``, else BENCH_SITE, else ``site.toml`` here, else ``~/.config/bench/site.toml``;
``docs/site.example.toml`` shows every key. A ``[[shape]]`` table changes keys for the runs that match it,
so that a large model can have more memory: that is what makes more than one array of a launch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from bench import registry
from bench.cluster.site_values import BY_NAME, KEYS, MATCHES, check_text, get_key, parse_value
from bench.errors import DataError, UnknownNameError, UserError
from bench.foreign_text import show_foreign
from bench.system.cpus import SHARE_OF_CORES
from bench.system.toml_files import read_toml
from bench.task import SCALES

Resources: TypeAlias = Mapping[str, Any]
"""Keys of a site (``KEYS``) with their values, as they hold for some jobs."""


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
