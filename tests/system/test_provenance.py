"""What a record says about its origin is true, and finding it out never fails."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

import bench
from bench.registry import get_method
from bench.system import provenance

ROOT = Path(__file__).resolve().parents[2]  # scripts started here find the package
needs_git = pytest.mark.skipif(
    shutil.which("git") is None,
    reason="git is not installed: what is said of a checkout is compared with git's own word",
)


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def run(script: str) -> bytes:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for part in provenance.SCORING_PACKAGES:
        (root / part).mkdir(parents=True)
    (root / "bench" / "system").mkdir()
    (root / "bench" / "system" / "provenance.py").write_text("one\n")
    (root / "README.md").write_text("one\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


@needs_git
def test_clean_checkout(checkout: Path) -> None:
    state = provenance.describe_code(checkout)
    assert state == {
        "commit": git(checkout, "rev-parse", "HEAD"),
        "dirty": False,
        "changed": [],
        "changes_sha256": None,
    }


@needs_git
def test_changes_and_new_methods_are_told_apart(checkout: Path) -> None:
    seen = set()

    def fingerprint(*changed: str) -> None:
        state = provenance.describe_code(checkout)
        assert state is not None
        assert state["dirty"]
        assert state["changed"] == list(changed)
        assert state["changes_sha256"] not in seen
        seen.add(state["changes_sha256"])

    (checkout / "README.md").write_text("two\n")
    fingerprint("README.md")
    (checkout / "README.md").write_text("three\n")
    git(checkout, "add", ".")
    fingerprint("README.md")
    (checkout / "baselines" / "mïne new.py").write_text("mine")
    (checkout / "notes.txt").write_text("not code")
    fingerprint("README.md", "baselines/mïne new.py")
    (checkout / "bench" / "system" / "provenance.py").unlink()
    fingerprint("README.md", "baselines/mïne new.py", "bench/system/provenance.py")


def test_only_what_decides_numbers_is_fingerprinted_for_that(tmp_path: Path) -> None:
    def write(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return provenance.hash_deciding_source(tmp_path)

    before = write("bench/training/loop.py", "lr = 1")
    for name in ("bench/cli/run.py", "reports/x.py", "bench/store/x.py", "bench/metrics/notes.md"):
        assert write(name, "x") == before
    changed = [before]
    for name in ("bench/training/loop.py", "tasks/e2e.py", "bench/metrics/ter/x.py", "bench/method.py"):
        changed.append(write(name, "lr = 0.6"))
    assert len(set(changed)) == len(changed)


def test_the_source_of_a_plugin_decides_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = "method_of_somebody_else"
    file = tmp_path / f"{name}.py"
    file.write_text("class Mine:\n    lr = 1\n")
    method = importlib.import_module(name).Mine()
    first = provenance.identify_code([method])
    file.write_text("class Mine:\n    lr = 2\n")
    second = provenance.identify_code([method])
    assert set(first["plugins"]) == {name} and first["plugins"] != second["plugins"]
    ours = provenance.identify_code([get_method("prefix")])
    assert "plugins" not in ours
    assert len({code["deciding_sha256"] for code in (first, second, ours)}) == 3


def test_every_deciding_folder_is_there() -> None:
    assert [name for name in provenance.DECIDING if not (provenance.ROOT / name).exists()] == []
    assert provenance.identify_code()["deciding_sha256"] == provenance.hash_deciding_source()


@needs_git
def test_a_touched_file_is_not_a_change(checkout: Path) -> None:
    os.utime(checkout / "README.md", (1, 1))
    state = provenance.describe_code(checkout)
    assert state is not None
    assert not state["dirty"]


@needs_git
def test_state_inside_a_hook_is_that_of_the_code(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = provenance.describe_code(checkout)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert provenance.describe_code(checkout) == expected


@needs_git
def test_an_installed_copy_inside_another_repository_is_outside_git(checkout: Path) -> None:
    site = checkout / ".venv" / "site-packages"
    (site / "bench" / "system").mkdir(parents=True)
    (site / "bench" / "system" / "provenance.py").write_text("")
    assert provenance.describe_code(site) is None


def test_outside_git_or_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert provenance.describe_code(tmp_path) is None
    assert provenance.describe_code(tmp_path / "missing") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.describe_code() is None


@needs_git
def test_a_repository_without_commits(tmp_path: Path) -> None:
    (tmp_path / "bench" / "system").mkdir(parents=True)
    (tmp_path / "bench" / "system" / "provenance.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    assert provenance.describe_code(tmp_path) is None


def test_source_fingerprint_follows_the_code(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "a.py").write_text("1")
    first = provenance.hash_source(tmp_path)
    (tmp_path / "tasks" / "notes.txt").write_text("no code")
    assert provenance.hash_source(tmp_path) == first
    (tmp_path / "tasks" / "a.py").write_text("2")
    assert provenance.hash_source(tmp_path) != first
    assert len(provenance.hash_source()) == 64


def test_versions() -> None:
    versions = provenance.list_package_versions(["pytest", "no-such-package-here"])
    assert versions == {
        "python": ".".join(map(str, sys.version_info[:3])),
        "pytest": pytest.__version__,
    }


def test_a_record_names_the_version_of_the_code_that_runs_installed_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert provenance.list_package_versions()["prefix-bench"] == bench.__version__


def test_every_dependency_that_can_move_a_result_is_named() -> None:
    project = tomllib.loads((provenance.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {re.split("[<>=]", one)[0] for one in project["dependencies"]}
    shows = {"click", "jinja2", "matplotlib", "pandas", "rich", "tqdm"}
    without_a_say = {*shows, "defusedxml", "pydantic", "submitit"}
    assert without_a_say <= needed
    assert set(provenance.PACKAGES) == {project["name"], *needed - without_a_say}


def test_hardware_and_memory_are_json_and_plausible() -> None:
    machine = provenance.describe_hardware()
    assert json.loads(json.dumps(machine)) == machine
    assert machine["cores"] >= 1
    assert machine["cpu"]
    peak = provenance.measure_peak_memory()["process_bytes"]
    assert peak is not None
    assert 5_000_000 < peak < machine["memory_bytes"]


def test_peak_memory_grows_with_use() -> None:
    script = (
        "from bench.system import provenance as p; a = p.measure_peak_memory(); b = bytearray(60_000_000)\n"
    )
    script += "print(p.measure_peak_memory()['process_bytes'] - a['process_bytes'])"
    grown = run(script)
    assert int(grown) > 50_000_000


def test_torch_is_not_loaded_for_it() -> None:
    script = (
        "import sys; from bench import store; from bench.system import provenance as p, progress, files\n"
    )
    script += "p.describe_hardware(); p.measure_peak_memory(); p.list_package_versions()\n"
    script += "print(sorted({'torch', 'pandas', 'numpy', 'tqdm', 'transformers'} & set(sys.modules)))"
    out = run(script)
    assert out.strip() == b"[]"


def test_now_sorts_as_text_and_says_utc() -> None:
    first, second = provenance.format_current_time(), provenance.format_current_time()
    assert first <= second
    assert len(first) == len(second)
    assert datetime.fromisoformat(first).utcoffset() == datetime.now(UTC).utcoffset()


def test_names_of_people_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann.lee")
    monkeypatch.setenv("LOGNAME", "ann.lee")
    given = {
        "command": ["bench", "run", "--data-dir=/home/ann.lee/data", "--runs", "/scratch/ann.lee"],
        "trace": 'File "/home/ann.lee/x.py", line 3; /home/ann.leesson/x; ann.lee; /home/ann.lee',
        "/home/ann.lee": 1,
        "length": 10,
        "nothing": None,
    }
    assert provenance.hide_names(given) == {
        "command": ["bench", "run", "--data-dir=$HOME/data", "--runs", "/scratch/$USER"],
        "trace": 'File "$HOME/x.py", line 3; /home/ann.leesson/x; ann.lee; $HOME',
        "$HOME": 1,
        "length": 10,
        "nothing": None,
    }


def test_a_home_at_the_root_replaces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setenv("LOGNAME", "root")
    assert provenance.hide_names("/data/root/x") == "/data/root/x"
