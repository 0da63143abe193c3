"""What readers of a record rely on, checked in one place, where records are read.

A record is written once and read for years, by other versions and after other programs and people touched
it. Reports, plans and lists take its fields as they are; what they take is listed here, so that an odd record
is left out with its reason (``bench.store.run_dir.Damage``) and never stops the reading of all the others. Fields
that nobody computes with may be anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from typing import Any

FORMAT = 1  # of a record; raised when a field changes its meaning
STATUSES = ("done", "failed", "cancelled")

Check = Callable[[Any], str | None]
"""What is wrong with a value: `` is null, expected text``, `` has no origin``, `` `` after its name; else None."""
LARGEST = 1e18
"""No time, size, count or score comes near it, and its square is still a number."""


def problem(record: object, run_id: str) -> str | None:
    """Why ``record`` cannot be taken for one of an attempt at the run ``run_id``; None if it can."""
    if not isinstance(record, dict):
        return "not a record: expected one JSON object"
    written: Any = record.get("format")
    if is_whole(written) and written > FORMAT:
        return f"written by a newer version: format {written}, this one reads up to {FORMAT}"
    if not is_whole(written) or written < 1:
        return f"not a record: its format is {shown(written)}, expected a whole number from 1 to {FORMAT}"
    status = record.get("status")
    if status not in STATUSES:
        return f"not a record: its status is {shown(status)}, expected one of {', '.join(STATUSES)}"
    if record.get("run_id") != run_id:
        return f"its run_id is {shown(record.get('run_id'))}, and its folder's name is {run_id}"
    wrong = BY_STATUS[status](record)
    return None if wrong is None else f"it{wrong}" if wrong.startswith(" has no ") else f"its {wrong[1:]}"


# --- single values


def shown(value: object) -> str:
    """A value as the file has it, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"


def is_whole(value: object) -> bool:
    """Whether it is a whole number; JSON's ``true`` is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def is_plain(value: object) -> bool:
    """Whether it can be the value of a setting: text, a number, yes or no, or nothing."""
    return value is None or isinstance(value, str | bool) or is_number(value)


def is_name(value: object) -> bool:
    """Whether it is text that can be printed: half a character, which JSON can spell, cannot."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def value_of(words: str, fits: Callable[[Any], bool]) -> Check:
    return lambda value: None if fits(value) else f" is {shown(value)}, expected {words}"


NAME = value_of("text", is_name)
TEXT = value_of("text", lambda value: isinstance(value, str))
NUMBER = value_of(f"a number below {LARGEST:g}", is_number)
WHOLE = value_of("a whole number", is_whole)
COUNT = value_of("a whole number from 1", lambda value: is_whole(value) and value > 0)
PLAIN = value_of("text, a number, true, false or null", is_plain)


# --- mappings and lists


def or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def fields(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """A mapping that has the ``required`` fields; the ``optional`` ones fit where they are there."""
    checks = [(name, check, True) for name, check in required.items()]
    checks += [(name, check, False) for name, check in (optional or {}).items()]

    def check_all(value: Any) -> str | None:
        if not isinstance(value, dict):
            return f" is {shown(value)}, expected fields with values"
        for name, check, needed in checks:
            if name in value:
                if (wrong := check(value[name])) is not None:
                    return inside(name, wrong)
            elif needed:
                return f" has no {name}"
        return None

    return check_all


def each(check: Check, known: Mapping[str, Check] | None = None) -> Check:
    """A mapping from any names; ``known``: names with a check of their own."""

    def check_all(value: Any) -> str | None:
        if not isinstance(value, dict):
            return f" is {shown(value)}, expected names with values"
        for name, one in value.items():
            if not is_name(name):
                return f" has the name {shown(name)}, expected text"
            if (wrong := (known or {}).get(name, check)(one)) is not None:
                return inside(name, wrong)
        return None

    return check_all


def list_of(check: Check) -> Check:
    def check_all(value: Any) -> str | None:
        if not isinstance(value, list):
            return f" is {shown(value)}, expected a list"
        found = (inside(str(number), wrong) for number, one in enumerate(value) if (wrong := check(one)))
        return next(found, None)

    return check_all


def inside(name: str, wrong: str) -> str:
    """`` is null, expected text`` of the field ``name`` -> `` name is null, ...``, `` name.inner is null, ...``."""
    return f" {name}{wrong}" if wrong.startswith((" is ", " has ")) else f" {name}.{wrong[1:]}"


# --- the fields

MAYBE_TEXT, MAYBE_NUMBER = or_none(TEXT), or_none(NUMBER)


def set_to(value: Check) -> Check:
    """An option or setting: its value and where that comes from."""
    return fields({"value": value, "origin": TEXT})


OPTIONS = each(set_to(PLAIN))
SETTINGS = each(set_to(PLAIN), {"batch_size": set_to(COUNT), "data_seed": set_to(or_none(WHOLE))})
SCORE = fields({"value": MAYBE_NUMBER}, dict.fromkeys(("signature", "reason", "gate"), MAYBE_TEXT))
GROUPS = each(each(SCORE))
ERROR = fields({}, {"kind": MAYBE_TEXT, "message": MAYBE_TEXT})
TRAINING = fields(
    {"updates": NUMBER, "rows": NUMBER, "seconds": NUMBER}, {"processes": NUMBER, "taken_from": MAYBE_TEXT}
)
DECODING = fields({"items": NUMBER, "seconds": NUMBER}, {"seconds_per_item": NUMBER})
PARAMETERS = fields({"trained": NUMBER, "stored": NUMBER, "backbone": NUMBER})
HARDWARE = fields({}, {"accelerators": list_of(fields({}, {"memory_bytes": MAYBE_NUMBER}))})
SECONDS = each(NUMBER)

ALWAYS: Mapping[str, Check] = {
    "attempt": COUNT,
    "recorded": TEXT,
    **dict.fromkeys(("task", "method", "model", "scale", "protocol", "ended"), NAME),
    "seed": WHOLE,
    "options": OPTIONS,
    "settings": SETTINGS,
}
WHERE_THERE: Mapping[str, Check] = {
    "started": MAYBE_TEXT,
    "not_comparable": or_none(list_of(TEXT)),
    "hardware": HARDWARE,
    "peak_memory_bytes": each(MAYBE_NUMBER),
    "code": or_none(each(lambda _: None)),
    "job": or_none(each(lambda _: None)),
    "error": or_none(ERROR),
    "seconds": SECONDS,
    "scores": GROUPS,
    "training": or_none(TRAINING),
    "decoding": or_none(DECODING),
    "parameters": or_none(PARAMETERS),
}


def without(names: Container[str]) -> Mapping[str, Check]:
    return {name: check for name, check in WHERE_THERE.items() if name not in names}


DONE: Mapping[str, Check] = {
    "scores": lambda value: GROUPS(value) or (None if "all" in value else " has no all"),
    "training": or_none(TRAINING),
    "parameters": PARAMETERS,
    "decoding": DECODING,
    "seconds": SECONDS,
}
"""What `bench run`, `bench score` and `bench check` take from a finished run."""
BY_STATUS: Mapping[str, Check] = {
    "done": fields({**ALWAYS, **DONE}, without(DONE)),
    "failed": fields({**ALWAYS, "error": ERROR}, without(("error",))),
    "cancelled": fields(ALWAYS, WHERE_THERE),
}
