"""Which tensors the weight files of a checkpoint hold, from their headers; with an index, in which of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench.errors import DataError
from bench.foreign_text import quote_foreign
from bench.models.checkpoint_files import INDEX_FILE, list_weight_files, read_weight_map
from bench.system.safetensors_header import TensorEntry, read_header


class WeightFiles(NamedTuple):
    """The tensors of a checkpoint over all its weight files."""

    tensors: dict[str, TensorEntry]
    """Name -> what the header says of it."""
    files: dict[str, Path]
    """Name -> the file that holds it."""


def read_weight_headers(path: Path) -> WeightFiles:
    """All tensors of a checkpoint directory; no weight is read.

    With an index, a tensor must be in the shard that the index names, and nowhere else.
    """
    weights = WeightFiles({}, {})
    paths = list_weight_files(path)
    weight_map = read_weight_map(path) if paths[0].name == INDEX_FILE else None
    for file in paths:
        if file.name == INDEX_FILE:
            continue
        for name, entry in read_header(file).items():
            if name in weights.tensors:
                raise DataError(
                    f"{file}: the tensor {quote_foreign(name)} is in another shard too; expected it once"
                )
            weights.tensors[name], weights.files[name] = entry, file
    if weight_map is not None:
        check_weight_map(path / INDEX_FILE, weight_map, weights)
    return weights


def check_weight_map(index: Path, weight_map: Mapping[str, str], weights: WeightFiles) -> None:
    """Every tensor lies in the shard that the index names, and the index names every tensor."""
    for name in {**weight_map, **weights.files}:
        file, listed = weights.files.get(name), weight_map.get(name)
        if file is None:
            raise DataError(
                f"{index}: names {quote_foreign(name)}, which is in no shard; expected their index"
            )
        if file.name != listed:
            says = "does not name it" if listed is None else f"names {listed}"
            raise DataError(f"{index}: {quote_foreign(name)} lies in {file.name}, and the index {says}")


def read_tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name of a tensor -> its shape, over all weight files."""
    return {name: entry.shape for name, entry in read_weight_headers(path).tensors.items()}
