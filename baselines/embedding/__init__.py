"""Embedding-only tuning: trained input embeddings before the source (paper §7.2, EMB-n of Table 5).

The embeddings are pushed through the frozen LM at positions 0..P-1, and what the LM computes for them
in every layer is the prefix: less expressive than prefix-tuning, where all of it is free. Facts from
the authors' code: by default the embeddings come from an MLP (E to 512 to E, tanh) while training; 10
epochs, other settings at the command line's defaults; the ablations share the prefix's code, hence
the loss summed over an example's target tokens and the frozen LM without dropout. The published rows
are those of the paper's first version, whose objective is not recorded.

On BART the paper has no such row. Figure 2 puts a prefix before both sides, [PREFIX; x; PREFIX'; y], so P
trained vectors are read by the encoder before the source and P others by the decoder before the target,
each side's at its positions 0..P-1, as inputs like any other.
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
from bench.method import BOTH_KINDS, ENCODER_DECODER, Method, ModelKind, Option, Options, Tables, Tokenizer

if TYPE_CHECKING:
    from bench.models.adapted import AdaptedModel


class Embedding(Method):
    """Trained input embeddings before the source."""

    name = "embedding"
    summary = "input embeddings of P virtual tokens before the source; the LM is frozen"
    source = "paper §7.2, Table 5; authors' code: train_control.py; on BART our own"
    kinds = BOTH_KINDS
    options = (
        Option("length", int, 10, "number of virtual tokens, P", minimum=1, maximum=LONGEST),
        Option("mlp", str, "yes", "reparametrise by an MLP while training", choices=("yes", "no")),
        Option("hidden", int, 512, "hidden width of the MLP", minimum=1, maximum=WIDEST),
    )
    variants = ABLATION_VARIANTS
    rules = ABLATION_RULES
    mini_lr = 2e-3
    settings: ClassVar[Tables] = {"paper": {"e2e": ABLATION_ON_E2E}}
    seq2seq_settings: ClassVar[Tables] = {"paper": {"*": ABLATION_ON_BART}}

    def count_positions(self, options: Options, kind: ModelKind) -> int:
        """P, on each side."""
        return int(options["length"])

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from bench.models.architecture import get_model_kind

        if get_model_kind(backbone.config) == ENCODER_DECODER:
            from baselines.embedding.encoder_decoder_model import EncoderDecoderEmbeddingModel

            model = EncoderDecoderEmbeddingModel(backbone, options, seed)
            model.backbone_dropout = True
            return model
        from baselines.embedding.model import EmbeddingModel

        return EmbeddingModel(backbone, options, seed)
