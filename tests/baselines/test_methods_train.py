"""What training may and may not touch, and that what is stored is all that is needed afterwards."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny import CASES, SOURCES, TARGETS, TRAINED, Case, build, greedy, shake, shown
from torch import nn

from bench import registry
from bench.method import DECODER_ONLY
from bench.models.adapted import AdaptedModel, hash_frozen_parameters

every_case = pytest.mark.parametrize("case", CASES, ids=shown)
trained_case = pytest.mark.parametrize("case", TRAINED, ids=shown)


def loss_without_dropout(model: AdaptedModel) -> float:
    """In eval mode; the model is left in train mode."""
    model.eval()
    with torch.no_grad():
        loss = model(SOURCES, TARGETS).sum().item()
    model.train()
    return loss


@trained_case
def test_frozen_stays_and_trained_moves(case: Case) -> None:
    model = build(*case)
    model.train()
    model.before_training(0)
    frozen = hash_frozen_parameters(model)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    before = {name: tensor.clone() for name, tensor in model.trained_state().items()}
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    first = loss_without_dropout(model)
    for step in range(10):
        torch.manual_seed(step)  # the dropout's, so that the outcome does not hang on the test order
        optimiser.zero_grad()
        model(SOURCES, TARGETS).sum().backward()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None and parameter.grad.any(), f"no gradient at {name}"
                assert parameter.grad.isfinite().all()
            else:
                assert parameter.grad is None, f"a gradient at frozen {name}"
        optimiser.step()
    assert hash_frozen_parameters(model) == frozen
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())
    still = [name for name, tensor in model.trained_state().items() if torch.equal(tensor, before[name])]
    assert not still
    assert loss_without_dropout(model) < first


@every_case
def test_stored_state_is_enough(case: Case) -> None:
    """Bit for bit: the loss, the logits, and the tokens generated with a fresh build."""
    model = shake(build(*case))
    fresh = build(*case, seed=99)
    stored = {name: tensor.clone() for name, tensor in model.stored_state().items()}
    fresh.load_stored(stored)
    fresh.eval()
    with torch.no_grad():
        assert torch.equal(model(SOURCES, TARGETS), fresh(SOURCES, TARGETS))
    assert torch.equal(model.start(SOURCES)[1], fresh.start(SOURCES)[1])
    assert greedy(model, SOURCES, 12) == greedy(fresh, SOURCES, 12)
    again = fresh.stored_state()
    assert again.keys() == stored.keys()
    assert all(torch.equal(again[name], stored[name]) for name in stored)


@trained_case
def test_wrong_stored_state_is_refused(case: Case) -> None:
    model = build(*case)
    stored = {name: tensor.clone() for name, tensor in model.stored_state().items()}
    name = next(iter(stored))
    with pytest.raises(KeyError, match="expected"):
        model.load_stored({**stored, "surplus": torch.zeros(1)})
    with pytest.raises(KeyError, match="expected"):
        model.load_stored({other: tensor for other, tensor in stored.items() if other != name})
    with pytest.raises(ValueError, match="expected shape"):
        model.load_stored({**stored, name: torch.zeros(1)})


@trained_case
def test_training_can_be_resumed(case: Case) -> None:
    """The trained parameters alone make a fresh build equal, its gradients included."""
    adapted = shake(build(*case))
    fresh = build(*case, seed=99)
    fresh.load_trained({name: tensor.clone() for name, tensor in adapted.trained_state().items()})
    fresh.eval()
    for model in (adapted, fresh):
        model(SOURCES, TARGETS).sum().backward()
    pairs = zip(adapted.parameters(), fresh.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs if a.grad is not None and b.grad is not None)


@every_case
def test_seed(case: Case) -> None:
    """The seed decides the initial values, and nothing else does."""
    torch.manual_seed(1)
    first = build(*case, seed=3).trained_state()
    torch.manual_seed(2)
    second, other = build(*case, seed=3).trained_state(), build(*case, seed=4).trained_state()
    assert all(torch.equal(first[name], second[name]) for name in first)
    drawn = any(not torch.equal(first[name], other[name]) for name in first)
    # What is trained is either the backbone's own, which no seed may change, or drawn from the seed.
    own = all(name.startswith("backbone.") for name in first)
    assert drawn == (not own)


@every_case
def test_dropout_rule(case: Case) -> None:
    """Train mode: the backbone drops out exactly where the method says so. Eval mode: never."""
    model = build(*case)
    name, options, kind = case
    inner = [module for module in model.backbone.modules() if isinstance(module, nn.Dropout)]
    assert all(module.p == 0.1 for module in inner)
    # BART has no modules for it.
    assert bool(inner) == (kind == DECODER_ONLY)
    assert inner or model.backbone.config.dropout == 0.1

    def twice() -> bool:
        results = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            results.append(model(SOURCES, TARGETS))
        return torch.equal(*results)

    method = registry.get_method(name)
    settings = method.settings_for("paper", "e2e", method.resolve_options(options), kind=kind)
    declared = settings["backbone_dropout"][0]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        assert twice(), "before train() or eval() was ever called"
        model.train()
        assert all(module.training == declared for module in (model.backbone, *inner))
        assert twice() != declared
        model.eval()
        assert twice()


@every_case
def test_copy_is_independent(case: Case) -> None:
    """Moving one model leaves its copy alone (hooks must not lead back to the first)."""
    model = build(*case)
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        before = twin(SOURCES, TARGETS)
        shake(model)
        assert torch.equal(twin(SOURCES, TARGETS), before)
        shake(twin)
        assert torch.equal(twin(SOURCES, TARGETS), model(SOURCES, TARGETS))
