"""What a typed document says of a file that is not as it should be, as one message."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from bench.errors import DataError
from bench.foreign_text import quote_foreign, show_foreign

EXPECTATIONS = {
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "string_type": "expected a text",
    "list_type": "expected a list",
    "dict_type": "expected a table of names and values",
    "model_type": "expected a table of names and values",
}
"""pydantic's kinds of error in the words of our messages; the other kinds have its own."""


def make_document_error(file: Path, error: ValidationError) -> DataError:
    """The first thing that a document has wrong: its place, what is there, what was expected."""
    faults = error.errors(include_url=False, include_context=False)
    fault = faults[0]
    place = ".".join(str(part) for part in fault["loc"] if not str(part).startswith("function-"))
    message = fault["msg"].removeprefix("Value error, ")
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    message = EXPECTATIONS.get(fault["type"], message)
    if fault["type"] == "missing":
        problem = f"{show_foreign(place)} is missing{more}"
    elif place:
        given = quote_foreign(fault["input"], 60)
        problem = f"{show_foreign(place)} is {given}: {lower_first(message)}{more}"
    else:
        problem = f"{message}{more}"
    return DataError(f"{file}: {problem}", problem)


def lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
