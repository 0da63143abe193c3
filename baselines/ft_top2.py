"""Fine-tuning of the top two blocks and the last layer norm (paper §5.2, FT-TOP2).

Facts from the authors' code: of its several options only number 22 (``ln_f`` and blocks 22 and 23 of
GPT-2 medium, 25,194,496 parameters) agrees with the count that others printed for the paper's row;
neither the embeddings nor the LM head are trained. Loss and dropout are as in full fine-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.method import MINI_LR, Method, Settings

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

    from bench.tuned import Tuned

TABLE6 = "paper Table 6"
RULES: Settings = {
    "objective": ("mean", "authors' code: mean over the batch's target tokens"),
    "backbone_dropout": (True, "authors' code: GPT-2's dropout of 0.1 is on"),
}


class FtTop2(Method):
    name = "ft-top2"
    summary = "the last two blocks and the final layer norm are trained"
    source = "paper §5.2; authors' code: run_language_modeling.py, option 22"
    settings: ClassVar[Mapping[str, Mapping[str, Settings]]] = {
        "paper": {
            "*": RULES,
            "e2e": {"lr": (5e-5, TABLE6), "epochs": (5, TABLE6), "batch_size": (10, TABLE6)},
            "webnlg": {"lr": (5e-5, TABLE6), "epochs": (10, TABLE6), "batch_size": (9, TABLE6)},
            "dart": {"lr": (5e-5, TABLE6), "epochs": (5, TABLE6), "batch_size": (5, TABLE6)},
        },
        "mini": {"*": {**RULES, "lr": (2e-3, MINI_LR)}},
    }

    def build(
        self,
        backbone: GPT2LMHeadModel,
        tokenizer: PreTrainedTokenizerBase | None,
        options: Mapping[str, Any],
        seed: int,
    ) -> Tuned:
        from bench.tuned import Tuned

        tuned = Tuned(backbone)
        for part in (*backbone.transformer.h[-2:], backbone.transformer.ln_f):
            part.requires_grad_(True)
        tuned.backbone_dropout = True
        return tuned
