"""Which facts an output leaves out, and which of its words no fact has."""

from __future__ import annotations

import pytest

from reports.records.fact_check import check_facts

CAFE = [
    ["name", "Café Vasport"],
    ["eatType", "coffee shop"],
    ["food", "Italian"],
    ["priceRange", "£20-25"],
    ["customer rating", "low"],
    ["area", "city centre"],
    ["familyFriendly", "no"],
    ["near", "The Elmirhaven"],
]
WHOLE = (
    "Cafe Vasport is a coffee shop with Italian food for £ 20-25 in the city center near The Elmirhaven. "
    "It has a low customer rating and is not family friendly."
)


@pytest.mark.parametrize(
    ("output", "missing", "false"),
    [
        (WHOLE, (), ()),
        (WHOLE.replace("Italian", "French"), ("food: Italian",), ("french",)),
        (WHOLE.replace("not family", "family"), ("familyFriendly: no",), ("family friendly",)),
        (WHOLE.replace("low customer", "5 out of 5 customer"), ("customer rating: low",), ("5 out of 5",)),
        ("", tuple(f"{name}: {value}" for name, value in CAFE), ()),
    ],
)
def test_records(output: str, missing: tuple[str, ...], false: tuple[str, ...]) -> None:
    assert check_facts(CAFE, [], output) == (missing, false)


def test_an_attribute_that_the_record_lacks_is_false_where_it_is_said() -> None:
    assert check_facts([["name", "Blue"]], [], "Blue, by the riverside, is child friendly.") == (
        (),
        ("riverside", "child friendly"),
    )


BOTH = ("A.C. Cesena | manager | Massimo Drago", "Massimo Drago | birthYear | 1971")
TRIPLES = [["A.C._Cesena", "manager", "Massimo_Drago"], ["Massimo_Drago", "birthYear", "1971"]]


@pytest.mark.parametrize(
    ("output", "missing", "false"),
    [
        ("Massimo Drago, born in 1971, manages A.C. Cesena.", (), ()),
        ("A.C. Cesena has a manager.", BOTH, ()),
        ("Drago (1972) is in Serie B.", ("Massimo Drago | birthYear | 1971",), ("1972", "Serie", "B")),
    ],
)  # fmt: skip
def test_triples(output: str, missing: tuple[str, ...], false: tuple[str, ...]) -> None:
    assert check_facts(TRIPLES, [], output) == (missing, false)


def test_what_the_references_have_is_known() -> None:
    assert check_facts(TRIPLES, ["Drago of Italy, 1971"], "Drago, 1971, is Italian.")[1] == ()


def test_summaries_have_no_facts() -> None:
    assert check_facts([], ["a"], "anything 7") == ((), ())
