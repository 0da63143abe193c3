"""Prefix-tuning of BART: keys and values before those of all three attentions (paper §4.2, Figure 2).

Facts from the authors' code: encoder self-attention, decoder self-attention and the decoder's attention to
the source have each their own matrix and MLP, all of the same length, all always visible. Stored for
bart-large: 3 · 12 layers · 2 · 1024 = 73,728 numbers per virtual token.

Shapes as in ``baselines._keys_values``; encoder and decoder may differ in layers and heads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from baselines._keys_values import (
    FreeKeysValues,
    KeysValues,
    KeysValuesShape,
    StoredKeysValues,
    make_keys_values,
)
from baselines.prefix.model import encode_initial_words
from bench.models.adapted import check_shape
from bench.models.encoder_decoder import AdaptedEncoderDecoder, PrecedingKeysValues, Prefixes
from bench.models.kv_cache import stack_cache

if TYPE_CHECKING:
    from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerBase

PARTS = ("encoder", "decoder", "cross")
# Authors' first code (the published one lacks it): Adam over all parameters of the three prefixes, mean
# squared errors summed.
FIT_STEPS, FIT_LR = 200, 3e-5


def compute_keys_values_shapes(config: BartConfig, length: int) -> dict[str, KeysValuesShape]:
    """[L, 2, H, P, D] of each part."""
    heads = config.decoder_attention_heads
    decoder = (config.decoder_layers, 2, heads, length, config.d_model // heads)
    heads = config.encoder_attention_heads
    encoder = (config.encoder_layers, 2, heads, length, config.d_model // heads)
    return {"encoder": encoder, "decoder": decoder, "cross": decoder}


class RecordedKeysValues(PrecedingKeysValues):
    """In place of a prefix: nothing precedes, and what the attention itself computes is noted."""

    def __init__(self) -> None:
        self.noted: list[Tensor] = []

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Note the attention's keys and values of the first row, and give them back unchanged."""
        self.noted.append(torch.stack((keys[0], values[0])))
        return keys, values


class EncoderDecoderPrefixModel(AdaptedEncoderDecoder):
    """A frozen BART whose attentions see P trained positions. ``parts``: which of them do."""

    def __init__(
        self,
        backbone: BartForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase | None,
        options: Mapping[str, Any],
        seed: int,
        parts: Sequence[str] = PARTS,
        name: str = "prefix",
    ) -> None:
        super().__init__(backbone)
        # BART's tokenizer puts <s> and </s> around the words: `summarize` is 3 tokens long, not 1.
        config, words = backbone.config, encode_initial_words(tokenizer, options["init"])
        self.words = [config.bos_token_id, *words, config.eos_token_id] if words else []
        shapes = compute_keys_values_shapes(config, len(self.words) or options["length"])
        self.keys_values = nn.ModuleDict(
            {part: make_keys_values(shapes[part], options, seed, f"{name}/{part}") for part in parts}
        )

    def prefixes(self) -> Prefixes:
        """The trained keys and values of every part, [L, 2, H, P, D]."""
        # Of length 0 is none at all: then nothing differs from the untouched model.
        prefixes = {part: kv() for part, kv in self.keys_values.items()}
        return Prefixes(**{part: tensor for part, tensor in prefixes.items() if tensor.shape[-2]})

    @torch.no_grad()
    def word_activations(self) -> dict[str, Tensor]:
        """Keys and values that BART itself computes for the initial words, [L, 2, H, P, D] for each part.

        Encoder and decoder both read the words, the decoder as it reads a target.
        """
        recording = [RecordedKeysValues() for _ in self.backbone.model.encoder.layers]
        source = self.encode([self.words], None, [*recording])
        ids = torch.tensor([[self.words[-1], *self.words[:-1]]], device=self.device)
        hidden = self.embed_inputs(self.backbone.model.decoder, ids, 0, None)
        _, cache = self.read(hidden, source, Prefixes(), keep=True)
        assert cache is not None
        return {
            "encoder": torch.stack([layer.noted[0] for layer in recording]).float(),
            "decoder": stack_cache(cache.self_attention_cache).float(),
            "cross": stack_cache(cache.cross_attention_cache).float(),
        }

    def before_training(self, seed: int) -> None:
        """Start from the activations of the initial words, where words were asked for (§7.4)."""
        if not self.words:
            return
        goals = self.word_activations()
        modules: dict[str, KeysValues] = dict(self.keys_values.items())  # type: ignore[arg-type]  # a ModuleDict forgets the class
        free = {part: kv for part, kv in modules.items() if isinstance(kv, FreeKeysValues)}
        if free:
            with torch.no_grad():
                for part, kv in free.items():
                    kv.values.copy_(goals[part])
            return
        optimiser = torch.optim.Adam(self.keys_values.parameters(), lr=FIT_LR)
        for _ in range(FIT_STEPS):
            losses = [nn.functional.mse_loss(kv(), goals[part]) for part, kv in modules.items()]
            loss = torch.stack(losses).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        self.zero_grad(set_to_none=True)

    def stored_state(self) -> dict[str, Tensor]:
        """The keys and values alone (§4.3: after training the MLPs can be dropped), one tensor per part."""
        return {part: kv().detach().contiguous() for part, kv in self.keys_values.items()}

    def load_stored(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``stored_state`` gave; ``KeyError`` for other names, ``ValueError`` for other shapes."""
        if set(state) != set(self.keys_values):
            raise KeyError(f"expected {sorted(self.keys_values)}, got {sorted(state)}")
        for part, kv in self.keys_values.items():
            check_shape(part, state[part], kv.shape)  # type: ignore[arg-type]  # Module types any attribute so
        for part in list(self.keys_values):
            self.keys_values[part] = StoredKeysValues(state[part].to(self.device))
