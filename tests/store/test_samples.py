"""What earlier versions wrote stays readable, and the published schema is the one that checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.config.comparability import IncomparableKind
from bench.config.run_key import compute_record_key
from bench.config.settings import SettingLayer
from bench.errors import FailureKind
from bench.scoring.score import GateStatus, ScoreStatus
from bench.store.record import RunStatus, build_schema, parse_record

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted((ROOT / "tests" / "samples" / "records").glob("*.json"))
RENEW = (
    "renew docs/record.schema.json: python -c 'import json; from bench.store.record import build_schema; "
    "print(json.dumps(build_schema(), indent=2))'"
)


def read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / f"tests/samples/records/{name}.json").read_text())
    return document


def test_there_is_a_sample_of_each_kind() -> None:
    assert len(SAMPLES) >= 9
    assert {json.loads(path.read_text())["status"] for path in SAMPLES} == set(RunStatus)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_record_of_an_earlier_version_is_read_whole(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    record = parse_record(document, document["run_id"])
    assert dict(record) == record.document == document
    assert record.status.value == document["status"]
    assert {name: entry.value for name, entry in record.settings.items()} == {
        name: entry["value"] for name, entry in document["settings"].items()
    }
    assert [reason.text for reason in record.incomparable or []] == document["not_comparable"]
    assert compute_record_key(document)  # plans find it


def test_states_that_were_words_are_values() -> None:
    done = parse_record(read("done-webnlg-adapter-1"), read("done-webnlg-adapter-1")["run_id"])
    kinds = [reason.kind for reason in done.incomparable or []]
    assert kinds == [IncomparableKind.SCALE, IncomparableKind.INVENTED_DATA, IncomparableKind.BACKBONE]
    bleu, variant = done.scores["all"]["bleu"], done.scores["all"]["bleu_no_blank"]
    assert (bleu.status, bleu.gate_status) == (ScoreStatus.COMPUTED, GateStatus.PASSED)
    assert variant.gate_status is GateStatus.ABSENT
    assert done.experiment is None
    failed = parse_record(read("failed-webnlg-ft-full-1"), read("failed-webnlg-ft-full-1")["run_id"])
    assert failed.error is not None and failed.error.failure_kind is FailureKind.DIVERGED
    assert failed.settings["lr"].typed and failed.settings["limit"].layer is SettingLayer.COMMAND_LINE
    planned = parse_record(read("done-e2e-experiment-1"), read("done-e2e-experiment-1")["run_id"])
    assert planned.experiment == "figure3"
    assert planned.settings["train_subset"].layer is SettingLayer.EXPERIMENT


def test_a_huge_learning_rate_is_written_and_read(tmp_path: Path) -> None:
    from bench.store import Store

    folder = Store(tmp_path).run("run")
    document = read("failed-webnlg-ft-full-1")
    for number in (1e30, 1e300, 10**40):
        document["settings"]["lr"] = {"value": number, "origin": "command line"}
        folder.write_record(document)
    assert len(folder.records()) == 3


def test_what_readers_would_refuse_is_not_written(tmp_path: Path) -> None:
    from bench.store import Store

    folder = Store(tmp_path).run("run")
    document = read("done-webnlg-prompt-1")
    for change in ({"seed": "1"}, {"scores": {}}, {"decoding": None}, {"settings": {"lr": {"value": 1.0}}}):
        with pytest.raises(ValueError, match=r"^its? "):
            folder.write_record({**document, **change})
    assert folder.records() == [] and not folder.path.joinpath("records", "0001.json").exists()


def test_the_published_schema_is_the_one_that_checks() -> None:
    published = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(build_schema())), RENEW
