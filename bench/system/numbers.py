"""Numbers as people type them and as files have them: digits and nothing that Python takes besides.

``int()`` and ``float()`` also read ``1_000``, ``" 5"``, digits of other scripts, ``True`` and (``float``) ``inf``
and ``nan``, and ``int(5.9)`` is 5: a slip of the keyboard would become another run. Here they are no numbers.
"""

from __future__ import annotations

import math
import re

WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
REAL = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,6})?")


MANY = 1_000_000_000
"""Rows, lines, updates: more than any file or training here can have."""


def parse_whole_number(given: object) -> int:
    """``given`` (text in ASCII digits, or an int) as an int; ``ValueError`` for everything else.

    >>> parse_whole_number("-12"), parse_whole_number(3)
    (-12, 3)
    """
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    if isinstance(given, float) and given.is_integer() and abs(given) < 2**53:
        return int(given)
    if isinstance(given, str) and WHOLE.fullmatch(given):
        return int(given)
    raise ValueError("not a whole number")


def parse_real_number(given: object) -> float:
    """``given`` (text in ASCII digits, an int or a float) as a finite float; ``ValueError`` for everything else.

    >>> parse_real_number("5e-5"), parse_real_number(2)
    (5e-05, 2.0)
    """
    if isinstance(given, str):
        if not REAL.fullmatch(given):
            raise ValueError("not a number")
        value = float(given)
    elif isinstance(given, int | float) and not isinstance(given, bool):
        try:
            value = float(given)
        except OverflowError:
            raise ValueError("too large a number") from None
    else:
        raise ValueError("not a number")
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def describe_kind(kind: type) -> str:
    """A type as one says it to whoever types values."""
    return {int: "a whole number", float: "a number", str: "text", bool: "yes or no"}.get(kind, kind.__name__)


def describe_range(minimum: float | None, maximum: float | None) -> str:
    """What a number may be, for messages: ``at least 1``, ``from 1 to 65,536``; empty where anything goes."""
    if minimum is not None and maximum is not None:
        return f"from {format_bound(minimum)} to {format_bound(maximum)}"
    if minimum is not None:
        return f"at least {format_bound(minimum)}"
    return "" if maximum is None else f"at most {format_bound(maximum)}"


def format_bound(bound: float) -> str:
    """A bound as one reads it: whole numbers in groups of three digits.

    >>> format_bound(65536), format_bound(1e-12), format_bound(0.5)
    ('65,536', '1e-12', '0.5')
    """
    return f"{int(bound):,}" if float(bound).is_integer() else f"{bound:g}"


def is_in_range(value: float, minimum: float | None, maximum: float | None) -> bool:
    """Whether a number lies between two bounds, both included; None: no bound on that side."""
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)
