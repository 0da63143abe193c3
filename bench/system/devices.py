"""Where a run computes: CPU, CUDA or Apple's GPU, in one process or in many, through accelerate."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.errors import UnknownNameError, UserError
from bench.system.launch_variables import LEFTOVERS, is_launch_complete

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

DEVICES = ("auto", "cpu", "cuda", "mps")


def get_process_rank() -> int:
    """This process's number in a launch of many (`torchrun`, `accelerate launch`); 0 where it is alone."""
    return int(os.environ.get("RANK", "0"))


def count_processes() -> int:
    """How many processes this launch has; 1 where this one is alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def make_waiting_passive() -> None:
    """Let threads that wait for others sleep. To be called before torch is loaded; what the user set stays.

    By default they spin, and two processes with as many threads as there are cores then take ten times as long.
    The numbers do not depend on it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pick_device(device_name: str, precision: str = "fp32") -> torch.device:
    """The device to compute on; ``UserError`` where it is not here or lacks the precision.

    Apple's GPU is used only when asked for: its results differ from a CPU's in the last digits.
    """
    import torch

    if device_name not in DEVICES:
        raise UnknownNameError("device", device_name, DEVICES)
    cuda = torch.cuda.is_available()
    if device_name == "cuda" and not cuda:
        raise UserError("--device cuda: no CUDA device is visible here; use --device cpu (see bench doctor)")
    if device_name == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: no Apple GPU is visible here; use --device cpu")
    if precision == "fp16" and (device_name in ("cpu", "mps") or not cuda):
        raise UserError("--precision fp16 needs a CUDA device; use --precision fp32 or bf16")
    if device_name == "mps":
        return torch.device("mps")
    if device_name == "cuda" or (device_name == "auto" and cuda):
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def make_accelerator(device_name: str, precision: str) -> Accelerator:
    """The device and arithmetic of a training: what the settings say, whatever ACCELERATE_… variables are set.

    ``ACCELERATE_GRADIENT_ACCUMULATION_STEPS=4`` alone would divide every loss by 4, without a word. Nor is a process
    that is alone led by what a launch of one left behind (``LOCAL_RANK=0``).
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    device = pick_device(device_name, precision)
    # Several runs may share one process, and accelerate has no public way to begin anew.
    AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - see above
    mixed = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}[precision]
    with hide_variables("ACCELERATE_", *(() if is_launch_complete() else LEFTOVERS)):
        return Accelerator(cpu=device.type == "cpu", mixed_precision=mixed)


@contextlib.contextmanager
def hide_variables(*beginnings: str) -> Iterator[None]:
    """Without the environment variables whose names begin with one of ``beginnings``, as long as the block runs."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith(beginnings)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
