"""Infix-tuning of GPT-2: P trained positions between every source and its target.

Shapes: B examples, L layers, H heads, P virtual tokens, D = head width, E = n_embd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from baselines._keys_values import MlpKeysValues, StoredKeysValues, compute_keys_values_shape
from bench.models.adapted import Tokens, check_shape
from bench.models.decoder_only import AdaptedDecoder, Context
from bench.system.rng import seed_globally

if TYPE_CHECKING:
    from transformers import DynamicCache, GPT2LMHeadModel


class InfixModel(AdaptedDecoder):
    """A frozen LM that meets P trained positions after every source.

    ``length`` is P, ``hidden`` the width of the MLP that keys and values come from while training.
    """

    def __init__(self, backbone: GPT2LMHeadModel, length: int, hidden: int, seed: int) -> None:
        super().__init__(backbone)
        config = backbone.config
        with seed_globally(seed, "infix/embeddings"):
            self.embeddings = nn.Embedding(length, config.n_embd)
        self.keys_values: MlpKeysValues | StoredKeysValues = MlpKeysValues(
            compute_keys_values_shape(config, length), hidden, seed, "infix"
        )

    @property
    def reserved_positions(self) -> int:
        """P."""
        return self.embeddings.num_embeddings

    def context(self, sources: Sequence[Tokens]) -> Context:
        """Source and infix as a cache; BOS is left to be read, right after the infix."""
        # The infix directly follows each row's own source and padding is on the right, so that
        # this reading needs no mask and no row depends on how long the others are.
        texts = [list(source[:-1]) for source in sources]
        embeds = nn.utils.rnn.pad_sequence([self._append_infix(ids) for ids in texts], True)
        starts = torch.tensor([len(ids) for ids in texts], device=self.device)
        steps = torch.arange(embeds.shape[1], device=self.device)
        # Only padding can lie past the position table here without BOS doing so as well, and
        # that is refused where the target is read.
        position_ids = steps.clamp(max=self.positions - 1)[None]
        _, cache = self.read(None, None, position_ids, embeds=embeds, keep=True)
        assert cache is not None
        self._add_keys_values(cache, starts)
        stops = starts + self.reserved_positions
        visible = (steps < stops[:, None]).long()
        return Context(cache, visible, stops, [[source[-1]] for source in sources])

    def _append_infix(self, ids: Sequence[int]) -> Tensor:
        """Input embeddings [len(ids) + P, E] of one source and the infix."""
        words = self.backbone.transformer.wte(torch.tensor(ids, dtype=torch.long, device=self.device))
        return torch.cat((words, self.embeddings.weight.to(self.dtype)))

    def _add_keys_values(self, cache: DynamicCache, starts: Tensor) -> None:
        """Add the trained keys and values to the P positions from ``starts`` [B] in each row of ``cache``."""
        steps = torch.arange(self.reserved_positions, device=self.device)
        columns = (starts[:, None] + steps)[:, None, :, None]
        for layer, (keys, values) in zip(cache.layers, self.keys_values(), strict=True):
            index = columns.expand(-1, layer.keys.shape[1], -1, layer.keys.shape[3])
            layer.keys = layer.keys.scatter_add(2, index, keys.to(layer.keys.dtype).expand_as(index))
            layer.values = layer.values.scatter_add(2, index, values.to(layer.values.dtype).expand_as(index))

    def stored_state(self) -> dict[str, Tensor]:
        """Input embeddings [P, E] and the keys and values to add [L, 2, H, P, D]; the MLP is not needed."""
        return {
            "embeddings": self.embeddings.weight.detach(),
            "keys_values": self.keys_values().detach().contiguous(),
        }

    def load_stored(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``stored_state`` gave; ``KeyError`` for other names, ``ValueError`` for other shapes."""
        if set(state) != {"embeddings", "keys_values"}:
            raise KeyError(f"expected ['embeddings', 'keys_values'], got {sorted(state)}")
        check_shape("embeddings", state["embeddings"], self.embeddings.weight.shape)
        check_shape("keys_values", state["keys_values"], self.keys_values.shape)
        self.embeddings = nn.Embedding.from_pretrained(state["embeddings"].to(self.device))
        self.keys_values = StoredKeysValues(state["keys_values"].to(self.device))
