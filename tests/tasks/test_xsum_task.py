"""The three XSum tasks on small files: texts, skips that are said, topics, sides, the cap, verification."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from xsum_made import ROWS, jsonl, parquet, raw

from bench.data.dataset import (
    compute_statistics,
    find_local_data,
    load_items,
    load_rows,
    prepare,
    verify_files,
)
from bench.errors import DataError, UnavailableError
from bench.system.progress import settings
from bench.task import Row
from tasks import _xsum
from tasks._xsum import Extrapolation
from tasks._xsum_files import URL_LIST
from tasks.xsum import XSum
from tasks.xsum_news_to_sports import XSumNewsToSports
from tasks.xsum_within_news import XSumWithinNews

SPORTS, NEWS = XSumNewsToSports(), XSumWithinNews()
PATHS = {
    "1": "news/uk-england-1",
    "2": "news/world-europe-2",
    "3": "news/business-3",
    "4": "news/health-4",
    "5": "sport/football/5",
    "6": "sport/0/football/6",
    "7": "news/education-7",
}


@pytest.fixture(autouse=True)
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _xsum._say_once.cache_clear()
    monkeypatch.setattr(settings, "quiet", False)


def write(root: Path, *, addresses: dict[str, str] = PATHS, empty: tuple[str, ...] = ()) -> Path:
    """``xsum/`` with the same articles in all splits (ids differ), and the list of addresses."""
    lines = []
    for at, split in enumerate(("train", "validation", "test")):
        rows = [
            {
                "document": "" if number in empty else f"Document {number}.\nIt goes on.",
                "summary": f"Summary {number}.",
                "id": f"{at}{number}",
            }
            for number in PATHS
        ]
        jsonl(root / "xsum" / f"{split}.jsonl", rows)
        lines += [f"http://a/http://www.bbc.co.uk/{path} {at}{n}\n" for n, path in addresses.items()]
    (root / "xsum" / URL_LIST).write_text("".join(lines), encoding="utf-8")
    return root / "xsum"


@pytest.mark.parametrize(("protocol", "joint"), [("original", ""), ("plain", " ")])
def test_texts(tmp_path: Path, protocol: Any, joint: str) -> None:
    root = write(tmp_path)
    rows = XSum().rows("dev", root, protocol)
    assert rows[0] == Row(f"Document 1.{joint}It goes on.", "Summary 1.")
    items = XSum().items("dev", root, protocol)
    assert [item.source for item in items] == [row.source for row in rows]
    assert [item.references for item in items] == [(row.target,) for row in rows]
    assert [(item.id, item.category) for item in items[:2]] == [("11", "news/uk"), ("12", "news/world")]
    assert {item.groups for item in items} == {("all",)}


def test_empty_documents_are_left_out_and_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet(tmp_path / "validation.parquet", ROWS)
    task = XSum()
    for _ in range(2):
        assert [row.target for row in task.rows("dev", tmp_path, "original")] == [
            "Winter came.",
            "A ship is lost.",
        ]
        assert [item.id for item in task.items("dev", tmp_path, "original")] == ["101", "103"]
    assert capsys.readouterr().err == "xsum dev: 1 articles with an empty document left out\n"
    assert len(task.rows("dev", tmp_path, "plain")) == len(task.items("dev", tmp_path, "plain")) == 3
    assert capsys.readouterr().err == ""
    parquet(tmp_path / "validation.parquet", ROWS[1:2])
    with pytest.raises(DataError, match="every document of xsum dev is empty"):
        task.rows("dev", tmp_path, "original")


def test_addresses_are_optional_for_xsum(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / URL_LIST).unlink()
    assert {item.category for item in XSum().items("test", root, "original")} == {None}
    assert XSum().missing("test", root) == []


@pytest.mark.parametrize(
    ("task", "trained", "tested"), [(SPORTS, "12347", "5"), (NEWS, "123", "47")], ids=["sports", "news"]
)
@pytest.mark.parametrize("protocol", ["original", "plain"])
def test_sides(tmp_path: Path, task: Extrapolation, trained: str, tested: str, protocol: Any) -> None:
    root = write(tmp_path)
    assert [item.id for item in task.items("train", root, protocol)] == [f"0{n}" for n in trained]
    assert [item.id for item in task.items("dev", root, protocol)] == [f"1{n}" for n in trained]
    assert [item.id for item in task.items("test", root, protocol)] == [f"0{n}" for n in tested], "of train"
    for split in ("train", "dev", "test"):
        rows, items = task.rows(split, root, protocol), task.items(split, root, protocol)
        assert [row.source for row in rows] == [item.source for item in items]


def test_unknown_addresses_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path, addresses={"1": PATHS["1"], "4": PATHS["4"], "5": PATHS["5"]}, empty=("7",))
    assert [item.id for item in NEWS.items("train", root, "plain")] == ["01"]
    assert capsys.readouterr().err == (
        "xsum-within-news train: 1 articles with an empty document left out\n"
        "xsum-within-news train: 3 articles left out, which have no address with a topic\n"
    )
    (root / URL_LIST).write_text("http://www.bbc.co.uk/news/uk-1 999\n")
    with pytest.raises(
        DataError, match=r"has an address with a topic for none of 6 articles of train; expected"
    ):
        NEWS.items("test", root, "original")
    (root / URL_LIST).write_text("http://www.bbc.co.uk/sport/tennis/1 01\n")
    with pytest.raises(DataError, match="no article of train has a topic of xsum-within-news train"):
        NEWS.rows("train", root, "original")


def test_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path)
    real = _xsum.draw_capped
    monkeypatch.setattr(_xsum, "draw_capped", lambda ids, name: real(ids, name, limit=1))
    (kept,) = NEWS.items("test", root, "original")
    assert kept.id in ("04", "07")
    assert "xsum-within-news test: 1 of 2 articles, drawn with a fixed seed" in capsys.readouterr().err
    assert len(NEWS.items("train", root, "original")) == 3, "only the test set is cut"


def test_raw_files_bring_their_addresses(tmp_path: Path) -> None:
    raw(tmp_path, ROWS)
    assert [item.id for item in NEWS.items("dev", tmp_path, "original")] == ["101", "103"]
    assert NEWS.missing("dev", tmp_path) == [] and XSum().missing("dev", tmp_path) == []
    assert {item.category for item in XSum().items("dev", tmp_path, "plain")} == {"news/uk"}


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / URL_LIST).unlink()
    with pytest.raises(UnavailableError) as caught:
        prepare(NEWS, tmp_path, allow_download=False, scale="paper")
    assert f"lacks {URL_LIST}" in str(caught.value)
    assert f"EdinburghNLP/XSum/7b1d1ed4128e23bd96fa967ab1858523d29dfa96/XSum-Dataset/{URL_LIST}" in str(
        caught.value
    )
    for split in ("train", "dev", "test"):
        assert NEWS.missing(split, root) == [URL_LIST]


def test_preparation_and_verification(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(
        DataError, match=r"xsum train in .*: 7 rows and 7 items; expected 204,045 and 204,045"
    ):
        prepare(XSum(), tmp_path, allow_download=False, scale="paper")
    found = prepare(XSum(), tmp_path, allow_download=False, scale="paper", strict=False)
    assert found.origin == "directory"
    names = {file["path"]: file["status"] for file in verify_files(found)["files"]}
    assert names == dict.fromkeys([URL_LIST, "test.jsonl", "train.jsonl", "validation.jsonl"], "unknown")
    (tmp_path / "xsum" / "test.jsonl").unlink()
    report = verify_files(find_local_data(XSum(), tmp_path, "paper"))
    assert [f["path"] for f in report["files"] if f["status"] == "missing"] == ["default/xsum-test.parquet"]
    assert not report["ok"]
    # Sizes that nobody recorded are shown, not checked.
    report = verify_files(find_local_data(SPORTS, tmp_path, "paper"))
    assert report["splits"]["train"]["ok"] and report["splits"]["train"]["expected_rows"] is None
    assert not report["splits"]["test"]["ok"]


def test_the_pinned_files_are_a_layout(tmp_path: Path) -> None:
    for split, name in (("train", "train"), ("dev", "validation"), ("test", "test")):
        (pattern,) = XSum.files[split]
        parquet(tmp_path / pattern, ROWS)
        assert pattern == f"default/xsum-{name}.parquet"
        assert len(XSum().rows(split, tmp_path, "plain")) == 3
        assert XSum().found(split, tmp_path) == [tmp_path / pattern]


def test_fingerprint_follows_what_a_split_reads(tmp_path: Path) -> None:
    root = write(tmp_path)
    before = find_local_data(NEWS, tmp_path).fingerprint, find_local_data(XSum(), tmp_path).fingerprint
    (root / "test.jsonl").write_text("{}\n")
    after = find_local_data(NEWS, tmp_path).fingerprint, find_local_data(XSum(), tmp_path).fingerprint
    assert before[0] == after[0] and before[1] != after[1], "the extrapolation tasks do not read test"


@pytest.mark.parametrize("task", [XSum(), SPORTS, NEWS], ids=lambda task: task.name)
def test_mini(task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    found = prepare(task)
    topics = {
        split: Counter(item.category.split("/")[0] for item in load_items(found, split))
        for split in ("train", "dev", "test")
    }
    if task.name == "xsum":
        assert set(topics["train"]) == set(topics["test"]) == {"news", "sport", "0"}
    else:
        assert set(topics["train"]) == set(topics["dev"]) == {"news"}
        assert set(topics["test"]) == {"sport" if task is SPORTS else "news"}
        trained = {row.source for row in load_rows(found, "train")}
        assert not trained & {item.source for item in load_items(found, "test")}
    table = compute_statistics(found)
    assert all(one["rows"] == one["expected_rows"] for one in table["splits"].values())


def test_modules_import_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = ("torch", "transformers", "datasets", "pyarrow")
    code = (
        f"import sys, tasks.xsum, tasks.xsum_within_news; sys.exit(any(m in sys.modules for m in {heavy!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert importlib.import_module("tasks.xsum").XSum.kind == "summarization"
