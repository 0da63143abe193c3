"""The embedded suite is read by the very loaders that read the published files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data.dataset import load_items, load_rows, prepare, verify_files
from bench.task import Task
from tasks.dart import Dart
from tasks.e2e import E2E
from tasks.webnlg import WebNLG
from tasks.xsum import XSum
from tasks.xsum_news_to_sports import XSumNewsToSports
from tasks.xsum_within_news import XSumWithinNews

TASKS = [E2E(), WebNLG(), Dart(), XSum(), XSumNewsToSports(), XSumWithinNews()]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_mini(task: Task) -> None:
    found = prepare(task)
    assert found.origin == "mini"
    assert found.expected.keys() == task.files.keys()
    assert verify_files(found)["ok"]
    assert found.fingerprint == prepare(task).fingerprint
    groups = {group for item in load_items(found, "test") for group in item.groups}
    assert groups == set(task.groups)
    for protocol in ("original", "plain"):
        rows = load_rows(found, "train", protocol)
        assert all(row.source.strip() and row.target.strip() for row in rows)
