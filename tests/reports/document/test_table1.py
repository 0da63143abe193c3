"""Table 1 is counted in the files themselves: the paper's numbers come out, and what is not there is a gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from byte_tokens import byte_tokenizer
from lines_task import Lines, lay_out

import bench.data.dataset
import bench.models.tokenizers
from bench.cli import main
from bench.errors import UserError
from reports.document.table1 import METRICS, count_statistics, count_task, make_exact

TASK = Lines()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "files")


def no_words() -> None:
    return None


def words() -> Any:
    return byte_tokenizer(["<|endoftext|>"], eos_token="<|endoftext|>")


def test_rows_of_all_splits_and_mean_lengths_of_the_training_rows(files: Path) -> None:
    counted = count_task(TASK, files, words)
    assert {metric: evidence.replicates for metric, evidence in counted.items()} == {
        "examples": {(None, 0): 5},
        # Of single bytes: a blank, the letter, the lone blank behind it; in a target BOS and EOS too.
        "input_length": {(None, 0): 3},
        "output_length": {(None, 0): 5},
    }
    assert counted["examples"].notes[0].startswith("train 2 + dev 1 + test 2; files with SHA-256 ")


def test_without_a_tokenizer_only_the_examples_are_counted(files: Path) -> None:
    counted = count_task(TASK, files, no_words)
    assert counted["examples"].replicates == {(None, 0): 5}
    assert (
        counted["input_length"].missing == counted["output_length"].missing == ("no GPT-2 tokenizer is here",)
    )


def test_an_absent_split_is_a_gap(tmp_path: Path) -> None:
    counted = count_task(TASK, lay_out(tmp_path / "few", "dev", "train"), words)
    assert counted["examples"].missing == ("test split not here",)
    assert counted["input_length"].replicates
    counted = count_task(TASK, lay_out(tmp_path / "fewer", "dev", "test"), words)
    assert {evidence.missing for evidence in counted.values()} == {("train split not here",)}


def test_files_of_another_size_cannot_stand_beside_the_paper(files: Path) -> None:
    (files / "lines" / "v1" / "train.txt").write_text("a=b\n")
    counted = count_task(TASK, files, words)
    assert not any(evidence.replicates for evidence in counted.values())
    assert {evidence.excluded for evidence in counted.values()} == {
        ("train has 1 rows of 1 items, published are 2 of 2",)
    }


def test_where_nothing_is_no_tokenizer_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.models.tokenizers, "find_tokenizer", lambda _: pytest.fail("not needed"))
    counted = count_statistics()
    assert set(counted) == {
        (task, metric) for task in ("e2e", "webnlg", "dart", "xsum") for metric in METRICS
    }
    assert {evidence.missing for evidence in counted.values()} == {("the published files are not here",)}
    with pytest.raises(UserError, match="does not exist"):
        count_statistics(tmp_path / "nowhere")


def test_damaged_files_are_said_and_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data" / "e2e").mkdir(parents=True)
    for name in ("trainset.csv", "devset.csv", "testset_w_refs.csv"):
        (tmp_path / "data" / "e2e" / name).write_bytes(b"mr,ref\n\xff\xfe,x\n")
    counted = count_statistics(tmp_path / "data")
    assert counted["e2e", "examples"].missing == ("the files cannot be read",)
    assert "e2e is not counted: " in capsys.readouterr().err


def test_what_was_counted_is_kept_until_the_files_change(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = count_task(TASK, files, words)
    with monkeypatch.context() as patched:
        patched.setattr(
            bench.data.dataset, "compute_statistics", lambda *_, **__: pytest.fail("already counted")
        )
        assert count_task(TASK, files, words) == first
    (files / "lines" / "v1" / "train.txt").write_text("a=bb\nc=dd\n")
    assert count_task(TASK, files, words)["output_length"].replicates == {(None, 0): 6}


def test_a_cache_that_cannot_be_written_costs_time_alone(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("in the way")
    assert count_task(TASK, files, words)["examples"].replicates == {(None, 0): 5}
    assert "counted again next time" in capsys.readouterr().err


def test_the_papers_numbers_come_out_of_the_published_files(
    shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_DATA", str(shared / "data"))
    words = str(shared / "tokenizers" / "gpt2")
    assert main(["report", "table1", "--tokenizer", words, "--format", "json"]) == 0
    [table] = json.loads(capsys.readouterr().out)["tables"]
    rows = {row["label"]: row["cells"] for block in table["blocks"] for row in block["sections"][0]["rows"]}
    # Counted by others with the authors' code: 51,426 and 22,145 examples, 28.49/27.84 and 49.63/30.67 tokens.
    for label, numbers in {"E2E": (51_426, 28.49, 27.84), "WebNLG": (22_145, 49.63, 30.67)}.items():
        assert [cell["verdict"] for cell in rows[label]] == ["reproduced"] * 3
        for cell, number in zip(rows[label], numbers, strict=True):
            assert cell["ours"]["mean"] == pytest.approx(number, abs=0.005)
            assert cell["ours"]["note"] == "counted in the published files"
    for label in ("DART", "XSUM"):
        for cell in rows[label]:
            assert cell["verdict"] == "not run" or cell["ours"]


def test_the_claims_on_table_1_are_decided_by_the_counts(made_counts: Any) -> None:
    from reports.judgement.claims import check_claims
    from reports.records.index import RunIndex

    decided = {
        checked.claim.id: checked.records for checked in check_claims(RunIndex([]), counted=made_counts)
    }
    assert decided["xsum-17x"].outcome == "contradicted"
    del made_counts["xsum", "input_length"]
    missing = {
        checked.claim.id: checked.records for checked in check_claims(RunIndex([]), counted=made_counts)
    }["xsum-17x"]
    assert missing.outcome == "not run" and "xsum" in missing.explanation


@pytest.fixture
def made_counts() -> dict[tuple[str, str], Any]:
    lengths = {"e2e": 28.5, "webnlg": 49.6, "dart": 38.8, "xsum": 473.3}
    return {(task, "input_length"): make_exact(length) for task, length in lengths.items()}
