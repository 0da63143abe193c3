"""`bench list runs` as a table: the formats, where it is written, and what cannot be written."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from least_record import least

from bench.cli import main
from bench.store.store import Store

RUN = "webnlg-prefix-mini-gpt2-s101-1a2b3c4d5e6f"


@pytest.fixture
def runs(tmp_path: Path) -> str:
    store = Store(tmp_path / "runs")
    scores = {"all": {"bleu": {"value": 55.512345, "signature": "s"}}}
    store.run(RUN).write_record(least(scores=scores, options={"length": {"value": 5, "origin": "paper"}}))
    error = {"kind": "error", "message": "=cmd|' /C calc'!A0\nmore"}
    store.run("dart-prefix-mini-gpt2-s1-000000000000").write_record(least("failed", task="dart", error=error))
    return str(tmp_path / "runs")


def test_csv_has_every_column_and_no_formulas(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "runs", "--runs", runs, "--format", "csv"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out)).set_index("run_id")
    frame = Store(runs).frame().set_index("run_id")
    assert list(table.columns) == list(frame.columns) and list(table.index) == list(frame.index)
    assert table.loc[RUN, "score.all.bleu"] == 55.512345 and table.loc[RUN, "option.length"] == 5
    assert str(table["message"].dropna().iloc[0]).startswith("'=cmd")


def test_markdown_has_what_people_read(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "runs", "--runs", runs, "--format", "md"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all(line.count("|") == lines[0].count("|") for line in lines)
    assert "score.all.bleu" in lines[0] and "setting" not in lines[0]
    assert RUN in lines[3] and "55.5123" in lines[3] and "| no " in lines[3]


def test_the_file_says_its_format(runs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("runs.parquet", "runs.csv", "runs.md"):
        assert main(["list", "runs", "--runs", runs, "--out", str(tmp_path / name)]) == 0
        assert capsys.readouterr().out == ""
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "runs.parquet"), Store(runs).frame())
    assert (tmp_path / "runs.md").read_text().startswith("| run_id")
    assert main(["list", "runs", "--runs", runs, "--format", "csv", "--out", str(tmp_path / "table")]) == 0
    assert (tmp_path / "table").read_bytes() == (tmp_path / "runs.csv").read_bytes()


def test_an_empty_store_is_a_table_without_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "runs", "--runs", str(tmp_path), "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["list", "runs", "--runs", str(tmp_path), "--format", "md"]) == 0
    assert "run_id" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tasks", "--format", "csv"], "for runs, not for tasks"),
        (["runs", "--format", "xlsx"], "csv, md, parquet"),
        (["runs", "--out", "table"], "does not say its format"),
        (["runs", "--format", "csv", "--json"], "--json is one document"),
    ],
)
def test_what_cannot_be_written(
    runs: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", *words, "--runs", runs]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and not captured.out and len(captured.err.splitlines()) <= 3


def test_parquet_does_not_flood_a_terminal(
    runs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["list", "runs", "--runs", runs, "--format", "parquet"]) == 2
    assert "--out runs.parquet" in capsys.readouterr().err
