"""A training state as one safetensors file, replaced atomically.

It holds the trained parameters, the optimiser's moments, the position in the data and the random
states; the schedule is a function of the position. One file, because a directory cannot be replaced
in one step: a run killed at any instant finds the last whole checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import DataError
from bench.system.files import replace_file


@dataclass
class TrainingProgress:
    """Where a training stands. ``step`` counts finished updates; the data position follows from it."""

    key: str
    """Hash of the specification that it belongs to; another one's checkpoint is refused."""
    step: int = 0
    processes: int = 1
    seconds: float = 0.0
    target_tokens: int = 0
    loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    looks_without_gain: int = 0
    scaler: dict[str, float] | None = None
    """State of the fp16 loss scaler."""


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically, without a second copy of it in memory."""
    from safetensors.torch import save_file

    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replace_file(path) as temporary:
        save_file(flat, temporary, metadata)


def load_tensors(
    path: Path, advice: str = "delete it to start over"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; ``DataError`` where it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # the file itself cannot be iterated over
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path}: expected a whole safetensors file ({error}); delete it to start over"
        ) from error


def save_checkpoint(
    path: Path, parameters: dict[str, Tensor], optimiser: torch.optim.Optimizer, progress: TrainingProgress
) -> None:
    """Write the whole state. ``parameters`` in the order in which the optimiser holds them."""
    tensors = {f"parameter/{name}": tensor for name, tensor in parameters.items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimiser/{index}/{name}"] = torch.as_tensor(value)
    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    save_tensors(path, tensors, {"progress": json.dumps(asdict(progress))})


def load_checkpoint(
    path: Path, key: str
) -> tuple[dict[str, Tensor], dict[int, dict[str, Tensor]], dict[str, Tensor], TrainingProgress]:
    """Parameters, optimiser state by parameter index, random states and progress.

    Raises ``DataError`` for a damaged file or one that belongs to another specification.
    """
    tensors, metadata = load_tensors(path)
    try:
        fields: dict[str, Any] = json.loads(metadata["progress"])
        progress = TrainingProgress(**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not a training checkpoint of this version; delete it to start over"
        ) from error
    if progress.key != key:
        raise DataError(f"{path}: belongs to another specification; delete it to start over")
    parameters: dict[str, Tensor] = {}
    optimiser: dict[int, dict[str, Tensor]] = {}
    random: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        kind, rest = name.split("/", 1)
        if kind == "parameter":
            parameters[rest] = tensor
        elif kind == "optimiser":
            index, field = rest.split("/", 1)
            optimiser.setdefault(int(index), {})[field] = tensor
        else:
            random[rest] = tensor
    return parameters, optimiser, random, progress
