"""The keys of a site and what their values may be, from its file and from the command line alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import UnknownNameError, UserError
from bench.foreign_text import quote_foreign, show_foreign
from bench.system.numbers import parse_real_number, parse_whole_number


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


def parse_whole(value: object) -> int:
    """A whole number as the command line or TOML has it, where 1.0 is none."""
    if isinstance(value, float):
        raise TypeError(value)
    return parse_whole_number(value)


def parse_minutes(text: object) -> int:
    """Whole minutes of a time limit as Slurm writes it: minutes, M:SS, H:MM:SS, D-H, D-H:MM or D-H:MM:SS.

    >>> parse_minutes("4:00:00"), parse_minutes("1-12"), parse_minutes(90), parse_minutes("0:30")
    (240, 2160, 90, 1)
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", str(text).strip(), re.ASCII)
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
    "float": parse_real_number,
    "minutes": parse_minutes,
}
