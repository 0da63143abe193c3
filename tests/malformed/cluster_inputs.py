"""Submissions that must be refused at once: before a snapshot is taken or a launch begun."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from inputs import MalformedInput

RUN = ["submit", "--method", "prompt", "--task", "webnlg", "--offline", "--cluster", "local"]

FLAGS: dict[str, tuple[str, ...]] = {
    "--time": ("", " ", "0", "-1", "soon", "1:2:3:4", "4h", "nan", "\x1b[31m5", "9" * 5000),
    "--gpus": ("-1", "1.5", "", "two", "nan", "1e3", "\u202e1"),
    "--nodes": ("0", "-3", "1.7", "", "all"),
    "--processes": ("0", "-1", "", "x", "1.0"),
    "--cpus": ("0", "-2", "", "half", "0.5"),
    "--mem": ("0", "-1", "", "nan", "inf", "1GB", "1e400"),
    "--max-parallel": ("0", "-1", "", "many", "1.5"),
    "--max-requeues": ("-1", "", "x"),
    "--signal-before": ("0", "-5", "", "x"),
}
SITES: dict[str, str | bytes] = {
    "no TOML": "partition: x",
    "no UTF-8": b'partition = "\xff"',
    "unknown key": "partitions = 'x'",
    "number for text": "partition = 1.5",
    "truth for a number": "cpus = true",
    "list for a number": "cpus = [1]",
    "table for text": "[partition]\na = 1",
    "zero processors": "cpus = 0",
    "not a number of memory": "mem = nan",
    "endless memory": "mem = inf",
    "text for modules": "modules = 'cuda'",
    "numbers for modules": "modules = [1]",
    "shape that matches nothing": "[[shape]]\nmem = 1",
    "shape of a wrong type": "shape = 3",
    "shape with an unknown key": "[[shape]]\nmodel = 'x'\nmemory = 1",
    "variable that is a list": "[environment]\nA = [1]",
    "variable that is a table": "[environment.A]\nb = 1",
    "environment of a wrong type": "environment = 'A=1'",
    "export that hides the job's variables": "[slurm]\nexport = 'NONE'",
    "duplicate key": "cpus = 1\ncpus = 2",
    "time that is none": "time = 'noon'",
}


def give_flag(flag: str, value: str) -> Callable[[Path], list[str]]:
    return lambda _folder: [*RUN, flag, value]


def give_site(content: str | bytes) -> Callable[[Path], list[str]]:
    def prepare(folder: Path) -> list[str]:
        file = folder / "site.toml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [*RUN, "--site", str(file)]

    return prepare


def give_words(*words: str) -> Callable[[Path], list[str]]:
    return lambda _folder: [*RUN, *words]


INPUTS = [
    *(
        MalformedInput(f"{flag} {value[:12]!a}", "submission", give_flag(flag, value), re.escape(flag))
        for flag, values in FLAGS.items()
        for value in values
    ),
    *(
        MalformedInput(f"site: {name}", "submission", give_site(content), "site|toml|TOML")
        for name, content in SITES.items()
    ),
    MalformedInput("site that is a folder", "submission", lambda folder: [*RUN, "--site", str(folder)], "site"),
    MalformedInput("site that is not there", "submission", give_words("--site", "none.toml"), "none.toml"),
    MalformedInput("unknown cluster", "submission", give_words("--cluster", "slurn"), "slurm"),
    MalformedInput("empty cluster", "submission", give_words("--cluster", ""), "cluster"),
    MalformedInput("several nodes of one machine", "submission", give_words("--nodes", "2"), "--nodes 2"),
    MalformedInput(
        "several processes in one", "submission",
        give_words("--cluster", "debug", "--processes", "2"), "--processes 2"
    ),
    MalformedInput("retry of everything by accident", "submission", lambda _: ["retry"], "which runs"),
    MalformedInput("cancel of everything by accident", "submission", lambda _: ["cancel"], "which runs"),
    MalformedInput("cancel of an unknown run", "submission", lambda _: ["cancel", "none"], "none"),
    MalformedInput("cancel of an empty name", "submission", lambda _: ["cancel", ""], "(?i)empty|RUN"),
    MalformedInput("logs of an unknown run", "submission", lambda _: ["logs", "none"], "none"),
    MalformedInput("unknown launch", "submission", lambda _: ["status", "--launch", "x"], "nothing was submitted"),
    MalformedInput("unknown state", "submission", lambda _: ["status", "--state", "dnoe"], "done"),
    MalformedInput("unknown kind", "submission", lambda _: ["status", "--kind", "oom"], "out-of-memory"),
]  # fmt: skip
