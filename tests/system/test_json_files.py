"""What is written as JSON is read as it was; damage is told with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import DataError
from bench.system import files, json_files

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


# A loaded machine is no failure; each example flushes to the disk.
quick = settings(max_examples=40, deadline=None)


@quick
@given(value=JSON)
def test_json_comes_back_as_it_was_written(tmp_path_factory: Any, value: Any) -> None:
    path = tmp_path_factory.mktemp("json") / "deep" / "er" / "x.json"
    json_files.write_json_atomic(path, value)
    assert json_files.read_json(path) == value
    assert path.read_bytes().endswith(b"\n")
    assert [file.name for file in path.parent.iterdir()] == ["x.json"]  # no temporary is left


@quick
@given(rows=st.lists(JSON, max_size=6))
def test_json_lines_come_back_as_they_were_written(tmp_path_factory: Any, rows: list[Any]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    assert json_files.write_jsonl_atomic(path, rows) == len(rows)
    assert json_files.read_jsonl(path) == rows


@quick
@given(value=st.dictionaries(st.text(), JSON, max_size=5))
def test_canonical_json_does_not_depend_on_order(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert json_files.to_canonical_json(value) == json_files.to_canonical_json(backwards)
    assert json.loads(json_files.to_canonical_json(value)) == value


def test_canonical_json_is_pinned() -> None:
    # What names runs must not move with a Python version.
    assert json_files.to_canonical_json({"b": [1, 1.5, None], "a": "é"}) == r'{"a":"\u00e9","b":[1,1.5,null]}'
    assert files.sha256_text("é") == ("4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c")


def test_order_is_kept_and_text_is_readable(tmp_path: Path) -> None:
    json_files.write_json_atomic(tmp_path / "x.json", {"b": "Zürich", "a": 1})
    assert (tmp_path / "x.json").read_text("utf-8") == '{\n  "b": "Zürich",\n  "a": 1\n}\n'


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"scores": {"bleu": [1.0, float("nan")]}}, r"nan at scores\.bleu\[1\]"),
        (float("inf"), "inf at the top"),
    ],
)
def test_numbers_that_json_lacks_are_refused_by_place(tmp_path: Path, value: Any, place: str) -> None:
    for write in (json_files.write_json_atomic, lambda _, v: json_files.to_canonical_json(v)):
        with pytest.raises(ValueError, match=place):
            write(tmp_path / "x.json", value)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_not_text_are_refused() -> None:
    with pytest.raises(TypeError, match="name 1 at steps"):
        json_files.to_canonical_json({"steps": {1: "a"}})


def test_half_a_surrogate_pair_can_be_written(tmp_path: Path) -> None:
    # An error message can hold an undecodable file name; it must not cost us the record.
    json_files.write_json_atomic(tmp_path / "x.json", {"error": "no file \udcff", "ü": 1})
    assert json_files.read_json(tmp_path / "x.json") == {"error": "no file \udcff", "ü": 1}
    assert json_files.to_canonical_json("\udcff") == r'"\udcff"'


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": NaN}', b"\xff\xfe\x00", b"[" * 100_000])
def test_damage_is_told_with_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"scores\.json"):
        json_files.read_json(path)


def test_missing_and_unreadable_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json is missing"):
        json_files.read_json(tmp_path / "nothing.json")
    with pytest.raises(DataError, match="cannot be read"):
        json_files.read_json(tmp_path)


def test_damaged_line_is_told_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(DataError, match="line 2"):
        json_files.read_jsonl(path)
    path.write_text('{"a": 1}\n{"a": 2}')
    with pytest.raises(DataError, match="middle of line 2"):
        json_files.read_jsonl(path)


def test_separators_inside_text_do_not_end_a_line(tmp_path: Path) -> None:
    rows = [{"text": "a\u2028b\x85c\x1ed\re\n"}]
    json_files.write_jsonl_atomic(tmp_path / "x.jsonl", rows)
    assert json_files.read_jsonl(tmp_path / "x.jsonl") == rows
