"""Trained keys and values: the parametrisations that prefix and infix share, and GPT-2's prefix-tuning.

BART's three prefixes are in ``baselines.prefix.encoder_decoder_model`` and are made of the same parts.

Shapes: L layers, H heads, P virtual tokens, D = head width, E = n_embd = H·D. A prefix is one tensor
[L, 2, H, P, D]; index 0 of the second axis holds the keys, index 1 the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.models.adapted import check_shape
from bench.models.decoder_only import AdaptedDecoder
from bench.models.kv_cache import stack_cache
from bench.system.rng import generator, seeded

if TYPE_CHECKING:
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase

# Authors' code: Adam on the MLP alone, mean squared error to the words' activations.
FIT_STEPS, FIT_LR = 500, 1e-4


KeysValuesShape = tuple[int, int, int, int, int]
"""[L, 2, H, P, D]."""


def compute_shape(config: GPT2Config, length: int) -> KeysValuesShape:
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
        with seeded(seed, f"{name}/init"):
            self.rows = nn.Embedding(length, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, hidden),
                nn.Tanh(),
                nn.Linear(hidden, two * layers * width),
            )

    def forward(self) -> Tensor:
        layers, two, heads, length, width = self.shape
        flat = self.mlp(self.rows.weight)
        return flat.view(length, layers, two, heads, width).permute(1, 2, 3, 0, 4)


class FreeKeysValues(nn.Module):
    """The keys and values themselves as the parameter, N(0, 1) (paper §4.3: less stable)."""

    def __init__(self, shape: KeysValuesShape, seed: int, name: str) -> None:
        super().__init__()
        self.shape = shape
        self.values = nn.Parameter(torch.randn(self.shape, generator=generator(seed, f"{name}/init")))

    def forward(self) -> Tensor:
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


class MlpEmbeddings(nn.Module):
    """P input embeddings [P, E]: N(0, 1) rows, behind Linear(E, hidden), tanh, Linear(hidden, E) if asked for."""

    def __init__(self, shape: tuple[int, int], options: Mapping[str, Any], seed: int, name: str) -> None:
        super().__init__()
        length, width = shape
        with seeded(seed, f"{name}/init"):
            self.rows = nn.Embedding(length, width)
            self.mlp: nn.Module = nn.Identity()
            if options["mlp"] == "yes":
                hidden = options["hidden"]
                self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width))

    def forward(self) -> Tensor:
        embeddings: Tensor = self.mlp(self.rows.weight)
        return embeddings


class StoredEmbeddings(nn.Module):
    """What is left of them after training."""

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)

    def forward(self) -> Tensor:
        return self.values


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
        shape = compute_shape(backbone.config, length)
        self.keys_values: KeysValues = make_keys_values(shape, options, seed, "prefix")

    @property
    def reserved_positions(self) -> int:
        return self.keys_values.shape[-2]

    def prefix(self) -> Tensor | None:
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
        if set(state) != {"prefix"}:
            raise KeyError(f"expected ['prefix'], got {sorted(state)}")
        check_shape("prefix", state["prefix"], self.keys_values.shape)
        self.keys_values = StoredKeysValues(state["prefix"].to(self.device))
