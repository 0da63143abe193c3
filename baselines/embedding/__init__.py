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

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from baselines._shared import ABLATION_ON_BART, ABLATION_ON_E2E, ABLATION_RULES, ABLATION_VARIANTS
from bench.method import BOTH_KINDS, ENCODER_DECODER, Method, Option, Options, Tables, Tokenizer

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import BartForConditionalGeneration, GPT2LMHeadModel

    from bench.models.adapted import AdaptedModel
    from bench.models.decoder_only import AdaptedDecoder
    from bench.models.encoder_decoder import AdaptedEncoderDecoder


class Embedding(Method):
    name = "embedding"
    summary = "input embeddings of P virtual tokens before the source; the LM is frozen"
    source = "paper §7.2, Table 5; authors' code: train_control.py; on BART our own"
    kinds = BOTH_KINDS
    options = (
        Option("length", int, 10, "number of virtual tokens, P", minimum=1),
        Option("mlp", str, "yes", "reparametrise by an MLP while training", choices=("yes", "no")),
        Option("hidden", int, 512, "hidden width of the MLP", minimum=1),
    )
    variants = ABLATION_VARIANTS
    rules = ABLATION_RULES
    mini_lr = 2e-3
    settings: ClassVar[Tables] = {"paper": {"e2e": ABLATION_ON_E2E}}
    seq2seq_settings: ClassVar[Tables] = {"paper": {"*": ABLATION_ON_BART}}

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from bench.models.architecture import get_model_kind

        if get_model_kind(backbone.config) == ENCODER_DECODER:
            return make_seq2seq(backbone, options, seed)
        return make_tuned(backbone, options, seed)


def make_tuned(backbone: GPT2LMHeadModel, options: Options, seed: int) -> AdaptedDecoder:
    """The torch part. It is inside a function so that listing the methods does not import torch."""
    from baselines.prefix.model import MlpEmbeddings, StoredEmbeddings
    from bench.models.adapted import check_shape
    from bench.models.decoder_only import AdaptedDecoder
    from bench.models.kv_cache import stack_cache

    shape = (options["length"], backbone.config.n_embd)

    class EmbeddingTuned(AdaptedDecoder):
        """A frozen LM that reads P trained embeddings [P, E] before every source."""

        def __init__(self) -> None:
            super().__init__(backbone)
            self.embeddings: nn.Module = MlpEmbeddings(shape, options, seed, "embedding")

        @property
        def reserved_positions(self) -> int:
            return shape[0]

        def prefix(self) -> Tensor:
            """Keys and values [L, 2, H, P, D] that the LM computes for the embeddings."""
            embeds = self.embeddings().to(self.dtype)[None]
            _, cache = self.read(None, None, None, embeds=embeds, keep=True)
            assert cache is not None
            return stack_cache(cache)

        def stored_state(self) -> dict[str, Tensor]:
            """The embeddings alone; the MLP is not needed after training."""
            return {"embeddings": self.embeddings().detach()}

        def load_stored(self, state: Mapping[str, Tensor]) -> None:
            if set(state) != {"embeddings"}:
                raise KeyError(f"expected ['embeddings'], got {sorted(state)}")
            check_shape("embeddings", state["embeddings"], shape)
            self.embeddings = StoredEmbeddings(state["embeddings"].to(self.device))

    return EmbeddingTuned()


def make_seq2seq(
    backbone: BartForConditionalGeneration, options: Options, seed: int
) -> AdaptedEncoderDecoder:
    """The same for BART, with embeddings on both sides."""
    from torch import nn

    from baselines.prefix.model import MlpEmbeddings, StoredEmbeddings
    from bench.models.adapted import check_shape
    from bench.models.encoder_decoder import AdaptedEncoderDecoder

    shape = (options["length"], backbone.config.d_model)
    sides = ("source", "target")

    class EmbeddingTunedSeq2Seq(AdaptedEncoderDecoder):
        """A frozen BART whose encoder reads P trained embeddings [P, E] first, and whose decoder P others."""

        def __init__(self) -> None:
            super().__init__(backbone)
            self.backbone_dropout = True
            self.embeddings = nn.ModuleDict(
                {side: MlpEmbeddings(shape, options, seed, f"embedding/{side}") for side in sides}
            )

        @property
        def reserved_positions(self) -> int:
            return shape[0]

        def source_embeddings(self) -> Tensor:
            embeddings: Tensor = self.embeddings["source"]()
            return embeddings

        def target_embeddings(self) -> Tensor:
            embeddings: Tensor = self.embeddings["target"]()
            return embeddings

        def stored_state(self) -> dict[str, Tensor]:
            """The embeddings alone; the MLPs are not needed after training."""
            return {side: one().detach() for side, one in self.embeddings.items()}

        def load_stored(self, state: Mapping[str, Tensor]) -> None:
            if set(state) != set(sides):
                raise KeyError(f"expected {sorted(sides)}, got {sorted(state)}")
            for side in sides:
                check_shape(side, state[side], shape)
            for side in sides:
                self.embeddings[side] = StoredEmbeddings(state[side].to(self.device))

    return EmbeddingTunedSeq2Seq()
