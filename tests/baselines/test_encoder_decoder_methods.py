"""The methods on BART, each against a plain second computation (``plain_bart``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from plain_bart import encoder_states, logits, nll
from tiny import BOS, SOURCES, TARGETS, Letters, bart, build, greedy, shake
from torch import Tensor

from baselines._keys_values import StoredKeysValues
from baselines.prefix.encoder_decoder_model import PARTS, EncoderDecoderPrefixModel
from bench.decoding.beam_search import BeamRules
from bench.decoding.generation import decode_sources
from bench.method import ENCODER_DECODER
from bench.models.encoder_decoder import AdaptedEncoderDecoder, EncodedSources, Prefixes

OPTIONS = {"length": 4, "hidden": 8, "mlp": "yes", "init": "random"}


def model_with(*parts: str, **changes: Any) -> EncoderDecoderPrefixModel:
    model = EncoderDecoderPrefixModel(bart(), Letters(), {**OPTIONS, **changes}, 0, parts)
    return shake(model)


def untouched() -> AdaptedEncoderDecoder:
    return AdaptedEncoderDecoder(bart())


def expected(prefixes: dict[str, Tensor], source: list[int], target: list[int]) -> Tensor:
    return nll(logits(bart(), source, [target[-1], *target[:-1]], prefixes), target)


@pytest.mark.parametrize("parts", [PARTS, ("encoder",), ("decoder",), ("cross",), ("decoder", "cross")])
def test_prefixes_written_out(parts: tuple[str, ...]) -> None:
    """Keys and values before those of each attention, at no position of their own."""
    model = model_with(*parts)
    stored = model.stored_state()
    assert set(stored) == set(parts)
    with torch.no_grad():
        losses = model(SOURCES, TARGETS)
    for loss, source, target in zip(losses, SOURCES, TARGETS, strict=True):
        torch.testing.assert_close(loss, expected(stored, source, target), rtol=1e-5, atol=1e-5)
        assert (loss - expected({}, source, target)).abs() > 1e-3, "the prefix does nothing here"


def test_the_encoders_prefix_changes_its_states_and_nothing_else() -> None:
    adapted, plain = model_with("encoder"), untouched()
    with torch.no_grad():
        theirs, ours = plain.encode(SOURCES, None), adapted.encode(SOURCES, adapted.prefixes().encoder)
        assert not torch.isclose(theirs.states, ours.states).all()
        # Given the same states, the decoder is the untouched one, bit for bit: in both directions.
        ids = torch.tensor([[BOS, *target[:2]] for target in TARGETS])
        for source in (theirs, ours):
            read = [
                model.read(
                    model.embed_inputs(model.backbone.model.decoder, ids, 0, None), source, given, False
                )[0]
                for model, given in ((adapted, adapted.prefixes()), (plain, Prefixes()))
            ]
            assert torch.equal(*read)


@pytest.mark.parametrize("parts", [("decoder",), ("cross",), ("decoder", "cross")])
def test_the_decoders_prefixes_leave_the_encoder_alone(parts: tuple[str, ...]) -> None:
    model, plain = model_with(*parts), untouched()
    with torch.no_grad():
        ours, theirs = model.encode(SOURCES, model.prefixes().encoder), plain.encode(SOURCES, None)
    assert torch.equal(ours.states, theirs.states)


def test_length_zero_is_the_untouched_model_bit_for_bit() -> None:
    model, plain = build("prefix", {"length": 0}, ENCODER_DECODER), untouched()
    assert model.trained_state() == {}
    assert all(tensor.numel() == 0 for tensor in model.stored_state().values())
    with torch.no_grad():
        assert torch.equal(model(SOURCES, TARGETS), plain(SOURCES, TARGETS))
    assert torch.equal(model.start(SOURCES)[1], plain.start(SOURCES)[1])
    assert greedy(model, SOURCES, 10) == greedy(plain, SOURCES, 10)


def test_positions_are_not_shifted() -> None:
    """A prefix takes none: what fills the table without it fits with it, and the decoder starts at 0."""
    model = model_with(*PARTS)
    limit = model.positions
    assert model.reserved_positions == 0
    with torch.no_grad():
        assert model([[3] * (limit - 1) + [BOS]], [[5] * (limit - 1) + [BOS]]).isfinite().all()
    state, _ = model.start(SOURCES)
    assert (state.position, state.room) == (1, limit - 1)


def test_order_within_a_prefix_does_not_matter() -> None:
    """Keys and values without positions are a set."""
    model = model_with(*PARTS)
    turned = model_with(*PARTS)
    turned.load_stored({part: tensor.flip(-2) for part, tensor in model.stored_state().items()})
    with torch.no_grad():
        torch.testing.assert_close(model(SOURCES, TARGETS), turned(SOURCES, TARGETS))


def test_the_stored_prefix_without_mlp_writes_the_same() -> None:
    model, used = shake(build("prefix", {}, ENCODER_DECODER)), build("prefix", {}, ENCODER_DECODER, seed=9)
    used.load_stored(model.stored_state())
    assert all(isinstance(part, StoredKeysValues) for part in used.keys_values.values())
    assert list(used.keys_values.parameters()) == []
    rules = BeamRules("original", BOS, beams=3, max_new_tokens=20, forced_eos=True)
    assert decode_sources(model, SOURCES, rules) == decode_sources(used, SOURCES, rules)


def test_shapes() -> None:
    """Each part has a matrix and an MLP of its own, for its own layers and heads."""
    model = build("prefix", {"length": 7, "hidden": 11}, ENCODER_DECODER)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.trained_state().items()}
    assert len(shapes) == 3 * 5
    for part, layers in (("encoder", 2), ("decoder", 3), ("cross", 3)):
        assert shapes[f"keys_values.{part}.rows.weight"] == (7, 16)
        assert shapes[f"keys_values.{part}.mlp.2.weight"] == (2 * layers * 16, 11)
    stored = {name: tuple(tensor.shape) for name, tensor in model.stored_state().items()}
    assert stored == {"encoder": (2, 2, 4, 7, 4), "decoder": (3, 2, 2, 7, 8), "cross": (3, 2, 2, 7, 8)}
    first = model.stored_state()
    assert not torch.equal(first["decoder"], first["cross"])


# -- initialisation by words --------------------------------------------------------------------


def distance(model: EncoderDecoderPrefixModel) -> float:
    goals = model.word_activations()
    with torch.no_grad():
        return sum(((goals[part] - kv()) ** 2).mean().item() for part, kv in model.keys_values.items())


def test_words_are_framed() -> None:
    model = build("prefix", {"init": "words"}, ENCODER_DECODER)
    assert model.words == [58, *Letters().encode(" words"), BOS]
    assert {tensor.shape[-2] for tensor in model.stored_state().values()} == {len(" words") + 2}


def test_word_activations_are_barts_own() -> None:
    """Keys and values of the layers' own projections, encoder and decoder both reading the words."""
    adapted = build("prefix", {"init": "words"}, ENCODER_DECODER)
    model, ids = bart(), adapted.words
    with torch.no_grad():
        read = model(
            input_ids=torch.tensor([ids]),
            decoder_input_ids=torch.tensor([[ids[-1], *ids[:-1]]]),
            output_hidden_states=True,
        )
    found = adapted.word_activations()
    last = read.encoder_last_hidden_state[0]
    torch.testing.assert_close(last, encoder_states(model, ids), rtol=1e-4, atol=1e-5)

    def check(part: str, number: int, module: Any, states: Tensor) -> None:
        for half, projection in enumerate((module.k_proj, module.v_proj)):
            heads = projection(states).view(len(ids), module.num_heads, -1).transpose(0, 1)
            torch.testing.assert_close(found[part][number, half], heads, rtol=1e-4, atol=1e-5)

    with torch.no_grad():
        for number, layer in enumerate(model.model.encoder.layers):
            check("encoder", number, layer.self_attn, read.encoder_hidden_states[number][0])
        for number, layer in enumerate(model.model.decoder.layers):
            check("decoder", number, layer.self_attn, read.decoder_hidden_states[number][0])
            check("cross", number, layer.encoder_attn, last)


def test_fit_to_words() -> None:
    """All three come closer, the matrices are trained as well, and nothing of it is random."""
    one, two = (build("prefix", {"init": "words", "hidden": 64}, ENCODER_DECODER) for _ in range(2))
    before, rows = distance(one), one.keys_values["cross"].rows.weight.clone()
    for model in (one, two):
        model.before_training(0)
    assert distance(one) < before
    assert not torch.equal(one.keys_values["cross"].rows.weight, rows)
    assert all(parameter.grad is None for parameter in one.parameters())
    assert all(torch.equal(one.stored_state()[part], two.stored_state()[part]) for part in PARTS)


def test_words_without_mlp_are_exact() -> None:
    model = build("prefix", {"init": "words", "mlp": "no"}, ENCODER_DECODER)
    model.before_training(0)
    goals = model.word_activations()
    assert all(torch.equal(model.stored_state()[part], goals[part]) for part in PARTS)


def test_summarize_is_three_tokens_in_bart(gpt2_words: Path) -> None:
    """<s>, the word with a blank before it, </s>: GPT-2's and BART's words are split alike."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gpt2_words)
    options = {**OPTIONS, "init": "summarize"}
    with torch.device("meta"):
        assert len(EncoderDecoderPrefixModel(bart(), tokenizer, options, 0).words) == 3


# -- the other methods --------------------------------------------------------------------------


def test_infix_is_on_the_decoders_side_alone() -> None:
    model = shake(build("infix", {"length": 4}, ENCODER_DECODER))
    stored = model.stored_state()
    assert set(stored) == {"decoder", "cross"}
    with torch.no_grad():
        losses = model(SOURCES, TARGETS)
        assert torch.equal(model.encode(SOURCES, None).states, untouched().encode(SOURCES, None).states)
    for loss, source, target in zip(losses, SOURCES, TARGETS, strict=True):
        torch.testing.assert_close(loss, expected(stored, source, target), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mlp", ["yes", "no"])
def test_embeddings_are_inputs_on_both_sides(mlp: str) -> None:
    """As if each side read [embeddings; text] as one sequence from position 0."""
    adapted = shake(build("embedding", {"length": 4, "mlp": mlp}, ENCODER_DECODER))
    stored = adapted.stored_state()
    assert {name: tuple(tensor.shape) for name, tensor in stored.items()} == {
        "source": (4, 16),
        "target": (4, 16),
    }
    model = bart()
    words = model.get_input_embeddings()
    for source, target in zip(SOURCES, TARGETS, strict=True):
        with torch.no_grad():
            read = torch.cat((stored["target"], words(torch.tensor([target[-1], *target[:-1]]))))
            theirs = model(
                inputs_embeds=torch.cat((stored["source"], words(torch.tensor(source))))[None],
                decoder_inputs_embeds=read[None],
            ).logits[0, 4:]
            ours = adapted([source], [target])[0]
        torch.testing.assert_close(ours, nll(theirs, target), rtol=1e-5, atol=1e-5)


def test_adapter_by_hand() -> None:
    """x + up(ReLU(down(LN(x)))) on what each layer of encoder and decoder gives."""
    model = shake(build("adapter", {"bottleneck": 3}, ENCODER_DECODER))
    assert len(model.adapters) == 2 + 3
    hidden = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    layers = [*model.backbone.model.encoder.layers, *model.backbone.model.decoder.layers]
    plain = [*bart().model.encoder.layers, *bart().model.decoder.layers]
    for layer, own, adapter in zip(layers, plain, model.adapters, strict=True):
        with torch.no_grad():
            given = (hidden, None) if len(layers) - layers.index(layer) > 3 else (hidden, None, hidden)
            ours, theirs = layer(*given), own(*given)
            norm, down, _, up = adapter
            torch.testing.assert_close(ours, theirs + up(down(norm(theirs)).relu()))


def test_top2_trains_the_decoders_last_layers() -> None:
    names = build("ft-top2", {}, ENCODER_DECODER).trained_state()
    prefixes = ("backbone.model.decoder.layers.1.", "backbone.model.decoder.layers.2.")
    assert len(names) == 2 * (8 + 8 + 4 + 6)
    assert all(name.startswith(prefixes) for name in names)


def test_full_trains_everything_once() -> None:
    """The tied embeddings and head are not counted or stored a second time."""
    state = build("ft-full", {}, ENCODER_DECODER).trained_state()
    assert sum(t.numel() for t in state.values()) == sum(p.numel() for p in bart().parameters())
    assert not [name for name in state if "lm_head" in name or "embed_tokens" in name]


def test_prompt_leaves_the_model_alone() -> None:
    model, plain = build("prompt", {}, ENCODER_DECODER), untouched()
    with torch.no_grad():
        assert torch.equal(model(SOURCES, TARGETS), plain(SOURCES, TARGETS))


def test_encoded_is_what_it_says() -> None:
    found: EncodedSources = untouched().encode([[3, BOS], [4, BOS]], None)
    assert found.real is None and found.states.shape == (2, 2, 16)
