"""The adapters: modules on the output of every block of a frozen LM.

Shapes: B examples, S tokens, E model width.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from bench.models.adapted import AdaptedModel
from bench.models.architecture import list_blocks
from bench.system.rng import seed_globally


def make_adapter(width: int, bottleneck: int, epsilon: float) -> nn.Sequential:
    """up(ReLU(down(LN(x)))) for x [B, S, E], with the authors' initialisation; the caller seeds it and adds x."""
    down, up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
    for linear in (down, up):
        nn.init.normal_(linear.weight, std=0.02)
        nn.init.zeros_(linear.bias)
    norm = nn.LayerNorm(width, eps=epsilon)
    return nn.Sequential(norm, down, nn.ReLU(), up)


def add_adapter(adapter: nn.Module, block: nn.Module, inputs: Any, output: Any) -> Any:
    """Forward hook: the block's hidden states [B, S, E] plus what the adapter makes of them."""
    if isinstance(output, tuple):  # some releases of transformers 5 return more than the states
        return (add_adapter(adapter, block, inputs, output[0]), *output[1:])
    hidden: Tensor = output
    return hidden + adapter(hidden)


def insert_adapters(model: AdaptedModel, bottleneck: int, seed: int) -> None:
    """Give every block of the backbone its adapter, drawn from ``seed``; they are ``model.adapters``."""
    config, blocks = model.backbone.config, list_blocks(model.backbone)
    epsilon = float(getattr(config, "layer_norm_epsilon", 1e-5))
    with seed_globally(seed, "adapter/init"):
        model.adapters = nn.ModuleList(
            make_adapter(int(config.hidden_size), bottleneck, epsilon) for _ in blocks
        )
    for block, adapter in zip(blocks, model.adapters, strict=True):
        # Not a closure: copying the whole model must copy the hook's adapter as well.
        block.register_forward_hook(partial(add_adapter, adapter))
