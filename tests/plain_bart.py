"""BART restated for tests: one source, one target, no batch, no cache, no mask but the causal one.

Attention is written out, so that what a prefix should do can be said in one line: keys and values that
stand before the computed ones, everywhere visible, at no position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BartConfig, BartForConditionalGeneration

NONE: dict[str, Tensor] = {}


def random_bart(
    seed: int, vocabulary: int, dtype: torch.dtype, **changes: Any
) -> BartForConditionalGeneration:
    """A small one that says different things at different places and ends on its own."""
    shape = {
        "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 4,
        "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 32, "max_position_embeddings": 64,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = BartConfig(**{**shape, **changes}, vocab_size=vocabulary, init_std=0.5)
        model = BartForConditionalGeneration(config).to(dtype).eval()
    with torch.no_grad():
        model.model.decoder.embed_positions.weight.mul_(3)
        model.model.shared.weight[config.eos_token_id] *= 1.5
    return model


def attend(module: Any, queries: Tensor, memory: Tensor, prefix: Tensor | None, causal: bool) -> Tensor:
    """[T, E] from queries [T, E], what is attended to [S, E] and a prefix [2, H, P, D]."""
    heads, depth = module.num_heads, module.head_dim

    def split(states: Tensor) -> Tensor:
        return states.view(len(states), heads, depth).transpose(0, 1)

    q, k, v = split(module.q_proj(queries)), split(module.k_proj(memory)), split(module.v_proj(memory))
    ahead = 0
    if prefix is not None:
        ahead = prefix.shape[2]
        k, v = torch.cat((prefix[0], k), dim=1), torch.cat((prefix[1], v), dim=1)
    scores = q @ k.transpose(1, 2) / depth**0.5
    if causal:
        for row in range(scores.shape[1]):
            scores[:, row, ahead + row + 1 :] = -torch.inf
    mixed = scores.softmax(dim=-1) @ v
    return module.out_proj(mixed.transpose(0, 1).reshape(len(queries), -1))


def enter(side: Any, ids: Sequence[int]) -> Tensor:
    """Words and positions 0, 1, …, which BART's table holds from its row 2 on."""
    places = side.embed_positions.weight[2 : 2 + len(ids)]
    return side.layernorm_embedding(side.embed_tokens(torch.tensor(ids)) + places)


def encoder_states(model: Any, source: Sequence[int], prefix: Tensor | None = None) -> Tensor:
    """[S, E]."""
    hidden = enter(model.model.encoder, source)
    for number, layer in enumerate(model.model.encoder.layers):
        pair = None if prefix is None else prefix[number]
        hidden = layer.self_attn_layer_norm(hidden + attend(layer.self_attn, hidden, hidden, pair, False))
        inner = layer.fc2(torch.nn.functional.gelu(layer.fc1(hidden)))
        hidden = layer.final_layer_norm(hidden + inner)
    return hidden


def decoder_logits(
    model: Any, states: Tensor, read: Sequence[int], prefixes: Mapping[str, Tensor] = NONE
) -> Tensor:
    """[T, V] after each of the tokens that the decoder reads (``</s>`` first)."""
    hidden = enter(model.model.decoder, read)
    for number, layer in enumerate(model.model.decoder.layers):
        own, other = (prefixes[part][number] if part in prefixes else None for part in ("decoder", "cross"))
        hidden = layer.self_attn_layer_norm(hidden + attend(layer.self_attn, hidden, hidden, own, True))
        seen = attend(layer.encoder_attn, hidden, states, other, False)
        hidden = layer.encoder_attn_layer_norm(hidden + seen)
        inner = layer.fc2(torch.nn.functional.gelu(layer.fc1(hidden)))
        hidden = layer.final_layer_norm(hidden + inner)
    return model.lm_head(hidden) + model.final_logits_bias


@torch.no_grad()
def logits(
    model: Any, source: Sequence[int], read: Sequence[int], prefixes: Mapping[str, Tensor] = NONE
) -> Tensor:
    """[T, V] of one source and what its decoder reads."""
    return decoder_logits(model, encoder_states(model, source, prefixes.get("encoder")), read, prefixes)


def nll(logits: Tensor, target: Sequence[int]) -> Tensor:
    """Summed over the target."""
    logs = logits.log_softmax(dim=1)
    return -logs[torch.arange(len(target)), torch.tensor(target)].sum()
