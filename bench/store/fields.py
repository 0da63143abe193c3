"""Single values of the documents on disk: what each may be, and in which words another one is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import Field, PlainValidator, Strict, StringConstraints, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from bench.foreign_text import show_foreign

_NUMBERS = (int, float)
LARGEST = 1e18
"""No time, size, count or score comes near it, and its square is still a number."""


# --- single values


def abbreviate_json(value: object) -> str:
    """A value as the file has it, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"


def is_whole(value: object) -> bool:
    """Whether it is a whole number; JSON's ``true`` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether it is a number that can be computed with: finite, and its square too."""
    return isinstance(value, _NUMBERS) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def is_plain(value: object) -> bool:
    """Whether it can be the value of a setting: text, any number that a float can hold, yes or no, or nothing."""
    if isinstance(value, _NUMBERS):
        return isinstance(value, bool) or -sys.float_info.max <= value <= sys.float_info.max
    return value is None or isinstance(value, str)


def require_value(expected: str, fits: Callable[[Any], bool], json_type: Any) -> PlainValidator:
    """A validator that takes what ``fits`` as it is; ``expected`` says in words what that is."""

    def validate(value: Any) -> Any:
        if not fits(value):
            raise PydanticCustomError("expected", "{expected}", {"expected": expected})
        return value

    return PlainValidator(validate, json_schema_input_type=json_type)


def allow_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


_NUMBER = f"a number below {LARGEST:g}"
Name = Annotated[str, StringConstraints(strict=True, pattern=""), WithJsonSchema({"type": "string"})]
"""Text that can be printed. A pattern is matched in UTF-8, which half a character, that JSON can spell, is not."""
Text = Annotated[str, Strict()]
MaybeText = Text | None
Number = Annotated[float, require_value(_NUMBER, is_number, float)]
MaybeNumber = Annotated[float | None, require_value(_NUMBER, allow_none(is_number), float | None)]
Whole = Annotated[int, require_value("a whole number", is_whole, int)]
Count = Annotated[
    int, require_value("a whole number from 1", lambda value: is_whole(value) and value > 0, int), Field(ge=1)
]
PlainValue = Annotated[
    Any, require_value("text, a number, true, false or null", is_plain, str | float | bool | None)
]
# --- what is wrong, in words


EXPECTATIONS: Mapping[str, str] = {
    "dict_type": "names with values",
    "model_type": "fields with values",
    "model_attributes_type": "fields with values",
    "list_type": "a list",
    "string_type": "text",
    "string_unicode": "text",
}
"""pydantic's kinds of errors -> what was expected, in our words."""


def describe_problem(error: ErrorDetails) -> str:
    """``its scores.all.bleu is 55.0, expected fields with values`` of pydantic's account of an error."""
    context = error.get("ctx") or {}
    place = [str(part) for part in context.get("loc") or error["loc"]]
    value = context.get("input", error["input"])
    if error["type"] in ("missing", "lacks"):
        name = context.get("name") or place.pop()
        return f"{_describe_place(place)} has no {show_foreign(name)}"
    if place and place[-1] == "[key]":
        name = show_foreign(json.dumps(value))
        return f"{_describe_place(place[:-2])} has the name {name}, expected text"
    expected = context.get("expected") if error["type"] == "expected" else None
    expected = expected or EXPECTATIONS.get(error["type"]) or error["msg"]
    return f"{_describe_place(place)} is {abbreviate_json(value)}, expected {expected}"


def _describe_place(place: list[str]) -> str:
    return f"its {show_foreign('.'.join(place))}" if place else "it"
