"""`bench doctor`: what this machine can run, what is missing and how to get it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click

from bench.cli import print_json
from bench.cli.options import json_option
from bench.cli.tables import print_table
from bench.foreign_text import show_foreign

NEEDED = ("torch", "transformers", "accelerate", "safetensors", "sacrebleu")


class Check(NamedTuple):
    """One thing that was looked at."""

    subject: str
    ok: bool
    state: str
    """What is here, in words."""
    advice: str = ""
    """What to do where it is not ok."""
    needed: bool = False
    """Without it not even a mini run is possible."""
    verification: dict[str, Any] | None = None
    """Of a published model that is here: whether its weights are known to be its own."""

    def to_json(self) -> dict[str, Any]:
        document = {
            "what": self.subject,
            "ok": self.ok,
            "found": self.state,
            "do": "" if self.ok else self.advice,
            "needed": self.needed,
        }
        return document if self.verification is None else {**document, "verification": self.verification}


@click.command("doctor", epilog="\b\nExample:\n  bench doctor --json")
@json_option
def command(as_json: bool) -> int:
    """Say what can be run here; exit 1 if not even the mini scale can."""
    checks = [*check_packages(), *check_machine(), *check_data(), *check_models(), *list_broken_plugins()]
    if as_json:
        print_json([check.to_json() for check in checks])
    else:
        print_table(
            ["", "what", "found", "what to do"],
            [
                ["ok" if check.ok else "--", check.subject, check.state, "" if check.ok else check.advice]
                for check in checks
            ],
        )
    return 0 if all(check.ok for check in checks if check.needed) else 1


def check_packages() -> list[Check]:
    """The packages that every run needs."""
    from importlib.metadata import version

    checks = []
    for name in NEEDED:
        installed = importlib.util.find_spec(name) is not None
        state = version(name) if installed else "missing"
        checks.append(Check(name, installed, state, f"pip install {name}", needed=True))
    return checks


def check_machine() -> list[Check]:
    """Python, cores, disk and accelerators."""
    checks = [
        Check("python", True, sys.version.split()[0]),
        Check("cores", True, str(os.cpu_count())),
    ]
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    advice = "mini runs need 0.1 GB, gpt2-medium 6 GB"
    checks.append(Check("disk here", free > 1, f"{free:.0f} GB free", advice))
    if importlib.util.find_spec("torch") is not None:
        import torch

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        advice = "mini runs do not need one; --scale paper is slow without"
        checks.append(Check("accelerator", bool(names), ", ".join(names) or "none", advice))
    return checks


def check_data() -> list[Check]:
    """The published files of every task, in the folder that BENCH_DATA names."""
    from bench import registry

    folder = os.environ.get("BENCH_DATA")
    checks = []
    for task in registry.tasks().values():
        if folder is None:
            state, ok = "BENCH_DATA is not set", False
        else:
            missing = [
                path for split in task.files for path in task.missing(split, Path(folder) / task.folder)
            ]
            state, ok = ("missing " + ", ".join(missing) if missing else "all splits"), not missing
        advice = f"bench data prepare --task {task.name}, or set BENCH_DATA; mini runs need neither"
        checks.append(Check(f"data of {task.name}", ok, state, advice))
    return checks


def check_models() -> list[Check]:
    """The weights of every backbone, hashed; nothing is downloaded."""
    from bench.models.catalogue import MODELS

    return [check_model(name) for name in MODELS]


def check_model(name: str) -> Check:
    """One backbone: absent, of another shape, there but not verified, or verified and by what."""
    from bench.errors import DataError, UnavailableError, first_line
    from bench.models.catalogue import MODELS, locate_model

    subject, shipped = f"model {name}", MODELS[name].pinned is None
    try:
        located = locate_model(name, allow_download=False)
    except UnavailableError:
        advice = f"set BENCH_MODELS=DIR with DIR/{name}, or let the first run download it"
        return Check(subject, False, "not on this machine", advice, needed=shipped)
    except DataError as error:
        advice = f"bench models verify {name} says what is expected"
        return Check(subject, False, f"refused: {error.problem or first_line(error)}", advice, needed=shipped)
    if shipped:
        return Check(subject, True, located.origin.text, needed=True)
    verification = located.verification
    state = f"{located.origin.text}, {verification.describe()}"
    advice = f"bench models verify {name}"
    return Check(subject, verification.is_verified, state, advice, verification=verification.to_json())


def list_broken_plugins() -> list[Check]:
    """Files of methods, tasks, metrics and experiments that are there but cannot be used."""
    from bench import registry
    from bench.experiments.files import list_broken_experiments

    broken = [*registry.broken()]
    broken += [
        (f"experiment {show_foreign(name)}", cause) for name, cause in list_broken_experiments().items()
    ]
    return [Check(subject, False, cause, "mend or remove the file") for subject, cause in broken]
