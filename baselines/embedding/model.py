"""Embedding-only tuning of GPT-2: P trained input embeddings before every source.

Shapes: L layers, H heads, P virtual tokens, D = head width, E = n_embd.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from baselines._embeddings import MlpEmbeddings, StoredEmbeddings
from bench.models.adapted import check_shape
from bench.models.decoder_only import AdaptedDecoder
from bench.models.kv_cache import stack_cache

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel


class EmbeddingModel(AdaptedDecoder):
    """A frozen LM that reads P trained embeddings [P, E] before every source."""

    def __init__(self, backbone: GPT2LMHeadModel, options: Mapping[str, Any], seed: int) -> None:
        super().__init__(backbone)
        self.shape = (int(options["length"]), int(backbone.config.n_embd))
        self.embeddings: nn.Module = MlpEmbeddings(self.shape, options, seed, "embedding")

    @property
    def reserved_positions(self) -> int:
        """P."""
        return self.shape[0]

    def prefix(self) -> Tensor:
        """Keys and values [L, 2, H, P, D] that the LM computes for the embeddings."""
        embeds = self.embeddings().to(self.dtype)[None]
        _, cache = self.read(None, None, None, embeds=embeds, keep=True)
        assert cache is not None
        return stack_cache(cache)

    def stored_state(self) -> dict[str, Tensor]:
        """The embeddings [P, E] alone; the MLP is not needed after training."""
        return {"embeddings": self.embeddings().detach()}

    def load_stored(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``stored_state`` gave; ``KeyError`` for other names, ``ValueError`` for other shapes."""
        if set(state) != {"embeddings"}:
            raise KeyError(f"expected ['embeddings'], got {sorted(state)}")
        check_shape("embeddings", state["embeddings"], self.shape)
        self.embeddings = StoredEmbeddings(state["embeddings"].to(self.device))
