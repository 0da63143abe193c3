"""`bench doctor`: what this machine can run, what is missing and how to get it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from bench.cli import print_json
from bench.cli.options import json_option
from bench.cli.tables import print_table

NEEDED = ("torch", "transformers", "accelerate", "safetensors", "sacrebleu")


@click.command("doctor", epilog="\b\nExample:\n  bench doctor --json")
@json_option
def command(as_json: bool) -> int:
    """Say what can be run here; exit 1 if not even the mini scale can."""
    checks = [*packages(), *machine(), *data(), *models(), *pieces()]
    if as_json:
        print_json(checks)
    else:
        print_table(
            ["", "what", "found", "what to do"],
            [["ok" if c["ok"] else "--", c["what"], c["found"], c["do"]] for c in checks],
        )
    return 0 if all(c["ok"] for c in checks if c["needed"]) else 1


def check(what: str, ok: bool, found: str, do: str = "", needed: bool = False) -> dict[str, Any]:
    return {"what": what, "ok": ok, "found": found, "do": "" if ok else do, "needed": needed}


def packages() -> list[dict[str, Any]]:
    from importlib.metadata import version

    rows = []
    for name in NEEDED:
        there = importlib.util.find_spec(name) is not None
        found = version(name) if there else "missing"
        rows.append(check(name, there, found, f"pip install {name}", needed=True))
    return rows


def machine() -> list[dict[str, Any]]:
    rows = [check("python", True, sys.version.split()[0])]
    rows.append(check("cores", True, str(os.cpu_count())))
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    rows.append(
        check("disk here", free > 1, f"{free:.0f} GB free", "mini runs need 0.1 GB, gpt2-medium 6 GB")
    )
    if importlib.util.find_spec("torch") is not None:
        import torch

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        rows.append(
            check("accelerator", bool(names), ", ".join(names) or "none",
                  "mini runs do not need one; --scale paper is slow without")
        )  # fmt: skip
    return rows


def data() -> list[dict[str, Any]]:
    from bench import registry

    place = os.environ.get("BENCH_DATA")
    rows = []
    for task in registry.tasks().values():
        if place is None:
            found, ok = "BENCH_DATA is not set", False
        else:
            gone = [p for split in task.files for p in task.missing(split, Path(place) / task.folder)]
            found, ok = ("missing " + ", ".join(gone) if gone else "all splits"), not gone
        do = f"bench data prepare --task {task.name}, or set BENCH_DATA; mini runs need neither"
        rows.append(check(f"data of {task.name}", ok, found, do))
    return rows


def models() -> list[dict[str, Any]]:
    from bench.errors import UserError
    from bench.models.catalogue import MODELS, locate_model

    rows = []
    for name in MODELS:
        mini = MODELS[name].hub is None
        try:
            rows.append(
                check(f"model {name}", True, locate_model(name, allow_download=False).origin, needed=mini)
            )
        except UserError:
            do = f"set BENCH_MODELS=DIR with DIR/{name}, or let the first run download it"
            rows.append(check(f"model {name}", False, "not on this machine", do, needed=mini))
    return rows


def pieces() -> list[dict[str, Any]]:
    """Files of methods and tasks that are there but cannot be used."""
    from bench import registry

    return [check(place, False, cause, "mend or remove the file") for place, cause in registry.broken()]
