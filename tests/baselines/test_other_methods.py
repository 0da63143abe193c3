"""Adapter, embedding-only, infix and FT-top2, each against a plain second computation."""

from __future__ import annotations

import pytest
import torch
from tiny import BOS, SOURCES, TARGETS, backbone, build, shake
from torch import Tensor
from transformers import DynamicCache

from baselines._keys_values import StoredKeysValues
from baselines.adapter import compute_bottleneck
from baselines.prefix.model import PrefixModel
from bench.models.decoder_only import AdaptedDecoder
from bench.models.kv_cache import stack_cache


def nll(logits: Tensor, source: list[int], target: list[int]) -> Tensor:
    """Summed over the target, from logits [S, V] of all positions of source and target."""
    logs = logits[len(source) - 1 : -1].log_softmax(dim=1)
    return -logs[torch.arange(len(target)), torch.tensor(target)].sum()


# -- adapter ------------------------------------------------------------------------------------


def test_adapter_by_hand() -> None:
    """One adapter after each block's residual: x + up(ReLU(down(LN(x)))), its norm before the last."""
    adapted = shake(build("adapter", {"bottleneck": 3}))
    parts = adapted.trained_state()
    model = backbone().transformer
    for source, target in zip(SOURCES, TARGETS, strict=True):
        ids = torch.tensor([[*source, *target]])
        with torch.no_grad():
            hidden = model.wte(ids) + model.wpe(torch.arange(ids.shape[1]))
            for number, block in enumerate(model.h):
                norm, down, up = (
                    (parts[f"adapters.{number}.{at}.weight"], parts[f"adapters.{number}.{at}.bias"])
                    for at in (0, 1, 3)
                )
                causal = torch.full((ids.shape[1],) * 2, -torch.inf).triu(1)[None, None]
                hidden = block(hidden, attention_mask=causal)
                mean = hidden.mean(-1, keepdim=True)
                spread = hidden.var(-1, keepdim=True, unbiased=False)
                normed = (hidden - mean) / (spread + 1e-5).sqrt() * norm[0] + norm[1]
                hidden = hidden + (normed @ down[0].T + down[1]).clamp(min=0) @ up[0].T + up[1]
            logits = model.ln_f(hidden) @ model.wte.weight.T
            ours = adapted([source], [target])[0]
        torch.testing.assert_close(ours, nll(logits[0], source, target), rtol=1e-5, atol=0)


def test_adapter_start() -> None:
    """N(0, 0.02) weights, zero biases, norms at one: close to the identity, and not the identity."""
    model = build("adapter", {"bottleneck": 400})
    state = model.trained_state()
    assert len(state) == 3 * 6
    for name, tensor in state.items():
        if tensor.ndim == 2:
            assert tensor.std().item() == pytest.approx(0.02, rel=0.05)
        else:
            assert (tensor == float(name.endswith(".0.weight"))).all()
    with torch.no_grad():
        assert not torch.equal(model(SOURCES, TARGETS), AdaptedDecoder(backbone())(SOURCES, TARGETS))


def test_adapter_size_of_other_models() -> None:
    """Elsewhere the bottleneck follows from the share; the paper's models have their own."""
    total = 124_439_808
    for size, share in {"3%": 0.03, "0.1%": 0.001}.items():
        width = compute_bottleneck(12, 768, size, total)
        count = 12 * (width * (2 * 768 + 1) + 3 * 768)
        assert abs(count - share * total) <= 12 * (2 * 768 + 1) / 2
    assert compute_bottleneck(24, 1024, "3%", 1) == 224
    assert compute_bottleneck(2, 8, "0.1%", 100) == 1
    assert build("adapter", {"bottleneck": 4}).facts == {"bottleneck": 4, "reduction": 4.0}


# -- fine-tuning --------------------------------------------------------------------------------


def test_top2_trains_two_blocks_and_the_norm() -> None:
    names = build("ft-top2", {}).trained_state()
    prefixes = ("backbone.transformer.h.1.", "backbone.transformer.h.2.", "backbone.transformer.ln_f.")
    assert len(names) == 12 + 12 + 2
    assert all(name.startswith(prefixes) for name in names)


def test_full_trains_everything_once() -> None:
    """The tied LM head is the word embedding and is not counted or stored a second time."""
    state = build("ft-full", {}).trained_state()
    own = backbone()
    assert sum(t.numel() for t in state.values()) == sum(p.numel() for p in own.parameters())
    assert not [name for name in state if "lm_head" in name]


def test_prompt_leaves_the_model_alone() -> None:
    model, plain = build("prompt", {}), AdaptedDecoder(backbone())
    with torch.no_grad():
        assert torch.equal(model(SOURCES, TARGETS), plain(SOURCES, TARGETS))


# -- embedding-only -----------------------------------------------------------------------------


@pytest.mark.parametrize("mlp", ["yes", "no"])
def test_embedding_is_input_before_the_source(mlp: str) -> None:
    """As if the LM read [embeddings; source; target] as one sequence from position 0."""
    adapted = shake(build("embedding", {"length": 4, "mlp": mlp}))
    embeddings = adapted.stored_state()["embeddings"]
    assert embeddings.shape == (4, 16)
    model = backbone()
    for source, target in zip(SOURCES, TARGETS, strict=True):
        words = model.transformer.wte(torch.tensor([*source, *target]))
        with torch.no_grad():
            logits = model(inputs_embeds=torch.cat((embeddings, words))[None]).logits[0, 4:]
            ours = adapted([source], [target])[0]
        torch.testing.assert_close(ours, nll(logits, source, target), rtol=1e-5, atol=0)


# -- infix --------------------------------------------------------------------------------------


def test_infix_by_hand() -> None:
    """Source and embeddings read, keys and values added at the infix, then BOS and the target."""
    adapted = shake(build("infix", {"length": 4}))
    stored = adapted.stored_state()
    model = backbone()
    for source, target in zip(SOURCES, TARGETS, strict=True):
        before = len(source) - 1
        with torch.no_grad():
            words = model.transformer.wte(torch.tensor(source[:-1], dtype=torch.long))
            embeds = torch.cat((words, stored["embeddings"]))[None]
            read = stack_cache(model.transformer(inputs_embeds=embeds, use_cache=True).past_key_values)
            read[:, :, :, before:] += stored["keys_values"]
            cache = DynamicCache([(keys[None], values[None]) for keys, values in read])
            ids = torch.tensor([[BOS, *target]])
            # Positions go on from the cache: own source, then infix.
            logits = model(input_ids=ids, past_key_values=cache).logits[0]
            ours = adapted([source], [target])[0]
        torch.testing.assert_close(ours, nll(logits, [BOS], target), rtol=1e-5, atol=0)


def test_infix_without_source_is_a_prefix() -> None:
    """With nothing before it, an infix is a prefix of the same keys and values."""
    infix = shake(build("infix", {"length": 4}))
    cache = infix.context([[BOS]]).cache
    assert cache is not None
    prefix = build("prefix", {"length": 4})
    assert isinstance(prefix, PrefixModel)
    prefix.keys_values = StoredKeysValues(stack_cache(cache).detach())
    with torch.no_grad():
        for target in TARGETS:
            ours, theirs = infix([[BOS]], [target]), prefix([[BOS]], [target])
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)


def test_infix_cannot_touch_the_source() -> None:
    """What is cached of the source is what the LM itself computes for it (§7.3)."""
    infix = shake(build("infix", {"length": 4}))
    source = SOURCES[0]
    cache = infix.context([source]).cache
    assert cache is not None
    with torch.no_grad():
        own = backbone().transformer(input_ids=torch.tensor([source[:-1]]), use_cache=True)
    ours, theirs = stack_cache(cache), stack_cache(own.past_key_values)
    torch.testing.assert_close(ours[:, :, :, : len(source) - 1], theirs, rtol=1e-5, atol=1e-6)
