"""The environment variables by which processes of one launch find each other: whether they make sense together.

A launch that the harness takes part in (`torchrun`, `accelerate launch`, its own jobs of several processes) sets all
of ``COMPLETE``. Some of them alone, or those of an MPI, are mostly left in a shell from something else; torch would
then wait for processes that there are not, or every process of an `mpirun` would take itself for the only one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from bench.errors import UserError
from bench.foreign_text import show_foreign

COMPLETE = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What a launch sets that torch can join."""
SIZES = (
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
)
RANKS = (
    "RANK",
    "LOCAL_RANK",
    "PMI_RANK",
    "PMIX_RANK",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MV2_COMM_WORLD_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
)
NUMBERS = (*SIZES, *RANKS)
LEFTOVERS = ("ACCELERATE_", *NUMBERS, "MASTER_ADDR", "MASTER_PORT")
"""Names, or their beginnings, of what accelerate reads and a process that is alone must not be led by."""


def is_launch_complete(environment: Mapping[str, str] | None = None) -> bool:
    """Whether everything is set by which torch's processes find each other."""
    values = os.environ if environment is None else environment
    return all(values.get(name) for name in COMPLETE)


def check_launch_variables(several: bool = True, environment: Mapping[str, str] | None = None) -> None:
    """Refuse a launch that is set by half, makes no sense, or is not one that the harness can join.

    ``several``: whether what is asked for can be shared by the processes of a launch. A launch of one process is
    harmless. Raises ``UserError`` naming the variables and how to be rid of them.
    """
    values = os.environ if environment is None else environment
    present = {name: values[name] for name in NUMBERS if name in values}
    wrong = [name for name, value in present.items() if not (value.isascii() and value.isdigit())]
    if wrong:
        raise _refuse(present, "expected whole numbers, as torchrun sets them")
    counts = {name: int(value) for name, value in present.items() if len(value) < 10}
    if len(counts) == len(present) and _is_of_one(counts):
        return
    if not is_launch_complete(values):
        raise _refuse(
            present,
            "a launch of several processes that bench cannot join; torchrun or accelerate launch set "
            f"{', '.join(COMPLETE)} together",
        )
    if counts.get("RANK", 0) >= counts.get("WORLD_SIZE", 0):
        raise _refuse(present, "expected a RANK below WORLD_SIZE")
    if not several:
        raise _refuse(present, "this command is one process, not several of a launch")


def _is_of_one(counts: Mapping[str, int]) -> bool:
    """Whether every size is 1 and every rank 0."""
    return all(count == (1 if name in SIZES else 0) for name, count in counts.items())


def _refuse(present: Mapping[str, str], problem: str) -> UserError:
    values = " ".join(f"{name}={show_foreign(value, 40)}" for name, value in present.items())
    return UserError(f"{values}: {problem}. If left in this shell: unset {' '.join(present)}")
