"""Infix-tuning: trained activations between source and target, [x; INFIX; y] (paper §7.3, Table 5).

Facts from the authors' code: the source is read together with P trained input embeddings after it;
keys and values from an MLP, as in prefix-tuning, are *added* to those that the LM computes at the
infix positions; then BOS and the target are read with that cache. 10 epochs, other settings at the
command line's defaults; the ablations share the prefix's code, hence the loss summed over an
example's target tokens and the frozen LM without dropout. The published rows are those of the paper's
first version, whose objective is not recorded.

Deviation: the authors count the target's positions from the *padded* length of the batch's sources,
so that an example's loss depends on its neighbours and training differs from decoding one by one.
Here infix and target follow directly on each example's own source. With a batch of one (their
decoding) both are the same.

On BART the paper has no infix. [x; INFIX; y] keeps its meaning on the decoder's side alone: what stands
between source and target can be seen by the target and cannot change the source. So it is prefix-tuning
without the encoder's prefix: trained keys and values before the decoder's own, and before the source's
where the decoder attends to it (there the order is nothing). Nothing is added to what BART computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from baselines._shared import (
    ABLATION_ON_BART,
    ABLATION_ON_E2E,
    ABLATION_RULES,
    ABLATION_VARIANTS,
    LONGEST,
    WIDEST,
)
from bench.method import BOTH_KINDS, DECODER_ONLY, Method, ModelKind, Option, Options, Tables, Tokenizer

if TYPE_CHECKING:
    from bench.models.adapted import AdaptedModel


class Infix(Method):
    """Trained activations between source and target."""

    name = "infix"
    summary = "trained activations of P virtual tokens between source and target; the LM is frozen"
    source = "paper §7.3, Table 5; authors' code: train_control.py; on BART our own"
    kinds = BOTH_KINDS
    options = (
        Option("length", int, 10, "number of virtual tokens, P", minimum=1, maximum=LONGEST),
        Option("hidden", int, 512, "hidden width of the MLP", minimum=1, maximum=WIDEST),
    )
    variants = ABLATION_VARIANTS
    rules = ABLATION_RULES
    mini_lr = 1e-3
    settings: ClassVar[Tables] = {"paper": {"e2e": ABLATION_ON_E2E}}
    seq2seq_settings: ClassVar[Tables] = {"paper": {"*": ABLATION_ON_BART}}

    def count_positions(self, options: Options, kind: ModelKind) -> int:
        """As a prefix."""
        return int(options["length"]) if kind == DECODER_ONLY else 0

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from bench.models.architecture import get_model_kind

        if get_model_kind(backbone.config) == DECODER_ONLY:
            from baselines.infix.model import InfixModel

            return InfixModel(backbone, options["length"], options["hidden"], seed)
        from baselines.prefix.encoder_decoder_model import EncoderDecoderPrefixModel

        shape = {**options, "mlp": "yes", "init": "random"}
        model = EncoderDecoderPrefixModel(backbone, None, shape, seed, ("decoder", "cross"), "infix")
        model.backbone_dropout = True
        return model
