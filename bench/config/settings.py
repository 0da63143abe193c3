"""The settings of a run: one table of names, types, defaults and where each default comes from.

Command-line flags, the specification, `bench plan` and the record are all made from this table. A
value is decided by the last of: this table, the kind of model, the method's and the task's own settings,
the experiment, the protocol, the command line; the winner's origin is recorded with it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bench.errors import UnknownNameError, UserError
from bench.foreign_text import show_foreign
from bench.method import DECODER_ONLY, ENCODER_DECODER, ModelKind, OriginSource, find_origin_source
from bench.system.devices import DEVICES
from bench.system.numbers import (
    MANY,
    describe_kind,
    describe_range,
    is_in_range,
    parse_real_number,
    parse_whole_number,
)
from bench.training.selection import KeepRule


class SettingLayer(StrEnum):
    """Which layer of the resolution decided a value, weakest first."""

    DEFAULT = "default"
    MODEL_KIND = "model-kind"
    SCALE = "scale"
    METHOD = "method"
    TASK = "task"
    EXPERIMENT = "experiment"
    PROTOCOL = "protocol"
    COMMAND_LINE = "command-line"
    OPTION = "option"
    """Another option of the method decides it."""


@dataclass(frozen=True)
class Setting:
    """A resolved value and where it comes from: in words, and as the layer that decided it."""

    value: Any
    origin: str
    layer: SettingLayer = SettingLayer.DEFAULT

    @property
    def typed(self) -> bool:
        """Whether it was typed on the command line."""
        return self.layer is SettingLayer.COMMAND_LINE

    @property
    def source(self) -> OriginSource:
        """Who decided the value."""
        return find_origin_source(self.origin)

    def to_json(self) -> dict[str, Any]:
        """As records have it."""
        return {"value": self.value, "origin": self.origin, "layer": self.layer.value}


@dataclass(frozen=True)
class SettingDefinition:
    """One row of the table. ``identity``: whether changing it makes a different run.

    ``kinds``: the kinds of model that have this setting; runs on others know nothing of it.
    """

    name: str
    kind: type
    default: Any
    origin: str
    help: str
    stage: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    """Of a number: far above what makes sense, and low enough that nothing overflows or fills the machine."""
    optional: bool = False
    identity: bool = True
    kinds: tuple[ModelKind, ...] = (DECODER_ONLY, ENCODER_DECODER)
    later: bool = False
    """Added when there were runs already: at its default it is left out of a run's name, which stays what it was."""

    def parse(self, given: object) -> Any:
        """``given`` converted and checked; ``UserError`` names the flag and what it expects."""
        flag = format_flag(self.name)
        if given is None or (self.optional and given == "none"):
            if self.optional:
                return None
            raise UserError(f"{flag}: expected {describe_kind(self.kind)} ({self.help}), got nothing")
        text = show_foreign(given, 40)
        if self.kind is bool:
            if isinstance(given, bool):
                return given
            if str(given).lower() in ("yes", "true", "1", "no", "false", "0"):
                return str(given).lower() in ("yes", "true", "1")
            raise UserError(f"{flag} {text}: expected yes or no ({self.help})")
        if self.kind is str:
            if not isinstance(given, str) or (self.choices and given not in self.choices):
                raise UnknownNameError(f"value of {flag}", str(given), self.choices, self.help)
            return given
        return self._parse_number(given, f"{flag} {text}")

    def _parse_number(self, given: object, typed: str) -> Any:
        parse = parse_whole_number if self.kind is int else parse_real_number
        limits = describe_range(self.minimum, self.maximum)
        expected = f"{describe_kind(self.kind)} {limits}".rstrip()
        try:
            value = parse(given)
        except ValueError:
            raise UserError(f"{typed}: expected {expected} ({self.help})") from None
        if not is_in_range(value, self.minimum, self.maximum):
            raise UserError(f"{typed}: expected {expected} ({self.help})")
        return value


def format_flag(name: str) -> str:
    """A setting's flag on the command line: ``--max-steps`` of ``max_steps``."""
    return "--" + name.replace("_", "-")


def format_value(value: object) -> str:
    """A value as one types it on the command line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).replace(",", "\\,")  # a bare comma makes a list


COMMAND_LINE = "command line"
"""The origin, in words, of what was typed."""
DEFAULT, CODE, LIBRARY, OURS = (
    "paper §5.3, default",
    "authors' code",
    "library default",
    "our choice",
)
SEQ2SEQ = (ENCODER_DECODER,)
LARGEST_SEED = 2**31 - 1


DEFINITIONS = (
    # Training.
    SettingDefinition("epochs", int, 10, DEFAULT, "passes over the training rows", "train",
          minimum=0, maximum=100_000),
    SettingDefinition("max_steps", int, None, OURS, "stop after this many updates", "train",
          minimum=0, maximum=MANY,
          optional=True),
    SettingDefinition("batch_size", int, 5, DEFAULT, "examples per update", "train",
          minimum=1, maximum=65_536),
    SettingDefinition("accumulation", int, 1, CODE, "micro-batches per update", "train",
          minimum=1, maximum=65_536),
    SettingDefinition("lr", float, 5e-5, DEFAULT, "peak learning rate", "train",
          minimum=1e-12, maximum=100.0),
    SettingDefinition("warmup_steps", int, 0, f"{CODE}: 0 in all full-data runs", "linear warm-up", "train",
          minimum=0, maximum=MANY),
    SettingDefinition("weight_decay", float, 0.0, CODE, "AdamW weight decay", "train",
          minimum=0.0, maximum=100.0),
    SettingDefinition("clip_norm", float, 1.0, CODE, "largest gradient norm", "train",
          minimum=1e-6, maximum=1e6,
          optional=True),
    SettingDefinition("objective", str, "mean", CODE, "mean over the target tokens, or sum per example",
          "train", choices=("mean", "sum")),
    SettingDefinition("backbone_dropout", bool, True, f"{CODE}: GPT-2's 0.1", "backbone dropout in training",
          "train"),
    SettingDefinition("pad_row", bool, True, f"{CODE}: [PAD] is added", "a PAD row in training's softmax",
          "train",
          kinds=(DECODER_ONLY,)),
    SettingDefinition("precision", str, "fp32", f"{CODE}: fp32", "arithmetic of forward and backward",
          "train",
          choices=("fp32", "bf16", "fp16")),
    SettingDefinition("keep", str, "last", f"{CODE}: the last one (of runs named earlystop the best as well)",
          "parameters to keep: of the last update, of the lowest dev loss, of the highest ROUGE-2 on dev",
          "train", choices=tuple(rule.value for rule in KeepRule)),
    SettingDefinition("eval_every", int, None, OURS, "updates between looks at the dev split", "train",
          minimum=1, maximum=MANY, optional=True),
    SettingDefinition("patience", int, None, OURS, "looks at dev without improvement before stopping", "train",
          minimum=1, maximum=MANY,
          optional=True),
    SettingDefinition("train_subset", int, None, OURS, "rows of the training split to draw and train on",
          "train", minimum=1, maximum=MANY,
          optional=True),
    SettingDefinition("train_share", float, None, OURS,
          "share of the training split to draw, above 0 and up to 1", "train",
          minimum=0.0, optional=True),
    SettingDefinition("dev_subset", int, None, OURS, "rows of the dev split to draw for --eval-every",
          "train", minimum=1, maximum=MANY,
          optional=True),
    SettingDefinition("dev_limit", int, None, OURS, "first rows of the dev split to look at with --eval-every",
          "train", minimum=1, maximum=MANY, optional=True, later=True),
    SettingDefinition("train_split", str, "train", OURS, "split to train on", "data", choices=("train",
          "dev", "test")),
    SettingDefinition("test_split", str, "test", OURS, "split to decode and score", "data", choices=("train",
          "dev", "test")),
    SettingDefinition("test_subset", int, None, OURS, "items of the test split to draw, decode and score",
          "data", minimum=1, maximum=MANY,
          optional=True),
    SettingDefinition("data_seed", int, None, f"{OURS}: 0 where something is drawn",
          "which draw of the four above", "data",
          minimum=0, maximum=LARGEST_SEED, optional=True),
    SettingDefinition("limit", int, None, OURS, "rows and items to use of each split", "data",
          minimum=1, maximum=MANY,
          optional=True),
    SettingDefinition("max_source_tokens", int, 512,
          f"paper §A.1: 512 ({CODE}: 1024 for xsum, 512 for its splits)",
          "longest source to read, <s> and </s> included", "data", minimum=3, maximum=100_000, kinds=SEQ2SEQ),
    SettingDefinition("max_target_tokens", int, 60, f"{CODE}: 60 in training and validation",
          "longest target to train on, <s> and </s> included", "train",
          minimum=3, maximum=100_000, kinds=SEQ2SEQ),
    SettingDefinition("max_reference_tokens", int, 100,
          f"{CODE}: scores against the decoded labels, cut at 100 in the test",
          "references are cut to this many tokens and decoded again", "decode",
          minimum=3, maximum=100_000, optional=True,
          kinds=SEQ2SEQ),
    # Decoding.
    SettingDefinition("beams", int, 5, "paper §5.3", "beam size", "decode", minimum=1, maximum=1_000),
    SettingDefinition("max_new_tokens", int, 100, f"{CODE}: prompt + 100", "longest output", "decode",
          minimum=1, maximum=100_000),
    SettingDefinition("length_penalty", float, 1.0, CODE, "exponent of the length normalisation", "decode",
          minimum=-10.0, maximum=10.0),
    SettingDefinition("min_new_tokens", int, 10, f"{CODE}: min_length 11, which counts the start token",
          "tokens before </s> is allowed", "decode", minimum=0, maximum=100_000, kinds=SEQ2SEQ),
    SettingDefinition("no_repeat_ngram", int, 3,
          "facebook/bart-large's configuration; the authors' code leaves it",
          "no n-gram of this size twice (0: off)", "decode", minimum=0, maximum=1_000, kinds=SEQ2SEQ),
    SettingDefinition("early_stopping", bool, True,
          "facebook/bart-large's configuration; the authors' code leaves it",
          "stop when as many outputs as beams have ended", "decode", kinds=SEQ2SEQ),
    # How the work is done; none of it changes what a run is.
    SettingDefinition("decode_batch", int, 16, OURS, "sources decoded together", "work",
          minimum=1, maximum=65_536,
          identity=False),
    SettingDefinition("micro_split", int, 1, OURS, "further cuts of each micro-batch, where memory is short",
          "work", minimum=1, maximum=65_536,
          identity=False),
    SettingDefinition("store_both", bool, False, OURS,
          "store beside what is kept the last (or best) parameters, for a run with that --keep", "work",
          identity=False, later=True),
    SettingDefinition("threads", int, None, f"{OURS}: all cores that the process may use",
          "threads of an operation on the CPU; the last digits depend on them", "work",
          minimum=1, maximum=1_024, optional=True,
          identity=False, later=True),
    SettingDefinition("checkpoint_seconds", float, 120.0, OURS, "time between checkpoints", "work",
          minimum=0.0, maximum=1e8, identity=False),
    SettingDefinition("device", str, "auto", OURS, "where to compute: auto, cpu, cuda, mps", "work",
          choices=DEVICES, identity=False),
)  # fmt: skip
DEFINITIONS_BY_NAME = {definition.name: definition for definition in DEFINITIONS}
DRAWS = ("train_subset", "train_share", "dev_subset", "test_subset")
"""The settings that draw a part of a split (``bench.data.subsets``); ``data_seed`` says which part."""

KIND: dict[str, dict[str, tuple[object, str]]] = {
    DECODER_ONLY: {},
    ENCODER_DECODER: {
        "beams": (6, "paper §5.3; authors' code: 6 for prefix, 4 for fine-tuning"),
        "max_new_tokens": (
            61,
            f"{CODE}: max_length 62, which counts the start token (128 for fine-tuning; here as for prefix)",
        ),
        "length_penalty": (0.8, f"paper §5.3 ({CODE}: 1.0 by default)"),
        "precision": ("fp32", f"{OURS}: the README of the authors' code has fp16 (apex O1) for BART"),
        "keep": (
            KeepRule.LAST.value,
            f"{OURS}: the authors' code saves every epoch and evaluates one that is named by hand, unrecorded",
        ),
    },
}
"""What a kind of model decides in place of the table, which is for GPT-2."""
MINI = {
    "epochs": (4, f"{OURS} for mini"),
    "batch_size": (10, f"{OURS} for mini"),
    "lr": (2e-3, f"{OURS} for mini"),
    "threads": (2, f"{OURS} for mini: the same on every machine, so that a seed gives the same bytes"),
}
"""What scale ``mini`` decides where the method does not: a few hundred updates of a small model."""
PLAIN = {
    "objective": ("mean", f"protocol plain: {LIBRARY}"),
    "backbone_dropout": (True, f"protocol plain: {LIBRARY}"),
    "pad_row": (False, f"protocol plain: {LIBRARY}"),
    "max_reference_tokens": (None, "protocol plain: references as they are"),
}
"""What protocol ``plain`` decides, whatever the method says: today's library defaults."""


def parse_typed_settings(typed: Mapping[str, object]) -> dict[str, Any]:
    """What was typed, converted and checked by itself, before anything is looked for."""
    for name in typed:
        if name not in DEFINITIONS_BY_NAME:
            raise UnknownNameError("setting", name, DEFINITIONS_BY_NAME, "bench run --help")
    return {name: DEFINITIONS_BY_NAME[name].parse(value) for name, value in typed.items()}


def resolve_settings(
    layers: Iterable[tuple[SettingLayer, Mapping[str, tuple[object, str]]]],
    protocol: str,
    typed: Mapping[str, object],
    kind: ModelKind = DECODER_ONLY,
) -> dict[str, Setting]:
    """Every setting that a ``kind`` of model has, with its origin and the layer that decided it.

    ``layers``: of scale, method, task and experiment, weakest first.

    Raises ``UserError`` for a name that is not in the table or not for this kind, or a bad value.
    """
    applicable = {definition.name for definition in DEFINITIONS if kind in definition.kinds}
    check_applicable(typed, applicable, kind)
    resolved = {
        definition.name: Setting(definition.default, definition.origin)
        for definition in DEFINITIONS
        if definition.name in applicable
    }
    plain = {name: entry for name, entry in PLAIN.items() if name in applicable}
    protocol_layer = [(SettingLayer.PROTOCOL, plain)] if protocol == "plain" else []
    for layer, entries in [(SettingLayer.MODEL_KIND, KIND[kind]), *layers, *protocol_layer]:
        for name, (value, origin) in entries.items():
            if name not in applicable:
                raise UnknownNameError(
                    f"setting of {kind} models", name, applicable, "declared by a method, task or experiment"
                )
            resolved[name] = Setting(DEFINITIONS_BY_NAME[name].parse(value), origin, layer)
    for name, value in parse_typed_settings(typed).items():
        resolved[name] = Setting(value, COMMAND_LINE, SettingLayer.COMMAND_LINE)
    values = {name: setting.value for name, setting in resolved.items()}
    check_selection(values, kind)
    check_combination(values)
    check_draws(values)
    by_rouge = values["keep"] == KeepRule.BEST_ROUGE2 and values["dev_subset"] is None
    if by_rouge and resolved["dev_limit"].layer is SettingLayer.DEFAULT:
        resolved["dev_limit"] = Setting(500, f"{CODE}: n_val, the first 500 rows")
    if values["data_seed"] is None and any(values[name] is not None for name in DRAWS):
        resolved["data_seed"] = Setting(0, OURS)
    return resolved


def check_applicable(typed: Mapping[str, object], applicable: Container[str], kind: ModelKind) -> None:
    """Refuse settings that were typed for another kind of model."""
    for name in typed:
        if name in DEFINITIONS_BY_NAME and name not in applicable:
            raise UserError(
                f"{format_flag(name)} is for {' and '.join(DEFINITIONS_BY_NAME[name].kinds)} models; "
                f"this run's is {kind}"
            )


def check_selection(values: Mapping[str, Any], kind: ModelKind) -> None:
    """Refuse a choice of parameters on the dev split where nobody looks at it, or not in that way."""
    keep = KeepRule(values["keep"])
    if keep is KeepRule.BEST_ROUGE2 and kind != ENCODER_DECODER:
        raise UserError(
            f"--keep {keep} is for {ENCODER_DECODER} models, whose summaries ROUGE scores; this run's is {kind}; "
            f"expected {KeepRule.LAST} or {KeepRule.BEST}"
        )
    if values["eval_every"] is None and (keep is not KeepRule.LAST or values["store_both"]):
        flag = f"--keep {keep}" if keep is not KeepRule.LAST else "--store-both yes"
        raise UserError(f"{flag} needs --eval-every N: how often to look at the dev split")
    for name in ("patience", "dev_subset", "dev_limit"):
        if values[name] is not None and values["eval_every"] is None:
            raise UserError(
                f"{format_flag(name)} needs --eval-every N: without it nobody looks at the dev split"
            )


def check_combination(values: Mapping[str, Any]) -> None:
    """Refuse settings that contradict each other."""
    if values["eval_every"] is not None and values["train_split"] == "dev":
        raise UserError("--eval-every watches the dev split; it is the training split here")
    shortest = values.get("min_new_tokens", 0)
    if shortest > values["max_new_tokens"]:
        raise UserError(
            f"--min-new-tokens {shortest} with --max-new-tokens {values['max_new_tokens']}: no output could "
            f"end before it is cut; expected --max-new-tokens {shortest} or more"
        )


def check_draws(values: Mapping[str, Any]) -> None:
    """Refuse draws that contradict each other, or that nothing would look at."""
    share = values["train_share"]
    if share is not None and values["train_subset"] is not None:
        raise UserError(
            "--train-subset and --train-share both say how much to train on; expected one of them"
        )
    if share is not None and not 0 < share <= 1:
        raise UserError(f"--train-share {share:g}: expected a share above 0 and up to 1, as 0.1 for 10 %")
    if values["dev_subset"] is not None and values["dev_limit"] is not None:
        raise UserError("--dev-subset draws dev rows and --dev-limit takes the first; expected one of them")
    if values["data_seed"] is not None and all(values[name] is None for name in DRAWS):
        flags = ", ".join(format_flag(name) for name in DRAWS)
        raise UserError(
            f"--data-seed {values['data_seed']}: nothing is drawn; expected one of {flags} with it"
        )
