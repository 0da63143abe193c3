"""Prefix-tuning: trained keys and values before the source, in every layer (paper §4).

While training, the prefix comes from a small matrix and an MLP; afterwards only its output, the keys
and values, is kept (§4.3). Facts from the authors' code: the matrix is as wide as the model, 512 is
the MLP's hidden width; N(0, 1) embedding and default linear initialisation; real tokens start at
position P; the frozen LM's dropout is off; the loss is summed over an example's target tokens.

On BART there are three prefixes of one length: the encoder's self-attention, the decoder's, and the
decoder's attention to the source. Facts from the authors' code: real tokens keep their positions; BART's
dropout is on; the loss is the mean over all target tokens. Table 6 has the lengths; the hidden width of
800 is the paper's for XSUM.

The modules are in ``model`` (GPT-2) and ``encoder_decoder_model`` (BART).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from baselines._shared import LONGEST, WIDEST
from bench.method import (
    BOTH_KINDS,
    ENCODER_DECODER,
    TABLE6,
    Method,
    ModelKind,
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

WIDTH = "paper §4.3, footnote 4: 800 for XSUM"
LIKE_XSUM = "our choice, as Table 6 has it for XSUM"
MINI = "our choice for mini"


class Prefix(Method):
    """Trained keys and values before the source."""

    name = "prefix"
    summary = "keys and values of P virtual tokens before the source in every layer; the LM is frozen"
    source = "paper §4, §7.1, §7.4; authors' code: train_control.py, prefixTuning.py"
    kinds = BOTH_KINDS
    options = (
        Option("length", int, 5, "number of virtual tokens, P", minimum=0, maximum=LONGEST),
        Option("hidden", int, 512, "hidden width of the MLP", minimum=1, maximum=WIDEST),
        Option("mlp", str, "yes", "reparametrise by an MLP while training", choices=("yes", "no")),
        Option(
            "init",
            str,
            "random",
            "'random', or words whose activations the prefix is fitted to (§7.4); they set the length",
        ),
    )
    rules: ClassVar[Settings] = {
        "objective": ("sum", "authors' code: summed over the target's tokens (mode 1)"),
        "backbone_dropout": (False, "authors' code: only the prefix module is in train mode"),
    }
    mini_lr = 2e-3
    settings: ClassVar[Tables] = {
        "paper": {
            "*": sourced("paper §5.3, default", length=10),
            "e2e": sourced(TABLE6, lr=8e-5, epochs=5, batch_size=10, length=5),
            "webnlg": sourced(TABLE6, lr=5e-5, epochs=5, batch_size=5, length=5),
            "dart": sourced(TABLE6, lr=5e-5, epochs=10, batch_size=5, length=10),
        },
        "mini": {"*": sourced(MINI, length=10)},
    }
    seq2seq_variants: ClassVar[Variants] = ({}, {"length": 5})
    seq2seq_settings: ClassVar[Tables] = {
        "paper": {
            "*": {**sourced(LIKE_XSUM, length=100), **sourced(WIDTH, hidden=800)},
            "xsum": sourced(TABLE6, lr=5e-5, epochs=30, batch_size=14, length=100),
            "xsum-within-news": sourced(TABLE6, lr=5e-5, epochs=30, batch_size=36, length=80),
            "xsum-news-to-sports": sourced(TABLE6, lr=5e-5, epochs=15, batch_size=36, length=40),
        },
        "mini": {"*": sourced(MINI, length=10)},
    }

    def settle(self, options: dict[str, Any]) -> dict[str, Any]:
        """Initial words set the length."""
        return options if options["init"] == "random" else {**options, "length": None}

    def count_positions(self, options: Options, kind: ModelKind) -> int:
        """P in GPT-2; BART counts its positions from the text's first token."""
        return 0 if kind == ENCODER_DECODER else options["length"] or 0

    def paper_share(self, model: str, options: Options) -> str | None:
        """Printed for the paper's own prefixes: MLP, random start; Table 3's are 100 and 5 tokens long."""
        if options["mlp"] != "yes" or options["init"] != "random":
            return None
        printed = {"gpt2-medium": {5: "0.1%", 10: "0.1%"}, "bart-large": {100: "2%", 5: "0.1%"}}
        printed["gpt2-large"] = printed["gpt2-medium"]
        return printed.get(model, {}).get(options["length"])

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from bench.models.architecture import get_model_kind

        if get_model_kind(backbone.config) == ENCODER_DECODER:
            from baselines.prefix.encoder_decoder_model import EncoderDecoderPrefixModel

            model = EncoderDecoderPrefixModel(backbone, tokenizer, options, seed)
            model.backbone_dropout = True
            return model
        from baselines.prefix.model import PrefixModel

        return PrefixModel(backbone, tokenizer, options, seed)
