"""Full fine-tuning: every parameter of the LM is trained (paper §5.2, FT-FULL).

Facts from the authors' code: the loss is the mean over all target tokens of the batch, GPT-2's
dropout of 0.1 is on. In the low-data setting (§6.3) the words that a prefix would start from are put
as literal text at the start of every source: option ``words``.

On BART: the two extrapolation splits are in Table 6. Full XSUM was not run by the authors (their row is
that of Lewis et al. 2020), so its settings are ours: those of the splits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from baselines._shared import FINE_TUNING_RULES
from bench.method import BOTH_KINDS, TABLE6, Method, Option, Options, Tables, Tokenizer, sourced

if TYPE_CHECKING:
    from bench.models.adapted import AdaptedModel
    from bench.task import Task

XSUM = "our choice, as Table 6 has it for the splits: the authors did not run it on full XSUM"


class FtFull(Method):
    """All of the LM is trained."""

    name = "ft-full"
    summary = "every parameter of the LM is trained"
    source = "paper §5.2; authors' code: run_language_modeling.py, finetune.py"
    kinds = BOTH_KINDS
    options = (Option("words", str, "", "literal text at the start of every source (low-data runs, §6.3)"),)
    rules = FINE_TUNING_RULES
    mini_lr = 1e-3
    settings: ClassVar[Tables] = {
        "paper": {
            "e2e": sourced(TABLE6, lr=5e-5, epochs=5, batch_size=10),
            "webnlg": sourced(TABLE6, lr=1e-5, epochs=10, batch_size=6),
            "dart": sourced(TABLE6, lr=1e-5, epochs=10, batch_size=6),
        },
    }
    seq2seq_settings: ClassVar[Tables] = {
        "paper": {
            "xsum": sourced(XSUM, lr=3e-5, epochs=5, batch_size=18),
            "xsum-within-news": sourced(TABLE6, lr=3e-5, epochs=5, batch_size=18),
            "xsum-news-to-sports": sourced(TABLE6, lr=3e-5, epochs=5, batch_size=18),
        },
    }

    def paper_share(self, model: str, options: Options) -> str | None:
        return "100%" if model in ("gpt2-medium", "gpt2-large", "bart-large") else None

    def instruct(self, source: str, task: Task, options: Options) -> str:
        words = options["words"].strip()
        return f"{words} {source}" if words else source

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from bench.models.architecture import make_plain_model

        model = make_plain_model(backbone)
        backbone.requires_grad_(True)
        model.backbone_dropout = True
        return model
