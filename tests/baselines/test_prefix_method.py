"""Prefix-tuning: against PEFT, against the untouched model, and its start from real words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SOURCES, TARGETS, Letters, backbone, build, greedy, shake
from torch import Tensor, nn

from baselines._keys_values import MlpKeysValues, StoredKeysValues
from baselines.prefix.model import PrefixModel, encode_initial_words
from bench.errors import UserError
from bench.models.decoder_only import AdaptedDecoder


def peft_model(adapted: PrefixModel, projection: bool) -> Any:
    """PEFT's prefix tuning of an equal backbone with our numbers in it."""
    from peft import PrefixTuningConfig, get_peft_model

    keys_values = adapted.prefix()
    assert keys_values is not None
    layers, _, heads, length, width = keys_values.shape
    config = PrefixTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=length,
        token_dim=heads * width,
        num_layers=layers,
        num_attention_heads=heads,
        num_transformer_submodules=1,
        prefix_projection=projection,
        encoder_hidden_size=512,
    )
    model = get_peft_model(backbone(), config).eval()
    encoder = model.prompt_encoder["default"]
    with torch.no_grad():
        if projection:
            assert isinstance(adapted.keys_values, MlpKeysValues)
            encoder.embedding.load_state_dict(adapted.keys_values.rows.state_dict())
            encoder.transform.load_state_dict(adapted.keys_values.mlp.state_dict())
        else:
            # One row per virtual token; in it layers, then keys before values, then heads.
            encoder.embedding.weight.copy_(keys_values.permute(3, 0, 1, 2, 4).reshape(length, -1))
    return model


# PEFT asks transformers for an attribute by its old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("projection", [False, True])
def test_equals_peft(projection: bool) -> None:
    adapted = shake(build("prefix", {"length": 4}))
    assert isinstance(adapted, PrefixModel)
    model = peft_model(adapted, projection)
    for source, target in zip(SOURCES, TARGETS, strict=True):
        ids = torch.tensor([[*source, *target]])
        labels = ids.clone()
        labels[:, : len(source)] = -100
        with torch.no_grad():
            theirs = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels)
            ours = adapted([source], [target])
        torch.testing.assert_close(ours[0], theirs.loss * len(target), rtol=1e-5, atol=1e-5)
        state, logits = adapted.start([source])
        for position, token in enumerate(target, start=len(source) - 1):
            torch.testing.assert_close(logits, theirs.logits[:, position], rtol=1e-5, atol=1e-5)
            logits = adapted.step(state, torch.tensor([token]))


def test_length_zero_is_the_untouched_model() -> None:
    model, plain = build("prefix", {"length": 0}), AdaptedDecoder(backbone())
    assert model.trained_state() == {}
    assert model.stored_state()["prefix"].numel() == 0
    with torch.no_grad():
        assert torch.equal(model(SOURCES, TARGETS), plain(SOURCES, TARGETS))
        # With a whole sentence of logits the last one is rounded differently.
        raw = backbone()(input_ids=torch.tensor([SOURCES[2]]), logits_to_keep=1).logits[:, -1]
    assert torch.equal(model.start(SOURCES[2:])[1], raw)
    assert torch.equal(model.start(SOURCES)[1], plain.start(SOURCES)[1])
    assert greedy(model, SOURCES, 10) == greedy(plain, SOURCES, 10)


def test_the_mlp_is_dropped() -> None:
    model, used = shake(build("prefix", {})), build("prefix", {})
    used.load_stored(model.stored_state())
    assert isinstance(used, PrefixModel)
    assert isinstance(used.keys_values, StoredKeysValues)
    assert list(used.keys_values.parameters()) == []
    assert greedy(model, SOURCES, 30) == greedy(used, SOURCES, 30)


def test_shapes() -> None:
    """The matrix is as wide as the model and the hidden width is the option (authors' code)."""
    model = build("prefix", {"length": 7, "hidden": 11})
    shapes = {name: tuple(tensor.shape) for name, tensor in model.trained_state().items()}
    assert shapes == {
        "keys_values.rows.weight": (7, 16),
        "keys_values.mlp.0.weight": (11, 16),
        "keys_values.mlp.0.bias": (11,),
        "keys_values.mlp.2.weight": (2 * 3 * 16, 11),
        "keys_values.mlp.2.bias": (2 * 3 * 16,),
    }
    assert model.stored_state()["prefix"].shape == (3, 2, 2, 7, 8)


def distance(model: PrefixModel) -> Tensor:
    with torch.no_grad():
        return nn.functional.mse_loss(model.keys_values(), model.word_activations())


def test_fit_to_words() -> None:
    """The MLP comes close to the words' keys and values; the matrix stays as it was drawn (§7.4)."""
    model = build("prefix", {"init": "words"})
    assert isinstance(model, PrefixModel) and isinstance(model.keys_values, MlpKeysValues)
    assert len(model.words) == len(" words") == model.keys_values.shape[3]
    rows, before = model.keys_values.rows.weight.clone(), distance(model)
    model.train()
    model.before_training(0)
    assert torch.equal(model.keys_values.rows.weight, rows)
    assert distance(model) < 0.05 * before
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.keys_values.rows.weight.requires_grad, "the matrix is trained later on"


def test_fit_is_repeatable() -> None:
    first, second = build("prefix", {"init": "words"}), build("prefix", {"init": "words"})
    for model in (first, second):
        model.before_training(0)
    assert torch.equal(first.stored_state()["prefix"], second.stored_state()["prefix"])


def test_words_without_mlp_are_exact() -> None:
    """The prefix is then the words themselves: as if they stood before the source."""
    model = build("prefix", {"init": "words", "mlp": "no"})
    model.before_training(0)
    words = Letters().encode(" words")
    plain = AdaptedDecoder(backbone())
    with torch.no_grad():
        spelled = plain([[*words, *source] for source in SOURCES], TARGETS)
        torch.testing.assert_close(model(SOURCES, TARGETS), spelled, rtol=1e-5, atol=0)


def test_random_init_needs_no_fit() -> None:
    model = build("prefix", {})
    before = {name: tensor.clone() for name, tensor in model.trained_state().items()}
    model.before_training(0)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.trained_state().items())


@pytest.mark.parametrize(("words", "length"), [("summarize", 1), ("summarization", 2), ("table-to-text:", 6)])
def test_lengths_of_words_in_gpt2(gpt2_words: Path, words: str, length: int) -> None:
    """As the authors' code counts them, with a space before the words."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gpt2_words)
    assert len(encode_initial_words(tokenizer, words)) == length


def test_words_that_cannot_be_used() -> None:
    with pytest.raises(UserError, match="expected 'random' or words"):
        build("prefix", {"init": "  "})
    with pytest.raises(UserError, match="needs the model's tokenizer"):
        encode_initial_words(None, "summarize")
