"""Adapters: a small trained bottleneck after every block of a frozen LM (paper §5.2, ADAPTER).

"Same implementation as Lin et al. (2020)" (footnote 5). Facts from the authors' code (design 1): one
adapter per block, after the residual of the feed-forward layer, x + up(ReLU(down(LN(x)))), with its
own layer norm and none after attention; weights N(0, 0.02), biases 0, so not the identity at the
start; only the adapters are trained. Neither paper nor code gives the bottlenecks of the 3 % and
0.1 % rows; those below are the ones whose counts others printed for these rows.

On BART the paper has no adapters. Here every layer of encoder and decoder gets one in the same place, on
the layer's output: BART normalises after the residual, so x is what its final layer norm gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from baselines._shared import FINE_TUNING_RULES, WIDEST
from bench.method import (
    BOTH_KINDS,
    DECODER_ONLY,
    TABLE6,
    Method,
    Option,
    Options,
    Settings,
    Tables,
    Tokenizer,
    Variants,
    sourced,
)

if TYPE_CHECKING:
    from bench.models.adapted import AdaptedModel

OURS = "our choice; the paper has no adapters for BART"
SHARES = {"3%": 0.03, "0.1%": 0.001}
# (n_layer, n_embd) of GPT-2 medium and large -> bottleneck by size: 11,089,152 and 368,784
# parameters on medium, 23.0M and 0.88M on large.
PAPER_BOTTLENECKS = {(24, 1024): {"3%": 224, "0.1%": 6}, (36, 1280): {"3%": 248, "0.1%": 8}}
# size -> task -> (learning rate, epochs)
PAPER: dict[str, dict[str, tuple[float, int]]] = {
    "3%": {"e2e": (5e-5, 5), "webnlg": (5e-5, 5), "dart": (5e-5, 5)},
    "0.1%": {"e2e": (8e-5, 10), "webnlg": (5e-5, 10), "dart": (8e-5, 5)},
}


def compute_bottleneck(layers: int, width: int, size: str, total: int, is_gpt2: bool = True) -> int:
    """The bottleneck for a share of the LM's ``total`` parameters, as listed for the paper's GPT-2s.

    An adapter has a layer norm (2E), two matrices (2·E·b) and two biases (b + E).
    """
    if is_gpt2 and (layers, width) in PAPER_BOTTLENECKS:
        return PAPER_BOTTLENECKS[layers, width][size]
    per_block = SHARES[size] * total / layers
    return max(1, round((per_block - 3 * width) / (2 * width + 1)))


class Adapter(Method):
    """A trained bottleneck after every block."""

    name = "adapter"
    summary = "a trained bottleneck after each block's feed-forward layer; the LM is frozen"
    source = "paper §5.2, footnote 5; authors' code: modeling_gpt2_adapter.py, design 1; on BART our own"
    kinds = BOTH_KINDS
    options = (
        Option("size", str, "3%", "share of the LM's parameters", choices=tuple(SHARES)),
        Option(
            "bottleneck", int, None, "width of the bottleneck, instead of size", minimum=1, maximum=WIDEST
        ),
    )
    variants: ClassVar[Variants] = ({"size": "3%"}, {"size": "0.1%"})
    rules = FINE_TUNING_RULES
    mini_lr = 1e-2
    seq2seq_settings: ClassVar[Tables] = {"paper": {"*": sourced(OURS, batch_size=18)}}

    def settle(self, options: dict[str, Any]) -> dict[str, Any]:
        """A bottleneck that is given makes the size meaningless."""
        return options if options["bottleneck"] is None else {**options, "size": None}

    def settings_by_option(self, scale: str, task: str, options: Options) -> Settings:
        """Table 6 has a row per task and size; a bottleneck of one's own is in none of them."""
        row = PAPER[options["size"]].get(task) if options["bottleneck"] is None else None
        if scale != "paper" or row is None:
            return {}
        lr, epochs = row
        return sourced(f"{TABLE6}, adapter {options['size']}", lr=lr, epochs=epochs, batch_size=5)

    def paper_share(self, model: str, options: Options) -> str | None:
        paper = model in ("gpt2-medium", "gpt2-large") and options["bottleneck"] is None
        return str(options["size"]) if paper else None

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from baselines.adapter.model import insert_adapters
        from bench.models.architecture import get_model_kind, list_blocks, make_plain_model

        blocks, width = list_blocks(backbone), int(backbone.config.hidden_size)
        total = sum(parameter.numel() for parameter in backbone.parameters())
        is_gpt2 = get_model_kind(backbone.config) == DECODER_ONLY
        bottleneck = options["bottleneck"] or compute_bottleneck(
            len(blocks), width, options["size"], total, is_gpt2
        )
        model = make_plain_model(backbone)
        model.backbone_dropout = True
        model.facts = {"bottleneck": bottleneck, "reduction": round(width / bottleneck, 2)}
        insert_adapters(model, bottleneck, seed)
        return model
