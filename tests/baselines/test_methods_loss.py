"""The loss of an example is its own: the same alone, in any company, and token by token."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import BOS, CASES, SOURCES, TARGETS, VOCAB, greedy, shaken, shown

words = st.lists(st.integers(0, VOCAB - 2), max_size=14)
pairs = st.lists(st.tuples(words, words), min_size=1, max_size=5)
every_case = pytest.mark.parametrize("case", [shown(case) for case in CASES])


@every_case
@settings(max_examples=25, derandomize=True)
@given(batch=pairs)
def test_company_does_not_matter(case: str, batch: list[tuple[list[int], list[int]]]) -> None:
    """Neither the padding beside an example, nor its place in the batch, nor the batch's size."""
    model = shaken(case)
    sources = [[*source, BOS] for source, _ in batch]
    targets = [[*target, BOS] for _, target in batch]
    with torch.no_grad():
        together = model(sources, targets)
        backwards = model(sources[::-1], targets[::-1]).flip(0)
        alone = torch.cat([model([s], [t]) for s, t in zip(sources, targets, strict=True)])
    assert together.isfinite().all()
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)
    torch.testing.assert_close(backwards, alone, rtol=1e-5, atol=0)


@every_case
@pytest.mark.parametrize("size", [1, 3])
def test_loss_is_what_decoding_sees(case: str, size: int) -> None:
    """Reading the target token by token gives the log-probabilities that the loss sums."""
    model = shaken(case)
    sources, targets = SOURCES[:size], TARGETS[:size]
    state, logits = model.start(sources)
    total = torch.zeros(size)
    for position in range(max(map(len, targets))):
        tokens = torch.tensor([t[position] if position < len(t) else 0 for t in targets])
        inside = torch.tensor([position < len(t) for t in targets])
        chosen = logits.log_softmax(dim=1)[torch.arange(size), tokens]
        total -= torch.where(inside, chosen, 0.0)
        logits = model.step(state, tokens)
    with torch.no_grad():
        torch.testing.assert_close(model(sources, targets), total, rtol=1e-5, atol=0)


@every_case
def test_the_source_matters(case: str) -> None:
    """Guards the tests above: a loss that never looked at its input would pass them."""
    model = shaken(case)
    source, target = SOURCES[0], TARGETS[0]
    with torch.no_grad():
        one = model([source, [*source[:-2], 59, BOS]], [target, target])
        two = model([source, source], [target, [*target[:-2], 59, BOS]])
    assert one[0] != one[1]
    assert two[0] != two[1]


@every_case
def test_same_tokens_in_company(case: str) -> None:
    """Decoding together writes what decoding one by one writes."""
    model = shaken(case)
    assert greedy(model, SOURCES, 10) == [greedy(model, [source], 10)[0] for source in SOURCES]
