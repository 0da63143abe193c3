"""Where a run computes: CPU, CUDA or Apple's GPU, in one process or many, through accelerate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import UserError, unknown

if TYPE_CHECKING:
    from accelerate import Accelerator


def make_accelerator(device: str, precision: str) -> Accelerator:
    """The device and arithmetic of a run, through accelerate (one or many processes)."""
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    cuda = torch.cuda.is_available()
    if device not in ("auto", "cpu", "cuda", "mps"):
        raise unknown("device", device, ("auto", "cpu", "cuda", "mps"))
    if device == "cuda" and not cuda:
        raise UserError(
            "--device cuda: no CUDA device is visible here; use --device cpu, or see `bench doctor`"
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: no Apple GPU is visible here; use --device cpu")
    if precision == "fp16" and not cuda:
        raise UserError("--precision fp16 needs a CUDA device; use --precision fp32 or bf16")
    # Apple's GPU is used only when asked for: its results differ from a CPU's in the last digits.
    cpu = device == "cpu" or (device == "auto" and not cuda)
    AcceleratorState._reset_state(reset_partial_state=True)  # several runs may share one process
    mixed = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}[precision]
    return Accelerator(cpu=cpu, mixed_precision=mixed)
