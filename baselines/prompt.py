"""A natural-language instruction before the source; nothing is trained (paper §4.1, footnote 2).

The paper says that this fails for GPT-2 and BART; it is here as the lower end of the chain
discrete prompt < embedding-only < prefix (§7.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.method import BOTH_KINDS, Method, Options, Settings, Tokenizer

if TYPE_CHECKING:
    from bench.models.adapted import AdaptedModel
    from bench.task import Task

RULES: Settings = {
    "objective": ("sum", "nothing is trained"),
    "backbone_dropout": (False, "nothing is trained"),
}


class Prompt(Method):
    """Nothing is trained; an instruction stands before the source."""

    name = "prompt"
    summary = "an instruction in words before the source; nothing is trained"
    source = "paper §4.1, footnote 2"
    kinds = BOTH_KINDS
    trains = False
    rules = RULES
    seq2seq_rules = RULES

    def instruct(self, source: str, task: Task, options: Options) -> str:
        return f"{task.instruction} {source}"

    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        from bench.models.architecture import make_plain_model

        return make_plain_model(backbone)
