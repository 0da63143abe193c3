"""Whole runs on a tiny model: what they leave, that they continue, and how they fail."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from published_models import take_shape
from replaced_scorers import replace_scorer
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel
from waiting import PATIENCE, wait_until

from bench.cli import main
from bench.cli.run import print_execution
from bench.cluster import status
from bench.config.request import CommonOptions, expand_requests
from bench.errors import UserError
from bench.metric import MetricResult
from bench.runs import runner, stages
from bench.scoring import golden
from bench.store.run_dir import RunDir
from bench.store.store import Store

QUICK: dict[str, object] = {"limit": 6, "epochs": 1, "batch_size": 2, "max_new_tokens": 8, "device": "cpu"}


def request(tmp_path: Path, model: Path, method: str = "prefix[length=3,hidden=8]", **given: Any) -> Any:
    common = CommonOptions(model=str(model), runs=tmp_path / "runs", given={**QUICK, **given})
    [one] = expand_requests(methods=method, tasks=given.pop("task", "webnlg"), seeds="1", common=common)
    return one


def folder_of(tmp_path: Path) -> RunDir:
    [folder] = Store(tmp_path / "runs").runs()
    return folder


def test_a_run_leaves_a_whole_record_and_only_trained_parameters(tmp_path: Path, tiny_model: Path) -> None:
    record = runner.run(request(tmp_path, tiny_model))
    folder = folder_of(tmp_path)
    assert record["status"] == "done"
    assert set(load_file(folder.parameters)) == {"prefix"}
    rows = folder.read_generations()
    assert len(rows) == 6
    assert all(row["output"] and row["references"] and row["facts"] for row in rows)
    assert record["scores"] == folder.read_scores()
    assert record["scores"]["all"]["bleu"]["value"] is not None
    assert record["scores"]["all"]["meteor"]["gate"].startswith("passed")
    assert record["parameters"]["stored"] == 2 * 2 * 3 * 16
    assert record["parameters"]["trained"] > record["parameters"]["stored"]
    for name in ("code", "packages", "hardware", "peak_memory_bytes", "data_fingerprint", "command"):
        assert record[name], name
    assert record["settings"]["limit"] == {"value": 6, "origin": "command line", "layer": "command-line"}
    assert not list(folder.path.glob("*checkpoint*"))


def test_the_record_says_under_which_conditions(tmp_path: Path, tiny_model: Path) -> None:
    record = runner.run(request(tmp_path, tiny_model, threads=3))
    facts = record.execution
    assert (facts.threads, facts.processes, facts.device) == (3, 1, "cpu")
    assert facts.continued_under == []
    assert len(record.code["deciding_sha256"]) == 64


def test_what_is_printed_of_a_run_has_the_conditions(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--method", "prompt", "--task", "webnlg", "--model", str(tiny_model), "--runs", str(tmp_path)]
    words += ["--limit", "2", "--max-new-tokens", "4", "--device", "cpu"]
    assert main(["run", *words, "--threads", "3"]) == 0
    assert "computed with      3 threads, 1 process, cpu" in capsys.readouterr().out


def test_decoding_under_other_conditions_than_training_is_recorded(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no luck")

    threads = torch.get_num_threads()
    with monkeypatch.context() as patch:
        patch.setattr("bench.decoding.generation.decode_sources", broken)
        with pytest.raises(RuntimeError, match="no luck"):
            runner.run(request(tmp_path, tiny_model, threads=threads))
    record = runner.run(request(tmp_path, tiny_model, threads=threads + 1))
    assert torch.get_num_threads() == threads
    printed = capsys.readouterr().err
    assert f"decoding goes on under other conditions (threads {threads}, then" in printed
    assert record.execution.threads == threads + 1
    assert [part.threads for part in record.execution.continued_under] == [threads]
    [row] = status.collect_status(tmp_path / "runs").rows
    assert row.continued
    print_execution(record)
    assert f"earlier with       {threads} thread" in capsys.readouterr().out
    assert main(["status", "--runs", str(tmp_path / "runs")]) == 0
    assert "1 continued under other conditions" in capsys.readouterr().out


def test_the_same_request_again_finds_it_done(tmp_path: Path, tiny_model: Path) -> None:
    first = runner.run(request(tmp_path, tiny_model))
    again = runner.run(request(tmp_path, tiny_model))
    assert again["started"] == first["started"]
    assert len(folder_of(tmp_path).records()) == 1


@pytest.mark.parametrize(
    "method",
    ["ft-full", "ft-top2", "adapter[bottleneck=2]", "embedding[length=3]", "infix[length=3]", "prompt"],
)
def test_every_method_goes_through(method: str, tmp_path: Path, tiny_model: Path) -> None:
    record = runner.run(request(tmp_path, tiny_model, method))
    assert record["status"] == "done"
    assert (record["training"] is None) == (method == "prompt")


@pytest.mark.parametrize("task", ["e2e", "dart"])
def test_the_other_tasks_go_through_in_both_protocols(task: str, tmp_path: Path, tiny_model: Path) -> None:
    for protocol in ("original", "plain"):
        common = CommonOptions(model=str(tiny_model), protocol=protocol, runs=tmp_path / "runs", given=QUICK)
        [one] = expand_requests(methods="prefix[length=2,hidden=8]", tasks=task, seeds="1", common=common)
        assert runner.run(one)["status"] == "done"
    assert len(Store(tmp_path / "runs").runs()) == 2


def test_the_dev_loss_alone_can_be_watched(tmp_path: Path, tiny_model: Path) -> None:
    record = runner.run(request(tmp_path, tiny_model, eval_every=2))
    assert record["training"]["best_dev_loss"] > 0
    watched = [line["step"] for line in folder_of(tmp_path).read_log() if "dev_loss" in line]
    assert watched == [2, 3]


def test_outputs_do_not_depend_on_how_many_are_decoded_together(tmp_path: Path, tiny_model: Path) -> None:
    outputs = []
    for batch in (1, 4, 100):
        place = tmp_path / str(batch)
        runner.run(request(place, tiny_model, decode_batch=batch))
        outputs.append(folder_of(place).generations.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


def test_a_failed_score_costs_no_second_training(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("no luck")

    with monkeypatch.context() as patch:
        patch.setattr("bench.scoring.evaluation.score_outputs", broken)
        with pytest.raises(RuntimeError, match="no luck"):
            runner.run(request(tmp_path, tiny_model))
    folder = folder_of(tmp_path)
    failed = folder.latest_record()
    assert failed is not None
    assert failed["status"] == "failed"
    assert failed["error"]["kind"] == "error"
    assert "no luck" in failed["error"]["traceback"]
    before = folder.parameters.stat().st_mtime_ns
    record = runner.run(request(tmp_path, tiny_model))
    assert record["status"] == "done"
    assert record["training"]["updates"] == 3
    assert folder.parameters.stat().st_mtime_ns == before
    assert [one["status"] for one in folder.records()] == ["failed", "done"]


def test_a_score_that_can_be_computed_by_now_is_added_without_training(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*texts: object) -> tuple[float, str]:
        raise ImportError("not today")

    with monkeypatch.context() as patch:
        replace_scorer(patch, "webnlg", "bleu", broken)
        record = runner.run(request(tmp_path, tiny_model))
        assert record["status"] == "done"
        assert runner.list_failed_scores(record) == ["bleu"]
    made_up = MetricResult(0.5, {"made up": None})
    replace_scorer(monkeypatch, "webnlg", "meteor", lambda hypotheses, references: made_up)
    golden.check_scorer.cache_clear()
    before = folder_of(tmp_path).parameters.stat().st_mtime_ns
    record = runner.run(request(tmp_path, tiny_model))
    assert record["scores"]["all"]["bleu"]["value"] is not None
    assert runner.list_failed_scores(record) == ["meteor"]  # it fails its golden values
    assert record["scores"]["all"]["meteor"]["value"] == 0.5
    assert record["scores"]["all"]["meteor"]["gate"].startswith("failed")
    assert folder_of(tmp_path).parameters.stat().st_mtime_ns == before
    assert len(folder_of(tmp_path).records()) == 2
    runner.run(request(tmp_path, tiny_model))
    assert len(folder_of(tmp_path).records()) == 2
    golden.check_scorer.cache_clear()


@pytest.mark.parametrize("product", ["parameters", "generations"])
def test_a_lost_product_of_a_finished_run_is_made_again(
    product: str, tmp_path: Path, tiny_model: Path
) -> None:
    runner.run(request(tmp_path, tiny_model))
    file = getattr(folder_of(tmp_path), product)
    before = file.read_bytes()
    file.unlink()
    runner.run(request(tmp_path, tiny_model))
    assert file.read_bytes() == before


def flip(path: Path, share: float) -> None:
    """Flip one bit of a file, at that share of its length."""
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("share", [0.2, 0.7])
@pytest.mark.parametrize("product", ["parameters", "generations"])
def test_a_damaged_product_is_put_aside_and_made_again(
    product: str, share: float, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner.run(request(tmp_path, tiny_model))
    file = getattr(folder_of(tmp_path), product)
    before = file.read_bytes()
    flip(file, share)
    record = runner.run(request(tmp_path, tiny_model))
    assert file.read_bytes() == before
    [damaged] = record.damaged_files
    assert (damaged.file, damaged.kept_as) == (file.name, f"{file.name}.damaged-1")
    assert file.with_name(damaged.kept_as).read_bytes() != before
    assert f"put aside as {damaged.kept_as}" in capsys.readouterr().err


@pytest.mark.parametrize("lost", [False, True])
def test_damaged_scores_of_a_finished_run_are_written_again(
    lost: bool, tmp_path: Path, tiny_model: Path
) -> None:
    runner.run(request(tmp_path, tiny_model, "prompt"))
    folder = folder_of(tmp_path)
    before = folder.scores.read_bytes()
    if lost:
        folder.scores.unlink()
    else:
        flip(folder.scores, 0.5)
    runner.run(request(tmp_path, tiny_model, "prompt"))
    assert folder.scores.read_bytes() == before
    assert folder.scores.with_name("scores.json.damaged-1").is_file() != lost
    assert len(folder.records()) == 1


def test_decoding_never_uses_parameters_that_were_damaged_after_training(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no luck")

    expected = runner.run(request(tmp_path / "through", tiny_model))
    with monkeypatch.context() as patch:
        patch.setattr("bench.decoding.generation.decode_sources", broken)
        with pytest.raises(RuntimeError, match="no luck"):
            runner.run(request(tmp_path, tiny_model))
    folder = folder_of(tmp_path)
    flip(folder.parameters, 0.9)
    record = runner.run(request(tmp_path, tiny_model))
    assert [damaged.file for damaged in record.damaged_files] == ["parameters.safetensors"]
    assert record["scores"] == expected["scores"]
    assert folder.parameters.read_bytes() == folder_of(tmp_path / "through").parameters.read_bytes()


def test_the_command_of_the_record_asks_for_the_same_run(tmp_path: Path, tiny_model: Path) -> None:
    record = runner.run(request(tmp_path, tiny_model, clip_norm=1, warmup_steps=0))
    assert main(shlex.split(record["command"])[1:]) == 0
    assert len(folder_of(tmp_path).records()) == 1


def refused(message: str, tmp_path: Path, model: Path, given: dict[str, Any]) -> None:
    """Asking for this is a mistake of the user, who is told so."""
    with pytest.raises(UserError, match=message):
        runner.run(request(tmp_path, model, **given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_new_tokens": 1000}, "--max-new-tokens 1000: the longest of 6 sources"),
        ({"method": "prefix[length=1023,hidden=1]"}, "at most 1,022 virtual tokens"),
    ],
)
def test_what_cannot_be_decoded_is_refused_before_the_training(
    given: dict[str, Any], message: str, tmp_path: Path, tiny_model: Path
) -> None:
    refused(message, tmp_path, tiny_model, given)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("given", [{"device": "cuda"}, {"precision": "fp16"}, {"device": "tpu"}])
def test_a_device_that_is_not_here_is_refused_before_anything_is_written(
    given: dict[str, Any], tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused("device", tmp_path, tiny_model, given)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "prefx"}, "did you mean 'prefix'"),
        ({"method": "prefix[lenth=3]"}, "did you mean 'length'"),
        ({"method": "prefix[length=-1]"}, "from 0 to 10,000"),
        ({"lr": "x"}, "--lr x"),
        ({"train_split": "trian"}, "did you mean 'train'"),
    ],
)
def test_a_wrong_request_leaves_nothing_behind(
    change: dict[str, Any], message: str, tmp_path: Path, tiny_model: Path
) -> None:
    refused(message, tmp_path, tiny_model, change)
    assert not (tmp_path / "runs").exists()


def test_a_method_that_changes_frozen_parameters_is_caught(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = stages.Stages.build

    def build(self: Any, tokenizer: Any) -> Any:
        model = original(self, tokenizer)
        frozen = model.backbone.transformer.wpe.weight

        def meddle(*args: object) -> None:
            frozen.data.add_(1e-3)

        model.register_forward_hook(meddle)
        return model

    monkeypatch.setattr(stages.Stages, "build", build)
    with pytest.raises(AssertionError, match="frozen parameter changed"):
        runner.run(request(tmp_path, tiny_model))


def command(tmp_path: Path, model: Path, runs: str) -> list[str]:
    words = [sys.executable, "-m", "bench", "run", "--method", "prefix[length=3,hidden=8]"]
    words += ["--task", "webnlg", "--model", str(model), "--runs", str(tmp_path / runs), "--seed", "1"]
    words += ["--limit", "40", "--epochs", "20", "--batch-size", "2", "--max-new-tokens", "4"]
    return [*words, "--checkpoint-seconds", "0"]


def start_and_wait_for_a_checkpoint(words: list[str], runs: Path, moment: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    def there() -> bool:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        return any(runs.glob("*/checkpoint.safetensors"))

    wait_until(there, every=0.005)
    time.sleep(moment)
    return process


@pytest.mark.slow
def test_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path, tiny_model: Path) -> None:
    """SIGKILL at odd moments: the parameters and outputs equal those of a run that went through."""
    subprocess.run(command(tmp_path, tiny_model, "through"), check=True, capture_output=True)
    killed = 0
    for moment in (0.013, 0.117):
        process = start_and_wait_for_a_checkpoint(
            command(tmp_path, tiny_model, "killed"), tmp_path / "killed", moment
        )
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed == 2
    subprocess.run(command(tmp_path, tiny_model, "killed"), check=True, capture_output=True)
    [through] = Store(tmp_path / "through").runs()
    [resumed] = Store(tmp_path / "killed").runs()
    assert through.parameters.read_bytes() == resumed.parameters.read_bytes()
    assert through.generations.read_bytes() == resumed.generations.read_bytes()
    record = resumed.done_record()
    assert record is not None
    assert record["training"]["resumed_at"] > 0


@pytest.mark.slow
def test_ctrl_c_saves_says_so_and_continues(tmp_path: Path, tiny_model: Path) -> None:
    words = command(tmp_path, tiny_model, "runs")
    process = start_and_wait_for_a_checkpoint(words, tmp_path / "runs", 0.0)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "the same command continues" in said
    [folder] = Store(tmp_path / "runs").runs()
    record = folder.latest_record()
    assert record is not None
    assert record["status"] == "cancelled"
    subprocess.run(words, check=True, capture_output=True)
    done = folder.done_record()
    assert done is not None
    assert done["training"]["resumed_at"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "splits"),
    [("webnlg", {}), ("e2e", {}), ("dart", {"train_split": "dev"})],
)
def test_real_files_with_the_mini_backbone(
    task: str, splits: dict[str, object], shared: Path, tmp_path: Path
) -> None:
    given = {**splits, "limit": 6, "max_steps": 2, "max_new_tokens": 8, "device": "cpu"}
    common = CommonOptions(data_dir=shared / "data", runs=tmp_path / "runs", given=given)
    [one] = expand_requests(methods="prefix", tasks=task, seeds="1", common=common)
    record = runner.run(one)
    assert record["status"] == "done"
    assert record["data_origin"] == "directory"
    assert "scale mini" in record["not_comparable"]
    assert record["scores"]["all"]["bleu"]["value"] is not None
    assert len(folder_of(tmp_path).read_generations()) == 6


@pytest.mark.slow
def test_the_paper_scale_path_with_the_real_tokenizer(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GPT-2's vocabulary, positions and tokenizer in a narrow random model, where gpt2-medium is looked for."""
    folder = tmp_path / "models" / "gpt2-medium"
    shape = GPT2Config(n_layer=2, n_embd=32, n_head=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPT2LMHeadModel(shape).save_pretrained(folder)
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        shutil.copy(shared / "tokenizers" / "gpt2" / name, folder)
    take_shape(monkeypatch, "gpt2-medium", folder)
    monkeypatch.setenv("BENCH_MODELS", str(folder.parent))
    given = {"limit": 5, "max_steps": 3, "max_new_tokens": 6, "device": "cpu"}
    common = CommonOptions(
        scale="paper", data_dir=shared / "data", runs=tmp_path / "runs", given=given, offline=True
    )
    for method in ("prefix", "ft-full"):
        [one] = expand_requests(methods=method, tasks="webnlg", seeds="101", common=common)
        record = runner.run(one)
        assert record["model_origin"] == "BENCH_MODELS"
        assert "Table 6" in record["settings"]["lr"]["origin"]
        assert record["model_verification"]["status"] == "not-verified"
        not_verified, typed = record["not_comparable"]
        assert not_verified.startswith("backbone not verified (nothing here says what")
        assert not_verified.endswith("; `bench models verify gpt2-medium`")
        assert typed == "settings from the command line: max_steps, limit, max_new_tokens"


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path, tiny_model: Path) -> None:
    """The same command under torchrun: the same loss curve and one record, as the batch is the same."""
    words = [sys.executable, "-m", "bench", "run", "--method", "prefix[length=3,hidden=8]", "--json"]
    words += ["--task", "webnlg", "--model", str(tiny_model), "--seed", "1", "--device", "cpu"]
    words += ["--limit", "13", "--epochs", "3", "--batch-size", "4", "--max-new-tokens", "4"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0"]
    launch += ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", *words[1:]]
    records, curves = [], []
    for name, command_ in (("one", words), ("two", launch)):
        done = subprocess.run(
            [*command_, "--runs", str(tmp_path / name)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        records.append(json.loads(done.stdout))
        [folder] = Store(tmp_path / name).runs()
        curves.append([line["loss"] for line in folder.read_log()])
        assert len(folder.records()) == 1
    assert len(curves[0]) == records[0]["training"]["updates"] == 12
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
