"""E2E: meaning representations, the two tokenisations, grouping."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import DataError
from bench.task import Item, Row
from tasks._e2e_text import tokenise
from tasks.e2e import E2E, linearise, parse_mr

TASK = E2E()

words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="[],"),
    min_size=1,
    max_size=20,
).filter(lambda text: text.split() != [])
facts_of = st.lists(st.tuples(words.map(str.strip), words), min_size=1, max_size=8)


def write(folder: Path, name: str, rows: list[tuple[str, str]]) -> None:
    with (folder / name).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("mr", "ref"), *rows])


@pytest.mark.parametrize(
    ("text", "valid", "test"),
    [
        ("Plain words", "Plain words ", "Plain words "),
        ("It is near, by the river.", "It is near , by the river . ", None),
        ("A family-friendly pub.", "A family - friendly pub . ", None),
        ("Good (very); cheap: yes!", "Good ( very ) ; cheap : yes ! ", None),
        ('The "Moon & Star" / bar?', 'The " Moon & Star " / bar ? ', None),
        ("It isn't far.", "It isn 't far . ", "It is n't far . "),
        ("Don't. They've gone, it's late.", "Don 't . They 've gone , it 's late . ",
         "Do n't . They 've gone , it 's late . "),
        ("We're here; you'll see.", "We 're here ; you 'll see . ", None),
        ("The guests' view", "The guests ' view ", None),
        ("The place 'Moon' is near.", "The place ' Moon ' is near . ", None),
        ("hors d'oeuvre", "hors d'oeuvre ", None),
        ("From £20-25 up", "From £ 20 - 25 up ", None),
        ("From £20-£25 up", "From £ 20- £ 25 up ", "From £ 20-£25 up "),
        ("For 20£ now", "For 20 £ now ", "For 20£ now "),
        ("For $20 now", "For $20 now ", "For $ 20 now "),
        ("A 5-star pub", "A 5 - star pub ", "A 5-star pub "),
        ("A one-star pub - cheap", "A one - star pub - cheap ", None),
        ("Costs £3.50.", "Costs £ 3.50 . ", None),
        ("Well...", "Well ... ", None),
        ("Well...but cheap", "Well ... but cheap ", None),
        ("Two  blanks\r\n and a break", "Two blanks and a break ", None),
        ("A pub thats near", "A pub thats near ", "A pub that s near "),
    ],
)  # fmt: skip
def test_tokenise(text: str, valid: str, test: str | None) -> None:
    assert tokenise(text, "train") == tokenise(text, "dev") == valid
    assert tokenise(text, "test") == (test or valid)


@given(st.text(max_size=60), st.sampled_from(["train", "dev", "test"]))
def test_tokenise_only_moves_blanks(text: str, split: str) -> None:
    result = tokenise(text, split)
    assert "".join(result.split()) == "".join(text.split())
    assert result.endswith(" ")
    assert "  " not in result.rstrip(" ") and "\n" not in result


def test_linearise() -> None:
    facts = parse_mr(
        "name[The Ox], eatType[pub], priceRange[£20-25], customer rating[5 out of 5], "
        "familyFriendly[no], area[riverside], food[Fish], near[An Inn]",
        "here",
    )
    assert linearise(facts, "dev", "original") == (
        "name : The Ox | Type : pub | price : £ 20 - 25 | customer rating : 5 out of 5 | "
        "family friendly : no | area : riverside | food : Fish | near : An Inn"
    )
    assert "price : £20-25 |" in linearise(facts, "dev", "plain")


@pytest.mark.parametrize(
    "record",
    ["", "  ", "name", "name[", "name[]", "[x]", "name[a] food[b]", "name[a], ", "name[a], food", "a[b[c]]",
     "name[ ]", ",name[a]", "name[a]]"],
)  # fmt: skip
def test_bad_records(record: str) -> None:
    with pytest.raises(DataError, match=r"^f.csv, line 2: .* expected fields like name\[The Ox\]"):
        parse_mr(record, "f.csv, line 2")


@given(facts_of)
def test_records_round_trip(facts: list[tuple[str, str]]) -> None:
    record = ", ".join(f"{key}[{value}]" for key, value in facts)
    assert parse_mr(record, "here") == tuple((k.strip(), " ".join(v.split())) for k, v in facts)
    for split in TASK.files:
        assert linearise(parse_mr(record, "here"), split, "original").count(" : ") >= len(facts)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(
    str.strip
)


@given(st.lists(st.tuples(facts_of, texts), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_files_round_trip(tmp_path: Path, made: list[tuple[list[tuple[str, str]], str]]) -> None:
    rows = [(", ".join(f"{k}[{v}]" for k, v in facts), text) for facts, text in made]
    write(tmp_path, "devset.csv", rows)
    read = TASK.rows("dev", tmp_path, "plain")
    assert [row.target for row in read] == [" ".join(text.split()) for _, text in made]
    items = TASK.items("dev", tmp_path, "original")
    assert sum(len(item.references) for item in items) == len(rows)
    assert len({item.facts for item in items}) == len(items)


def test_rows_and_items(tmp_path: Path) -> None:
    ox, elk = "name[The Ox], area[riverside]", "name[The Elk]"
    write(tmp_path, "testset_w_refs.csv", [(ox, "It's wet."), (elk, "Dry"), (ox, "Isn't dry.  ")])
    assert TASK.rows("test", tmp_path, "original") == [
        Row("name : The Ox | area : riverside", "It 's wet . "),
        Row("name : The Elk", "Dry "),
        Row("name : The Ox | area : riverside", "Is n't dry . "),
    ]
    facts = (("name", "The Ox"), ("area", "riverside"))
    assert TASK.items("test", tmp_path, "original") == [
        Item("test-1", "name : The Ox | area : riverside", ("It 's wet .", "Is n't dry ."), facts=facts),
        Item("test-2", "name : The Elk", ("Dry",), facts=(("name", "The Elk"),)),
    ]
    assert TASK.items("test", tmp_path, "plain")[0].references == ("It's wet.", "Isn't dry.")
