"""A training state as one safetensors file, replaced atomically.

It holds the trained parameters, the optimiser's moments, the position in the data and the random
states; the schedule is a function of the position. One file, because a directory cannot be replaced
in one step: a run killed at any instant finds the last whole checkpoint. A checksum over all of it tells a file
that was damaged since: one flipped bit in a moment of the optimiser would end as other parameters, without a word.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from bench.errors import DataError
from bench.system.damage import DamagedFileError
from bench.system.files import check_regular_file, make_temporary_name, replace_file
from bench.system.json_files import JsonObject, parse_json, to_canonical_json
from bench.system.third_party import loading_file

START_OVER = "delete it to start over"
PROGRESS, CHECKSUM = "progress", "checksum"
Whole = Annotated[int, Field(ge=0)]


@dataclass
class TrainingProgress:
    """Where a training stands. ``step`` counts finished updates; the data position follows from it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")

    key: str
    """Hash of the specification that it belongs to; another one's checkpoint is refused."""
    step: Whole = 0
    processes: Annotated[int, Field(ge=1)] = 1
    seconds: Annotated[float, Field(ge=0)] = 0.0
    target_tokens: Whole = 0
    loss: float | None = None
    best_loss: float | None = None
    best_step: Whole | None = None
    best_rouge2: float | None = None
    best_rouge2_step: Whole | None = None
    looks_without_gain: Whole = 0
    scaler: dict[str, float] | None = None
    """State of the fp16 loss scaler."""
    conditions: list[JsonObject | None] = field(default_factory=list)
    """Under which the updates were made (``bench.system.execution``), oldest first; None where nobody noted them."""
    epoch_nats: float = 0.0
    """Summed loss of the target tokens of this epoch so far, and their number."""
    epoch_tokens: Whole = 0
    last_epoch_loss: float | None = None
    """Of the last whole epoch, per target token."""


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically, without a second copy of it in memory."""
    from safetensors.torch import save_file

    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replace_file(path) as temporary:
        # The library writes to a name of its own beside, readable for its owner alone. In a folder whose name says
        # whose it is, what a kill leaves of it is recognised and removed.
        folder = make_temporary_name(path)
        folder.mkdir()
        try:
            file = folder / path.name
            file.touch()
            mode = file.stat().st_mode
            save_file(flat, file, metadata)
            file.chmod(mode)
            file.replace(temporary)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class TensorFile(NamedTuple):
    """The content of a safetensors file."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def load_tensors(path: Path, advice: str = START_OVER) -> TensorFile:
    """Tensors and metadata of a safetensors file; ``DataError`` with ``advice`` where it is damaged."""
    from safetensors import safe_open

    def refuse(message: str, problem: str) -> DataError:
        return DataError(f"{message}; {advice}", problem)

    check_regular_file(path)
    with loading_file(path, "a whole safetensors file", refuse), safe_open(path, framework="pt") as file:
        names = file.keys()  # the file itself cannot be iterated over
        return TensorFile({name: file.get_tensor(name) for name in names}, file.metadata() or {})


def compute_checksum(tensors: Mapping[str, Tensor], document: JsonObject) -> str:
    """SHA-256 over a document and over the names, types, shapes and values of tensors on the CPU."""
    layout = [[name, str(tensor.dtype), list(tensor.shape)] for name, tensor in sorted(tensors.items())]
    digest = hashlib.sha256(to_canonical_json([document, layout]).encode())
    for _, tensor in sorted(tensors.items()):
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_checked(path: Path, tensors: Mapping[str, Tensor], document: JsonObject) -> None:
    """Write tensors and what is known of them, with a checksum over both; atomically."""
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One entry of metadata: of several the library keeps no order, and equal content would give unequal files.
    checked = {**document, CHECKSUM: compute_checksum(flat, document)}
    save_tensors(path, flat, {PROGRESS: json.dumps(checked)})


class CheckedFile(NamedTuple):
    """The content of a file of ``save_checked``, as it was written."""

    tensors: dict[str, Tensor]
    document: JsonObject


def load_checked(path: Path) -> CheckedFile:
    """What ``save_checked`` wrote; ``DamagedFileError`` where the file holds anything else."""
    try:
        tensors, metadata = load_tensors(path)
    except DataError as error:
        raise DamagedFileError(path, error.problem or str(error), START_OVER) from error
    try:
        document = parse_json(path, metadata[PROGRESS].encode(), any_text=True)
        checksum = document.pop(CHECKSUM, None)
        intact = checksum == compute_checksum(tensors, document)
    except (AttributeError, DataError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DamagedFileError(path, "it does not say what it holds", START_OVER) from error
    if checksum is None:
        raise DamagedFileError(path, "it has no checksum, as those of earlier versions", START_OVER)
    if not intact:
        raise DamagedFileError(path, "its content does not have its checksum", START_OVER)
    return CheckedFile(tensors, document)


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
    save_checked(path, tensors, asdict(progress))


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

    Raises ``DamagedFileError`` for a file that is not as it was written or says what cannot be, and ``DataError``
    for one that belongs to another specification than ``key``.
    """
    tensors, document = load_checked(path)
    try:
        progress: TrainingProgress = TypeAdapter(TrainingProgress).validate_json(json.dumps(document))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise DamagedFileError(
            path, f"its {place} is {fault['input']!r:.60}: {fault['msg']}", START_OVER
        ) from error
    if progress.key != key:
        raise DataError(f"{path}: belongs to another specification; {START_OVER}")
    state = TrainingState({}, {}, {}, progress)
    try:
        for name, tensor in tensors.items():
            section, rest = name.split("/", 1)
            if section == "parameter":
                state.parameters[rest] = tensor
            elif section == "optimiser":
                index, field_name = rest.split("/", 1)
                state.moments.setdefault(int(index), {})[field_name] = tensor
            else:
                state.random_states[rest] = tensor
    except ValueError as error:
        raise DamagedFileError(path, f"it holds a tensor named {name!r:.60}", START_OVER) from error
    return state


def check_state(path: Path, state: TrainingState, parameters: Mapping[str, Tensor], planned: int) -> None:
    """``DamagedFileError`` where a state is not of a training of ``parameters`` over ``planned`` updates.

    ``parameters`` in the order in which the optimiser holds them.
    """

    def refuse(problem: str) -> None:
        raise DamagedFileError(path, problem, START_OVER)

    progress, shapes = state.progress, {name: tensor.shape for name, tensor in parameters.items()}
    if progress.step > planned:
        refuse(f"its step is {progress.step} and the training has {planned} updates")
    if (progress.best_rouge2_step or 0) > progress.step:
        refuse(f"its best step by ROUGE-2 is {progress.best_rouge2_step} at step {progress.step}")
    if (progress.best_step is None) != (progress.best_loss is None) or (
        progress.best_step or 0
    ) > progress.step:
        refuse(
            f"its best step is {progress.best_step} with a loss of {progress.best_loss} at step {progress.step}"
        )
    if {name: tensor.shape for name, tensor in state.parameters.items()} != shapes:
        refuse("its parameters are not those that are trained")
    if "cpu" not in state.random_states:
        refuse("it has no random state")
    if progress.step and not state.moments:
        refuse("it has no state of the optimiser")
    expected = dict(enumerate(shapes.values()))
    for index, moments in state.moments.items():
        wrong = [
            name for name, tensor in moments.items() if name != "step" and tensor.shape != expected.get(index)
        ]
        if wrong or index not in expected or moments.keys() != next(iter(state.moments.values())).keys():
            refuse(f"its state of the optimiser does not fit parameter {index}")
