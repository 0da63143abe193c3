"""Options and arguments of every verb: what no parameter takes is refused here, before the verb begins.

A text that is empty is the usual trace of an unset shell variable, ``--runs "$RUNS"``; taken as it is, it would mean
this directory or everything. Use ``add_option`` and ``add_argument`` in place of click's: a test asks for it.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from bench.errors import UserError
from bench.foreign_text import quote_foreign, show_foreign
from bench.system.numbers import describe_range, is_in_range, parse_real_number, parse_whole_number

N = TypeVar("N", int, float)

PLACES = ("BENCH_RUNS", "BENCH_DATA", "BENCH_MODELS", "BENCH_CACHE", "BENCH_SITE")
"""Environment variables that name a file or folder."""


class CheckedParameter(click.Parameter):
    """A parameter whose texts are checked as they were typed, before they are converted."""

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """As click's; raises ``UserError`` for a text that no parameter takes."""
        value, source = super().consume_value(ctx, opts)
        if ctx.resilient_parsing:
            return value, source
        check_environment(os.environ)  # here, so that --help comes first
        if source is not ParameterSource.DEFAULT:
            label = self.opts[0] if isinstance(self, click.Option) else self.human_readable_name.strip("[].")
            for text in (
                [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
            ):
                check_text(label, text)
                if isinstance(self.type, click.Path):
                    check_path_text(label, text)
        return value, source


class CheckedOption(CheckedParameter, click.Option):
    """An option of ours."""


class CheckedArgument(CheckedParameter, click.Argument):
    """An argument of ours."""


add_option = functools.partial(click.option, cls=CheckedOption)
add_argument = functools.partial(click.argument, cls=CheckedArgument)


def check_text(label: str, text: object) -> None:
    """Refuse an empty text, a NUL, and bytes that are no UTF-8."""
    if not isinstance(text, str):
        return
    if not text.strip():
        raise UserError(f"{label} was given empty ({quote_foreign(text)}); is a shell variable unset?")
    if "\0" in text:
        raise UserError(f"{label} {quote_foreign(text)}: has a NUL character; expected text without")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{label} {quote_foreign(text)}: is not UTF-8; expected a name in UTF-8") from None


def check_path_text(label: str, text: str) -> None:
    """Refuse what cannot be meant as a path, or breaks the files that name it."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise UserError(f"{label} {quote_foreign(text)}: has a control character; expected a path without")
    if text.startswith("~") and os.path.expanduser(text) == text:  # noqa: PTH111 - click has the text
        raise UserError(
            f"{label} {quote_foreign(text)}: ~ is a user's home, and no user is called that; "
            "expected the whole path, or ./~… for a file of that name"
        )


def check_environment(environment: Mapping[str, str], names: Iterable[str] = PLACES) -> None:
    """Refuse variables that are set and empty: a script meant a place, and the default would be another."""
    for name in names:
        value = environment.get(name)
        if value is not None:
            if not value.strip():
                raise UserError(f"{name} is set and empty; expected a path, or: unset {name}")
            check_text(name, value)


class WholeNumber(click.IntRange):
    """A whole number in ASCII digits, between two bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ARG002 - click's signature
        return parse_bounded(parse_whole_number, self, param, value, "a whole number")


class RealNumber(click.FloatRange):
    """A finite number in ASCII digits, between two bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ARG002 - click's signature
        return parse_bounded(parse_real_number, self, param, value, "a number")


def parse_bounded(
    parse: Callable[[object], N],
    bounds: click.IntRange | click.FloatRange,
    param: click.Parameter | None,
    value: object,
    expected: str,
) -> N:
    """``value`` parsed, if it is within ``bounds``; a ``UserError`` names the option and what was ``expected``."""
    with contextlib.suppress(ValueError):
        number = parse(value)
        if is_in_range(number, bounds.min, bounds.max):
            return number
    flag = param.opts[0] if param is not None else "a number"
    limits = describe_range(bounds.min, bounds.max)
    raise UserError(f"{flag} {show_foreign(value)}: expected {expected} {limits}".rstrip())
