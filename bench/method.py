"""What a method is: the contract that every file in ``baselines/`` fulfils.

A method says which options it has, with which settings the paper ran it, and what it makes of a
backbone (a ``bench.models.adapted.AdaptedModel``). It has no training loop, no decoder and no files of its own.
``bench.registry`` discovers the files; see CONTRIBUTING, "Add a method".

Importing this module does not import torch: ``bench list methods`` works without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from bench.errors import UnknownNameError, UserError
from bench.foreign_text import show_foreign
from bench.system.numbers import (
    describe_kind,
    describe_range,
    is_in_range,
    parse_real_number,
    parse_whole_number,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.models.adapted import AdaptedModel
    from bench.task import Task

Settings: TypeAlias = Mapping[str, tuple[object, str]]
"""Setting or option name -> (value, where the value comes from)."""
Tables: TypeAlias = Mapping[str, Mapping[str, Settings]]
"""Scale -> task name (or ``"*"``, every task) -> settings."""
Options: TypeAlias = Mapping[str, Any]
"""Option name -> value, parsed."""
Variants: TypeAlias = tuple[Mapping[str, object], ...]
Tokenizer: TypeAlias = "PreTrainedTokenizerBase | None"

TABLE6 = "paper Table 6"
LARGEST_WHOLE_NUMBER = 2**31 - 1


class OriginSource(StrEnum):
    """Who decided a value, by the beginning of its origin."""

    TABLE6 = TABLE6
    PAPER = "paper"
    AUTHORS_CODE = "authors' code"
    LIBRARY = "library default"
    OURS = "our choice"
    OTHER = "other"


def find_origin_source(origin: str) -> OriginSource:
    """Who decided a value. An origin begins with who: "paper Table 6", "authors' code: …", "our choice for mini"."""
    return next((source for source in OriginSource if origin.startswith(source.value)), OriginSource.OTHER)


class ModelKind(StrEnum):
    """How a backbone reads: source and target as one sequence (GPT-2), or each on its own side (BART)."""

    DECODER_ONLY = "decoder-only"
    ENCODER_DECODER = "encoder-decoder"


DECODER_ONLY, ENCODER_DECODER = ModelKind.DECODER_ONLY, ModelKind.ENCODER_DECODER
BOTH_KINDS = (DECODER_ONLY, ENCODER_DECODER)
MINI_LR = {
    DECODER_ONLY: "lowest dev loss on mini-webnlg of a coarse search, seed 1 (results/mini/README.md)",
    ENCODER_DECODER: "our choice for mini, as for mini-gpt2; not searched for mini-bart",
}
"""Origin of ``Method.mini_lr`` by kind of model."""
SEQ2SEQ_RULES: Settings = {
    "objective": ("mean", "authors' code: token mean over all target tokens, <s> and </s> included"),
    "backbone_dropout": (
        True,
        "authors' code: BART is a part of the module in train mode, its dropout is on",
    ),
}
"""How every method on an encoder-decoder trains (the opposite of GPT-2's prefix in both)."""


def sourced(origin: str, **values: object) -> Settings:
    """Settings that all come from one place: ``sourced(TABLE6, lr=5e-5, epochs=5, batch_size=10)``."""
    return {name: (value, origin) for name, value in values.items()}


@dataclass(frozen=True)
class Option:
    """One choice that a method offers: ``prefix[length=10]``. ``kind`` converts what was typed."""

    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[Any, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    """Of a number: far above what makes sense; a whole number is at most 2³¹ - 1 where nothing is said."""

    def parse(self, text: object, method: str) -> Any:
        """``text``, or a value typed already, as this option's type; ``UserError`` says what was expected.

        ``method`` is the name of the option's method, for messages.
        """
        typed = f"{method}[{self.name}={show_foreign(text)}]"
        if self.kind in (int, float) and text is not None:
            return self._parse_number(text, typed)
        try:
            value = self.kind(text)
        except (TypeError, ValueError):
            raise UserError(f"{typed}: expected {self.kind.__name__} ({self.help})") from None
        if self.choices is not None and value not in self.choices:
            raise UnknownNameError(
                f"value of {method}[{self.name}]", str(value), map(str, self.choices), self.help
            )
        return value

    def _parse_number(self, text: object, typed: str) -> Any:
        highest = LARGEST_WHOLE_NUMBER if self.maximum is None and self.kind is int else self.maximum
        expected = f"{describe_kind(self.kind)} {describe_range(self.minimum, highest)}".rstrip()
        try:
            value = parse_whole_number(text) if self.kind is int else parse_real_number(text)
        except ValueError:
            raise UserError(f"{typed}: expected {expected} ({self.help})") from None
        if self.choices is not None and value not in self.choices:
            raise UnknownNameError(f"value of {typed}", str(value), map(str, self.choices), self.help)
        if not is_in_range(value, self.minimum, highest):
            raise UserError(f"{typed}: expected {expected} ({self.help})")
        return value


class Method(ABC):
    """A way to adapt a backbone to a task."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line: what is trained and where it sits."""
    source: ClassVar[str]
    """Paper section and authors' code fact."""
    kinds: ClassVar[tuple[ModelKind, ...]] = (DECODER_ONLY,)
    """The kinds of model that it is made for."""
    options: ClassVar[tuple[Option, ...]] = ()
    variants: ClassVar[Variants] = ({},)
    """Option settings that the paper reports, for listings and for the mini table."""
    trains: ClassVar[bool] = True
    rules: ClassVar[Settings] = {}
    """``objective`` and ``backbone_dropout``, the same at every scale and on every task, on decoder-only
    models."""
    settings: ClassVar[Tables] = {}
    """What else it runs with on decoder-only models; overrides the harness defaults."""
    mini_lr: ClassVar[float | None] = None
    """The learning rate at scale mini that the search in results/mini/README.md found, for every kind of
    model that the method is for; leave it out where none was searched."""
    seq2seq_rules: ClassVar[Settings] = SEQ2SEQ_RULES
    """``rules`` on encoder-decoders."""
    seq2seq_settings: ClassVar[Tables] = {}
    """``settings`` on encoder-decoders."""
    seq2seq_variants: ClassVar[Variants | None] = None
    """``variants`` on encoder-decoders, where they are others."""

    @abstractmethod
    def build(self, backbone: Any, tokenizer: Tokenizer, options: Options, seed: int) -> AdaptedModel:
        """The backbone with this method's parts, seeded. Works on the meta device (for counting).

        ``backbone`` is a ``GPT2LMHeadModel`` or, for methods whose ``kinds`` say so, a
        ``BartForConditionalGeneration`` (``bench.models.architecture`` tells them apart).
        """

    def tables(self, kind: ModelKind) -> Tables:
        """The settings for a kind of model, by scale and task."""
        return self.seq2seq_settings if kind == ENCODER_DECODER else self.settings

    def variants_for(self, kind: ModelKind) -> Variants:
        """The option settings that the paper reports for a kind of model."""
        if kind == ENCODER_DECODER and self.seq2seq_variants is not None:
            return self.seq2seq_variants
        return self.variants

    def settings_for(
        self, scale: str, task: str, options: Options, model: str = "", kind: ModelKind = DECODER_ONLY
    ) -> Settings:
        """This method's settings for a task.

        Weakest to strongest: ``rules``, ``mini_lr``, the ``"*"`` entry, the task's own, ``settings_by_option``.

        Table 6 is for GPT-2 medium and nothing was published for large (the authors' code only has
        grids), so ``model`` ``gpt2-large`` gets medium's settings, with origins that say so.
        """
        rules = self.seq2seq_rules if kind == ENCODER_DECODER else self.rules
        searched = scale == "mini" and self.mini_lr is not None
        table = self.tables(kind).get(scale, {})
        merged = {
            **rules,
            **(sourced(MINI_LR[kind], lr=self.mini_lr) if searched else {}),
            **table.get("*", {}),
            **table.get(task, {}),
            **self.settings_by_option(scale, task, options),
        }
        if model != "gpt2-large":
            return merged
        note = "; GPT-2 medium's, the paper gives none for large"
        return {
            name: (value, origin + note if find_origin_source(origin) is OriginSource.TABLE6 else origin)
            for name, (value, origin) in merged.items()
        }

    def settings_by_option(self, scale: str, task: str, options: Options) -> Settings:
        """Settings that the paper gives for some values of the options only."""
        return {}

    def paper_share(self, model: str, options: Options) -> str | None:
        """The share of parameters that the paper prints for this setting, as printed, or None."""
        return None

    def count_positions(self, options: Options, kind: ModelKind) -> int:
        """How many of the model's positions the method itself takes, as far as its options say; 0 for most."""
        return 0

    def instruct(self, source: str, task: Task, options: Options) -> str:
        """The source as this method wants it read; only methods with literal text change it."""
        return source

    def settle(self, options: dict[str, Any]) -> dict[str, Any]:
        """``options`` with those set to None that another one makes meaningless.

        So no run is named or described by a value that nothing looked at.
        """
        return options

    def resolve_options(self, chosen: Mapping[str, object]) -> dict[str, Any]:
        """All options with ``given`` parsed over the defaults; unknown names are refused."""
        declared = {option.name: option for option in self.options}
        for name in chosen:
            if name not in declared:
                raise UnknownNameError(f"option of method {self.name}", name, declared, "bench list methods")
        return {
            name: option.parse(chosen[name], self.name) if name in chosen else option.default
            for name, option in declared.items()
        }
