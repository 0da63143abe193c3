"""What a run leaves is kept whole: its records, its products, and what they were made from."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from least_record import least

from bench.errors import DataError
from bench.store.record import compute_checksum
from bench.store.store import Store
from bench.system import files

RUN = "webnlg-prefix-mini-gpt2-s101-1a2b3c4d5e6f"


@pytest.fixture
def runs(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


# --- records


def test_a_record_comes_back_with_its_origin(runs: Store) -> None:
    written = least(spec={"task": "webnlg"}, scores={"all": {"bleu": {"value": 41.0}}})
    path = runs.run(RUN).write_record(written)
    assert path == runs.root / RUN / "records" / "0001.json"
    (record,) = runs.records()
    recorded = record.pop("recorded")
    assert recorded.endswith("+00:00")
    assert record.pop("checksum") == compute_checksum(json.loads(path.read_text()))
    assert record == {"format": 1, "run_id": RUN, "attempt": 1, **written}


def test_records_cannot_pose_as_another_attempt(runs: Store) -> None:
    runs.run(RUN).write_record(least(attempt=7, run_id="other", format=0, recorded="never"))
    (record,) = runs.records()
    assert (record["attempt"], record["run_id"], record["format"]) == (1, RUN, 1)
    assert record["recorded"] != "never"


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"status": "finished"},
        {"status": "failed"},
        {"status": "failed", "error": ""},
        least(scores={"bleu": float("nan")}),
    ],
)
def test_records_that_say_too_little_or_nonsense_are_refused(runs: Store, record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"status|error|nan at scores\.bleu"):
        runs.run(RUN).write_record(record)
    assert runs.records() == []


def test_no_home_directory_in_a_record(runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    error = {"kind": "ValueError", "trace": ['File "/home/somebody/bench/x.py"']}
    path = runs.run(RUN).write_record(least("failed", error=error))
    assert "somebody" not in path.read_text()


def test_numbers_beyond_four_digits_stay_in_order(runs: Store) -> None:
    run = runs.run(RUN)
    run.write_record(least())
    (run.path / "records" / "0001.json").rename(run.path / "records" / "9999.json")
    assert run.write_record(least()).name == "10000.json"
    latest = run.latest_record()
    assert latest is not None
    assert latest["attempt"] == 10000


# --- products and stages


def test_products_come_back(runs: Store) -> None:
    run = runs.run(RUN)
    run.write_spec({"task": {"value": "webnlg", "origin": "command line"}})
    assert run.write_generations({"id": str(i), "text": "Zürich\u2028"} for i in range(3)) == 3
    run.write_scores({"bleu": 41.0})
    assert run.read_spec() == {"task": {"value": "webnlg", "origin": "command line"}}
    assert run.read_generations()[2] == {"id": "2", "text": "Zürich\u2028"}
    assert run.read_scores() == {"bleu": 41.0}
    run.scores.write_text("[1]")
    with pytest.raises(DataError, match=r"scores\.json"):
        run.read_scores()


def test_the_log_of_a_resumed_run_is_that_of_an_undisturbed_one(runs: Store) -> None:
    run = runs.run(RUN)
    for step in range(5):
        run.append_log({"step": step})
    with run.log.open("a") as file:
        file.write('{"step": 5, "los')  # killed
    run.trim_log(lambda line: line["step"] < 3)  # the checkpoint was taken before step 3
    for step in range(3, 7):
        run.append_log({"step": step})
    assert [line["step"] for line in run.read_log()] == list(range(7))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_damaged_note_is_no_note(runs: Store, share: float) -> None:
    run = runs.run(RUN)
    run.write_scores({"bleu": 1.0})
    run.finish_stage("score", "key", {"training": {"updates": 1234, "loss": 0.125}})
    facts = run.stage_facts("score", "key")
    note = run.path / "stages" / "score.json"
    content = bytearray(note.read_bytes())
    content[int(share * len(content))] ^= 1
    note.write_bytes(content)
    assert run.stage_facts("score", "key") in (None, facts)


def test_a_stage_is_done_only_with_its_product_and_its_inputs(runs: Store) -> None:
    run = runs.run(RUN)
    assert run.why_not_done("score", "key") == "not finished yet"
    with pytest.raises(FileNotFoundError):
        run.finish_stage("score", "key")
    run.write_scores({"bleu": 1.0})
    assert not run.stage_done("score", "key")  # killed between product and note
    fingerprint = run.finish_stage("score", "key")
    assert fingerprint == run.product_sha256("score") == files.sha256_file(run.scores)
    assert run.stage_done("score", "key")
    assert run.why_not_done("score", "other key") == "its inputs have changed since"
    run.scores.write_text('{"bleu": 2.0}\n'.ljust(run.scores.stat().st_size))
    assert run.why_not_done("score", "key") == "scores.json is not the file that the stage left"
    run.scores.unlink()
    assert run.why_not_done("score", "key") == "scores.json is missing"
    (run.path / "stages" / "score.json").write_text("{")
    assert "damaged" in str(run.why_not_done("score", "key"))
    assert run.product_sha256("score") is None
    assert run.product_sha256("train") is None


# --- a full disk


@pytest.mark.parametrize("step", ["write", "fsync", "link"])
def test_full_disk_loses_no_earlier_record(runs: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    run = runs.run(RUN)
    run.write_record(least(score=1))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(files.StorageError, match=r"records/0002\.json: the disk is full"):
            run.write_record(least(score=2))
    assert sorted(path.name for path in (run.path / "records").iterdir()) == ["0001.json"]
    assert run.write_record(least(score=3)).name == "0002.json"
    assert [record["score"] for record in run.records()] == [1, 3]


def test_full_disk_does_not_keep_a_claim(runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(files.StorageError), runs.run(RUN).claim(), monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        runs.run(RUN).write_scores({})
    with runs.run(RUN).claim():
        pass
