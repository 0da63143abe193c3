"""The declarations against the published files, where they are: sizes, checksums, groups, Table 1."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from bench.data.dataset import compute_statistics, prepare, verify_files
from bench.models.tokenizers import find_tokenizer
from bench.task import Prepared, Task
from tasks.dart import Dart
from tasks.e2e import E2E
from tasks.webnlg import WebNLG

HERE = {"e2e": ("train", "dev", "test"), "webnlg": ("train", "dev", "test"), "dart": ("dev", "test")}


@pytest.fixture(scope="module", params=[E2E(), WebNLG(), Dart()], ids=lambda task: task.name)
def prepared(request: pytest.FixtureRequest, shared: Path) -> Prepared:
    """A task with its real files; `prepare` refuses them if one row more or less is read."""
    task: Task = request.param
    return prepare(task, shared / "data", False, "paper", splits=HERE[task.name])


def test_sizes_and_checksums(prepared: Prepared) -> None:
    found = verify_files(prepared)
    assert all(size["ok"] for size in found["splits"].values())
    assert found["splits"].keys() == set(HERE[prepared.task.name])
    by_status = Counter(file["status"] for file in found["files"])
    if prepared.task.name == "dart":
        assert by_status == {"ok": 2, "missing": 1}
        assert not found["ok"]
    else:
        assert by_status == {"ok": len(prepared.task.published)}
        assert found["ok"]


def test_table_1(prepared: Prepared, shared: Path) -> None:
    task = prepared.task
    if task.name == "dart":
        pytest.skip("no train file of DART among the real files: the lengths are the train split's")
    assert task.paper_lengths is not None
    table = compute_statistics(prepared, find_tokenizer(shared / "tokenizers" / "gpt2"), splits=["train"])
    train = table["splits"]["train"]
    lengths = (round(train["source_length"], 2), round(train["target_length"], 2))
    assert lengths == {"e2e": (28.49, 27.84), "webnlg": (49.63, 30.67)}[task.name]
    assert tuple(round(length, 1) for length in lengths) == task.paper_lengths
    assert (train["rows"], train["items"]) == (train["expected_rows"], train["expected_items"])


@pytest.mark.parametrize("protocol", ["original", "plain"])
def test_every_split_reads(prepared: Prepared, protocol: str) -> None:
    task, root = prepared.task, prepared.root
    for split in HERE[task.name]:
        items = task.items(split, root, protocol)
        assert len({item.id for item in items}) == len(items)
        for item in items:
            assert item.references and all(item.references) and item.facts
            assert item.groups[0] == "all" and set(item.groups) <= set(task.groups)


def test_webnlg_groups(shared: Path) -> None:
    root = shared / "data" / "webnlg"
    items = WebNLG().items("test", root, "original")
    assert Counter(group for item in items for group in item.groups) == {
        "all": 1862,
        "seen": 971,
        "unseen": 891,
    }
    assert [item.id for item in items] == [f"Id{number}" for number in range(1, 1863)]
    assert sum(len(item.references) for item in items) == 4928
    assert not items[0].source.startswith(" | ") and all(item.source.startswith(" | ") for item in items[1:])
    assert len({item.source for item in items}) == 1862


def test_dart_test_has_one_blank_text(shared: Path) -> None:
    root = shared / "data" / "dart"
    rows = Dart().rows("test", root, "original")
    items = Dart().items("test", root, "original")
    assert sum(not row.target.strip() for row in rows) == 1
    assert sum(len(item.references) for item in items) == len(rows) - 1
    assert all(part == part.lower() for row in rows for part in re.findall(" : (.*?) : ", row.source)[:1])


def test_e2e_tokenisations_differ_by_split(shared: Path) -> None:
    task, root = E2E(), shared / "data" / "e2e"
    dev = " ".join(row.target for row in task.rows("dev", root, "original"))
    test = " ".join(row.target for row in task.rows("test", root, "original"))
    assert (dev.count(" n't "), test.count(" n't ")) == (0, 92)
    assert " 'n 't" not in dev and "n 't " in dev and "n 't " not in test
    assert (dev.count(" 20-£25 "), test.count(" 20-£25 "), test.count(" 5-star ")) == (0, 14, 6)
    assert all(row.target.endswith(" ") for row in task.rows("dev", root, "original"))
