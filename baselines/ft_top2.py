"""Fine-tuning of the top two blocks and the last layer norm (paper §5.2, FT-TOP2).

Facts from the authors' code: of its several options only number 22 (``ln_f`` and blocks 22 and 23 of
GPT-2 medium, 25,194,496 parameters) agrees with the count that others printed for the paper's row;
neither the embeddings nor the LM head are trained. Loss and dropout are as in full fine-tuning.

On BART the paper has no such row. Here it means the last two layers of the decoder, which write the
summary as GPT-2's last blocks write the text; BART has no final layer norm, each layer ends with its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from baselines._shared import FINE_TUNING_RULES
from bench.method import BOTH_KINDS, ENCODER_DECODER, TABLE6, Method, Options, Tables, Tokenizer, sourced

if TYPE_CHECKING:
    from bench.models.adapted import AdaptedModel

OURS = "our choice, as full fine-tuning; the paper has no such row for BART"


class FtTop2(Method):
    """The top two blocks are trained."""

    name = "ft-top2"
    summary = "the last two blocks (BART: of the decoder) and the final layer norm are trained"
    source = "paper §5.2; authors' code: run_language_modeling.py, option 22; on BART our own"
    kinds = BOTH_KINDS
    rules = FINE_TUNING_RULES
    mini_lr = 2e-3
    settings: ClassVar[Tables] = {
        "paper": {
            "e2e": sourced(TABLE6, lr=5e-5, epochs=5, batch_size=10),
            "webnlg": sourced(TABLE6, lr=5e-5, epochs=10, batch_size=9),
            "dart": sourced(TABLE6, lr=5e-5, epochs=5, batch_size=5),
        },
    }
    seq2seq_settings: ClassVar[Tables] = {"paper": {"*": sourced(OURS, epochs=5, batch_size=18)}}

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from bench.models.architecture import get_model_kind, list_blocks, make_plain_model

        model = make_plain_model(backbone)
        last = [] if get_model_kind(backbone.config) == ENCODER_DECODER else [backbone.transformer.ln_f]
        for part in (*list_blocks(backbone)[-2:], *last):
            part.requires_grad_(True)
        model.backbone_dropout = True
        return model
