"""A reader of a file sees all of it or none, whatever happens to its writer."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.system import files, json_files, processes

ROOT = Path(__file__).resolve().parents[2]  # scripts started here find the package


def strays(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name.startswith(".")]


def test_append_after_a_torn_line_begins_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log" / "log.jsonl"
    files.append_line(path, '{"step": 1}\n')
    with path.open("a") as file:
        file.write('{"step": 2, "lo')  # killed here
    files.append_line(path, '{"step": 2}\n')
    assert json_files.read_jsonl(path, forgive_torn=True) == [{"step": 1}, {"step": 2}]


# --- a full disk, a missing permission


def fail(code: int) -> Callable[..., Any]:
    def failing(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return failing


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "open"])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "your quota is used up"),
        (errno.EROFS, "read-only"),
    ],
)
def test_full_disk_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, words: str
) -> None:
    path = tmp_path / "x.json"
    json_files.write_json_atomic(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail(code))
        if step == "replace":
            patch.setattr(os, "link", fail(code))  # how `create_new` gives the final name
        with pytest.raises(files.StorageError, match=words) as caught:
            json_files.write_json_atomic(path, "new")
        with pytest.raises(files.StorageError, match=words):
            files.create_new(tmp_path / "other.json", "new")
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, UserError)
    assert caught.value.exit_code == 1
    assert isinstance(caught.value.__cause__, OSError)
    assert json_files.read_json(path) == "old"
    assert strays(tmp_path) == []


def test_write_cut_short_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: whole(handle, bytes(data[:3])))
    files.write_atomic(tmp_path / "x", "0123456789")
    files.append_line(tmp_path / "y", "0123456789\n")
    assert (tmp_path / "x").read_text() == "0123456789"
    assert (tmp_path / "y").read_text() == "0123456789\n"


def test_real_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """Not simulated: the kernel cuts the write short, then fails it."""
    script = """
import resource, sys
from bench.system import files
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for write in (files.write_atomic, files.create_new, files.append_line):
    try:
        write(sys.argv[1] + "/" + write.__name__, "x" * 5000)
    except files.StorageError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.count("would exceed the size limit") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["append_line"]


def test_full_disk_reported_by_a_library_as_text(tmp_path: Path) -> None:
    def library(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    with (
        pytest.raises(files.StorageError, match="the disk is full"),
        files.replace_file(tmp_path / "checkpoint.safetensors") as temporary,
    ):
        library(temporary)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_directory_is_needed(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    for write in (files.write_atomic, files.create_new, files.append_line):
        with pytest.raises(files.StorageError, match="a file, not a directory"):
            write(tmp_path / "runs" / "a" / "x.json", "{}\n")


def test_a_directory_where_a_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(files.StorageError, match="a directory has that name"):
        files.write_atomic(tmp_path / "x.json", "{}")


def test_errors_that_are_not_about_storage_stay_as_they_are(tmp_path: Path) -> None:
    with (
        pytest.raises(PermissionError) as caught,
        files.replace_file(tmp_path / "x"),
    ):
        raise PermissionError(errno.EACCES, "denied", "/somewhere/else")
    assert not isinstance(caught.value, UserError)
    with pytest.raises(FileNotFoundError), files.replace_file(tmp_path / "x"):
        pass  # the library wrote nothing
    assert list(tmp_path.iterdir()) == []


def test_interrupted_writer_cleans_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), files.replace_file(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_replacing_lets_safetensors_write(tmp_path: Path) -> None:
    import numpy
    from safetensors.numpy import load_file, save_file

    with files.replace_file(tmp_path / "p.safetensors") as temporary:
        save_file({"prefix": numpy.ones(3)}, temporary)
    assert load_file(tmp_path / "p.safetensors")["prefix"].sum() == 3
    assert strays(tmp_path) == []


# --- names that only one writer gets


@pytest.mark.parametrize("links", [True, False])
def test_created_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", fail(errno.EPERM))
    files.create_new(tmp_path / "1", "first")
    with pytest.raises(files.NameTakenError):
        files.create_new(tmp_path / "1", "second")
    assert (tmp_path / "1").read_text() == "first"
    assert [name for name in strays(tmp_path) if name.endswith(".tmp")] == []


def test_without_links_a_file_copied_here_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1").write_text("first")
    monkeypatch.setattr(os, "link", fail(errno.ENOTSUP))
    with pytest.raises(files.NameTakenError):
        files.create_new(tmp_path / "1", "second")
    assert (tmp_path / "1").read_text() == "first"


def test_link_that_was_carried_out_but_reported_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def repeated(*arguments: Any, **named: Any) -> None:
        link(*arguments, **named)
        link(*arguments, **named)

    monkeypatch.setattr(os, "link", repeated)
    files.create_new(tmp_path / "1", "mine")
    assert (tmp_path / "1").read_text() == "mine"


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    script = "import sys; from bench.system import files; from pathlib import Path; p = Path(sys.argv[1])\n"
    script += "files.make_temporary_name(p / 'checkpoint').write_text('half')"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=ROOT)
    (tmp_path / ".checkpoint.tmp").write_text("somebody else's")
    mine = files.make_temporary_name(tmp_path / "checkpoint")
    mine.write_text("being written")
    far = tmp_path / ".checkpoint.far.00000000-1-00000000.tmp"
    far.write_text("written on another machine")
    assert len(files.remove_leftovers(tmp_path)) == 1
    os.utime(far, (0, 0))
    assert files.remove_leftovers(tmp_path) == [far]
    assert sorted(strays(tmp_path)) == sorted([".checkpoint.tmp", mine.name])


def test_leftover_folders_of_dead_processes_are_removed(tmp_path: Path) -> None:
    dead = tmp_path / files.make_temporary_name(tmp_path / "snapshot").name.replace(
        f"-{os.getpid()}-", "-4194305-"
    )
    (dead / "bench").mkdir(parents=True)
    (dead / "bench" / "data.py").write_text("half")
    assert files.remove_leftovers(tmp_path) == [dead]
    assert strays(tmp_path) == []


def test_a_process_is_told_from_a_later_one_and_from_a_dead_one() -> None:
    assert processes.find_process_start(os.getpid()) == processes.find_process_start(os.getpid()) is not None
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, not yet collected
    assert processes.find_process_start(child.pid) is None
    child.wait()
    assert processes.find_process_start(child.pid) is None


def test_file_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("é", "utf-8")
    assert files.sha256_file(tmp_path / "x") == files.sha256_text("é")
