"""Trained keys and values: the parametrisations that prefix and infix share.

Shapes: L layers, H heads, P virtual tokens, D = head width, E = n_embd = H·D. Keys and values are one tensor
[L, 2, H, P, D]; index 0 of the second axis holds the keys, index 1 the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.system.rng import make_generator, seed_globally

if TYPE_CHECKING:
    from transformers import GPT2Config

KeysValuesShape = tuple[int, int, int, int, int]
"""[L, 2, H, P, D]."""


def compute_keys_values_shape(config: GPT2Config, length: int) -> KeysValuesShape:
    """[L, 2, H, P, D] of ``length`` positions of this model."""
    return (config.n_layer, 2, config.n_head, length, config.n_embd // config.n_head)


class MlpKeysValues(nn.Module):
    """P rows of width E through Linear(E, hidden), tanh, Linear(hidden, 2·L·E) to [L, 2, H, P, D].

    Authors' code: the learned matrix is as wide as the model and 512 is the hidden width (the
    paper's footnote 4 has 512 as the matrix's width). N(0, 1) rows, default linear initialisation.
    """

    def __init__(self, shape: KeysValuesShape, hidden: int, seed: int, name: str) -> None:
        super().__init__()
        self.shape = shape
        layers, two, heads, length, depth = shape
        width = heads * depth
        with seed_globally(seed, f"{name}/init"):
            self.rows = nn.Embedding(length, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, hidden),
                nn.Tanh(),
                nn.Linear(hidden, two * layers * width),
            )

    def forward(self) -> Tensor:
        """Keys and values, [L, 2, H, P, D]."""
        layers, two, heads, length, width = self.shape
        flat = self.mlp(self.rows.weight)
        return flat.view(length, layers, two, heads, width).permute(1, 2, 3, 0, 4)


class FreeKeysValues(nn.Module):
    """The keys and values themselves as the parameter, N(0, 1) (paper §4.3: less stable)."""

    def __init__(self, shape: KeysValuesShape, seed: int, name: str) -> None:
        super().__init__()
        self.shape = shape
        self.values = nn.Parameter(torch.randn(self.shape, generator=make_generator(seed, f"{name}/init")))

    def forward(self) -> Tensor:
        """Keys and values, [L, 2, H, P, D]."""
        return self.values


class StoredKeysValues(nn.Module):
    """What is left after training: the numbers alone. Nothing here is trained."""

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        layers, two, heads, length, depth = values.shape
        self.shape: KeysValuesShape = (layers, two, heads, length, depth)
        self.register_buffer("values", values)

    def forward(self) -> Tensor:
        """Keys and values, [L, 2, H, P, D]."""
        return self.values


KeysValues = MlpKeysValues | FreeKeysValues | StoredKeysValues


def make_keys_values(shape: KeysValuesShape, options: Mapping[str, Any], seed: int, name: str) -> KeysValues:
    """The parametrisation that a method's options ask for, drawn from ``seed`` and ``name``."""
    if shape[3] == 0:
        # The untouched model: an MLP would hold parameters that no gradient ever reaches.
        return StoredKeysValues(torch.zeros(shape))
    if options["mlp"] == "yes":
        return MlpKeysValues(shape, options["hidden"], seed, name)
    return FreeKeysValues(shape, seed, name)
