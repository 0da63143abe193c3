"""What was asked to be written is written, whoever takes what is printed; nothing of it is a traceback."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.cli.streams import ForgivingStream, guard_streams, is_output_lost

LOST = "the output was lost"
SINKS = [
    ("| true", 1, LOST),
    ("| head -c 0", 1, LOST),
    (">&-", 1, LOST),
    *([("> /dev/full", 1, LOST)] if Path("/dev/full").exists() else []),  # Linux has it
    ("2>&-", 0, ""),
    ("2> /dev/full", 0, ""),
    (">&- 2>&-", 1, ""),
    ("<&-", 0, ""),
    ("<&- >&- 2>&-", 1, ""),
]
PAIR = {"hyp": "a b c d", "refs": ["a b c d"]}


def run_in_shell(words: str, folder: Path) -> tuple[int, str]:
    """The exit code of a command with its redirections, and what it said on standard error."""
    root = Path(__file__).parents[2]
    command = f"{shlex.quote(sys.executable)} -m bench {words}; echo ${{PIPESTATUS[0]}} >&9"
    reading, writing = os.pipe()
    with os.fdopen(reading) as codes:
        done = subprocess.run(
            ["bash", "-c", f"exec 9>&{writing}; {command}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(root)},
            pass_fds=[writing],
            capture_output=True,
            text=True,
            check=False,
        )
        os.close(writing)
        return int(codes.read()), done.stderr


@pytest.mark.parametrize(("sink", "code", "message"), SINKS)
def test_the_file_is_written_whoever_takes_the_scores(
    sink: str, code: int, message: str, tmp_path: Path
) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps(PAIR) + "\n")
    words = f"score --task dart --pairs p.jsonl --metric bleu --segments s.json {sink}"
    returned, err = run_in_shell(words, tmp_path)
    assert returned == code
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert message in err
    assert "bleu_sys_len" in json.loads((tmp_path / "s.json").read_text())["all"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.jsonl", "s.json"]


@pytest.mark.parametrize("words", ["--help", "list tasks", "list tasks --json", "report --paper-only table2"])
def test_a_reader_that_left_is_one_message(words: str, tmp_path: Path) -> None:
    code, err = run_in_shell(f"{words} | true", tmp_path)
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith(f"bench: {LOST} (Broken pipe)")


def test_a_message_does_not_become_standard_output(tmp_path: Path) -> None:
    code, err = run_in_shell("lsit 2>&-", tmp_path)
    assert (code, err) == (2, "")


def test_the_report_is_written_though_its_name_is_not_read(tmp_path: Path) -> None:
    code, err = run_in_shell("report --paper-only table2 --out page | true", tmp_path)
    assert (code, LOST in err) == (1, True)
    assert (tmp_path / "page" / "index.html").is_file()


class Broken(io.StringIO):
    """A stream whose reader left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


def test_work_goes_on_after_the_output_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken())
    with guard_streams():
        assert not is_output_lost()
        print("one")
        assert is_output_lost()
        print("two")
    assert main(["list", "tasks"]) == 1
    assert LOST in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_characters_that_a_stream_lacks_are_escapes(encoding: str) -> None:
    binary = io.BytesIO()
    stream = ForgivingStream(io.TextIOWrapper(binary, encoding=encoding), [])
    stream.writelines(["ä€", "\udcff", "\n"])
    stream.flush()
    assert stream.lost is None
    expected = {"ascii": "\\xe4\\u20ac", "latin-1": "ä\\u20ac", "utf-8": "ä€"}[encoding]
    assert binary.getvalue().decode(encoding) == expected + "\\udcff\n"


def test_one_document_is_json_on_every_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    binary = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(binary, encoding="ascii"))
    assert main(["list", "claims", "--json"]) == 0
    claims: list[dict[str, Any]] = json.loads(binary.getvalue().decode("ascii"))
    assert claims
