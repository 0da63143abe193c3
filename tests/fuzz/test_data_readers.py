"""Any bytes in a data file, or in a file of outputs, are read or refused by a ``UserError``."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from examples import FUZZ_EXAMPLES
from hypothesis import HealthCheck, given, settings

from bench.errors import UserError
from bench.scoring.external_outputs import read_lines, read_pairs
from tasks._read import read_csv
from tasks._triples import read_xml_entries
from tasks._xsum_files import read_articles, read_column_file, read_urls
from tasks.dart import json_entries
from tasks.e2e import parse_mr

CSV = b'mr,ref\n"name[A], food[B]","A serves B."\nname[C],"C ""x"""\n'
XML = (
    b'<?xml version="1.0" encoding="utf-8"?><benchmark><entries><entry category="Airport" eid="Id1" size="1">'
    b"<originaltripleset><otriple>A | b | C</otriple></originaltripleset><modifiedtripleset><mtriple>A | b | C"
    b'</mtriple></modifiedtripleset><lex comment="good" lid="Id1">A bs C.</lex></entry></entries></benchmark>'
)
DART = json.dumps(
    [{"tripleset": [["A", "b", "C"]], "annotations": [{"source": "s", "text": "A."}]}] * 2
).encode()
ROWS = b'{"id": "101", "document": "A.", "summary": "B."}\n{"id": 102, "document": "A.", "summary": "B."}\n'
PAIRS = b'{"hyp": "a", "refs": ["b", ""], "seen": true}\n{"hyp": "a", "refs": [], "category": "Airport"}\n'
URLS = b"http://web.archive.org/web/1/http://www.bbc.co.uk/news/uk-1 101\n"
RAW = b"[SN]URL[SN]\nhttp://a/b\n[SN]TITLE[SN]\nt\n[SN]FIRST-SENTENCE[SN]\ns\n[SN]RESTBODY[SN]\nd\n"
TOKENS = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b'"', b"\n", b"\r", b",", b"<", b">", b"&#0;", b"<!DOCTYPE a>", b"</lex>", b"[",
    b"{",     b"}", b"]", b"NaN", b"1e999", b"\\ud800", b"null", b"|", b" | ", b"\xe2\x80\xa8", b"[SN]", b"9" * 30,
)  # fmt: skip
PIECES = st.sampled_from(TOKENS) | st.binary(max_size=4)


def damage(good: bytes) -> st.SearchStrategy[bytes]:
    """``good`` with pieces in other places, cut, or other bytes altogether."""

    @st.composite
    def make(draw: st.DrawFn) -> bytes:
        content = bytearray(good)
        for _ in range(draw(st.integers(0, 3))):
            begin = draw(st.integers(0, len(content)))
            content[begin : begin + draw(st.integers(0, 12))] = draw(PIECES)
        return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)

    return st.binary(max_size=40) | make()


def read_raw_articles(path: Path) -> object:
    root = path.parent
    if not (root / "bbc-summary-data").is_dir():
        (root / "bbc-summary-data").mkdir()
        (root / "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json").write_text('{"test": ["1"]}')
    (root / "bbc-summary-data" / "1.summary").write_bytes(path.read_bytes())
    return list(read_articles(root, "test"))


def read_named(name: str) -> Callable[[Path], object]:
    """A reader of XSUM's columns from a file of that name."""

    def read(path: Path) -> object:
        named = path.with_name(name)
        named.write_bytes(path.read_bytes())
        return list(read_column_file(named))

    return read


TARGETS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "csv": (
        CSV,
        lambda path: [parse_mr(record, place) for place, (record, _) in read_csv(path, ("mr", "ref"))],
    ),
    "xml": (XML, lambda path: list(read_xml_entries(path))),
    "dart-json": (DART, lambda path: list(json_entries(path))),
    "xsum-rows": (ROWS, read_named("test.jsonl")),
    "xsum-zipped-rows": (gzip.compress(ROWS, mtime=0), read_named("test.jsonl.gz")),
    "xsum-csv": (b"id,document,summary\n1,a,b\n2,c,d\n", read_named("test.csv")),
    "xsum-raw": (RAW, read_raw_articles),
    "xsum-addresses": (URLS, read_urls),
    "pairs": (PAIRS, lambda path: read_pairs(path, "webnlg", ("all", "seen", "unseen"))),
    "outputs": (b"a\nb\r\n\n", read_lines),
}


@pytest.mark.parametrize("target", TARGETS)
def test_any_content_is_read_or_refused(target: str, tmp_path: Path) -> None:
    good, read = TARGETS[target]
    path = tmp_path / "content"

    @settings(max_examples=FUZZ_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(damage(good))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        with contextlib.suppress(UserError):
            read(path)

    path.write_bytes(good)
    assert read(path)
    check()
