"""Encoder-decoders: against the library's own BART bit for bit, and against BART written out."""

from __future__ import annotations

import copy

import pytest
import torch
from plain_bart import encoder_states, logits, nll, random_bart
from torch import Tensor, nn
from transformers import BartForConditionalGeneration

from bench.errors import UserError
from bench.models.adapted import pad_rows
from bench.models.encoder_decoder import AdaptedEncoderDecoder, EncodedSources, Prefixes

SIZE = 60
SOURCES = [[0, 5, 6, 7, 2], [0, 9, 2], [0, 9, 8, 4, 5, 6, 7, 2]]
TARGETS = [[0, 11, 12, 13, 2], [0, 4, 2], [0, 14, 15, 2]]


def model(dtype: torch.dtype = torch.float32, **changes: object) -> BartForConditionalGeneration:
    return random_bart(0, SIZE, dtype, **changes)


def library(
    backbone: BartForConditionalGeneration, sources: list[list[int]], targets: list[list[int]]
) -> Tensor:
    """The library's logits [B, T, V], the decoder fed as the authors feed it."""
    ids = pad_rows(sources, 1, torch.device("cpu"))
    read = pad_rows([[target[-1], *target[:-1]] for target in targets], 0, torch.device("cpu"))
    mask = pad_rows([[1] * len(source) for source in sources], 0, torch.device("cpu"))
    return backbone(input_ids=ids, attention_mask=mask, decoder_input_ids=read, use_cache=False).logits


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("chosen", [[0, 1, 2], [1], [0, 0]])
def test_the_untouched_model_bit_for_bit(chosen: list[int], training: bool) -> None:
    """With padding and without, and with the same draws of dropout."""
    adapted = AdaptedEncoderDecoder(model())
    adapted.backbone_dropout = training
    adapted.train(training)
    sources, targets = [SOURCES[i] for i in chosen], [TARGETS[i] for i in chosen]
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        ours = adapted(sources, targets)
        torch.manual_seed(1)
        theirs = library(adapted.backbone, sources, targets)
    picked = torch.cat([row[: len(target)] for row, target in zip(theirs, targets, strict=True)])
    labels = torch.tensor([token for target in targets for token in target])
    losses = nn.functional.cross_entropy(picked, labels, reduction="none")
    expected = torch.stack([part.sum() for part in losses.split([len(target) for target in targets])])
    assert torch.equal(ours, expected)


def test_dropout_draws_differ() -> None:
    """Guards the test above: without dropout it would say nothing about training."""
    adapted = AdaptedEncoderDecoder(model())
    adapted.backbone_dropout = True
    with torch.random.fork_rng():
        one, two = adapted.train()(SOURCES, TARGETS), adapted(SOURCES, TARGETS)
    assert not torch.equal(one, two)
    adapted.eval()
    assert torch.equal(adapted(SOURCES, TARGETS), adapted(SOURCES, TARGETS))


def test_the_loss_is_the_librarys_over_all_labels() -> None:
    """<s> and </s> count; where the start token is </s> the library feeds the decoder as the authors do."""
    adapted = AdaptedEncoderDecoder(model())
    with torch.no_grad():
        ours = adapted(SOURCES, TARGETS)
        for loss, source, target in zip(ours, SOURCES, TARGETS, strict=True):
            theirs = adapted.backbone(input_ids=torch.tensor([source]), labels=torch.tensor([target])).loss
            torch.testing.assert_close(loss, theirs * len(target), rtol=1e-5, atol=0)


def test_written_out() -> None:
    adapted = AdaptedEncoderDecoder(model(torch.float64))
    with torch.no_grad():
        losses = adapted(SOURCES, TARGETS)
        for loss, source, target in zip(losses, SOURCES, TARGETS, strict=True):
            expected = nll(logits(adapted.backbone, source, [2, *target[:-1]]), target)
            torch.testing.assert_close(loss, expected.float())


def test_a_bias_of_the_logits_counts() -> None:
    adapted = AdaptedEncoderDecoder(model())
    before = adapted.start(SOURCES)[1]
    adapted.backbone.final_logits_bias[0, 7] = 3.0
    after = adapted.start(SOURCES)[1]
    torch.testing.assert_close(after[:, 7], before[:, 7] + 3.0)
    assert torch.equal(after[:, :7], before[:, :7])


def test_step_by_step_in_beams() -> None:
    """However hypotheses are repeated, reordered and dropped, each reads on as it would alone."""
    adapted = AdaptedEncoderDecoder(model(torch.float64))
    state, first = adapted.start(SOURCES)
    rows: list[tuple[int, list[int]]] = [(source, [2]) for source in range(3)]
    found = first
    # Into beams; places changed within sources; a source gone; unequal numbers; and the rest reordered.
    for chosen in ([0, 0, 1, 1, 2, 2], [1, 1, 3, 2, 5, 4], [0, 1, 5, 4], [3, 0, 1], [2, 0], [1, 0]):
        state.select(torch.tensor(chosen))
        rows = [rows[row] for row in chosen]
        tokens = [(7 * number + len(rows[number][1])) % SIZE for number in range(len(rows))]
        found = adapted.step(state, torch.tensor(tokens))
        rows = [(source, [*read, token]) for (source, read), token in zip(rows, tokens, strict=True)]
        for number, (source, read) in enumerate(rows):
            expected = logits(adapted.backbone, SOURCES[source], read)[-1]
            torch.testing.assert_close(found[number], expected.float(), rtol=1e-5, atol=1e-5)


def test_a_source_is_kept_once_for_all_its_beams() -> None:
    adapted = AdaptedEncoderDecoder(model())
    state, _ = adapted.start(SOURCES)
    source = state.cache.cross_attention_cache.layers[0]
    kept = source.keys
    state.select(torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2]))
    adapted.step(state, torch.tensor([5] * 9))
    assert state.beams == 3
    assert source.keys is kept and len(kept) == 3
    state.select(torch.tensor([0, 2, 1, 8, 7, 6]))
    assert len(source.keys) == 2


def test_copy_is_independent_while_it_reads() -> None:
    """A copy's hooks look at the copy's state."""
    adapted = AdaptedEncoderDecoder(model())
    twin = copy.deepcopy(adapted)
    state, _ = twin.start(SOURCES)
    state.select(torch.tensor([0, 0, 1, 1, 2, 2]))
    tokens = torch.tensor([5, 6] * 3)
    before = twin.step(copy.deepcopy(state), tokens)
    adapted.hook_state.beams = 3  # as if the original were in the middle of a step
    assert torch.equal(twin.step(state, tokens), before)


def test_positions_are_the_tables_and_no_more() -> None:
    adapted = AdaptedEncoderDecoder(model(max_position_embeddings=8))
    full = [0, *[5] * 6, 2]
    with torch.no_grad():
        assert adapted([full], [full]).isfinite().all()
    with pytest.raises(UserError, match=r"needs 9 positions .* at most the model's 8"):
        adapted([[*full, 2]], [full])
    with pytest.raises(UserError, match="needs 9 positions"):
        adapted([full], [[*full, 2]])
    state, _ = adapted.start([full])
    assert state.room == 7
    assert state.prompts == [[2]]


def test_encoded_sources_are_the_written_out_ones() -> None:
    adapted = AdaptedEncoderDecoder(model(torch.float64))
    with torch.no_grad():
        found: EncodedSources = adapted.encode(SOURCES, Prefixes().encoder)
        assert found.real is not None
        for states, real, source in zip(found.states, found.real, SOURCES, strict=True):
            assert real.tolist() == [True] * len(source) + [False] * (8 - len(source))
            torch.testing.assert_close(states[: len(source)], encoder_states(adapted.backbone, source))
