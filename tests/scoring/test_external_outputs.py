"""Reading outputs from elsewhere: what is accepted, and what each kind of damage says."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import DataError, UserError
from bench.scoring.external_outputs import read_lines, read_pairs, read_predictions

GROUPS = ("all", "seen", "unseen")


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_pairs_with_groups_from_seen_or_category(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.jsonl",
        {"hyp": "a", "refs": ["b", "c"], "seen": False},
        {"hyp": "", "refs": [], "category": "City"},
        {"hyp": "a", "refs": [""]},
    )
    items, outputs = read_pairs(path, "webnlg", GROUPS)
    assert outputs == ["a", "", "a"]
    assert [item.groups for item in items] == [("all", "unseen"), ("all", "seen"), ("all",)]
    assert items[0].references == ("b", "c")
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_pairs(packed, "webnlg", GROUPS) == (items, outputs)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([], "line 1: expected an object like"),
        ({"refs": []}, '"hyp" must be a text'),
        ({"hyp": 3, "refs": []}, '"hyp" must be a text'),
        ({"hyp": "a", "refs": "b"}, '"refs" must be a list'),
        ({"hyp": "a", "refs": [1]}, '"refs" must be a list'),
        ({"hyp": "a", "refs": ["b"], "seen": "yes"}, '"seen" must be true or false'),
        ({"hyp": "a", "refs": ["b"], "category": "Citty"}, "unknown category 'Citty'; did you mean 'City'"),
    ],
)
def test_a_wrong_row_names_its_line(row: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_pairs(write(tmp_path / "p.jsonl", row), "webnlg", GROUPS)


def test_damaged_files_say_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    with pytest.raises(DataError, match="no such file"):
        read_pairs(path, "e2e", ("all",))
    path.write_bytes(b"\n \n")
    with pytest.raises(DataError, match="is empty"):
        read_pairs(path, "e2e", ("all",))
    path.write_bytes(b'{"hyp": "\xff", "refs": []}\n')
    with pytest.raises(DataError, match="line 1"):
        read_pairs(path, "e2e", ("all",))
    broken = tmp_path / "p.jsonl.gz"
    broken.write_bytes(gzip.compress(b"x" * 1000)[:-9])
    with pytest.raises(DataError, match="not a whole gzip file"):
        read_pairs(broken, "e2e", ("all",))


def test_lines_end_with_lf_or_crlf_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes("\ufeffone\r\ntwo\u2028still two\x0b\r\n\r\nfour".encode())
    assert read_lines(path) == ["one", "two\u2028still two\x0b", "", "four"]


def test_a_wrong_number_of_lines_says_both(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("a\nb\n")
    assert read_predictions(path, 2, "e2e test") == ["a", "b"]
    with pytest.raises(UserError, match="2 lines and e2e test has 1,862 items"):
        read_predictions(path, 1862, "e2e test")


def test_text_that_is_not_utf8_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes("fine\ncaf\xe9\n".encode("latin1"))
    with pytest.raises(DataError, match=r"line 2: byte 4 .* is not UTF-8"):
        read_lines(path)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))))
def test_what_is_written_is_read(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "out.txt"
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    expected = [line.removeprefix("\ufeff") if index == 0 else line for index, line in enumerate(lines)]
    assert read_lines(path) == expected


def test_a_name_given_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"hyp": "a", "refs": []}\n{"hyp": "a", "refs": [], "hyp": "b"}\n')
    with pytest.raises(DataError, match=r'p\.jsonl, line 2 .*"hyp" is given twice in one object'):
        read_pairs(path, "e2e", ("all",))


def test_seen_and_category_must_agree(tmp_path: Path) -> None:
    row = {"hyp": "a", "refs": ["b"]}
    agreeing = [
        {**row, "seen": True, "category": "City"},
        {**row, "seen": False, "category": "Artist"},
        {**row, "seen": False, "category": "A category of one's own"},
    ]
    items, _ = read_pairs(write(tmp_path / "p.jsonl", *agreeing), "webnlg", GROUPS)
    assert [item.groups[1] for item in items] == ["seen", "unseen", "unseen"]
    path = write(tmp_path / "p.jsonl", *agreeing, {**row, "seen": False, "category": "City"})
    with pytest.raises(DataError, match=r"line 4: \"seen\" is false and category 'City' is seen"):
        read_pairs(path, "webnlg", GROUPS)


def test_lines_that_count_in_no_group_are_counted_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"hyp": "a", "refs": ["b"]}
    read_pairs(write(tmp_path / "p.jsonl", row, {**row, "seen": True}, row), "webnlg", GROUPS)
    said = capsys.readouterr().err
    assert said.count("warning") == 1
    assert f'2 of 3 lines of {tmp_path / "p.jsonl"} have neither "seen" nor "category"' in said
    read_pairs(write(tmp_path / "p.jsonl", row, row), "webnlg", GROUPS)  # nobody wants groups here
    read_pairs(write(tmp_path / "p.jsonl", row, {**row, "seen": True}), "e2e", ("all",))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input is empty"),
        (b'{"hyp": 1}\n', 'standard input, line 1: "hyp" must be a text'),
        (b"\x1f\x8b\x08\x00", "standard input is gzip; expected plain text"),
        (None, "standard input is closed"),
    ],
)
def test_standard_input_is_called_by_its_name(
    content: bytes | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = None if content is None else io.TextIOWrapper(io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(DataError, match=message):
        read_pairs(Path("-"), "e2e", ("all",))


def test_predictions_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\r\n\xff\n")))
    with pytest.raises(DataError, match=r"standard input, line 2: byte 1 .* is not UTF-8"):
        read_lines(Path("-"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\n")))
    with pytest.raises(UserError, match="standard input has 2 lines"):
        read_predictions(Path("-"), 3, "e2e test")
