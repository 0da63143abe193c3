"""Each fault in a file is one line that names the file, the place and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import DataError
from tasks._read import FIELD_LIMIT, read_csv, read_json, read_text, read_xml
from tasks._triples import read_xml_entries, split_triple

ENTRY = (
    '<entry category="Food" eid="Id1" size="1"><modifiedtripleset>'
    "<mtriple>Pie | country | Kymria</mtriple></modifiedtripleset>"
    '<lex comment="good" lid="Id1">Pie is from Kymria.</lex></entry>'
)
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    "<benchmark><entries>&b;</entries></benchmark>"
)


def benchmark(*entries: str) -> str:
    return f"<benchmark><entries>{''.join(entries)}</entries></benchmark>"


def rows(path: Path) -> list[object]:
    return list(read_csv(path, ("mr", "ref")))


def entries(path: Path) -> list[object]:
    return list(read_xml_entries(path))


READERS: list[Callable[[Path], object]] = [rows, entries, read_json, read_text]


@pytest.mark.parametrize(
    ("read", "content", "expected"),
    [
        (rows, b"", "the file is empty"),
        (rows, b" \r\n\n", "the file is empty"),
        *((read, b"\xef\xbb\xbf" + end, "the file is empty") for read in READERS for end in (b"", b"\r\n")),
        (rows, b"mr,ref\r\n", "no record below the header; expected at least one"),
        (rows, b"\xef\xbb\xbfmr,ref\n\n\n", "no record below the header; expected at least one"),
        (rows, b"mr,ref,mr\na,b,c\n", "line 1: 2 columns named 'mr'; expected one of each name"),
        (rows, b"mr, REF ,ref\na,b,c\n", "line 1: 2 columns named 'ref'; expected one of each name"),
        (read_json, b'[{"a": 1, "b": [2], "a": 3}]', '"a" is given twice in one object: {"a": 1, "b": [2]'),
        (read_json, b'{"a": {"b": 1, "b": 1}}', '"b" is given twice in one object'),
        (rows, b"mr,text\r\na,b\r\n", "line 1: no column 'ref'; expected the columns mr, ref"),
        (rows, b"mr,ref\r\na,b,c\r\n", "line 2: 3 columns; expected 2"),
        (rows, b"mr,ref\r\na,b\r\na\r\n", "line 3: 1 columns; expected 2"),
        (rows, b"mr,ref\na,\n", "line 2: 'ref' is empty"),
        (rows, b"mr,ref\na,'b'\n\"c,d\n", "line 3: not CSV"),
        (rows, b'mr,ref\na,"b" c\n', "line 2: not CSV"),
        (rows, b"mr,ref\na,b\nc,d\xff\n", "line 3: byte 4 (0xff) is not UTF-8"),
        (rows, b"mr,ref\na," + b"x" * 10_000_000, "line 2"),
        (rows, b"mr,ref\na," + b"x" * (FIELD_LIMIT + 1), "expected at most 100,000"),
        (entries, b"", "the file is empty"),
        (entries, benchmark(ENTRY)[:-30].encode(), "line 1: not well-formed XML"),
        (entries, b"<benchmark>\n<entries>\n<entry", "line 3: not well-formed XML"),
        (entries, BOMB.encode(), "declares a document type or entities"),
        (entries, benchmark().encode(), "no <entry> in <benchmark>"),
        (entries, b"<?xml version='1.0' encoding='no-such'?><a/>", "expected"),
        (entries, benchmark(ENTRY.replace("Kymria.", "\xe9")).encode("latin-1"), "(0xe9) is not UTF-8"),
        (entries, benchmark(ENTRY.replace(' eid="Id1"', "")).encode(), "entry 1: no eid"),
        (entries, benchmark(ENTRY, ENTRY).encode(), "entry 2 (Id1): a second entry with that eid"),
        (
            entries,
            benchmark(ENTRY.replace("<mtriple>Pie | country | Kymria</mtriple>", "")).encode(),
            "entry 1 (Id1): no triples",
        ),
        (
            entries,
            benchmark(ENTRY.replace("Pie | country | Kymria", "Pie | country")).encode(),
            "entry 1 (Id1): the triple 'Pie | country' has 1 separators ' | '; expected two",
        ),
        (
            entries,
            benchmark(ENTRY.replace("Pie | country | Kymria", "")).encode(),
            "entry 1 (Id1): a triple is empty",
        ),
        (
            entries,
            benchmark(ENTRY.replace("Pie is from Kymria.", " ")).encode(),
            "entry 1 (Id1): a <lex> is empty",
        ),
        (
            entries,
            benchmark(ENTRY.replace("Pie is", "x" * 10_000_000)).encode(),
            "a <lex> has 10,000,013 characters; expected at most 100,000",
        ),
        (entries, benchmark(ENTRY.split("<lex")[0] + "</entry>").encode(), "no text"),
        (read_json, b"", "the file is empty"),
        (read_json, b'{"a":\n[1,', "line 2 column 4"),
        (read_json, b"[" * 100_000, "damaged"),
        (read_json, b"[" + b"9" * 5_000 + b"]", "damaged"),
        (read_json, b'["\xff"]', "line 1: byte 3 (0xff)"),
    ],
)
def test_damage(tmp_path: Path, read: Callable[[Path], object], content: bytes, expected: str) -> None:
    path = tmp_path / "given.data"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert expected in message
    assert "expected" in message
    assert "\n" not in message
    assert len(message) < 600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("read", [rows, entries, read_json])
def test_no_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(DataError, match="a directory; expected a regular file"):
        read(tmp_path)
    with pytest.raises(DataError, match="found nothing of that name"):
        read(tmp_path / "gone")


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marks_and_line_ends_are_tolerated(tmp_path: Path, bom: bytes, end: str) -> None:
    table = tmp_path / "a.csv"
    table.write_bytes(bom + f'"MR",ref{end}"a, b","c\u2028 d"{end}e,f{end}{end}'.encode())
    assert [fields for _, fields in read_csv(table, ("mr", "ref"))] == [
        ["a, b", "c\u2028 d"],
        ["e", "f"],
    ]
    document = tmp_path / "a.xml"
    document.write_bytes(bom + benchmark(ENTRY).replace("><", f">{end}<").encode())
    (entry,) = read_xml_entries(document)
    assert (entry.id, entry.category) == ("Id1", "Food")
    assert entry.triples == (("Pie", "country", "Kymria"),)
    numbers = tmp_path / "a.json"
    numbers.write_bytes(bom + f"[1,{end}2]".encode())
    assert read_json(numbers) == [1, 2]
    assert read_text(numbers) == f"[1,{end}2]"
    assert len(read_xml(document, "lex")) == 1


def test_parts_of_a_triple_stay_raw() -> None:
    assert split_triple('A_b |  is | "c d" ', "here") == ("A_b", " is", '"c d" ')
