"""The source that queued jobs run is the one that was submitted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cluster import snapshot
from bench.system import provenance


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small source tree in git."""
    root = tmp_path / "checkout"
    for package in snapshot.PACKAGES:
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").write_text("")
    (root / "bench" / "system").mkdir(exist_ok=True)
    shutil.copy(provenance.__file__, root / "bench" / "system" / "provenance.py")
    (root / "bench" / "what.py").write_text("WORD = 'submitted'\n")
    if shutil.which("git") is None:
        pytest.skip("git is not installed: a snapshot takes the files that git knows")
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m"],
    ):
        subprocess.run(["git", "-C", str(root), *words], check=True, env=plain)
    return root


def word_in(source: str) -> str:
    """What a job imports that runs the snapshot from inside the (edited) checkout."""
    from bench.cluster.site import make_source_environment

    done = subprocess.run(
        [sys.executable, "-c", "import bench.what; print(bench.what.WORD)"],
        env={**os.environ, **make_source_environment(Path(source))},
        cwd=Path(source).parents[3] / "checkout",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_later_edits_do_not_reach_queued_jobs(checkout: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first = snapshot.take_snapshot(runs, checkout)
    assert first["code"]["dirty"] is False
    (checkout / "bench" / "what.py").write_text("WORD = 'edited'\n")
    (checkout / "bench" / "new.py").write_text("NEW = 1\n")  # git does not know it yet
    assert word_in(first["path"]) == "submitted"
    second = snapshot.take_snapshot(runs, checkout)
    assert second["snapshot"] != first["snapshot"]
    assert word_in(second["path"]) == "edited"
    assert (Path(second["path"]) / "bench" / "new.py").exists()
    assert second["code"]["changed"] == ["bench/new.py", "bench/what.py"]
    assert "+WORD = 'edited'" in (Path(second["path"]) / "changes.diff").read_text()


def test_the_same_source_is_copied_once(checkout: Path, tmp_path: Path) -> None:
    first = snapshot.take_snapshot(tmp_path / "runs", checkout)
    before = (Path(first["path"]) / provenance.SNAPSHOT_FILE).stat().st_mtime_ns
    assert snapshot.take_snapshot(tmp_path / "runs", checkout) == first
    assert (Path(first["path"]) / provenance.SNAPSHOT_FILE).stat().st_mtime_ns == before
    assert [path.name for path in Path(first["path"]).parent.iterdir()] == [first["snapshot"]]


def test_a_snapshot_says_what_it_is_a_copy_of(checkout: Path, tmp_path: Path) -> None:
    taken = snapshot.take_snapshot(tmp_path / "runs", checkout)
    state = provenance.describe_code(Path(taken["path"]))
    code = provenance.describe_code(checkout)
    assert code is not None
    deciding = provenance.hash_deciding_source(checkout)
    assert deciding == provenance.hash_deciding_source(Path(taken["path"]))
    assert state == {**code, "deciding_sha256": deciding, "snapshot": taken["snapshot"]}


def test_outside_git_the_sources_have_a_fingerprint(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".git")
    taken = snapshot.take_snapshot(tmp_path / "runs", checkout)
    assert set(taken["code"]) == {"source_sha256", "deciding_sha256"}
    assert not (Path(taken["path"]) / "changes.diff").exists()
