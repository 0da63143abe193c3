"""A natural-language instruction before the source; nothing is trained (paper §4.1, footnote 2).

The paper says that this fails for GPT-2 and BART; it is here as the lower end of the chain
discrete prompt < embedding-only < prefix (§7.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bench.method import DECODER_ONLY, ENCODER_DECODER, Method, Settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.base import TunedBase
    from bench.task import Task

RULES: Settings = {
    "objective": ("sum", "nothing is trained"),
    "backbone_dropout": (False, "nothing is trained"),
}


class Prompt(Method):
    name = "prompt"
    summary = "an instruction in words before the source; nothing is trained"
    source = "paper §4.1, footnote 2"
    kinds = (DECODER_ONLY, ENCODER_DECODER)
    trains = False
    settings: ClassVar[Mapping[str, Mapping[str, Settings]]] = {
        "paper": {"*": RULES},
        "mini": {"*": RULES},
    }
    seq2seq_settings = settings

    def instruct(self, source: str, task: Task, options: Mapping[str, Any]) -> str:
        return f"{task.instruction} {source}"

    def build(
        self,
        backbone: Any,
        tokenizer: PreTrainedTokenizerBase | None,
        options: Mapping[str, Any],
        seed: int,
    ) -> TunedBase:
        from bench.backbones import plain

        return plain(backbone)
