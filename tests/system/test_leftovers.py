"""Who may read what is written, and that nothing of a killed writer stays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from bench.store.store import Store
from bench.system import files, json_files
from bench.training.checkpoint import save_tensors

DEAD = 4_194_305
"""Beyond the largest process id."""


def make_dead(path: Path) -> Path:
    """The name of a temporary beside ``path`` whose process is gone."""
    name = files.make_temporary_name(path)
    return name.with_name(name.name.replace(f"-{os.getpid()}-", f"-{DEAD}-"))


@pytest.fixture
def mask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def replace(path: Path) -> None:
    with files.replace_file(path) as temporary:
        temporary.write_text("x")


WRITERS: dict[str, Callable[[Path], object]] = {
    "atomic": lambda path: files.write_atomic(path, "x"),
    "new": lambda path: files.create_new(path, "x"),
    "line": lambda path: files.append_line(path, "x\n"),
    "replaced": replace,
    "json": lambda path: json_files.write_json_atomic(path, {}),
    "lines": lambda path: json_files.write_jsonl_atomic(path, [{}]),
    "tensors": lambda path: save_tensors(path, {"a": torch.zeros(1)}, {}),
}


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o027, 0o077], indirect=True, ids=oct)
@pytest.mark.parametrize("writer", WRITERS)
def test_files_are_for_whom_the_umask_says(writer: str, mask: int, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    WRITERS[writer](path)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
    assert path.parent.stat().st_mode & 0o777 == 0o777 & ~mask
    assert [inside.name for inside in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077], indirect=True, ids=oct)
def test_the_mini_suite_is_for_whom_the_umask_says(
    mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import mini

    monkeypatch.setattr("bench.mini.write.write_mini", lambda folder: (folder / "x").write_text("x"))
    root = tmp_path / "cache"
    make_dead(root / "mini").mkdir(parents=True)
    mini._build(root, root / "mini")
    assert (root / "mini").stat().st_mode & 0o777 == 0o777 & ~mask
    assert [path.name for path in root.iterdir()] == ["mini"]


def test_the_first_write_of_a_process_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    left, kept = make_dead(tmp_path / "file"), tmp_path / ".mine.tmp"
    left.write_text("half")
    kept.write_text("of somebody else")
    files.write_atomic(tmp_path / "other", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.tmp", "other"]


def test_a_killed_writer_leaves_one_recognisable_name(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "import torch\n"
        "import safetensors.torch\n"
        "from bench.training.checkpoint import save_tensors\n"
        "def killed(tensors, file, metadata):\n"
        "    Path(file).with_name('.tmpB4z9V3').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "safetensors.torch.save_file = killed\n"
        "save_tensors(Path(sys.argv[1]), {'a': torch.zeros(1)}, {})\n"
    )
    path = tmp_path / "checkpoint.safetensors"
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    save_tensors(path, {"a": torch.zeros(1)}, {})
    assert [inside.name for inside in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_claim_removes_what_libraries_left(tmp_path: Path) -> None:
    run = Store(tmp_path).run("a")
    run.path.mkdir(parents=True)
    for name in (".tmpB4z9V3", ".tmp123456", ".tmpshort", ".tmpTooLong", "tmpB4z9V3"):
        (run.path / name).write_text("half")
    (run.path / ".tmpfolder").mkdir()
    with run.claim(beat_every=None):
        names = {path.name for path in run.path.iterdir()}
    assert names == {"claims", ".tmpfolder", ".tmpshort", ".tmpTooLong", "tmpB4z9V3"}


def test_a_finished_run_is_tidied_unless_somebody_works_on_it(tmp_path: Path) -> None:
    run = Store(tmp_path).run("a")
    (run.path / "records").mkdir(parents=True)
    left = [run.path / ".tmpB4z9V3", make_dead(run.checkpoint), make_dead(run.path / "records" / "0001.json")]
    for path in left:
        path.write_text("half")
    run.tidy()
    assert not any(path.exists() for path in left)
    with run.claim(beat_every=None):
        left[0].write_text("being written")
        run.tidy()
        assert left[0].exists()


def test_a_temporary_folder_is_private_and_goes_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = make_dead(tmp_path / "bench-check")
    left.mkdir()
    (left / "run").write_text("half")
    with pytest.raises(KeyboardInterrupt), files.open_temporary_folder("check") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(tmp_path.iterdir()) == [folder]
        (folder / "x").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
