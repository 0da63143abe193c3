"""Prefix-tuning of GPT-2: keys and values of P virtual tokens before every source (paper §4).

BART's three prefixes are in ``baselines.prefix.encoder_decoder_model``; what both are made of is in
``baselines._keys_values``, where the shapes are explained: a prefix is one tensor [L, 2, H, P, D].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from baselines._keys_values import (
    FreeKeysValues,
    KeysValues,
    MlpKeysValues,
    StoredKeysValues,
    compute_keys_values_shape,
    make_keys_values,
)
from bench.errors import UserError
from bench.models.adapted import check_shape
from bench.models.decoder_only import AdaptedDecoder
from bench.models.kv_cache import stack_cache

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

# Authors' code: Adam on the MLP alone, mean squared error to the words' activations.
FIT_STEPS, FIT_LR = 500, 1e-4


def encode_initial_words(tokenizer: PreTrainedTokenizerBase | None, init: str) -> list[int]:
    """Tokens of the words that a prefix starts from; none for ``random``.

    Authors' code: the words are tokenised with a space before them (``summarize`` is 1 token,
    ``table-to-text:`` 6).
    """
    if init == "random":
        return []
    if not init.strip():
        raise UserError("prefix[init=…]: expected 'random' or words, got nothing")
    if tokenizer is None:
        raise UserError(f"prefix[init={init}] needs the model's tokenizer to know its length")
    ids: list[int] = tokenizer.encode(" " + init.strip(), add_special_tokens=False)
    return ids


class PrefixModel(AdaptedDecoder):
    """A frozen LM that sees P trained positions before every source."""

    def __init__(
        self,
        backbone: GPT2LMHeadModel,
        tokenizer: PreTrainedTokenizerBase | None,
        options: Mapping[str, Any],
        seed: int,
    ) -> None:
        super().__init__(backbone)
        self.words = encode_initial_words(tokenizer, options["init"])
        length = len(self.words) or options["length"]
        shape = compute_keys_values_shape(backbone.config, length)
        self.keys_values: KeysValues = make_keys_values(shape, options, seed, "prefix")

    @property
    def reserved_positions(self) -> int:
        """P."""
        return self.keys_values.shape[-2]

    def prefix(self) -> Tensor | None:
        """The trained keys and values, [L, 2, H, P, D]."""
        keys_values: Tensor = self.keys_values()
        return keys_values

    def word_activations(self) -> Tensor:
        """Keys and values that the LM itself computes for the initial words, [L, 2, H, P, D]."""
        ids = torch.tensor([self.words], device=self.device)
        with torch.no_grad():
            _, cache = self.read(None, None, None, ids=ids, keep=True)
        assert cache is not None
        return stack_cache(cache).float()

    def before_training(self, seed: int) -> None:
        """Start from the activations of the initial words, where words were asked for (§7.4).

        Authors' code: 500 steps of Adam on the MLP, the matrix stays as it was drawn. Nothing here
        is random, so ``seed`` is not needed.
        """
        if not self.words:
            return
        goal = self.word_activations()
        if isinstance(self.keys_values, FreeKeysValues):
            with torch.no_grad():
                self.keys_values.values.copy_(goal)
            return
        assert isinstance(self.keys_values, MlpKeysValues)
        optimiser = torch.optim.Adam(self.keys_values.mlp.parameters(), lr=FIT_LR)
        for _ in range(FIT_STEPS):
            loss = nn.functional.mse_loss(self.keys_values(), goal)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        # The fit leaves gradients behind on the rows that it does not train.
        self.zero_grad(set_to_none=True)

    def stored_state(self) -> dict[str, Tensor]:
        """The keys and values alone (§4.3: after training the MLP can be dropped)."""
        return {"prefix": self.keys_values().detach().contiguous()}

    def load_stored(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``stored_state`` gave; ``KeyError`` for other names, ``ValueError`` for other shapes."""
        if set(state) != {"prefix"}:
            raise KeyError(f"expected ['prefix'], got {sorted(state)}")
        check_shape("prefix", state["prefix"], self.keys_values.shape)
        self.keys_values = StoredKeysValues(state["prefix"].to(self.device))
