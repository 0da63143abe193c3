"""One experiment that cannot be used is listed with its cause, and the others can be used."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import main
from bench.experiments import files

GOOD = 'title = "Good"\nsource = "our choice"\n[[grid]]\ntasks = ["e2e"]\nmethods = ["prefix"]\n'
GOOD += 'models = ["mini-gpt2"]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for read in (files.load_experiment, files.list_prescribed_runs):  # once per name
        read.cache_clear()


def test_every_kind_of_broken_file_is_listed_and_the_others_work(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "good-file.toml").write_text(GOOD + "seeds = [1]\n")
    (folder / "types.toml").write_text(GOOD + 'seeds = ["x"]\n')
    (folder / "bytes.toml").write_bytes(b"\xff\xfe")
    (folder / "folder.toml").mkdir()
    os.mkfifo(folder / "pipe.toml")
    (folder / "dangling.toml").symlink_to("nowhere")
    (folder / "circle.toml").symlink_to("circle.toml")
    (folder / "odd\n\x1b[31mname.toml").write_text(GOOD + "seeds = [1]\n")
    for name, other in (("one-way", "other-way"), ("other-way", "one-way")):
        (folder / f"{name}.toml").write_text(
            f'title = "T"\nsource = "S"\n[[reuse]]\nexperiment = "{other}"\n'
        )
    assert main(["list", "experiments", "--json"]) == 0
    output = capsys.readouterr().out
    rows = {row["name"]: row.get("broken") for row in json.loads(output)}
    assert len(rows) == 10
    assert [name for name, cause in rows.items() if cause is None] == ["good-file"]
    for name, cause in (
        ("pipe", "pipe"), ("folder", "directory"), ("dangling", "dangling link"), ("bytes", "UTF-8"),
        ("one-way", "circle: one-way -> other-way -> one-way"), ("types", "whole number"),
    ):  # fmt: skip
        assert cause in str(rows[name])
    assert main(["list", "experiments"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["plan", "good-file", "--runs", "runs"]) == 0
    for name in set(rows) - {"good-file"}:
        assert main(["plan", name, "--runs", "runs"]) == 2
        message = capsys.readouterr().err
        assert "Traceback" not in message and len(message) <= 502
    assert main(["plan", "all", "--runs", "runs"]) == 2


def test_runs_of_a_damaged_experiment_fill_no_table(folder: Path) -> None:
    (folder / "damaged.toml").write_text("apart =")
    assert files.find_only_table("damaged") == ""
    assert files.find_only_table("absent") is None


def test_hidden_files_are_none_and_all_is_no_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Editors and other systems leave them; they stop nobody from running `all`."""
    (folder / "paper-like.toml").write_text(GOOD + "seeds = [1]\n")
    (folder / "._paper-like.toml").write_bytes(b"\0\5\x16\7")
    (folder / ".#paper-like.toml").symlink_to("somebody@somewhere.123")
    assert files.list_experiments() == ("paper-like",)
    assert main(["plan", "all", "--runs", "runs"]) == 0
    (folder / "all.toml").write_text(GOOD + "seeds = [1]\n")
    assert "and not 'all'" in files.list_broken_experiments()["all"]
    capsys.readouterr()
    assert main(["doctor", "--json"]) in (0, 1)
    found = {row["what"]: row["found"] for row in json.loads(capsys.readouterr().out)}
    assert "and not 'all'" in found["experiment all"]


def test_runs_taken_again_and_again_have_a_limit(folder: Path) -> None:
    """Forty files, each of which takes the next one's runs twice, would be a million million runs."""
    for number in range(40):
        text = 'title = "T"\nsource = "S"\n' + f'[[reuse]]\nexperiment = "e{number + 1}"\n' * 2
        (folder / f"e{number}.toml").write_text(text)
    (folder / "e40.toml").write_text(GOOD + "seeds = [1]\n")
    assert files.find_problem("e40") is None
    assert "expected at most 100,000" in str(files.find_problem("e0"))


def test_a_long_circle_and_one_that_is_led_into_are_named(folder: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")):
        (folder / f"{name}.toml").write_text(
            f'title = "T"\nsource = "S"\n[[reuse]]\nexperiment = "{other}"\n'
        )
    for name in "abcd":
        assert "circle: b -> c -> d -> b" in str(files.find_problem(name)) or name in "bcd"
        assert "circle" in str(files.find_problem(name))
