"""Writing a report: all of it or nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from bench import files
from reports import site


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    site.write(tmp_path / "report", {"figures/a.svg": b"1", "index.html": b"old"})
    paths = site.write(tmp_path / "report", {"figures/a.svg": b"2", "index.html": b"new"})
    assert paths[-1].read_bytes() == b"new"
    assert listing(tmp_path) == ["report", "report/figures", "report/figures/a.svg", "report/index.html"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write(tmp_path / "report", {"figures/a.svg": b"old", "index.html": b"old"})
    before, write, count = listing(tmp_path), os.write, 0

    def full(handle: int, data: Any) -> int:
        nonlocal count
        count += 1
        if count == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(files.StorageError, match="the disk is full"):
        site.write(tmp_path / "report", {"figures/a.svg": b"new", "index.html": b"new"})
    monkeypatch.undo()
    assert listing(tmp_path) == before
    assert (tmp_path / "report" / "figures" / "a.svg").read_bytes() == b"old"


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(files.StorageError, match="not a directory"):
        site.write(tmp_path / "report", {"index.html": b"x"})
    assert (tmp_path / "report").read_text() == "mine" and listing(tmp_path) == ["report"]
