"""A training state as one safetensors file, replaced atomically.

It holds the trained parameters, the optimiser's moments, the position in the data and the random
states; the schedule is a function of the position. One file, because a directory cannot be replaced
in one step: a run killed at any instant finds the last whole checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.errors import DataError
from bench.system.files import replace_file
from bench.system.json_files import JsonObject

START_OVER = "delete it to start over"


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
    conditions: list[JsonObject | None] = field(default_factory=list)
    """Under which the updates were made (``bench.system.execution``), oldest first; None where nobody noted them."""
    epoch_nats: float = 0.0
    """Summed loss of the target tokens of this epoch so far, and their number."""
    epoch_tokens: int = 0
    last_epoch_loss: float | None = None
    """Of the last whole epoch, per target token."""


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically, without a second copy of it in memory."""
    from safetensors.torch import save_file

    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replace_file(path) as temporary:
        save_file(flat, temporary, metadata)


class TensorFile(NamedTuple):
    """The content of a safetensors file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def load_tensors(path: Path, advice: str = START_OVER) -> TensorFile:
    """Tensors and metadata of a safetensors file; ``DataError`` with ``advice`` where it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # the file itself cannot be iterated over
            return TensorFile({name: file.get_tensor(name) for name in names}, file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: expected a whole safetensors file ({error}); {advice}") from error


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


class TrainingState(NamedTuple):
    """What a checkpoint holds."""

    parameters: dict[str, Tensor]
    """The trained parameters by name."""
    moments: dict[int, dict[str, Tensor]]
    """The optimiser's state by the index of the parameter."""
    random_states: dict[str, Tensor]
    """Of torch's generators: ``cpu``, and ``cuda`` where there was one."""
    progress: TrainingProgress


def load_checkpoint(path: Path, key: str) -> TrainingState:
    """The training state in a file.

    Raises ``DataError`` for a damaged file or one that belongs to another specification than ``key``.
    """
    tensors, metadata = load_tensors(path)
    try:
        fields: dict[str, Any] = json.loads(metadata["progress"])
        progress = TrainingProgress(**{"conditions": [None], **fields})
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a training checkpoint of this version; {START_OVER}") from error
    if progress.key != key:
        raise DataError(f"{path}: belongs to another specification; {START_OVER}")
    state = TrainingState({}, {}, {}, progress)
    for name, tensor in tensors.items():
        section, rest = name.split("/", 1)
        if section == "parameter":
            state.parameters[rest] = tensor
        elif section == "optimiser":
            index, field = rest.split("/", 1)
            state.moments.setdefault(int(index), {})[field] = tensor
        else:
            state.random_states[rest] = tensor
    return state
