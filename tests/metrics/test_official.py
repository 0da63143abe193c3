"""The official programs: found where the package has them, and asked for by 1 only."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from bench import registry
from bench.errors import UserError
from bench.metrics import _official


def test_only_1_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_JAVA", raising=False)
    assert not _official.is_jar_requested()
    for value, asked in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("BENCH_JAVA", value)
        assert _official.is_jar_requested() == asked


def test_a_file_may_be_in_any_folder_of_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = ModuleSpec("pycocoevalcap", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "first"), str(tmp_path / "second")]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    wanted = tmp_path / "second" / _official.METEOR_JAR
    assert _official.find_package_file(_official.METEOR_JAR) is None
    wanted.parent.mkdir(parents=True)
    wanted.touch()
    assert _official.find_package_file(_official.METEOR_JAR) == wanted


def test_without_the_package_there_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert _official.list_package_folders() == []
    assert _official.find_package_file(_official.METEOR_JAR) is None


@pytest.mark.parametrize(("code", "works"), [(0, True), (1, False)])
def test_a_java_that_only_asks_to_be_installed_is_none(
    code: int, works: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    look = _official.has_java.__wrapped__
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not look()
    java = tmp_path / "java"
    java.write_text(f"#!/bin/sh\nexit {code}\n")
    java.chmod(0o755)
    assert look() is works


def test_another_value_of_bench_java_is_refused_by_every_score_that_has_a_jar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCH_JAVA", "yes")
    for name in ("meteor", "rouge_l", "cider"):
        scorer = registry.find_metric("e2e", name)
        assert scorer is not None
        with pytest.raises(UserError, match="BENCH_JAVA=yes: expected 1"):
            scorer.score(["a"], [["a"]])
