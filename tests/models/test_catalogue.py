"""Finding backbones: only safetensors, errors that say what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from published_models import take_shape
from transformers import BartForConditionalGeneration, GPT2Config, GPT2LMHeadModel

from bench.errors import DataError, UnavailableError, UserError
from bench.models import catalogue
from bench.models.catalogue import (
    MODELS,
    ModelOriginKind,
    find_model_kind,
    locate_model,
)
from bench.models.checkpoint_files import fingerprint_checkpoint
from bench.models.loading import check_vocabulary, load_backbone, load_tokenizer


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=1, n_embd=8, n_head=2, n_positions=16, vocab_size=20)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_directory_is_a_model(checkpoint: Path) -> None:
    located = locate_model(str(checkpoint))
    assert located.name == "tiny"
    assert load_backbone(located).config.n_embd == 8


def test_fingerprint_follows_the_weights_and_not_the_name(checkpoint: Path, tmp_path: Path) -> None:
    before = fingerprint_checkpoint(checkpoint)
    assert fingerprint_checkpoint(checkpoint.rename(tmp_path / "other")) == before
    weights = tmp_path / "other" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert fingerprint_checkpoint(tmp_path / "other") != before


def test_fingerprint_follows_the_tokenizer(tiny_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    assert fingerprint_checkpoint(copy) == fingerprint_checkpoint(tiny_model)
    (copy / "tokenizer.json").write_text((copy / "tokenizer.json").read_text() + " ")
    assert fingerprint_checkpoint(copy) != fingerprint_checkpoint(tiny_model)


def test_the_mini_backbone_is_shipped_and_small() -> None:
    located = locate_model("mini-gpt2")
    assert sum(file.stat().st_size for file in located.path.rglob("*")) <= 8 * 2**20
    tokenizer = load_tokenizer(located.path)
    assert tokenizer.eos_token == "<|endoftext|>"
    assert load_backbone(located).config.vocab_size >= len(tokenizer)


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'gpt2-medium'"):
        locate_model("gpt2-medum")


def test_unreachable_weights_say_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.raises(UnavailableError) as caught:
        locate_model("gpt2-large", allow_download=False)
    text = str(caught.value)
    for part in (
        "BENCH_MODELS: no folder",
        "hub openai-community/gpt2-large@",
        "--model PATH",
        "hf download",
    ):
        assert part in text
    assert "\n" not in text


def test_bench_models_comes_before_the_hub(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_MODELS", str(checkpoint.parent))
    take_shape(monkeypatch, "gpt2-medium", checkpoint)
    checkpoint.rename(checkpoint.parent / "gpt2-medium")
    origin = locate_model("gpt2-medium", allow_download=False).origin
    assert (origin.kind, origin.text) == (ModelOriginKind.BENCH_MODELS, "BENCH_MODELS")
    assert origin.is_named


def test_the_origin_is_a_value_beside_what_records_say(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, directory = locate_model("mini-gpt2").origin, locate_model(str(checkpoint)).origin
    assert (shipped.kind, shipped.text) == (ModelOriginKind.SHIPPED, "shipped with the package")
    assert (directory.kind, directory.text) == (ModelOriginKind.DIRECTORY, "directory tiny")
    assert not shipped.is_named and not directory.is_named
    monkeypatch.delenv("BENCH_MODELS", raising=False)
    take_shape(monkeypatch, "gpt2-medium", checkpoint)
    monkeypatch.setattr(catalogue, "fetch_snapshot", lambda _pinned, _allow_download: checkpoint)
    hub, entry = locate_model("gpt2-medium").origin, MODELS["gpt2-medium"]
    assert (hub.kind, hub.text) == (ModelOriginKind.HUB, f"hub {entry.hub}@{entry.revision}")
    assert hub.is_named


def test_pickled_weights_are_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    with pytest.raises(DataError, match="pickled weights are not read"):
        locate_model(str(checkpoint))


def test_a_directory_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        locate_model(str(tmp_path / "nowhere"))


def test_every_hub_model_is_pinned() -> None:
    for entry in MODELS.values():
        assert entry.hub is None or (entry.revision is not None and len(entry.revision) == 40)


# -- encoder-decoders ---------------------------------------------------------------------------


def test_a_directory_says_what_kind_it_is(tiny_bart: Path, checkpoint: Path) -> None:
    located = locate_model(str(tiny_bart))
    assert located.kind == find_model_kind(str(tiny_bart)) == "encoder-decoder"
    backbone = load_backbone(located)
    assert isinstance(backbone, BartForConditionalGeneration)
    assert not backbone.training
    check_vocabulary(backbone.config, load_tokenizer(tiny_bart), tiny_bart)
    assert locate_model(str(checkpoint)).kind == "decoder-only"


def test_a_name_and_its_folder_must_be_of_one_kind(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_MODELS", str(checkpoint.parent))
    checkpoint.rename(checkpoint.parent / "bart-large")
    with pytest.raises(DataError, match="a decoder-only checkpoint; bart-large is encoder-decoder"):
        locate_model("bart-large", allow_download=False)


def test_unreachable_bart_says_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.raises(
        UnavailableError, match=r"hub facebook/bart-large@4422181a.*hf download facebook/bart-large"
    ):
        locate_model("bart-large")
