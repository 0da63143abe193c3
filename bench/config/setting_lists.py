"""Lists that were typed: ``--lr 1e-5,5e-5`` stands for a run of each, as ``--seed 1,2`` does.

Every setting that makes another run takes a list; of how the work is done there is a single value. A comma ends
an element, and ``\\,`` is a comma inside of one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from bench.config.settings import DEFINITIONS_BY_NAME, SettingDefinition, format_flag
from bench.errors import UnknownNameError, UserError

T = TypeVar("T")
SEPARATOR = re.compile(r"(?<!\\),")


def split_elements(text: str) -> list[str]:
    """The elements of a typed list, without blanks around them; ``\\,`` is a comma that separates nothing."""
    return [element.strip().replace("\\,", ",") for element in SEPARATOR.split(text)]


def parse_elements(flag: str, text: str, parse: Callable[[str], T], example: str) -> list[T]:
    """Every element of ``text`` by ``parse``, each value once, in their order.

    ``flag`` and ``example`` are for messages. Raises ``UserError`` for an empty element, naming its place.
    """
    elements = split_elements(text)
    for place, element in enumerate(elements, 1):
        if not element:
            raise UserError(
                f"{flag} {text}: element {place} of {len(elements)} is empty; "
                f"expected values separated by single commas, as in {example}"
            )
    return list(dict.fromkeys(parse(element) for element in elements))


def parse_setting_values(definition: SettingDefinition, typed: object) -> list[Any]:
    """The values of a setting that were typed, one or several, each once.

    Raises ``UserError`` naming the element that is none, and for several where a run can only have one.
    """
    if not isinstance(typed, str) or not SEPARATOR.search(typed):
        text = typed.replace("\\,", ",") if isinstance(typed, str) else typed
        return [definition.parse(text)]
    flag = format_flag(definition.name)
    if not definition.identity:
        raise UserError(
            f"{flag} {typed}: expected a single value ({definition.help}); lists are for settings that make "
            "another run"
        )

    def parse(element: str) -> Any:
        try:
            return definition.parse(element)
        except UnknownNameError:
            raise
        except UserError as error:
            raise UserError(f"{error}, in the list {typed}") from None

    return parse_elements(flag, typed, parse, f"{flag} {_give_example(definition)}")


def _give_example(definition: SettingDefinition) -> str:
    if definition.choices:
        return ",".join(definition.choices[:2])
    return {int: "1,2", float: "1e-5,5e-5", bool: "yes,no"}.get(definition.kind, "a,b")


def expand_typed_settings(typed: Mapping[str, object]) -> list[dict[str, Any]]:
    """The product of the lists among ``typed``: in each dictionary every setting has one value, parsed.

    Raises ``UserError`` for an unknown setting or a bad element, before anything is looked for.
    """
    values: dict[str, list[Any]] = {}
    for name, text in typed.items():
        if name not in DEFINITIONS_BY_NAME:
            raise UnknownNameError("setting", name, DEFINITIONS_BY_NAME, "bench run --help")
        values[name] = parse_setting_values(DEFINITIONS_BY_NAME[name], text)
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def list_varied_settings(combinations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The settings with more than one value in a product."""
    names = combinations[0] if combinations else ()
    return tuple(
        name for name in names if any(chosen[name] != combinations[0][name] for chosen in combinations)
    )
