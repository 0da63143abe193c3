"""Why a folder cannot be listed, in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.errors import DataError
from bench.store.store import Store
from bench.system.paths import find_broken_link, find_folder_problem


def test_a_folder_and_a_missing_one_have_no_problem(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(".")
    for path in (tmp_path, tmp_path / "link", tmp_path / "missing", tmp_path / "missing" / "deeper"):
        assert find_folder_problem(path) is None
    assert Store(tmp_path / "missing").runs() == []


def test_a_folder_of_others_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_folder_problem(tmp_path) == f"{tmp_path}: Permission denied"
    with pytest.raises(DataError, match=r"cannot read the runs in .*: Permission denied"):
        Store(tmp_path).runs()


def test_the_link_that_leads_nowhere_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("first").symlink_to("second")
    Path("second").symlink_to("nowhere")
    Path("around").symlink_to("around")
    assert find_broken_link(Path("first/runs")) == (
        f"{tmp_path / 'first'} is a dangling link: second does not exist"
    )
    assert find_broken_link(Path("around")) == f"{tmp_path / 'around'} is a link that leads back to itself"
    assert find_broken_link(Path("missing/runs")) is None
    with pytest.raises(DataError, match="dangling link"):
        Store("first").runs()
