"""What bears a published model's name has its shape: in the configuration and in the tensors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from published_models import take_shape
from safetensors.torch import load_file, save_file

from bench.errors import DataError
from bench.models.catalogue import MODELS, check_named_shape, locate_model
from bench.models.checkpoint_files import INDEX_FILE
from bench.models.loading import get_model_class, load_model_config
from bench.models.published_shape import (
    PublishedShape,
    count_published_parameters,
    find_config_difference,
    find_tensor_difference,
)

PUBLISHED = {
    name: PublishedShape(entry.kind, entry.shape) for name, entry in MODELS.items() if entry.shape is not None
}


@pytest.fixture(scope="module")
def shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """Name of a published model -> the library's tensors for it."""
    with torch.device("meta"):
        models = {
            name: get_model_class(published.kind)(load_model_config(name))
            for name, published in PUBLISHED.items()
        }
    return {
        name: {tensor: tuple(value.shape) for tensor, value in model.state_dict().items()}
        for name, model in models.items()
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_librarys_models_have_the_published_shape(
    name: str, shapes: Mapping[str, Mapping[str, tuple[int, ...]]]
) -> None:
    published = PUBLISHED[name]
    assert find_tensor_difference(shapes[name], published) is None
    assert find_config_difference(load_model_config(name).to_dict(), published) is None
    assert f"{count_published_parameters(published):,} parameters" in MODELS[name].summary


def test_the_hubs_files_have_the_published_shape(shapes: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
    """GPT-2's hold the base model and its masks; BART's the word embedding under several names, or under one."""
    medium = {
        n.removeprefix("transformer."): s for n, s in shapes["gpt2-medium"].items() if n != "lm_head.weight"
    }
    masks = {f"h.{layer}.attn.bias": (1, 1, 1024, 1024) for layer in range(24)}
    assert find_tensor_difference({**medium, **masks}, PUBLISHED["gpt2-medium"]) is None
    bart = {n.removeprefix("model."): s for n, s in shapes["bart-large"].items()}
    assert find_tensor_difference(bart, PUBLISHED["bart-large"]) is None
    tied = ("lm_head.weight", "shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    alone = {name: shape for name, shape in bart.items() if name not in tied}
    assert find_tensor_difference(alone | {tied[2]: bart[tied[2]]}, PUBLISHED["bart-large"]) is None
    assert "shared.weight is missing" in str(find_tensor_difference(alone, PUBLISHED["bart-large"]))


def test_the_published_configuration_of_gpt2_medium_passes(gpt2_words: Path) -> None:
    config = json.loads((gpt2_words / "config.json").read_text())
    assert find_config_difference(config, PUBLISHED["gpt2-medium"]) is None


CONFIG: dict[str, Any] = {"n_layer": 24, "n_embd": 1024, "n_head": 16}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"n_layer": 1}, "n_layer is 1, published 24"),
        ({"n_layer": None}, "n_layer is None, published 24"),
        ({"n_layer": "24"}, "n_layer is '24', published 24"),
        ({"n_head": 8}, "n_head is 8, published 16"),
        ({"num_hidden_layers": 1}, "num_hidden_layers is 1, published 24"),
        ({"hidden_size": 16}, "hidden_size is 16, published 1024"),
        ({"vocab_size": 50258}, "vocab_size is 50258, published 50257"),
        ({"activation_function": "relu"}, "activation_function is 'relu', published 'gelu_new'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ({"scale_attn_weights": 1}, "scale_attn_weights is 1, published True"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ({"resid_pdrop": 0.0}, "resid_pdrop is 0.0, published 0.1"),
        ({"n_inner": 16}, "n_inner is 16"),
        ({"quantization_config": {}}, "quantization_config is given"),
    ],
)
def test_a_configuration_that_would_give_other_numbers_is_told(change: dict[str, Any], expected: str) -> None:
    assert find_config_difference(CONFIG, PUBLISHED["gpt2-medium"]) is None
    assert find_config_difference(CONFIG | {"n_inner": 4096}, PUBLISHED["gpt2-medium"]) is None
    assert expected in str(find_config_difference(CONFIG | change, PUBLISHED["gpt2-medium"]))


def test_sizes_left_out_are_the_librarys() -> None:
    """Without n_layer the library makes a GPT-2 of twelve."""
    assert "n_layer is 12, published 24" in str(find_config_difference({}, PUBLISHED["gpt2-medium"]))
    assert find_config_difference({}, PUBLISHED["bart-large"]) is None


def test_tensors_of_another_shape_are_told(shapes: Mapping[str, Mapping[str, tuple[int, ...]]]) -> None:
    medium, published = dict(shapes["gpt2-medium"]), PUBLISHED["gpt2-medium"]
    for change, expected in (
        ({"transformer.wpe.weight": (512, 1024)}, "wpe.weight is [512, 1024], published [1024, 1024]"),
        ({"transformer.h.24.ln_1.weight": (1024,)}, "h.24.ln_1.weight is [1024], published without it"),
        ({"lm_head.weight": (50258, 1024)}, "lm_head.weight is [50258, 1024], published [50257, 1024]"),
        ({"wte.weight": (50257, 1024)}, "wte.weight is there under two names"),
        ({"score.weight": (2, 1024)}, "(354,825,216 parameters, published 354,823,168)"),
    ):
        assert expected in str(find_tensor_difference(medium | change, published))
    del medium["transformer.h.3.attn.c_attn.bias"]
    difference = str(find_tensor_difference(medium, published))
    assert difference == "h.3.attn.c_attn.bias is missing (354,820,096 parameters, published 354,823,168)"
    assert "and " in str(find_tensor_difference(shapes["gpt2-large"], published))


# --- in a folder


@pytest.fixture
def medium(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder gpt2-medium in BENCH_MODELS with a small random model."""
    folder = tmp_path / "gpt2-medium"
    shutil.copytree(tiny_model, folder)
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    return folder


def test_a_random_model_in_the_place_of_the_papers_is_refused(medium: Path) -> None:
    """Case 23."""
    with pytest.raises(DataError) as caught:
        locate_model("gpt2-medium", allow_download=False)
    text = str(caught.value)
    assert "n_layer is 2, published 24" in text and "hf download openai-community/gpt2-medium" in text
    assert "\n" not in text and caught.value.exit_code == 2


def test_the_right_configuration_beside_other_tensors_is_refused(medium: Path) -> None:
    config = json.loads((medium / "config.json").read_text())
    config |= {**dict(MODELS["gpt2-medium"].shape or {})}
    (medium / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        DataError, match=r"the weights: .* and 289 more \(27,088 parameters, published 354,823,168\)"
    ):
        locate_model("gpt2-medium", allow_download=False)


def test_a_layer_more_or_less_beside_the_right_configuration_is_refused(
    medium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_shape(monkeypatch, "gpt2-medium", medium)
    check_named_shape(MODELS["gpt2-medium"], medium)
    state = load_file(medium / "model.safetensors")
    fewer = {name: tensor for name, tensor in state.items() if ".h.1." not in name}
    more = state | {n.replace(".h.1.", ".h.2."): t.clone() for n, t in state.items() if ".h.1." in n}
    for changed, expected in ((fewer, "is missing"), (more, "published without it")):
        save_file(changed, medium / "model.safetensors", {"format": "pt"})
        with pytest.raises(DataError, match=rf"{expected}.*parameters, published"):
            locate_model("gpt2-medium", allow_download=False)


def test_shards_are_looked_at_together(medium: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take_shape(monkeypatch, "gpt2-medium", medium)
    model = get_model_class(MODELS["gpt2-medium"].kind).from_pretrained(medium)
    (medium / "model.safetensors").unlink()
    model.save_pretrained(medium, max_shard_size="20KB")
    assert (medium / INDEX_FILE).is_file()
    assert not locate_model("gpt2-medium", allow_download=False).verification.is_verified
    shard = sorted(medium.glob("*.safetensors"))[0]
    twice = load_file(sorted(medium.glob("*.safetensors"))[1])
    save_file(load_file(shard) | twice, shard, {"format": "pt"})
    with pytest.raises(DataError, match="in another shard too"):
        locate_model("gpt2-medium", allow_download=False)


def test_a_gpt2_is_no_bart(medium: Path) -> None:
    medium.rename(medium.parent / "bart-large")
    with pytest.raises(DataError, match="a decoder-only checkpoint; bart-large is encoder-decoder"):
        locate_model("bart-large", allow_download=False)
