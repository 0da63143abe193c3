"""Prefix-tuning: against PEFT, against the untouched model, and its start from real words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SOURCES, TARGETS, Letters, backbone, build, greedy, shake
from torch import Tensor, nn

from baselines.prefix.model import KeptKeysValues, MlpKeysValues, PrefixTuned, word_ids
from bench.errors import UserError
from bench.models.decoder_only import Tuned


def peft_model(tuned: PrefixTuned, projection: bool) -> Any:
    """PEFT's prefix tuning of an equal backbone with our numbers in it."""
    from peft import PrefixTuningConfig, get_peft_model

    keys_values = tuned.prefix()
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
            assert isinstance(tuned.keys_values, MlpKeysValues)
            encoder.embedding.load_state_dict(tuned.keys_values.rows.state_dict())
            encoder.transform.load_state_dict(tuned.keys_values.mlp.state_dict())
        else:
            # One row per virtual token; in it layers, then keys before values, then heads.
            encoder.embedding.weight.copy_(keys_values.permute(3, 0, 1, 2, 4).reshape(length, -1))
    return model


# PEFT asks transformers for an attribute by its old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("projection", [False, True])
def test_equals_peft(projection: bool) -> None:
    tuned = shake(build("prefix", {"length": 4}))
    assert isinstance(tuned, PrefixTuned)
    model = peft_model(tuned, projection)
    for source, target in zip(SOURCES, TARGETS, strict=True):
        ids = torch.tensor([[*source, *target]])
        labels = ids.clone()
        labels[:, : len(source)] = -100
        with torch.no_grad():
            theirs = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels)
            ours = tuned([source], [target])
        torch.testing.assert_close(ours[0], theirs.loss * len(target), rtol=1e-5, atol=1e-5)
        state, logits = tuned.start([source])
        for position, token in enumerate(target, start=len(source) - 1):
            torch.testing.assert_close(logits, theirs.logits[:, position], rtol=1e-5, atol=1e-5)
            logits = tuned.step(state, torch.tensor([token]))


def test_length_zero_is_the_untouched_model() -> None:
    tuned, plain = build("prefix", {"length": 0}), Tuned(backbone())
    assert tuned.trained_state() == {}
    assert tuned.stored_state()["prefix"].numel() == 0
    with torch.no_grad():
        assert torch.equal(tuned(SOURCES, TARGETS), plain(SOURCES, TARGETS))
        # With a whole sentence of logits the last one is rounded differently.
        raw = backbone()(input_ids=torch.tensor([SOURCES[2]]), logits_to_keep=1).logits[:, -1]
    assert torch.equal(tuned.start(SOURCES[2:])[1], raw)
    assert torch.equal(tuned.start(SOURCES)[1], plain.start(SOURCES)[1])
    assert greedy(tuned, SOURCES, 10) == greedy(plain, SOURCES, 10)


def test_the_mlp_is_dropped() -> None:
    tuned, used = shake(build("prefix", {})), build("prefix", {})
    used.load_stored(tuned.stored_state())
    assert isinstance(used, PrefixTuned)
    assert isinstance(used.keys_values, KeptKeysValues)
    assert list(used.keys_values.parameters()) == []
    assert greedy(tuned, SOURCES, 30) == greedy(used, SOURCES, 30)


def test_shapes() -> None:
    """The matrix is as wide as the model and the hidden width is the option (authors' code)."""
    tuned = build("prefix", {"length": 7, "hidden": 11})
    shapes = {name: tuple(tensor.shape) for name, tensor in tuned.trained_state().items()}
    assert shapes == {
        "keys_values.rows.weight": (7, 16),
        "keys_values.mlp.0.weight": (11, 16),
        "keys_values.mlp.0.bias": (11,),
        "keys_values.mlp.2.weight": (2 * 3 * 16, 11),
        "keys_values.mlp.2.bias": (2 * 3 * 16,),
    }
    assert tuned.stored_state()["prefix"].shape == (3, 2, 2, 7, 8)


def distance(tuned: PrefixTuned) -> Tensor:
    with torch.no_grad():
        return nn.functional.mse_loss(tuned.keys_values(), tuned.word_activations())


def test_fit_to_words() -> None:
    """The MLP comes close to the words' keys and values; the matrix stays as it was drawn (§7.4)."""
    tuned = build("prefix", {"init": "words"})
    assert isinstance(tuned, PrefixTuned) and isinstance(tuned.keys_values, MlpKeysValues)
    assert len(tuned.words) == len(" words") == tuned.keys_values.shape[3]
    rows, before = tuned.keys_values.rows.weight.clone(), distance(tuned)
    tuned.train()
    tuned.before_training(0)
    assert torch.equal(tuned.keys_values.rows.weight, rows)
    assert distance(tuned) < 0.05 * before
    assert all(parameter.grad is None for parameter in tuned.parameters())
    assert tuned.keys_values.rows.weight.requires_grad, "the matrix is trained later on"


def test_fit_is_repeatable() -> None:
    first, second = build("prefix", {"init": "words"}), build("prefix", {"init": "words"})
    for tuned in (first, second):
        tuned.before_training(0)
    assert torch.equal(first.stored_state()["prefix"], second.stored_state()["prefix"])


def test_words_without_mlp_are_exact() -> None:
    """The prefix is then the words themselves: as if they stood before the source."""
    tuned = build("prefix", {"init": "words", "mlp": "no"})
    tuned.before_training(0)
    words = Letters().encode(" words")
    plain = Tuned(backbone())
    with torch.no_grad():
        spelled = plain([[*words, *source] for source in SOURCES], TARGETS)
        torch.testing.assert_close(tuned(SOURCES, TARGETS), spelled, rtol=1e-5, atol=0)


def test_random_init_needs_no_fit() -> None:
    tuned = build("prefix", {})
    before = {name: tensor.clone() for name, tensor in tuned.trained_state().items()}
    tuned.before_training(0)
    assert all(torch.equal(before[name], tensor) for name, tensor in tuned.trained_state().items())


@pytest.mark.parametrize(("words", "length"), [("summarize", 1), ("summarization", 2), ("table-to-text:", 6)])
def test_lengths_of_words_in_gpt2(gpt2_words: Path, words: str, length: int) -> None:
    """As the authors' code counts them, with a space before the words."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gpt2_words)
    assert len(word_ids(tokenizer, words)) == length


def test_words_that_cannot_be_used() -> None:
    with pytest.raises(UserError, match="expected 'random' or words"):
        build("prefix", {"init": "  "})
    with pytest.raises(UserError, match="needs the model's tokenizer"):
        word_ids(None, "summarize")
