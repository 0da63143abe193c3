"""`bench report`: what is printed, what is written, and how wrong requests end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.cli import main
from bench.store.store import Store
from reports.paper import published

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
from made_up import failed, seeds


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A store with three done runs of one cell, a failure, and a record that is torn."""
    store = Store(tmp_path / "runs")
    for record in [*seeds([54.8, 55.1, 55.3]), failed(method="ft-full", task="dart")]:
        store.run(record["run_id"]).write_record(record)
    torn = store.run("torn").path / "records" / "0001.json"
    torn.parent.mkdir(parents=True)
    torn.write_text('{"status": "do')
    return store.root


def test_the_papers_numbers_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--paper-only", "table2", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == published.read_document("table2")
    assert main(["report", "--paper-only", "table2", "table5", "--format", "json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["table2", "table5"]


def test_a_table_on_the_screen(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "table2", "--format", "md", "--runs", str(runs)]) == 0
    out, err = capsys.readouterr()
    assert "| 55.0 / 55.1 ± 0.6 ✓ " in out and "out-of-memory" in out
    assert "torn" in err and "not readable" in err


@pytest.mark.parametrize(
    ("form", "last"),
    [("html", "index.html"), ("md", "report.md"), ("tex", "report.tex"), ("json", "report.json")],
)
def test_a_directory(
    form: str, last: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [
        "report",
        "table2",
        "figure5",
        "--format",
        form,
        "--out",
        str(out),
        "--runs",
        str(runs),
        "--json",
    ]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"][-1] == str(out / last)
    assert all(Path(name).is_file() for name in told["files"])
    assert told["verdicts"]["reproduced"] == 1
    assert told["rows"]["rows"] == 21 and told["rows"]["verdicts"]["reproduced"] == 1
    assert [run["scores"] for run in told["latest"]] == [{"bleu": 55.3}, {"bleu": 55.1}, {"bleu": 54.8}]
    if form not in ("json",):
        assert (out / "figures" / "figure5.pdf").is_file()


def test_csv_files_one_per_table(runs: Path, tmp_path: Path) -> None:
    assert (
        main(
            [
                "report",
                "table2",
                "claims",
                "--format",
                "csv",
                "--out",
                str(tmp_path / "o"),
                "--runs",
                str(runs),
            ]
        )
        == 0
    )
    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert names == ["claims.csv", "disputes.csv", "rows.csv", "table2.csv"]


def test_html_goes_to_report(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", "table5", "--runs", str(runs)]) == 0
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_latest_scores_and_the_headline_are_on_the_terminal(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", "table2", "--runs", str(runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("report/index.html")
    assert lines[1] == "latest: webnlg, prefix on gpt2-medium, paper, seed 3: bleu 55.3"
    assert "21 rows" in lines[-1] and "1 reproduced" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "words"), [(["tabel2"], "table2"), (["table2", "--format", "htm"], "html")]
)
def test_wrong_requests_name_the_nearest(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_no_runs_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "table2", "--format", "md", "--runs", str(tmp_path / "none")]) == 0
    assert "○" in capsys.readouterr().out
    assert main(["list", "claims", "--json"]) == 0


def test_the_current_directory_can_hold_the_report(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["report", "table5", "--runs", str(runs), "--out", "."]) == 0
    assert (tmp_path / "here" / "index.html").is_file()
    assert capsys.readouterr().out.startswith("index.html")
    assert main(["report", "table5", "--runs", str(runs), "--out", "index.html/x"]) == 1
    told = capsys.readouterr().err
    assert "Traceback" not in told and ".tmp" not in told and "ls -ld index.html/x`" in told


def test_why_published_files_were_not_counted_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "dart").mkdir(parents=True)
    (tmp_path / "data" / "dart" / "dart-v1.1.1-full-dev.json").write_text(
        json.dumps([{"tripleset": [["a", "b", "c"]], "annotations": [{"source": "x", "text": "a b c"}]}])
    )
    arguments = ["report", "table1", "--data-dir", str(tmp_path / "data"), "--runs", str(tmp_path / "none")]
    for form, sign in (("md", "○"), ("tex", r"$\circ$")):
        assert main([*arguments, "--format", form]) == 0
        lines = capsys.readouterr().out.splitlines()
        [here] = [line for line in lines if "DART (input length, output length)" in line]
        assert sign in here and "not counted: train split not here" in here
        [size] = [line for line in lines if "examples): " in line]
        assert "DART" in size and "dev has 1 rows of 1 items, published are " in size
        [others] = [line for line in lines if "E2E; WebNLG; XSUM: " in line]
        assert "not counted: the published files are not here" in others


def test_a_tokenizer_that_is_none_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        assert main(["report", "table1", "--tokenizer", str(folder), "--format", "md"]) == 2
        assert str(folder) in capsys.readouterr().err
