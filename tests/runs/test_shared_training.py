"""Runs that differ in what they decode share one training, and say so; all others train by themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.config.request import CommonOptions, SpecifiedRun, expand_requests, specify_run
from bench.config.specification import select_training_settings
from bench.runs import runner, shared_training, stages
from bench.runs.attempt import Attempt
from bench.runs.stages import Stages
from bench.store.store import Store
from bench.training import checkpoint
from reports.records.values import measure_value

QUICK: dict[str, object] = {
    "max_steps": 2,
    "limit": 4,
    "beams": 1,
    "max_new_tokens": 4,
    "device": "cpu",
}


def request(runs: Path, model: Path, method: str = "prefix[length=2,hidden=4]", **given: object) -> Any:
    common = CommonOptions(model=str(model), runs=runs, given={**QUICK, **given})
    [made] = expand_requests(methods=method, tasks="webnlg", seeds="1", common=common)
    return made


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "store"


def done(record: dict[str, Any] | None) -> dict[str, Any]:
    assert record is not None and record["status"] == "done"
    return record


def test_another_split_comes_out_of_the_same_parameters(
    runs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = done(runner.run(request(runs, tiny_model)))
    alone = done(runner.run(request(runs.with_name("alone"), tiny_model, test_split="dev", beams=2)))
    with monkeypatch.context() as patched:
        patched.setattr(Stages, "fit", lambda *_: pytest.fail("trained once more"))
        other = done(runner.run(request(runs, tiny_model, test_split="dev", beams=2)))
    assert f"training: taken from {first['run_id']}" in capsys.readouterr().err
    assert first["run_id"] != other["run_id"] == alone["run_id"]
    assert first["training"]["taken_from"] is alone["training"]["taken_from"] is None
    assert other["training"] == {**first["training"], "taken_from": first["run_id"]}
    assert other["parameters"] == alone["parameters"]
    # What comes out is what a training of its own gives, byte for byte.
    mine, own = (Store(root).run(other["run_id"]) for root in (runs, runs.with_name("alone")))
    assert mine.read_generations() == own.read_generations()
    assert other["scores"] == alone["scores"]
    assert [line["loss"] for line in mine.read_log()] == [line["loss"] for line in own.read_log()]
    # A third one names who trained, not who passed it on.
    third = done(runner.run(request(runs, tiny_model, test_split="train")))
    assert third["training"]["taken_from"] == first["run_id"]


def test_the_file_is_on_the_disk_once_and_outlives_the_run_that_trained(runs: Path, tiny_model: Path) -> None:
    first = Store(runs).run(done(runner.run(request(runs, tiny_model)))["run_id"])
    again = request(runs, tiny_model, test_split="dev")
    other = Store(runs).run(done(runner.run(again))["run_id"])
    assert first.parameters.samefile(other.parameters)
    shutil.rmtree(first.path)
    record = done(runner.run(again))
    assert record["attempt"] == 1, "still done: nothing of it is gone"


def test_where_files_cannot_have_two_names_they_are_copied(
    runs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Store(runs).run(done(runner.run(request(runs, tiny_model)))["run_id"])

    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    with monkeypatch.context() as patched:
        patched.setattr("os.link", refuse)
        folder = Store(runs).run("copied")
        spec = specify_run(request(runs, tiny_model))
        taken = shared_training.reuse_training(folder, spec.spec, shared_training.compute_training_key(spec))
    assert taken is not None
    assert folder.parameters.read_bytes() == first.parameters.read_bytes()
    assert not first.parameters.samefile(folder.parameters)


def key(runs: Path, model: Path, **given: object) -> str:
    method = str(given.pop("method", "prefix[length=2,hidden=4]"))
    return shared_training.compute_training_key(specify_run(request(runs, model, method, **given)))


@pytest.mark.parametrize(
    "given",
    [
        {"test_split": "dev"},
        {"beams": 3},
        {"length_penalty": 0.5},
        {"max_new_tokens": 9},
        {"test_subset": 2},
        {"test_subset": 2, "data_seed": 3},
        {"decode_batch": 1},
    ],
)
def test_what_decoding_alone_reads_does_not_make_another_training(
    runs: Path, tiny_model: Path, given: dict[str, object]
) -> None:
    assert key(runs, tiny_model, **given) == key(runs, tiny_model)


@pytest.mark.parametrize(
    "given",
    [
        {"max_steps": 3},
        {"lr": 1e-3},
        {"limit": 3},
        {"train_split": "dev"},
        {"objective": "mean"},
        {"eval_every": 1},
        {"batch_size": 2},
        {"backbone_dropout": "yes"},
        {"train_subset": 3},
        {"method": "prefix[length=3,hidden=4]"},
        {"method": "embedding[length=2,hidden=4]"},
    ],
)
def test_what_training_reads_does(runs: Path, tiny_model: Path, given: dict[str, object]) -> None:
    usual = key(runs, tiny_model)
    assert key(runs, tiny_model, **given) != usual


def test_a_draw_of_the_training_rows_is_part_of_it(runs: Path, tiny_model: Path) -> None:
    one, two = (key(runs, tiny_model, train_subset=3, data_seed=seed) for seed in (0, 1))
    assert one != two
    with_test = key(runs, tiny_model, train_subset=3, data_seed=0, test_split="dev")
    assert with_test == one


def test_other_training_files_make_another_training(runs: Path, tiny_model: Path, tmp_path: Path) -> None:
    def found(training: str) -> SpecifiedRun:
        specified = specify_run(request(runs, tiny_model))
        hashes = {path: training if "train" in path else h for path, h in specified.data.hashes.items()}
        data = type(specified.data)(**{**vars(specified.data), "hashes": hashes})
        return type(specified)(**{**vars(specified), "data": data})

    assert shared_training.compute_training_key(found("a" * 64)) != shared_training.compute_training_key(
        found("b" * 64)
    )


def test_damaged_or_unfinished_parameters_are_not_taken(
    runs: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Store(runs).run(done(runner.run(request(runs, tiny_model)))["run_id"])
    first.parameters.write_bytes(first.parameters.read_bytes()[:-1] + b"?")
    other = done(runner.run(request(runs, tiny_model, test_split="dev")))
    assert other["training"]["taken_from"] is None
    printed = capsys.readouterr().err
    assert "taken from" not in printed
    assert f"{first.run_id} trained the same, but its parameters are damaged: not taken" in printed


def test_nothing_is_taken_in_a_launch_of_many(
    runs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(runner.run(request(runs, tiny_model)))
    specified = specify_run(request(runs, tiny_model, test_split="dev"))
    folder = Store(runs).run(specified.spec.run_id)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(stages, "reuse_training", lambda *_: pytest.fail("others would train and wait"))
    monkeypatch.setattr(Stages, "fit", lambda *_: {"taken_from": None})
    from bench.models.loading import load_tokenizer

    training, _ = Attempt(specified, folder).stages.train(load_tokenizer(specified.model.path))
    assert training == {"taken_from": None}


def test_times_and_memory_of_another_job_are_no_measurements_of_this_one(
    runs: Path, tiny_model: Path
) -> None:
    first = done(runner.run(request(runs, tiny_model)))
    other = done(runner.run(request(runs, tiny_model, test_split="dev")))
    assert measure_value(first, "all", "epoch_hours").value is not None
    found = measure_value(other, "all", "epoch_hours")
    assert found.value is None and "another run" in found.reason
    assert json.dumps(other["training"])


WATCHED: dict[str, Any] = {"method": "ft-full", "max_steps": 4, "eval_every": 1, "lr": 1.0, "warmup_steps": 9}
"""The first update changes nothing (warm-up), the next ones destroy the model: the first look at dev is the best."""


def test_the_last_and_the_best_parameters_come_out_of_one_training(
    runs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = done(runner.run(request(runs, tiny_model, **WATCHED, keep="best", store_both="yes")))
    assert best["training"]["kept_update"] == best["training"]["best_update"] < 4
    elsewhere = runs.with_name("alone")
    plain = {name: value for name, value in WATCHED.items() if name != "eval_every"}
    alone = {
        "watched": done(runner.run(request(elsewhere, tiny_model, **WATCHED))),
        "never watched": done(runner.run(request(elsewhere, tiny_model, **plain))),
    }
    with monkeypatch.context() as patched:
        patched.setattr(Stages, "fit", lambda *_: pytest.fail("trained once more"))
        taken = {
            "watched": done(runner.run(request(runs, tiny_model, **WATCHED))),
            "never watched": done(runner.run(request(runs, tiny_model, **plain))),
        }
    for name, record in taken.items():
        assert record["training"]["taken_from"] == best["run_id"]
        assert record["training"]["kept_update"] == 4
        assert record["run_id"] == alone[name]["run_id"]
        mine, own = (Store(root).run(record["run_id"]) for root in (runs, elsewhere))
        assert checkpoint.load_tensors(mine.parameters).tensors.keys()
        for tensor, expected in zip(
            checkpoint.load_tensors(mine.parameters).tensors.values(),
            checkpoint.load_tensors(own.parameters).tensors.values(),
            strict=True,
        ):
            assert torch.equal(tensor, expected)
        assert mine.read_generations() == own.read_generations()
    assert taken["watched"]["training"]["best_dev_loss"] == alone["watched"]["training"]["best_dev_loss"]


def test_the_best_parameters_come_out_of_a_training_that_keeps_the_last(
    runs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = done(runner.run(request(runs, tiny_model, **WATCHED, store_both="yes")))
    with monkeypatch.context() as patched:
        patched.setattr(Stages, "fit", lambda *_: pytest.fail("trained once more"))
        best = done(runner.run(request(runs, tiny_model, **WATCHED, keep="best")))
    assert best["training"]["taken_from"] == last["run_id"]
    assert best["training"]["kept_update"] == last["training"]["best_update"]
    alone = done(runner.run(request(runs.with_name("alone"), tiny_model, **WATCHED, keep="best")))
    assert alone["scores"] == best["scores"]


def test_other_parameters_that_are_damaged_or_of_another_look_are_not_taken(
    runs: Path, tiny_model: Path
) -> None:
    best = done(runner.run(request(runs, tiny_model, **WATCHED, keep="best", store_both="yes")))
    other = done(runner.run(request(runs, tiny_model, **{**WATCHED, "eval_every": 3})))
    assert other["training"]["taken_from"] is None
    stored = Store(runs).run(best["run_id"]).path / "parameters-last.safetensors"
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    again = done(runner.run(request(runs, tiny_model, **WATCHED)))
    assert again["training"]["taken_from"] is None


def test_where_outputs_decide_what_is_kept_decoding_is_part_of_the_training() -> None:
    usual = {"keep": "last", "beams": 5, "lr": 1e-3, "test_split": "test"}
    assert "beams" not in select_training_settings(usual)
    chosen = select_training_settings({**usual, "keep": "best-dev-rouge2"})
    assert chosen["beams"] == 5
    assert "test_split" not in chosen
