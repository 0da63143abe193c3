"""The settings of a run: one table of names, types, defaults and where each default comes from.

Command-line flags, the specification, `bench plan` and the record are all made from this table. A
value is decided by the last of: this table, the protocol, the method's and the task's own settings,
the command line; the winner's origin is recorded with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError, unknown


@dataclass(frozen=True)
class Setting:
    """A resolved value and where it comes from."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Known:
    """One row of the table. ``identity``: whether changing it makes a different run."""

    name: str
    kind: type
    default: Any
    origin: str
    help: str
    stage: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    optional: bool = False
    identity: bool = True

    def parse(self, given: object) -> Any:
        """``given`` converted and checked; ``UserError`` names the flag and what it expects."""
        flag = "--" + self.name.replace("_", "-")
        if given is None or (self.optional and given == "none"):
            if self.optional:
                return None
            raise UserError(f"{flag}: expected {self.kind.__name__} ({self.help}), got nothing")
        if self.kind is bool:
            if isinstance(given, bool):
                return given
            if str(given).lower() in ("yes", "true", "1", "no", "false", "0"):
                return str(given).lower() in ("yes", "true", "1")
            raise UserError(f"{flag} {given}: expected yes or no ({self.help})")
        try:
            value = self.kind(given)
        except (TypeError, ValueError):
            raise UserError(f"{flag} {given}: expected {self.kind.__name__} ({self.help})") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{flag} {given}: expected a finite number ({self.help})")
        if self.choices and value not in self.choices:
            raise unknown(f"value of {flag}", str(value), self.choices, self.help)
        if self.minimum is not None and value < self.minimum:
            raise UserError(f"{flag} {given}: expected at least {self.minimum:g} ({self.help})")
        return value


def typed(value: object) -> str:
    """A value as one types it on the command line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


DEFAULT, CODE, LIBRARY, OURS = (
    "paper §5.3, default",
    "authors' code",
    "library default",
    "our choice",
)

TABLE = (
    # Training.
    Known("epochs", int, 10, DEFAULT, "passes over the training rows", "train", minimum=0),
    Known("max_steps", int, None, OURS, "stop after this many updates", "train", minimum=0, optional=True),
    Known("batch_size", int, 5, DEFAULT, "examples per update", "train", minimum=1),
    Known("accumulation", int, 1, CODE, "micro-batches per update", "train", minimum=1),
    Known("lr", float, 5e-5, DEFAULT, "peak learning rate", "train", minimum=0.0),
    Known("warmup_steps", int, 0, f"{CODE}: 0 in all full-data runs", "linear warm-up", "train", minimum=0),
    Known("weight_decay", float, 0.0, CODE, "AdamW weight decay", "train", minimum=0.0),
    Known("clip_norm", float, 1.0, CODE, "largest gradient norm", "train", minimum=0.0, optional=True),
    Known("objective", str, "mean", CODE, "mean over the target tokens, or sum per example",
          "train", choices=("mean", "sum")),
    Known("backbone_dropout", bool, True, f"{CODE}: GPT-2's 0.1", "backbone dropout in training", "train"),
    Known("pad_row", bool, True, f"{CODE}: [PAD] is added", "a PAD row in training's softmax", "train"),
    Known("precision", str, "fp32", f"{CODE}: fp32", "arithmetic of forward and backward", "train",
          choices=("fp32", "bf16", "fp16")),
    Known("keep", str, "last", f"{CODE}: the last one", "parameters to keep", "train", choices=("last", "best")),
    Known("eval_every", int, None, OURS, "updates between dev losses", "train",
          minimum=1, optional=True),
    Known("patience", int, None, OURS, "dev losses without improvement before stopping", "train", minimum=1,
          optional=True),
    Known("train_split", str, "train", OURS, "split to train on", "data", choices=("train", "dev", "test")),
    Known("test_split", str, "test", OURS, "split to decode and score", "data", choices=("train", "dev", "test")),
    Known("limit", int, None, OURS, "rows and items to use of each split", "data", minimum=1, optional=True),
    # Decoding.
    Known("beams", int, 5, "paper §5.3", "beam size", "decode", minimum=1),
    Known("max_new_tokens", int, 100, f"{CODE}: prompt + 100", "longest output", "decode", minimum=1),
    Known("length_penalty", float, 1.0, CODE, "exponent of the length normalisation", "decode"),
    # How the work is done; none of it changes what a run is.
    Known("decode_batch", int, 16, OURS, "sources decoded together", "work", minimum=1, identity=False),
    Known("micro_split", int, 1, OURS, "further cuts of each micro-batch, where memory is short", "work", minimum=1,
          identity=False),
    Known("checkpoint_seconds", float, 120.0, OURS, "time between checkpoints", "work", minimum=0.0, identity=False),
    Known("device", str, "auto", OURS, "where to compute: auto, cpu, cuda, mps", "work", identity=False),
)  # fmt: skip
BY_NAME = {known.name: known for known in TABLE}

MINI = {
    "epochs": (4, f"{OURS} for mini"),
    "batch_size": (10, f"{OURS} for mini"),
    "lr": (2e-3, f"{OURS} for mini"),
}
"""What scale ``mini`` decides where the method does not: a few hundred updates of a small model."""
PLAIN = {
    "objective": ("mean", f"protocol plain: {LIBRARY}"),
    "backbone_dropout": (True, f"protocol plain: {LIBRARY}"),
    "pad_row": (False, f"protocol plain: {LIBRARY}"),
}
"""What protocol ``plain`` decides, whatever the method says: today's library defaults."""


def parse_given(given: Mapping[str, object]) -> dict[str, Any]:
    """What was typed, converted and checked by itself, before anything is looked for."""
    for name in given:
        if name not in BY_NAME:
            raise unknown("setting", name, BY_NAME, "bench run --help")
    return {name: BY_NAME[name].parse(value) for name, value in given.items()}


def resolve(
    layers: Iterable[Mapping[str, tuple[object, str]]], protocol: str, given: Mapping[str, object]
) -> dict[str, Setting]:
    """Every setting with its origin. ``layers``: method and task settings, weakest first.

    Raises ``UserError`` for a name that is not in the table, or a bad value.
    """
    resolved = {known.name: Setting(known.default, known.origin) for known in TABLE}
    decided = [*layers]
    if protocol == "plain":
        decided.append(PLAIN)
    for layer in decided:
        for name, (value, origin) in layer.items():
            if name not in BY_NAME:
                raise unknown("setting", name, BY_NAME, "declared by a method or task")
            resolved[name] = Setting(BY_NAME[name].parse(value), origin)
    for name, value in parse_given(given).items():
        resolved[name] = Setting(value, "command line")
    values = {name: setting.value for name, setting in resolved.items()}
    if values["eval_every"] is not None and values["train_split"] == "dev":
        raise UserError("--eval-every watches the dev split; it is the training split here")
    if values["eval_every"] is None and (values["patience"] is not None or values["keep"] == "best"):
        raise UserError("--keep best and --patience need --eval-every N: how often to look at the dev loss")
    return resolved
