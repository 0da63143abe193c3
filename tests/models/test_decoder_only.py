"""What all methods share: positions, shapes, loading, and the check that frozen means frozen."""

from __future__ import annotations

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from bench.errors import UserError
from bench.models.adapted import hash_frozen_parameters, pad_rows
from bench.models.decoder_only import AdaptedDecoder
from bench.models.kv_cache import make_cache, stack_cache

BOS = 30


def make_model(positions: int = 12) -> AdaptedDecoder:
    """A tiny GPT-2 as its configuration makes it, in train mode."""
    config = GPT2Config(
        n_layer=2, n_embd=8, n_head=2, n_positions=positions, vocab_size=31, initializer_range=0.3,
        bos_token_id=BOS, eos_token_id=BOS,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AdaptedDecoder(GPT2LMHeadModel(config))


def test_starts_without_dropout() -> None:
    """Also where nobody has called train() or eval() yet."""
    model = make_model()
    with torch.no_grad():
        results = [model([[1, 2, BOS]], [[3, BOS]]) for _ in range(2)]
    assert torch.equal(*results)
    assert model.train(True) is model
    assert not model.backbone.training
    model.backbone_dropout = True
    assert model.train().backbone.training
    assert not model.eval().backbone.training


def test_an_example_that_does_not_fit_is_refused() -> None:
    """Source and target may fill the position table to the last place and not go beyond."""
    model = make_model(positions=8)
    fits = [1, 2, 3, 4, BOS], [5, 6, 7, BOS]
    with torch.no_grad():
        assert model([fits[0]], [fits[1]]).isfinite().all()
    with pytest.raises(UserError, match=r"needs 9 positions .* at most the model's 8"):
        model([[*fits[0], BOS]], [fits[1]])
    with pytest.raises(UserError, match="needs 9 positions"):
        model.start([[1] * 9])


def test_padding_may_lie_past_the_table() -> None:
    """A short source with a long target beside a long source: padding is longer than the model."""
    from bench import registry

    method = registry.get_method("infix")
    base = make_model(positions=16)
    model = method.build(base.backbone, None, method.resolve_options({"length": 3}), 0)
    sources, targets = [[1, BOS], [1, 2, 3, 4, 5, 6, 7, 8, BOS]], [[4] * 9, [5, BOS]]
    with torch.no_grad():
        together = model(sources, targets)
        alone = torch.cat([model([s], [t]) for s, t in zip(sources, targets, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)


def test_target_longer_than_source_and_back() -> None:
    """The loss is the sum over exactly the target's tokens, whatever the rows' lengths."""
    model = make_model()
    sources, targets = [[1, 2, 3, 4, BOS], [BOS]], [[BOS], [1, 2, 3, 4, BOS]]
    with torch.no_grad():
        losses = model(sources, targets)
        for loss, source, target in zip(losses, sources, targets, strict=True):
            ids = torch.tensor([[*source, *target]])
            labels = ids.clone()
            labels[:, : len(source)] = -100
            theirs = model.backbone(input_ids=ids, labels=labels).loss * len(target)
            torch.testing.assert_close(loss, theirs, rtol=1e-5, atol=0)


def test_decoding_leaves_out_the_pad_row() -> None:
    model = make_model()
    model.decode_vocab = 30
    state, logits = model.start([[1, BOS]])
    assert logits.shape == (1, 30)
    assert model.step(state, torch.tensor([1])).shape == (1, 30)


def test_select_reorders_everything() -> None:
    """A hypothesis continues in the same way wherever it is moved, as often as it is copied."""
    model = make_model()
    state, _ = model.start([[1, 2, BOS], [3, BOS]])
    model.step(state, torch.tensor([4, 5]))
    state.select(torch.tensor([1, 0, 1]))
    moved = model.step(state, torch.tensor([6, 6, 6]))
    for row, (source, first) in enumerate([([3, BOS], 5), ([1, 2, BOS], 4), ([3, BOS], 5)]):
        own, _ = model.start([source])
        model.step(own, torch.tensor([first]))
        torch.testing.assert_close(moved[row], model.step(own, torch.tensor([6]))[0])


def test_pad_and_cache_shapes() -> None:
    assert pad_rows([[1], [2, 3]], 9, torch.device("cpu")).tolist() == [[1, 9], [2, 3]]
    numbers = torch.randn(2, 2, 2, 5, 4)
    cache = make_cache(numbers, 3)
    assert cache.get_seq_length() == 5
    assert cache.layers[1].keys.shape == (3, 2, 5, 4)
    assert torch.equal(stack_cache(cache), numbers)


def test_loading_is_exact_about_names_and_shapes() -> None:
    model = make_model()
    model.backbone.transformer.ln_f.requires_grad_(True)
    state = {name: tensor.clone() + 1 for name, tensor in model.trained_state().items()}
    assert sorted(state) == ["backbone.transformer.ln_f.bias", "backbone.transformer.ln_f.weight"]
    with pytest.raises(KeyError, match="expected"):
        model.load_trained({**state, "more": torch.zeros(1)})
    # A tensor of one number would be stretched over all eight without a word.
    name = "backbone.transformer.ln_f.bias"
    before = model.trained_state()[name].clone()
    with pytest.raises(ValueError, match=r"ln_f.bias: expected shape \(8,\), got \(1,\)"):
        model.load_trained({**state, name: torch.zeros(1)})
    assert torch.equal(model.trained_state()[name], before)
    model.load_trained(state)
    assert torch.equal(model.trained_state()[name], state[name])


def test_freeze_check_sees_one_bit() -> None:
    model = make_model()
    model.backbone.transformer.ln_f.requires_grad_(True)
    before = hash_frozen_parameters(model)
    with torch.no_grad():
        model.backbone.transformer.ln_f.weight.add_(1)
        assert hash_frozen_parameters(model) == before, "trained parameters do not count"
        weight = model.backbone.transformer.h[0].mlp.c_fc.bias
        weight.view(torch.int32)[3] ^= 1
    assert hash_frozen_parameters(model) != before
