"""Embedding-only tuning of BART: P trained input embeddings on either side, [PREFIX; x; PREFIX'; y].

Shapes: P virtual tokens on each side, E = d_model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from baselines._embeddings import MlpEmbeddings, StoredEmbeddings
from bench.models.adapted import check_shape
from bench.models.encoder_decoder import AdaptedEncoderDecoder

if TYPE_CHECKING:
    from transformers import BartForConditionalGeneration

SIDES = ("source", "target")


class EncoderDecoderEmbeddingModel(AdaptedEncoderDecoder):
    """A frozen BART whose encoder reads P trained embeddings [P, E] first, and whose decoder P others."""

    def __init__(self, backbone: BartForConditionalGeneration, options: Mapping[str, Any], seed: int) -> None:
        super().__init__(backbone)
        self.shape = (int(options["length"]), int(backbone.config.d_model))
        self.embeddings = nn.ModuleDict(
            {side: MlpEmbeddings(self.shape, options, seed, f"embedding/{side}") for side in SIDES}
        )

    @property
    def reserved_positions(self) -> int:
        """P, on each side."""
        return self.shape[0]

    def source_embeddings(self) -> Tensor:
        """What the encoder reads before every source, [P, E]."""
        embeddings: Tensor = self.embeddings["source"]()
        return embeddings

    def target_embeddings(self) -> Tensor:
        """What the decoder reads before every target, [P, E]."""
        embeddings: Tensor = self.embeddings["target"]()
        return embeddings

    def stored_state(self) -> dict[str, Tensor]:
        """The embeddings [P, E] of both sides; the MLPs are not needed after training."""
        return {side: module().detach() for side, module in self.embeddings.items()}

    def load_stored(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``stored_state`` gave; ``KeyError`` for other names, ``ValueError`` for other shapes."""
        if set(state) != set(SIDES):
            raise KeyError(f"expected {sorted(SIDES)}, got {sorted(state)}")
        for side in SIDES:
            check_shape(side, state[side], self.shape)
        for side in SIDES:
            self.embeddings[side] = StoredEmbeddings(state[side].to(self.device))
