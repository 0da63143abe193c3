"""Every malformed input is refused clearly: one short message, the exit code, and nothing left behind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from inputs import MalformedInput, collect_inputs

from bench.cli import main
from bench.experiments import files
from bench.foreign_text import MESSAGE_LENGTH, MESSAGE_LINES, escape_controls

INPUTS = collect_inputs()


def list_files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


@pytest.mark.parametrize("malformed", INPUTS, ids=[f"{given.kind}-{given.name}" for given in INPUTS])
def test_a_malformed_input_is_refused_clearly(
    malformed: MalformedInput,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in malformed.environment.items():
        monkeypatch.setenv(name, value)
    words = malformed.prepare(tmp_path)
    if (tmp_path / "experiments").is_dir():
        monkeypatch.setattr(files, "FOLDER", tmp_path / "experiments")
    before = list_files(tmp_path)
    code = main(words)
    output, message = capfd.readouterr()
    assert code == malformed.exit_code
    assert re.search(malformed.expects, message, re.DOTALL), message
    assert message.startswith("bench: ")
    assert "Traceback" not in message
    lines = message.splitlines()
    assert len(lines) <= MESSAGE_LINES
    assert len(message.strip()) <= MESSAGE_LENGTH
    assert [escape_controls(line) for line in message.rstrip("\n").split("\n")] == lines
    assert output == ""
    assert list_files(tmp_path) == before


def test_names_are_distinct() -> None:
    names = [(given.kind, given.name) for given in INPUTS]
    assert len(names) == len(set(names))
