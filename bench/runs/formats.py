"""Between texts and tokens, for one run: what its kind of model reads, writes and is scored against.

The stages know nothing of the difference: a decoder-only model reads source and target joined, an
encoder-decoder reads them framed and cut.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.config.specification import RunSpec
from bench.data.encoding import encode_framed, encode_pairs, encode_sources
from bench.errors import UserError
from bench.method import ENCODER_DECODER
from bench.task import Item

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.data.encoding import Pair
    from bench.decoding.beam_search import BeamRules
    from bench.models.adapted import AdaptedModel


class TextFormat(Protocol):
    """What the stages ask for."""

    def prepare(self, backbone: Any) -> None:
        """Change the untrained backbone as the run's settings say."""

    def encode_pairs(
        self, sources: Sequence[str], targets: Sequence[str], adapted: AdaptedModel, first_row: int = 1
    ) -> tuple[list[Pair], int]:
        """Training pairs, and how many had to be cut; ``first_row``: the number of the first, for messages."""

    def encode_prompts(self, sources: Sequence[str]) -> list[list[int]]:
        """Token ids to decode from."""

    def check_room(self, prompts: Sequence[Sequence[int]], adapted: AdaptedModel) -> None:
        """Refuse before the training what decoding would refuse after it."""

    def make_rules(self) -> BeamRules:
        """How to search."""

    def decode_text(self, prompt: Sequence[int], output: Sequence[int]) -> str:
        """What is scored of an output."""

    def make_references(self, item: Item) -> tuple[str, ...]:
        """What it is scored against."""


def make_format(kind: str, spec: RunSpec, tokenizer: PreTrainedTokenizerBase) -> TextFormat:
    """The format of a kind of model."""
    return FramedFormat(spec, tokenizer) if kind == ENCODER_DECODER else JoinedFormat(spec, tokenizer)


@dataclass(frozen=True)
class JoinedFormat:
    """Decoder-only models: source and target are one sequence."""

    spec: RunSpec
    tokenizer: PreTrainedTokenizerBase

    def prepare(self, backbone: Any) -> None:
        """Add the PAD row of the authors' training, if asked for."""
        from bench.models.loading import add_pad_row

        if self.spec["pad_row"]:
            add_pad_row(backbone, self.spec.seed)

    def encode_pairs(
        self, sources: Sequence[str], targets: Sequence[str], adapted: AdaptedModel, first_row: int = 1
    ) -> tuple[list[Pair], int]:
        return encode_pairs(self.tokenizer, sources, targets, self.count_room(adapted), first_row)

    def encode_prompts(self, sources: Sequence[str]) -> list[list[int]]:
        return encode_sources(self.tokenizer, sources)

    @staticmethod
    def count_room(adapted: AdaptedModel) -> int:
        """How many real tokens fit behind the method's own positions."""
        return adapted.positions - adapted.reserved_positions

    def check_room(self, prompts: Sequence[Sequence[int]], adapted: AdaptedModel) -> None:
        room, limit = self.count_room(adapted), self.spec["max_new_tokens"]
        longest = max(len(prompt) for prompt in prompts)
        # The last token is generated and not read.
        if longest + limit - 1 > room:
            raise UserError(
                f"--max-new-tokens {limit}: the longest of {len(prompts)} sources has {longest} tokens and the "
                f"model {room} positions for both (without the method's own); "
                f"expected at most {max(0, room - longest + 1)}, or a shorter prefix"
            )

    def make_rules(self) -> BeamRules:
        from bench.decoding.generation import make_decoder_rules

        names = ("beams", "max_new_tokens", "length_penalty")
        return make_decoder_rules(
            self.spec.protocol, self.tokenizer, **{name: self.spec[name] for name in names}
        )

    def decode_text(self, prompt: Sequence[int], output: Sequence[int]) -> str:
        from bench.decoding.postprocessing import make_output_text

        return make_output_text(self.spec.protocol, self.tokenizer, prompt, output)

    def make_references(self, item: Item) -> tuple[str, ...]:
        return item.references


@dataclass(frozen=True)
class FramedFormat:
    """Encoder-decoders: ``<s> text </s>`` on either side, cut at lengths of their own."""

    spec: RunSpec
    tokenizer: PreTrainedTokenizerBase

    def prepare(self, backbone: Any) -> None:
        """Nothing: BART has a PAD of its own."""

    def encode_pairs(
        self,
        sources: Sequence[str],
        targets: Sequence[str],
        adapted: AdaptedModel,  # noqa: ARG002 - of the other format
        first_row: int = 1,  # noqa: ARG002 - of the other format
    ) -> tuple[list[Pair], int]:
        source_ids, source_cut = encode_framed(self.tokenizer, sources, self.spec["max_source_tokens"])
        target_ids, target_cut = encode_framed(self.tokenizer, targets, self.spec["max_target_tokens"])
        return list(zip(source_ids, target_ids, strict=True)), sum(map(operator.or_, source_cut, target_cut))

    def encode_prompts(self, sources: Sequence[str]) -> list[list[int]]:
        return encode_framed(self.tokenizer, sources, self.spec["max_source_tokens"])[0]

    def check_room(self, prompts: Sequence[Sequence[int]], adapted: AdaptedModel) -> None:  # noqa: ARG002 - of the other format
        room = adapted.positions - adapted.reserved_positions
        # The decoder reads the start token and every generated one but the last.
        for name in ("max_source_tokens", "max_target_tokens", "max_new_tokens"):
            if self.spec[name] > room:
                raise UserError(
                    f"--{name.replace('_', '-')} {self.spec[name]}: the model has {room} positions on either "
                    f"side (without the method's own); expected at most {room}"
                )

    def make_rules(self) -> BeamRules:
        from bench.decoding.generation import make_encoder_decoder_rules

        names = ["beams", "max_new_tokens", "min_new_tokens", "length_penalty"]
        names += ["no_repeat_ngram", "early_stopping"]
        return make_encoder_decoder_rules(
            self.spec.protocol, self.tokenizer, {name: self.spec[name] for name in names}
        )

    def decode_text(self, prompt: Sequence[int], output: Sequence[int]) -> str:  # noqa: ARG002 - of the other format
        from bench.decoding.postprocessing import make_summary_text

        return make_summary_text(self.spec.protocol, self.tokenizer, output)

    def make_references(self, item: Item) -> tuple[str, ...]:
        """The item's, or (authors' code) what is left of them as labels: cut, and decoded again."""
        from bench.decoding.postprocessing import make_summary_text

        longest = self.spec["max_reference_tokens"]
        if longest is None:
            return item.references
        labels, _ = encode_framed(self.tokenizer, item.references, longest)
        return tuple(make_summary_text(self.spec.protocol, self.tokenizer, label) for label in labels)
