"""What a run lets somebody see of what it makes on its way and does not keep: tokens, rules, models.

The regression check (``bench check``) compares them. An observer sees and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.task import Item

if TYPE_CHECKING:
    from bench.data.token_pairs import TokenPairs
    from bench.models.adapted import AdaptedModel
    from bench.runs.formats import TextFormat


class RunObserver:
    """Sees nothing. What interests a derived class it overrides."""

    def see_training_pairs(self, text_format: TextFormat, train: TokenPairs, dev: TokenPairs) -> None:
        """The token ids to train on and to watch, before the first update."""

    def see_untrained_model(self, model: AdaptedModel) -> None:
        """The model before the first update, on the CPU."""

    def see_trained_model(self, model: AdaptedModel) -> None:
        """The model after the last update."""

    def see_outputs(
        self,
        text_format: TextFormat,
        items: Sequence[Item],
        prompts: Sequence[Sequence[int]],
        outputs: Sequence[Sequence[int]],
        texts: Sequence[str],
    ) -> None:
        """What was decoded from what: per item the prompt's and the output's token ids, and the output's text."""
