"""A malformed input: what it is made of, how it is given to the program, and what the refusal must say."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class MalformedInput(NamedTuple):
    """``prepare`` writes files below the test's empty working directory and returns the words after `bench`.

    ``expects`` is a regular expression that the message must match somewhere. ``environment``: further variables.
    """

    name: str
    kind: str
    prepare: Callable[[Path], list[str]]
    expects: str
    exit_code: int = 2
    environment: Mapping[str, str] = {}


def collect_inputs() -> list[MalformedInput]:
    """The inputs of every file ``*_inputs.py`` beside this one."""
    names = sorted(file.stem for file in FOLDER.glob("*_inputs.py"))
    return [given for name in names for given in importlib.import_module(name).INPUTS]
