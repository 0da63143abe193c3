"""Writing a report: all of it or nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from bench.system import files
from reports.render import output_files


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    output_files.write_files(tmp_path / "report", {"figures/a.svg": b"1", "index.html": b"old"})
    paths = output_files.write_files(tmp_path / "report", {"figures/a.svg": b"2", "index.html": b"new"})
    assert paths[-1].read_bytes() == b"new"
    assert listing(tmp_path) == ["report", "report/figures", "report/figures/a.svg", "report/index.html"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output_files.write_files(tmp_path / "report", {"figures/a.svg": b"old", "index.html": b"old"})
    before, write, count = listing(tmp_path), os.write, 0

    def full(handle: int, data: Any) -> int:
        nonlocal count
        count += 1
        if count == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(files.StorageError, match="the disk is full"):
        output_files.write_files(tmp_path / "report", {"figures/a.svg": b"new", "index.html": b"new"})
    monkeypatch.undo()
    assert listing(tmp_path) == before
    assert (tmp_path / "report" / "figures" / "a.svg").read_bytes() == b"old"


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("mine")
    with pytest.raises(files.StorageError, match="not a directory"):
        output_files.write_files(tmp_path / "report", {"index.html": b"x"})
    assert (tmp_path / "report").read_text() == "mine" and listing(tmp_path) == ["report"]


@pytest.mark.parametrize("name", [".", "./", "", "sub/.."])
def test_the_current_directory_is_a_place(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    output_files.write_files(Path(name), {"figures/a.svg": b"1", "index.html": b"new"})
    assert listing(tmp_path) == ["figures", "figures/a.svg", "index.html", "sub"]


def test_what_is_in_the_way_is_named_before_anything_is_changed(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    output_files.write_files(folder, {"figures/a.svg": b"old", "index.html": b"old"})
    (folder / "index.html").unlink()
    (folder / "index.html").mkdir()
    before = listing(tmp_path)
    with pytest.raises(files.StorageError, match=r"report/index\.html: a directory has that name"):
        output_files.write_files(folder, {"figures/a.svg": b"new", "index.html": b"new"})
    assert listing(tmp_path) == before and (folder / "figures" / "a.svg").read_bytes() == b"old"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "figures").write_text("mine")
    with pytest.raises(files.StorageError, match=r"other/figures is a file, not a directory"):
        output_files.write_files(tmp_path / "other", {"figures/a.svg": b"new", "index.html": b"new"})
    assert listing(tmp_path / "other") == ["figures"]


def test_a_place_that_cannot_be_made_is_explained_without_temporary_names(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(files.StorageError, match=r"file/x/index\.html: .*not a directory") as refusal:
        output_files.write_files(tmp_path / "file" / "x", {"index.html": b"x"})
    assert ".tmp" not in str(refusal.value)
    nowhere = Path("/proc/no-such-place")  # a system's folder in which nobody can make anything
    with pytest.raises(files.StorageError, match="/proc/no-such-place") as refusal:
        output_files.write_files(nowhere, {"index.html": b"x"})
    assert ".tmp" not in str(refusal.value)


def test_a_full_disk_names_the_report_and_leaves_no_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(files.StorageError, match=r"report/index\.html: the disk is full") as refusal:
            output_files.write_files(tmp_path / "report", {"figures/a.svg": b"new", "index.html": b"new"})
    assert ".tmp" not in str(refusal.value) and listing(tmp_path) == []
