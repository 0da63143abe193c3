"""A reader of a file sees all of it or none, whatever happens to its writer."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import files, processes
from bench.errors import DataError, UserError

ROOT = Path(__file__).resolve().parents[1]  # scripts started here find the package

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


# A loaded machine is no failure; each example flushes to the disk.
quick = settings(max_examples=40, deadline=None)


def strays(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name.startswith(".")]


@quick
@given(value=JSON)
def test_json_comes_back_as_it_was_written(tmp_path_factory: Any, value: Any) -> None:
    path = tmp_path_factory.mktemp("json") / "deep" / "er" / "x.json"
    files.write_json_atomic(path, value)
    assert files.read_json(path) == value
    assert path.read_bytes().endswith(b"\n")
    assert strays(path.parent) == []


@quick
@given(rows=st.lists(JSON, max_size=6))
def test_json_lines_come_back_as_they_were_written(tmp_path_factory: Any, rows: list[Any]) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "x.jsonl"
    assert files.write_jsonl_atomic(path, rows) == len(rows)
    assert files.read_jsonl(path) == rows


@quick
@given(value=st.dictionaries(st.text(), JSON, max_size=5))
def test_canonical_json_does_not_depend_on_order(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert files.canonical_json(value) == files.canonical_json(backwards)
    assert json.loads(files.canonical_json(value)) == value


def test_canonical_json_is_pinned() -> None:
    # What names runs must not move with a Python version.
    assert files.canonical_json({"b": [1, 1.5, None], "a": "é"}) == r'{"a":"\u00e9","b":[1,1.5,null]}'
    assert files.sha256_text("é") == ("4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c")


def test_order_is_kept_and_text_is_readable(tmp_path: Path) -> None:
    files.write_json_atomic(tmp_path / "x.json", {"b": "Zürich", "a": 1})
    assert (tmp_path / "x.json").read_text("utf-8") == '{\n  "b": "Zürich",\n  "a": 1\n}\n'


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"scores": {"bleu": [1.0, float("nan")]}}, r"nan at scores\.bleu\[1\]"),
        (float("inf"), "inf at the top"),
    ],
)
def test_numbers_that_json_lacks_are_refused_by_place(tmp_path: Path, value: Any, place: str) -> None:
    for write in (files.write_json_atomic, lambda _, v: files.canonical_json(v)):
        with pytest.raises(ValueError, match=place):
            write(tmp_path / "x.json", value)
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_not_text_are_refused() -> None:
    with pytest.raises(TypeError, match="name 1 at steps"):
        files.canonical_json({"steps": {1: "a"}})


def test_half_a_surrogate_pair_can_be_written(tmp_path: Path) -> None:
    # An error message can hold an undecodable file name; it must not cost us the record.
    files.write_json_atomic(tmp_path / "x.json", {"error": "no file \udcff", "ü": 1})
    assert files.read_json(tmp_path / "x.json") == {"error": "no file \udcff", "ü": 1}
    assert files.canonical_json("\udcff") == r'"\udcff"'


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": NaN}', b"\xff\xfe\x00", b"[" * 100_000])
def test_damage_is_told_with_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"scores\.json"):
        files.read_json(path)


def test_missing_and_unreadable_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json is missing"):
        files.read_json(tmp_path / "nothing.json")
    with pytest.raises(DataError, match="cannot be read"):
        files.read_json(tmp_path)


def test_damaged_line_is_told_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(DataError, match="line 2"):
        files.read_jsonl(path)
    path.write_text('{"a": 1}\n{"a": 2}')
    with pytest.raises(DataError, match="middle of line 2"):
        files.read_jsonl(path)


def test_separators_inside_text_do_not_end_a_line(tmp_path: Path) -> None:
    rows = [{"text": "a\u2028b\x85c\x1ed\re\n"}]
    files.write_jsonl_atomic(tmp_path / "x.jsonl", rows)
    assert files.read_jsonl(tmp_path / "x.jsonl") == rows


def test_append_after_a_torn_line_begins_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log" / "log.jsonl"
    files.append(path, '{"step": 1}\n')
    with path.open("a") as file:
        file.write('{"step": 2, "lo')  # killed here
    files.append(path, '{"step": 2}\n')
    assert files.read_jsonl(path, forgive_torn=True) == [{"step": 1}, {"step": 2}]


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
    files.write_json_atomic(path, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail(code))
        if step == "replace":
            patch.setattr(os, "link", fail(code))  # how `create_new` gives the final name
        with pytest.raises(files.StorageError, match=words) as caught:
            files.write_json_atomic(path, "new")
        with pytest.raises(files.StorageError, match=words):
            files.create_new(tmp_path / "other.json", "new")
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, UserError)
    assert caught.value.exit_code == 1
    assert isinstance(caught.value.__cause__, OSError)
    assert files.read_json(path) == "old"
    assert strays(tmp_path) == []


def test_write_cut_short_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: whole(handle, bytes(data[:3])))
    files.write_atomic(tmp_path / "x", "0123456789")
    files.append(tmp_path / "y", "0123456789\n")
    assert (tmp_path / "x").read_text() == "0123456789"
    assert (tmp_path / "y").read_text() == "0123456789\n"


def test_real_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """Not simulated: the kernel cuts the write short, then fails it."""
    script = """
import resource, sys
from bench import files
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for write in (files.write_atomic, files.create_new, files.append):
    try:
        write(sys.argv[1] + "/" + write.__name__, "x" * 5000)
    except files.StorageError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.count("would exceed the size limit") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["append"]


def test_full_disk_reported_by_a_library_as_text(tmp_path: Path) -> None:
    def library(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    with (
        pytest.raises(files.StorageError, match="the disk is full"),
        files.replacing(tmp_path / "checkpoint.safetensors") as temporary,
    ):
        library(temporary)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_directory_is_needed(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    for write in (files.write_atomic, files.create_new, files.append):
        with pytest.raises(files.StorageError, match="a file, not a directory"):
            write(tmp_path / "runs" / "a" / "x.json", "{}\n")


def test_a_directory_where_a_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(files.StorageError, match="a directory has that name"):
        files.write_atomic(tmp_path / "x.json", "{}")


def test_errors_that_are_not_about_storage_stay_as_they_are(tmp_path: Path) -> None:
    with (
        pytest.raises(PermissionError) as caught,
        files.replacing(tmp_path / "x"),
    ):
        raise PermissionError(errno.EACCES, "denied", "/somewhere/else")
    assert not isinstance(caught.value, UserError)
    with pytest.raises(FileNotFoundError), files.replacing(tmp_path / "x"):
        pass  # the library wrote nothing
    assert list(tmp_path.iterdir()) == []


def test_interrupted_writer_cleans_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), files.replacing(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_replacing_lets_safetensors_write(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    from safetensors.numpy import load_file, save_file

    with files.replacing(tmp_path / "p.safetensors") as temporary:
        save_file({"prefix": numpy.ones(3)}, temporary)
    assert load_file(tmp_path / "p.safetensors")["prefix"].sum() == 3
    assert strays(tmp_path) == []


# --- names that only one writer gets


@pytest.mark.parametrize("links", [True, False])
def test_created_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        monkeypatch.setattr(os, "link", fail(errno.EPERM))
    files.create_new(tmp_path / "1", "first")
    with pytest.raises(files.Taken):
        files.create_new(tmp_path / "1", "second")
    assert (tmp_path / "1").read_text() == "first"
    assert [name for name in strays(tmp_path) if name.endswith(".tmp")] == []


def test_without_links_a_file_copied_here_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1").write_text("first")
    monkeypatch.setattr(os, "link", fail(errno.ENOTSUP))
    with pytest.raises(files.Taken):
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
    script = "import sys; from bench import files; from pathlib import Path; p = Path(sys.argv[1])\n"
    script += "files.temporary_name(p / 'checkpoint').write_text('half')"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=ROOT)
    (tmp_path / ".checkpoint.tmp").write_text("somebody else's")
    mine = files.temporary_name(tmp_path / "checkpoint")
    mine.write_text("being written")
    far = tmp_path / ".checkpoint.far.00000000-1-00000000.tmp"
    far.write_text("written on another machine")
    assert len(files.remove_leftovers(tmp_path)) == 1
    os.utime(far, (0, 0))
    assert files.remove_leftovers(tmp_path) == [far]
    assert sorted(strays(tmp_path)) == sorted([".checkpoint.tmp", mine.name])


def test_a_process_is_told_from_a_later_one_and_from_a_dead_one() -> None:
    assert processes.process_started(os.getpid()) == processes.process_started(os.getpid()) is not None
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, not yet collected
    assert processes.process_started(child.pid) is None
    child.wait()
    assert processes.process_started(child.pid) is None


def test_file_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("é", "utf-8")
    assert files.sha256_file(tmp_path / "x") == files.sha256_text("é")
