"""Every layout of XSum that is read, and every fault in it as one line that says what was expected."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xsum_made import ROWS, arrow, arrow_file, jsonl, parquet, raw

from bench.data.dataset import prepare
from bench.errors import DataError, UnavailableError, UserError
from bench.registry import get_task
from tasks import _xsum_files, _xsum_tables
from tasks._xsum_files import (
    COLUMNS,
    RAW,
    SPLIT_FILE,
    URL_LIST,
    find_column_files,
    find_raw_files,
    read_articles,
    read_urls,
)


def read(root: Path, split: str = "dev") -> list[dict[str, str]]:
    return [{column: getattr(one, column) for column in COLUMNS} for one in read_articles(root, split)]


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (jsonl, "validation.jsonl"),
        (jsonl, "val.json"),
        (jsonl, "dev.jsonl"),
        (parquet, "default/xsum-validation.parquet"),
        (parquet, "default/validation/0000.parquet"),
        (parquet, "data/validation-00000-of-00001.parquet"),
        (parquet, "validation.parquet"),
        (arrow, "validation/data-00000-of-00001.arrow"),
        (arrow, "xsum-validation.arrow"),
        (arrow_file, "validation.arrow"),
    ],
)
def test_layouts(tmp_path: Path, write: Callable[[Path, Any], None], name: str) -> None:
    write(tmp_path / name, ROWS)
    assert [path.relative_to(tmp_path).as_posix() for path in find_column_files(tmp_path, "dev")] == [name]
    assert find_column_files(tmp_path, "train") == find_column_files(tmp_path, "test") == []
    assert read(tmp_path) == ROWS


def test_what_datasets_writes(tmp_path: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    made = datasets.Dataset.from_list(ROWS)
    datasets.DatasetDict({"validation": made, "test": made.select([2])}).save_to_disk(str(tmp_path / "a"))
    assert read(tmp_path / "a") == ROWS and read(tmp_path / "a", "test") == ROWS[2:]
    made.to_json(str(tmp_path / "b" / "validation.jsonl"))
    made.to_parquet(str(tmp_path / "c" / "validation.parquet"))
    assert read(tmp_path / "b") == read(tmp_path / "c") == ROWS


@pytest.mark.parametrize(
    "write", [(jsonl, "validation.jsonl"), (parquet, "validation.parquet")], ids=["jsonl", "parquet"]
)
def test_large_files_are_mapped_from_a_copy_in_the_cache(
    tmp_path: Path, write: tuple[Callable[[Path, Any], None], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_xsum_tables, _xsum_files):
        monkeypatch.setattr(module, "SMALL_FILE", 10)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data"
    path = data / write[1]
    write[0](path, ROWS)
    for _ in range(2):
        assert read(data) == ROWS
    assert list(data.iterdir()) == [path], "nothing is written beside the user's files"
    assert len(list((tmp_path / "cache" / "datasets").iterdir())) == 1
    modified = path.stat().st_mtime_ns
    write[0](path, ROWS[2:])
    os.utime(path, ns=(modified, modified))
    assert read(data) == ROWS[2:], "the content counts, not the time"


def test_faults_of_large_json_files_are_those_of_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (_xsum_tables, _xsum_files):
        monkeypatch.setattr(module, "SMALL_FILE", 10)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    for rows, expected in (
        ([*ROWS, {**ROWS[0], "id": "104", "summary": 3}], "line 4: 'summary' is of type int; expected text"),
        ([*ROWS, ROWS[0]], "line 4: a second article with id 101"),
    ):
        jsonl(tmp_path / "data" / "validation.jsonl", rows)
        with pytest.raises(DataError, match=expected):
            read(tmp_path / "data")


def test_datasets_keeps_nothing_in_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    parquet(tmp_path / "data" / "validation.parquet", ROWS)
    code = (
        "from pathlib import Path; from tasks._xsum_files import read_articles; "
        f"print(len(list(read_articles(Path({str(tmp_path / 'data')!r}), 'dev'))))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("3\n", "")
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_parts_are_read_in_order_and_must_all_be_there(tmp_path: Path) -> None:
    for at, row in enumerate(ROWS):
        parquet(tmp_path / "data" / f"validation-{at:05}-of-00003.parquet", [row])
    assert read(tmp_path) == ROWS
    (tmp_path / "data" / "validation-00001-of-00003.parquet").unlink()
    with pytest.raises(DataError, match="2 of 3 parts are here; expected all of data/…-of-00003"):
        read(tmp_path)


def test_raw(tmp_path: Path) -> None:
    raw(tmp_path, ROWS)
    assert read(tmp_path) == ROWS
    assert [one.url for one in read_articles(tmp_path, "dev")] == [
        f"http://www.bbc.co.uk/news/uk-{number}" for number in (101, 102, 103)
    ]
    assert len(find_raw_files(tmp_path, "dev")) == 4
    path = tmp_path / RAW / "101.summary"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read(tmp_path) == ROWS
    jsonl(tmp_path / "validation.jsonl", ROWS[:1])
    assert read(tmp_path) == ROWS[:1], "columns come first"


def test_numbers_as_ids(tmp_path: Path) -> None:
    parquet(tmp_path / "test.parquet", [{**ROWS[0], "id": 101, "more": 1.5}])
    assert read(tmp_path, "test") == ROWS[:1]


def lines(root: Path, content: bytes) -> None:
    (root / "validation.jsonl").write_bytes(content)


def one(root: Path, **changes: Any) -> None:
    jsonl(root / "validation.jsonl", [{**ROWS[0], **changes}])


def one_raw(root: Path, content: bytes) -> None:
    raw(root, ROWS[:1])
    (root / RAW / "101.summary").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: lines(r, b""), "validation.jsonl: the file is empty; expected data"),
        (lambda r: lines(r, b"\xef\xbb\xbf\r\n"), "validation.jsonl: the file is empty; expected data"),
        (
            lambda r: lines(r, b'{"id": "1", "id": "2"}'),
            'line 1 is damaged; expected one JSON document: "id" is given twice in one object: ',
        ),
        (lambda r: lines(r, b'\n{"document":'), "line 2 is damaged"),
        (lambda r: lines(r, b"[" * 100_000), "line 1 is damaged"),
        (lambda r: lines(r, b'{"document": "\xff"}\n'), "(0xff) is not UTF-8"),
        (lambda r: lines(r, b"[1]\n"), "expected the columns document, summary, id; found list"),
        (
            lambda r: lines(r, b'{"article": "a", "highlights": "b", "id": "1"}\n'),
            "line 1: expected the columns document, summary, id; found article, highlights, id",
        ),
        (lambda r: one(r, document=None), "line 1: 'document' is missing; expected text"),
        (lambda r: one(r, summary=3), "line 1: 'summary' is of type int; expected text"),
        (lambda r: one(r, id=""), "line 1: 'id' is empty; expected text"),
        (lambda r: one(r, id=True), "line 1: 'id' is of type bool; expected text"),
        (lambda r: one(r, document="\ud800"), "half a surrogate pair"),
        (lambda r: one(r, document="x" * 2_000_001), "expected at most 2,000,000"),
        (lambda r: jsonl(r / "validation.jsonl", [ROWS[0]] * 2), "a second article with id 101"),
        (
            lambda r: parquet(r / "validation.parquet", [{"text": "a", "id": "1"}]),
            "no column 'document'; expected",
        ),
        (lambda r: arrow(r / "validation.arrow", [{"document": "a"}]), "no column 'summary'; expected"),
        (
            lambda r: (r / "validation.parquet").write_bytes(b"PAR1 and no more"),
            "expected a whole parquet file",
        ),
        (lambda r: (r / "validation.arrow").write_bytes(b"no arrow at all"), "expected a whole arrow file"),
        (lambda r: (r / "validation.arrow").write_bytes(b""), "expected a whole arrow file"),
        (
            lambda r: parquet(r / "validation.parquet", [{**ROWS[0], "document": 1}]),
            "is of type int; expected text",
        ),
        (lambda r: (r / "validation.parquet").mkdir(), "a directory; expected a regular file"),
        (lambda r: (r / "validation.jsonl").mkdir(), "a directory; expected a regular file"),
        (lambda r: raw(r, []), "no articles; expected some"),
        (lambda r: raw(r, ROWS, "valid"), "no list of ids under 'validation'; expected"),
        (
            lambda r: raw(r, ROWS) or (r / SPLIT_FILE).write_text('{"validation": ["../x"]}'),
            "is no id of an article",
        ),
        (lambda r: raw(r, ROWS) or (r / SPLIT_FILE).write_text("{"), "line 1 column 2"),
        (
            lambda r: raw(r, ROWS) or (r / RAW / "103.summary").unlink(),
            "103.summary: expected a file, found nothing",
        ),
        (
            lambda r: one_raw(r, b"[SN]URL[SN]\na/b\n[SN]TITLE[SN]\n"),
            "101.summary: 2 of 4 sections; expected",
        ),
        (lambda r: one_raw(r, b"text"), "101.summary: 0 of 4 sections; expected"),
        (lambda r: one_raw(r, b""), "101.summary: the file is empty"),
        (lambda r: one_raw(r, b"[SN]URL[SN]\n\xe9"), "line 2: byte 1 (0xe9) is not UTF-8"),
    ],
)
def test_damage(tmp_path: Path, damage: Callable[[Path], Any], expected: str) -> None:
    damage(tmp_path)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    message = str(caught.value)
    assert message.startswith(str(tmp_path)) and expected in message
    assert "\n" not in message and len(message) < 600


def test_half_a_parquet_file(tmp_path: Path) -> None:
    parquet(tmp_path / "validation.parquet", ROWS * 1)
    content = (tmp_path / "validation.parquet").read_bytes()
    (tmp_path / "validation.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cannot be read .*; expected a whole parquet file"):
        read(tmp_path)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    import pyarrow.parquet

    bad = pyarrow.array([b"\xe9t\xe9"]).cast(pyarrow.binary()).view(pyarrow.string())
    table = pyarrow.table({"document": bad, "summary": ["a"], "id": ["1"]})
    pyarrow.parquet.write_table(table, tmp_path / "validation.parquet")
    with pytest.raises(DataError, match=r"Invalid UTF8 .*; expected a whole parquet file"):
        read(tmp_path)


@pytest.mark.parametrize("write", [parquet, arrow_file], ids=["parquet", "arrow"])
def test_reading_a_table_asks_nobody(
    write: Callable[[Path, Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`datasets` would have its server count that a local file is read."""
    import datasets

    def refuse(*address: object, **_: object) -> None:
        pytest.fail(f"asked {address}")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("datasets.load.get_session", refuse)
    name = "validation.parquet" if write is parquet else "validation.arrow"
    write(tmp_path / name, ROWS)
    assert len(read(tmp_path)) == len(ROWS)


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path / "validation.parquet", ROWS)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UnavailableError, match=r"needs pyarrow .* or give the same rows as JSON lines"):
        read(tmp_path)


def test_addresses(tmp_path: Path) -> None:
    path = tmp_path / URL_LIST
    path.write_text("http://a/news/uk-1 1\n\nhttp://a/news/uk-2\t2\r\nhttp://a/sport/1 1\n", encoding="utf-8")
    assert read_urls(path) == {"1": "http://a/sport/1", "2": "http://a/news/uk-2"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b"http://a/b 1\nhttp://a/c\n", "line 2: 'http://a/c'; expected an address and an id"),
        (b"1 http://a/b\n", "line 1: '1 http://a/b'; expected an address"),
        (b"http://a/\xff 1\n", "(0xff) is not UTF-8"),
    ],
)
def test_damaged_addresses(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / URL_LIST).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_urls(tmp_path / URL_LIST)
    assert expected in str(caught.value)
    with pytest.raises(DataError, match="found nothing of that name"):
        read_urls(tmp_path / "gone")


def test_other_files_of_lines_are_read(tmp_path: Path) -> None:
    expected = None
    for ending, opener in (("jsonl", open), ("jsonl.gz", gzip.open), ("csv", open), ("csv.gz", gzip.open)):
        root = tmp_path / ending
        root.mkdir()
        with opener(root / f"validation.{ending}", "wt", encoding="utf-8", newline="") as file:  # type: ignore[operator]
            if ending.startswith("csv"):
                writer = csv.DictWriter(file, ["id", "document", "summary"], extrasaction="ignore")
                writer.writeheader()
                writer.writerows(ROWS)
            else:
                file.writelines(json.dumps(row) + "\n" for row in ROWS)
        found = [(article.id, article.document, article.summary) for article in read_articles(root, "dev")]
        assert found and found == (expected or found)
        expected = found


def test_texts_without_ids_are_named(tmp_path: Path) -> None:
    (tmp_path / "xsum").mkdir()
    for side in ("source", "target"):
        (tmp_path / "xsum" / f"val.{side}").write_text("a\n")
    with pytest.raises(UserError, match=r"val\.source and val\.target in .* have no ids"):
        prepare(get_task("xsum"), tmp_path, False, "paper", ("dev",))
