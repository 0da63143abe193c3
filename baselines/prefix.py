"""Prefix-tuning: trained keys and values before the source, in every layer (paper §4).

While training, the prefix comes from a small matrix and an MLP; afterwards only its output, the keys
and values, is kept (§4.3). Facts from the authors' code: the matrix is as wide as the model, 512 is
the MLP's hidden width; N(0, 1) embedding and default linear initialisation; real tokens start at
position P; the frozen LM's dropout is off; the loss is summed over an example's target tokens.

On BART there are three prefixes of one length: the encoder's self-attention, the decoder's, and the
decoder's attention to the source. Facts from the authors' code: real tokens keep their positions; BART's
dropout is on; the loss is the mean over all target tokens. Table 6 has the lengths; the hidden width of
800 is the paper's for XSUM.

The modules themselves are ``bench.prefixes.PrefixTuned`` and ``bench.seq2seq_prefixes``: infix shares the
parametrisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.method import (
    DECODER_ONLY,
    ENCODER_DECODER,
    MINI_LR,
    MINI_LR_SEQ2SEQ,
    SEQ2SEQ_RULES,
    Method,
    Option,
    Settings,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.base import TunedBase

TABLE6 = "paper Table 6"
CODE = "authors' code"
WIDTH = "paper §4.3, footnote 4: 800 for XSUM"
LIKE_XSUM = "our choice, as Table 6 has it for XSUM"


class Prefix(Method):
    name = "prefix"
    summary = "keys and values of P virtual tokens before the source in every layer; the LM is frozen"
    source = "paper §4, §7.1, §7.4; authors' code: train_control.py, prefixTuning.py"
    kinds = (DECODER_ONLY, ENCODER_DECODER)
    options = (
        Option("length", int, 5, "number of virtual tokens, P", minimum=0),
        Option("hidden", int, 512, "hidden width of the MLP", minimum=1),
        Option("mlp", str, "yes", "reparametrise by an MLP while training", choices=("yes", "no")),
        Option(
            "init",
            str,
            "random",
            "'random', or words whose activations the prefix is fitted to (§7.4); they set the length",
        ),
    )
    variants: ClassVar[tuple[Mapping[str, object], ...]] = ({},)
    settings: ClassVar[Mapping[str, Mapping[str, Settings]]] = {
        "paper": {
            "*": {
                "objective": ("sum", f"{CODE}: summed over the target's tokens (mode 1)"),
                "backbone_dropout": (False, f"{CODE}: only the prefix module is in train mode"),
                "length": (10, "paper §5.3, default"),
            },
            "e2e": {
                "lr": (8e-5, TABLE6),
                "epochs": (5, TABLE6),
                "batch_size": (10, TABLE6),
                "length": (5, TABLE6),
            },
            "webnlg": {
                "lr": (5e-5, TABLE6),
                "epochs": (5, TABLE6),
                "batch_size": (5, TABLE6),
                "length": (5, TABLE6),
            },
            "dart": {
                "lr": (5e-5, TABLE6),
                "epochs": (10, TABLE6),
                "batch_size": (5, TABLE6),
                "length": (10, TABLE6),
            },
        },
        "mini": {
            "*": {
                "objective": ("sum", f"{CODE}: summed over the target's tokens (mode 1)"),
                "backbone_dropout": (False, f"{CODE}: only the prefix module is in train mode"),
                "length": (10, "our choice for mini"),
                "lr": (2e-3, MINI_LR),
            },
        },
    }
    seq2seq_variants: ClassVar[tuple[Mapping[str, object], ...]] = ({}, {"length": 5})
    seq2seq_settings: ClassVar[Mapping[str, Mapping[str, Settings]]] = {
        "paper": {
            "*": {**SEQ2SEQ_RULES, "length": (100, LIKE_XSUM), "hidden": (800, WIDTH)},
            "xsum": {
                "lr": (5e-5, TABLE6),
                "epochs": (30, TABLE6),
                "batch_size": (14, TABLE6),
                "length": (100, TABLE6),
            },
            "xsum-within-news": {
                "lr": (5e-5, TABLE6),
                "epochs": (30, TABLE6),
                "batch_size": (36, TABLE6),
                "length": (80, TABLE6),
            },
            "xsum-news-to-sports": {
                "lr": (5e-5, TABLE6),
                "epochs": (15, TABLE6),
                "batch_size": (36, TABLE6),
                "length": (40, TABLE6),
            },
        },
        "mini": {
            "*": {
                **SEQ2SEQ_RULES,
                "length": (10, "our choice for mini"),
                "lr": (2e-3, MINI_LR_SEQ2SEQ),
            },
        },
    }

    def settle(self, options: dict[str, Any]) -> dict[str, Any]:
        """Initial words set the length."""
        return options if options["init"] == "random" else {**options, "length": None}

    def paper_share(self, model: str, options: Mapping[str, Any]) -> str | None:
        """Printed for the paper's own prefixes: MLP, random start; Table 3's are 100 and 5 tokens long."""
        if options["mlp"] != "yes" or options["init"] != "random":
            return None
        printed = {"gpt2-medium": {5: "0.1%", 10: "0.1%"}, "bart-large": {100: "2%", 5: "0.1%"}}
        printed["gpt2-large"] = printed["gpt2-medium"]
        return printed.get(model, {}).get(options["length"])

    def build(
        self,
        backbone: Any,
        tokenizer: PreTrainedTokenizerBase | None,
        options: Mapping[str, Any],
        seed: int,
    ) -> TunedBase:
        from bench.backbones import kind_of

        if kind_of(backbone.config) == ENCODER_DECODER:
            from bench.seq2seq_prefixes import PrefixTunedSeq2Seq

            tuned = PrefixTunedSeq2Seq(backbone, tokenizer, options, seed)
            tuned.backbone_dropout = True
            return tuned
        from bench.prefixes import PrefixTuned

        return PrefixTuned(backbone, tokenizer, options, seed)
