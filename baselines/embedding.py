"""Embedding-only tuning: trained input embeddings before the source (paper §7.2, EMB-n of Table 5).

The embeddings are pushed through the frozen LM at positions 0..P-1, and what the LM computes for them
in every layer is the prefix: less expressive than prefix-tuning, where all of it is free. Facts from
the authors' code: by default the embeddings come from an MLP (E to 512 to E, tanh) while training; 10
epochs, other settings at the command line's defaults; the ablations share the prefix's code, hence
the loss summed over an example's target tokens and the frozen LM without dropout. The published rows
are those of the paper's first version, whose objective is not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.method import MINI_LR, Method, Option, Settings

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

    from bench.tuned import Tuned

GRID = "authors' code: run_batch.py, grid of the ablations"
DEFAULT = "authors' code: command-line default, which that grid leaves alone"
RULES: Settings = {
    "objective": ("sum", "authors' code: same path as prefix, summed over the target's tokens"),
    "backbone_dropout": (False, "authors' code: same path as prefix, the LM is in eval mode"),
}


class Embedding(Method):
    name = "embedding"
    summary = "input embeddings of P virtual tokens before the source; the LM is frozen"
    source = "paper §7.2, Table 5; authors' code: train_control.py"
    options = (
        Option("length", int, 10, "number of virtual tokens, P", minimum=1),
        Option("mlp", str, "yes", "reparametrise by an MLP while training", choices=("yes", "no")),
        Option("hidden", int, 512, "hidden width of the MLP", minimum=1),
    )
    variants: ClassVar[tuple[Mapping[str, object], ...]] = (
        {"length": 1},
        {"length": 10},
        {"length": 20},
    )
    settings: ClassVar[Mapping[str, Mapping[str, Settings]]] = {
        "paper": {
            "*": RULES,
            "e2e": {"lr": (5e-5, DEFAULT), "epochs": (10, GRID), "batch_size": (10, DEFAULT)},
        },
        "mini": {"*": {**RULES, "lr": (2e-3, MINI_LR)}},
    }

    def build(
        self,
        backbone: GPT2LMHeadModel,
        tokenizer: PreTrainedTokenizerBase | None,
        options: Mapping[str, Any],
        seed: int,
    ) -> Tuned:
        return make_tuned(backbone, options, seed)


def make_tuned(backbone: GPT2LMHeadModel, options: Mapping[str, Any], seed: int) -> Tuned:
    """The torch part. It is inside a function so that listing the methods does not import torch."""
    from torch import nn

    from bench.cache import as_tensor
    from bench.rng import seeded
    from bench.tuned import Tuned, check_shape

    length, hidden, width = options["length"], options["hidden"], backbone.config.n_embd

    class EmbeddingTuned(Tuned):
        """A frozen LM that reads P trained embeddings [P, E] before every source."""

        def __init__(self) -> None:
            super().__init__(backbone)
            with seeded(seed, "embedding/init"):
                self.rows = nn.Embedding(length, width)
                self.mlp: nn.Module = nn.Identity()
                if options["mlp"] == "yes":
                    self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width))

        def embeddings(self) -> Tensor:
            """[P, E], what the LM is given in place of word embeddings."""
            embeddings: Tensor = self.mlp(self.rows.weight)
            return embeddings

        @property
        def reserved_positions(self) -> int:
            return length

        def prefix(self) -> Tensor:
            """Keys and values [L, 2, H, P, D] that the LM computes for the embeddings."""
            embeds = self.embeddings().to(self.dtype)[None]
            _, cache = self.read(None, None, None, embeds=embeds, keep=True)
            assert cache is not None
            return as_tensor(cache)

        def stored_state(self) -> dict[str, Tensor]:
            """The embeddings alone; the MLP is not needed after training."""
            return {"embeddings": self.embeddings().detach()}

        def load_stored(self, state: Mapping[str, Tensor]) -> None:
            if set(state) != {"embeddings"}:
                raise KeyError(f"expected ['embeddings'], got {sorted(state)}")
            check_shape("embeddings", state["embeddings"], (length, width))
            self.rows = nn.Embedding.from_pretrained(state["embeddings"].to(self.device))
            self.mlp = nn.Identity()

    return EmbeddingTuned()
