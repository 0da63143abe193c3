"""Trained input embeddings: the parametrisations of embedding-only tuning, on either side of a model.

Shapes: P virtual tokens, E model width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from bench.system.rng import seed_globally


class MlpEmbeddings(nn.Module):
    """P input embeddings [P, E]: N(0, 1) rows, behind Linear(E, hidden), tanh, Linear(hidden, E) if asked for."""

    def __init__(self, shape: tuple[int, int], options: Mapping[str, Any], seed: int, name: str) -> None:
        super().__init__()
        length, width = shape
        with seed_globally(seed, f"{name}/init"):
            self.rows = nn.Embedding(length, width)
            self.mlp: nn.Module = nn.Identity()
            if options["mlp"] == "yes":
                hidden = options["hidden"]
                self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width))

    def forward(self) -> Tensor:
        """The embeddings, [P, E]."""
        embeddings: Tensor = self.mlp(self.rows.weight)
        return embeddings


class StoredEmbeddings(nn.Module):
    """What is left of them after training."""

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)

    def forward(self) -> Tensor:
        """The embeddings, [P, E]."""
        return self.values
