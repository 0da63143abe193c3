"""DART: JSON and XML entries, lower-cased relations, blank texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import DataError
from bench.task import Item, Row
from tasks.dart import Dart

TASK = Dart()
GOOD = {
    "tripleset": [["[TABLECONTEXT]", "[TITLE]", "Elks"], ["Elks", "HOME_Ground", "The Bog"]],
    "subtree_was_extended": True,
    "annotations": [{"source": "made", "text": "Elks play at The Bog."}, {"text": "At The Bog."}],
}
SOURCE = "[TABLECONTEXT] : [title] : Elks | Elks : home_ground : The Bog"


def write(root: Path, document: Any) -> None:
    (root / "dart-v1.1.1-full-dev.json").write_text(json.dumps(document), encoding="utf-8")


def write_test(root: Path, *texts: str) -> None:
    lex = "".join(f'<lex comment="made" lid="Id{n}">{text}</lex>' for n, text in enumerate(texts))
    (root / "dart-v1.1.1-full-test.xml").write_text(
        '<benchmark><entries><entry category="MISC" eid="Id7" size="2"><modifiedtripleset>'
        "<mtriple>[TABLECONTEXT] | [TITLE] | Elks</mtriple>"
        f"<mtriple>Elks | HOME_Ground | The Bog</mtriple></modifiedtripleset>{lex}</entry>"
        "</entries></benchmark>",
        encoding="utf-8",
    )


@pytest.mark.parametrize("protocol", ["original", "plain"])
def test_rows_and_items(tmp_path: Path, protocol: Any) -> None:
    write(tmp_path, [GOOD, GOOD])
    assert TASK.rows("dev", tmp_path, protocol) == 2 * [
        Row(SOURCE, "Elks play at The Bog."),
        Row(SOURCE, "At The Bog."),
    ]
    item = Item(
        id="Id1",
        source=SOURCE,
        references=("Elks play at The Bog.", "At The Bog."),
        category="made",
        facts=(("[TABLECONTEXT]", "[TITLE]", "Elks"), ("Elks", "HOME_Ground", "The Bog")),
    )
    assert TASK.items("dev", tmp_path, protocol)[0] == item
    write_test(tmp_path, "Elks play at The Bog.", "", "At The Bog.")
    (tested,) = TASK.items("test", tmp_path, protocol)
    assert (tested.id, tested.source, tested.category) == ("Id7", SOURCE, "made")
    assert tested.references == item.references
    assert [row.target for row in TASK.rows("test", tmp_path, protocol)][1] == ""


def test_no_text_at_all(tmp_path: Path) -> None:
    write_test(tmp_path, "", " ")
    with pytest.raises(DataError, match=r"entry 1 \(Id7\): no text; expected at least one"):
        TASK.items("test", tmp_path, "original")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, "expected a list of entries"),
        ([], "expected a list of entries"),
        ([GOOD, "text"], "entry 2: a str; expected {"),
        ([{}], "entry 1: 'tripleset' is missing; expected {"),
        ([{**GOOD, "tripleset": []}], "entry 1: no triples"),
        ([{**GOOD, "tripleset": ["abc"]}], "entry 1: a triple that is not a list of three"),
        ([{**GOOD, "tripleset": [["a", "b"]]}], "entry 1: a triple that is not a list of three"),
        ([{**GOOD, "tripleset": [["a", "b", 3]]}], "a triple's part is of type int; expected text"),
        ([{**GOOD, "annotations": []}], "entry 1: no text"),
        ([{**GOOD, "annotations": [None]}], "entry 1: an annotation of another shape"),
        ([{**GOOD, "annotations": [{"source": "x"}]}], "an annotation's text is missing"),
        ([{**GOOD, "annotations": [{"text": "x", "source": 1}]}], "a source is of type int"),
        ([{**GOOD, "annotations": [{"text": "\ud800"}]}], "half a surrogate pair"),
    ],
)
def test_shapes(tmp_path: Path, document: Any, expected: str) -> None:
    write(tmp_path, document)
    with pytest.raises(DataError) as caught:
        TASK.rows("dev", tmp_path, "original")
    assert expected in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path)) and "\n" not in str(caught.value)


text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
entries = st.lists(
    st.fixed_dictionaries(
        {
            "tripleset": st.lists(st.lists(text, min_size=3, max_size=3), min_size=1, max_size=5),
            "annotations": st.lists(
                st.fixed_dictionaries({"source": text, "text": text.filter(str.strip)}),
                min_size=1,
                max_size=3,
            ),
        }
    ),
    min_size=1,
    max_size=4,
)


@given(entries)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_files_round_trip(tmp_path: Path, made: list[dict[str, Any]]) -> None:
    write(tmp_path, made)
    items = TASK.items("dev", tmp_path, "original")
    assert [list(map(list, item.facts)) for item in items] == [e["tripleset"] for e in made]
    assert [list(i.references) for i in items] == [[a["text"] for a in e["annotations"]] for e in made]
    rows = TASK.rows("dev", tmp_path, "original")
    assert [row.target for row in rows] == [a["text"] for e in made for a in e["annotations"]]
