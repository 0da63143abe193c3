"""What a run reads of its data: the rows to train on and to watch, the items to decode, and their tokens.

Which part of a split that is, the specification says: a draw or a share (``bench.data.subsets``), and of that
the first ``limit``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from bench.config.request import SpecifiedRun
from bench.data import subsets
from bench.data.dataset import load_items, load_rows
from bench.runs.formats import Coding, coding
from bench.task import Item, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.data.encoding import Pair
    from bench.models.adapted import TunedBase

T = TypeVar("T")


class Inputs:
    """The data of one specified run."""

    def __init__(self, specified: SpecifiedRun) -> None:
        self.specified = specified
        self.spec = specified.spec

    # -- texts ----------------------------------------------------------------------------------

    def train_rows(self) -> list[Row]:
        """The rows to train on: all of the split, or the part that is drawn."""
        spec = self.spec
        split, size = spec["train_split"], spec["train_subset"]
        rows = load_rows(self.specified.data, split, spec.protocol)
        if spec["train_share"] is not None:
            size = subsets.size_of_share(spec["train_share"], len(rows))
        return self.part(rows, size, split, "--train-subset")

    def dev_rows(self) -> list[Row]:
        """The rows whose loss is watched."""
        rows = load_rows(self.specified.data, "dev", self.spec.protocol)
        return self.part(rows, self.spec["dev_subset"], "dev", "--dev-subset")

    @cached_property
    def items(self) -> list[Item]:
        """What there is to decode and score; parsed once."""
        split = self.spec["test_split"]
        loaded = load_items(self.specified.data, split, self.spec.protocol)
        return self.part(loaded, self.spec["test_subset"], split, "--test-subset")

    def part(self, rows: Sequence[T], size: int | None, split: str, flag: str) -> list[T]:
        """What of a split is used: a draw of ``size``, if any, and of that the first ``limit``."""
        drawn = subsets.draw(rows, size, self.spec["data_seed"] or 0, self.spec.task, split, flag)
        return drawn[: self.spec["limit"]]

    # -- tokens ---------------------------------------------------------------------------------

    def coding(self, tokenizer: PreTrainedTokenizerBase) -> Coding:
        """Between texts and tokens, as the run's kind of model has it."""
        return coding(self.specified.model.kind, self.spec, tokenizer)

    def pairs(
        self, tokenizer: PreTrainedTokenizerBase, tuned: TunedBase, rows: Sequence[Row]
    ) -> tuple[list[Pair], int]:
        """Token ids of rows, and how many had to be cut at the model's length."""
        sources = self.worded([row.source for row in rows])
        return self.coding(tokenizer).pairs(sources, [row.target for row in rows], tuned)

    def prompts(self, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """Token ids to decode the items from."""
        return self.coding(tokenizer).prompts(self.worded([item.source for item in self.items]))

    def worded(self, sources: Sequence[str]) -> list[str]:
        """Sources as the method words them."""
        task, method, options = self.specified.task, self.specified.method, self.spec.option_values
        return [method.instruct(source, task, options) for source in sources]
