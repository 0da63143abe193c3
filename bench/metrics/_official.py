"""The official Java programs and their data: whether they are asked for, and whether they are here.

Their jars and word lists come with the package pycocoevalcap. This only finds them: which score cannot be
computed without, and what to type, is said where that score is computed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from bench.errors import UserError

METEOR_JAR = Path("meteor", "meteor-1.5.jar")
"""METEOR's program, and the lists of words in it that METEOR and ROUGE-1.5.5 use."""
JAVA = "BENCH_JAVA"
"""Environment variable: ``1`` asks the official jars; empty, the default, uses our code everywhere."""


def is_jar_requested() -> bool:
    """What BENCH_JAVA says: nothing or 0, our code; 1, the official programs; ``UserError`` for anything else."""
    value = os.environ.get(JAVA, "")
    if value not in ("", "0", "1"):
        raise UserError(f"{JAVA}={value}: expected 1 (the official jars, by java) or 0 (our own code)")
    return value == "1"


def list_package_folders() -> list[Path]:
    """Where pycocoevalcap is installed: having no ``__init__``, it may be spread over several folders."""
    spec = importlib.util.find_spec("pycocoevalcap")
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []


def find_package_file(name: Path) -> Path | None:
    """A file of the installed pycocoevalcap, if it is there."""
    return next((folder / name for folder in list_package_folders() if (folder / name).is_file()), None)


@cache
def has_java() -> bool:
    """Whether ``java`` can be started (on some systems the command is there and only asks to install it)."""
    java = shutil.which("java")
    if java is None:
        return False
    answer = subprocess.run([java, "-version"], capture_output=True, check=False)  # noqa: S603 - found on PATH
    return answer.returncode == 0
