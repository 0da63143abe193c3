"""Fine-tuning of the top two blocks and the last layer norm (paper §5.2, FT-TOP2).

Facts from the authors' code: of its several options only number 22 (``ln_f`` and blocks 22 and 23 of
GPT-2 medium, 25,194,496 parameters) agrees with the count that others printed for the paper's row;
neither the embeddings nor the LM head are trained. Loss and dropout are as in full fine-tuning.

On BART the paper has no such row. Here it means the last two layers of the decoder, which write the
summary as GPT-2's last blocks write the text; BART has no final layer norm, each layer ends with its own.
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
    Settings,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.base import TunedBase

TABLE6 = "paper Table 6"
OURS = "our choice, as full fine-tuning; the paper has no such row for BART"
RULES: Settings = {
    "objective": ("mean", "authors' code: mean over the batch's target tokens"),
    "backbone_dropout": (True, "authors' code: GPT-2's dropout of 0.1 is on"),
}


class FtTop2(Method):
    name = "ft-top2"
    summary = "the last two blocks (BART: of the decoder) and the final layer norm are trained"
    source = "paper §5.2; authors' code: run_language_modeling.py, option 22; on BART our own"
    kinds = (DECODER_ONLY, ENCODER_DECODER)
    settings: ClassVar[Mapping[str, Mapping[str, Settings]]] = {
        "paper": {
            "*": RULES,
            "e2e": {"lr": (5e-5, TABLE6), "epochs": (5, TABLE6), "batch_size": (10, TABLE6)},
            "webnlg": {"lr": (5e-5, TABLE6), "epochs": (10, TABLE6), "batch_size": (9, TABLE6)},
            "dart": {"lr": (5e-5, TABLE6), "epochs": (5, TABLE6), "batch_size": (5, TABLE6)},
        },
        "mini": {"*": {**RULES, "lr": (2e-3, MINI_LR)}},
    }
    seq2seq_settings: ClassVar[Mapping[str, Mapping[str, Settings]]] = {
        "paper": {"*": {**SEQ2SEQ_RULES, "epochs": (5, OURS), "batch_size": (18, OURS)}},
        "mini": {"*": {**SEQ2SEQ_RULES, "lr": (2e-3, MINI_LR_SEQ2SEQ)}},
    }

    def build(
        self,
        backbone: Any,
        tokenizer: PreTrainedTokenizerBase | None,
        options: Mapping[str, Any],
        seed: int,
    ) -> TunedBase:
        from bench.backbones import blocks, kind_of, plain

        tuned = plain(backbone)
        last = [] if kind_of(backbone.config) == ENCODER_DECODER else [backbone.transformer.ln_f]
        for part in (*blocks(backbone)[-2:], *last):
            part.requires_grad_(True)
        tuned.backbone_dropout = True
        return tuned
