"""What a run reads of its data: the rows to train on and to watch, the items to decode, and their tokens.

Which part of a split that is, the specification says: a draw or a share (``bench.data.subsets``), and of that
the first ``limit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bench.config.request import SpecifiedRun
from bench.data import subsets
from bench.data.dataset import iterate_rows, load_items, load_rows
from bench.runs.formats import TextFormat, make_format
from bench.task import Item, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.data.encoding import Pair
    from bench.data.token_pairs import TokenPairs
    from bench.models.adapted import AdaptedModel


class Inputs:
    """The data of one specified run."""

    def __init__(self, specified: SpecifiedRun) -> None:
        self.specified = specified
        self.spec = specified.spec

    # -- texts ----------------------------------------------------------------------------------

    def iterate_train_rows(self) -> Iterator[Row]:
        """The rows to train on: all of the split, or the part that is drawn."""
        split, size = self.spec["train_split"], self.spec["train_subset"]
        return self._iterate_drawn(split, size, self.spec["train_share"], "--train-subset")

    def iterate_dev_rows(self) -> Iterator[Row]:
        """The rows whose loss is watched."""
        drawn = self._iterate_drawn("dev", self.spec["dev_subset"], None, "--dev-subset")
        return islice(drawn, self.spec["dev_limit"])

    @cached_property
    def dev_items(self) -> list[Item]:
        """What is decoded to choose parameters by: drawn and cut as the dev rows are."""
        loaded = load_items(self.specified.data, "dev", self.spec.protocol)
        size = self.spec["dev_subset"]
        drawn = subsets.draw(loaded, size, self._data_seed, self.spec.task, "dev", "--dev-subset")
        return drawn[: self.spec["limit"]][: self.spec["dev_limit"]]

    @cached_property
    def items(self) -> list[Item]:
        """What there is to decode and score; parsed once."""
        split, size = self.spec["test_split"], self.spec["test_subset"]
        loaded = load_items(self.specified.data, split, self.spec.protocol)
        drawn = subsets.draw(loaded, size, self._data_seed, self.spec.task, split, "--test-subset")
        return drawn[: self.spec["limit"]]

    def _iterate_drawn(self, split: str, size: int | None, share: float | None, flag: str) -> Iterator[Row]:
        data, protocol = self.specified.data, self.spec.protocol
        rows: Iterable[Row]
        if size is None and share is None:
            rows = iterate_rows(data, split, protocol)
        else:
            loaded = load_rows(data, split, protocol)
            size = subsets.compute_share_size(share, len(loaded)) if share is not None else size
            rows = subsets.draw(loaded, size, self._data_seed, self.spec.task, split, flag)
        return islice(rows, self.spec["limit"])

    @property
    def _data_seed(self) -> int:
        return self.spec["data_seed"] or 0

    # -- tokens ---------------------------------------------------------------------------------

    def make_format(self, tokenizer: PreTrainedTokenizerBase) -> TextFormat:
        """Between texts and tokens, as the run's kind of model has it."""
        return make_format(self.specified.model.kind, self.spec, tokenizer)

    def encode_rows(
        self, tokenizer: PreTrainedTokenizerBase, adapted: AdaptedModel, rows: Iterator[Row], folder: Path
    ) -> TokenPairs:
        """Token ids of ``rows``; many are kept in a file in ``folder`` that is gone when the process ends."""
        from bench.data.token_pairs import store_pairs

        return store_pairs(self._encode_chunks(self.make_format(tokenizer), adapted, rows), folder)

    def _encode_chunks(
        self, text_format: TextFormat, adapted: AdaptedModel, rows: Iterator[Row]
    ) -> Iterator[tuple[list[Pair], int]]:
        from bench.data.encoding import CHUNK_ROWS

        first_row = 1
        while chunk := list(islice(rows, CHUNK_ROWS)):
            sources = [self._instruct(row.source) for row in chunk]
            targets = [row.target for row in chunk]
            yield text_format.encode_pairs(sources, targets, adapted, first_row)
            first_row += len(chunk)

    def encode_prompts(
        self, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item] | None = None
    ) -> list[list[int]]:
        """Token ids to decode from; of the items to decode and score where no others are given."""
        sources = [self._instruct(item.source) for item in (self.items if items is None else items)]
        return self.make_format(tokenizer).encode_prompts(sources)

    def _instruct(self, source: str) -> str:
        """A source as the method words it."""
        return self.specified.method.instruct(source, self.specified.task, self.spec.option_values)
