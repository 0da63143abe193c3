"""The checkpoints that the malformed ones are copies of are accepted, and what else people's checkpoints have."""

from __future__ import annotations

import shutil
from pathlib import Path

import checkpoint_inputs as made
import pytest

from bench.models.catalogue import inspect_checkpoint, locate_model
from bench.models.loading import check_tokenizer, load_backbone

SOUND: dict[str, made.Damage] = {
    "as-it-is": lambda _: None,
    "vocab-and-merges": made.use_old_files(),
    "no-tokenizer-config": made.remove("tokenizer_config.json"),
    "class-of-gpt2": made.change_json("tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"}),
    "index": made.use_index(),
    "eager": made.change_json("config.json", {"_attn_implementation": "eager"}),
    "no-implementation": made.change_json(
        "config.json", {"attn_implementation": None, "quantization_config": None}
    ),
    "half-precision": made.change_json("config.json", {"torch_dtype": "float16"}),
    "other-keys": made.change_json(
        "config.json", {"task_specific_params": {"x": {"y": 1}}, "n_ctx": 512, "num_labels": 10**9}
    ),
    "second-names": made.change_json("config.json", {"hidden_size": 16, "num_hidden_layers": 1}),
    "default-ids": made.change_json("config.json", {"bos_token_id": 50256, "eos_token_id": 50256}),
    "endless": made.change_json("tokenizer_config.json", {"model_max_length": 10**30}),
    "added-token": made.change_json(
        "special_tokens_map.json", {"eos_token": {"content": "<|endoftext|>", "lstrip": False}}
    ),
    "padding-with-a-further-key": made.change_json(
        "tokenizer.json",
        {
            "padding": {
                "strategy": {"Fixed": 8},
                "direction": "Left",
                "pad_to_multiple_of": None,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "!",
                "more": 1,
            }
        },
    ),
    "double-precision": made.retype("float64"),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_checkpoint_is_accepted(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    shutil.copytree(made.build_gpt2(), folder)
    SOUND[name](folder)
    located = locate_model(str(folder))
    inspect_checkpoint(located)
    check_tokenizer(located)
    assert load_backbone(located).config.n_embd == 16
    assert capfd.readouterr() == ("", "")


def test_a_sound_bart_is_accepted(tmp_path: Path) -> None:
    located = locate_model(str(shutil.copytree(made.build_bart(), tmp_path / "model")))
    inspect_checkpoint(located)
    check_tokenizer(located)
    assert load_backbone(located).config.d_model == 16


def test_a_tensor_that_is_no_part_of_the_model_is_left_out_and_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(made.build_gpt2(), folder)

    def add_head(state: dict[str, object]) -> None:
        import torch

        state["score.weight"] = torch.zeros(2, 16)

    made.change_weights(add_head)(folder)
    located = locate_model(str(folder))
    inspect_checkpoint(located)
    assert "'score.weight' is no part of the model: left out" in capfd.readouterr().err
    assert load_backbone(located).config.n_embd == 16
