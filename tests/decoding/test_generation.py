"""Decoding with GPT-2s: `plain` against `generate`, `original` against a search without batch or cache.

Most models here compute in float64: their logits, rounded to float32 for the search, are then the
same however the batch is composed, and no comparison hangs on the last bit of a matrix product.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from decoding import assert_company_does_not_matter, slow_original
from torch import Tensor
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

from baselines.prefix.model import PrefixModel
from bench.decoding.beam_search import BeamRules
from bench.decoding.generation import decode_sources, list_newline_tokens, make_decoder_rules
from bench.errors import UserError
from bench.models.decoder_only import AdaptedDecoder, Context
from bench.models.kv_cache import make_cache

EOS = 0
SIZE = 120
NEW = 24
pytestmark = pytest.mark.usefixtures("one_thread")


def tiny(seed: int, dtype: torch.dtype = torch.float64, positions: int = 64) -> GPT2LMHeadModel:
    """A random GPT-2 that says different things at different places and does reach EOS."""
    config = GPT2Config(
        n_layer=2,
        n_head=2,
        n_embd=32,
        vocab_size=SIZE,
        n_positions=positions,
        bos_token_id=EOS,
        eos_token_id=EOS,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.transformer.parameters():
            if parameter.dim() > 1:
                parameter.mul_(2 + seed % 4)
        model.transformer.wpe.weight.mul_(6)
        model.transformer.wte.weight[EOS] *= 1.5
    return model


def some_sources(seed: int, count: int, longest: int = 20) -> list[list[int]]:
    chance = random.Random(seed)
    lengths = [chance.randrange(0, longest) for _ in range(count)]
    return [[*(chance.randrange(1, SIZE) for _ in range(length)), EOS] for length in lengths]


def prefixed(model: GPT2LMHeadModel, length: int = 3, seed: int = 1) -> PrefixModel:
    options = {"length": length, "hidden": 16, "mlp": "no", "init": "random"}
    return PrefixModel(model, None, options, seed).to(model.dtype)


def generated(
    model: GPT2LMHeadModel, source: Sequence[int], prefix: Tensor | None = None, **settings: Any
) -> list[int]:
    """What `generate` says, alone, without the prompt."""
    beams = settings.get("num_beams", 1)
    ids = torch.tensor([source])
    if prefix is not None:
        # The ids under the prefix are never read; its keys and values are.
        ids = torch.cat((ids.new_ones((1, prefix.shape[-2])), ids), dim=1)
        settings["past_key_values"] = make_cache(prefix.detach(), beams)
    if beams == 1:
        settings.pop("length_penalty", None)
    found = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        pad_token_id=EOS,
        **{"max_new_tokens": NEW, **settings},
    )
    return found[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize(
    ("seed", "beams", "penalty"),
    [(0, 5, 1.0), (2, 5, 1.0), (5, 5, 1.2), (3, 5, 0.8), (2, 2, 1.0), (7, 2, 1.2), (4, 1, 1.0)],
)
def test_plain_is_generate(seed: int, beams: int, penalty: float) -> None:
    model = tiny(seed)
    sources = some_sources(seed, 9)
    rules = BeamRules("plain", EOS, beams=beams, max_new_tokens=NEW, length_penalty=penalty)
    expected = [generated(model, s, num_beams=beams, length_penalty=penalty) for s in sources]
    assert len({len(output) for output in expected}) > 2, "the model ends everywhere at the same place"
    assert decode_sources(AdaptedDecoder(model), sources, rules, batch_size=5) == expected


@pytest.mark.parametrize(
    ("seed", "penalty", "ours", "theirs"),
    [
        (6, 2.0, {"early_stopping": True}, {"early_stopping": True}),
        (4, 1.0, {"no_repeat_ngram": 2}, {"no_repeat_ngram_size": 2}),
        (
            6,
            1.0,
            {"banned": (7, 9), "min_length": 6},
            {"suppress_tokens": [7, 9], "min_new_tokens": 6},
        ),
    ],
)
def test_plain_is_generate_with_every_option(
    seed: int, penalty: float, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    model = tiny(seed)
    sources = some_sources(7, 8)
    without = BeamRules("plain", EOS, beams=3, max_new_tokens=NEW, length_penalty=penalty)
    found = decode_sources(AdaptedDecoder(model), sources, replace(without, **ours), batch_size=8)
    expected = [generated(model, s, num_beams=3, length_penalty=penalty, **theirs) for s in sources]
    assert found == expected
    assert found != decode_sources(AdaptedDecoder(model), sources, without), "the option does nothing here"


def test_long_outputs_are_those_of_generate() -> None:
    model = tiny(1)
    sources = some_sources(12, 3, longest=8)
    rules = BeamRules("plain", EOS, beams=3, max_new_tokens=50)
    expected = [generated(model, s, num_beams=3, max_new_tokens=50) for s in sources]
    assert max(len(output) for output in expected) > 40, "the model ends too soon"
    assert decode_sources(AdaptedDecoder(model), sources, rules) == expected


def test_plain_is_generate_in_float32() -> None:
    model = tiny(3, torch.float32)
    sources = some_sources(11, 8)
    rules = BeamRules("plain", EOS, max_new_tokens=NEW)
    expected = [generated(model, s, num_beams=5) for s in sources]
    assert decode_sources(AdaptedDecoder(model), sources, rules, batch_size=10) == expected


@pytest.mark.parametrize("beams", [1, 5])
def test_plain_with_a_prefix_is_generate_with_its_keys_and_values(beams: int) -> None:
    model = tiny(2)
    adapted = prefixed(model)
    sources = some_sources(3, 8)
    rules = BeamRules("plain", EOS, beams=beams, max_new_tokens=NEW)
    expected = [generated(model, s, adapted.prefix(), num_beams=beams) for s in sources]
    assert decode_sources(adapted, sources, rules, batch_size=8) == expected
    assert decode_sources(AdaptedDecoder(model), sources, rules, batch_size=8) != expected


def test_plain_with_a_prefix_is_peft() -> None:
    peft = pytest.importorskip(
        "peft", reason="peft is not installed: its own decoding is what ours is compared with"
    )
    model = tiny(2)
    adapted = prefixed(model)
    prefix = adapted.prefix()
    assert prefix is not None
    config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, about their own future
        theirs = peft.get_peft_model(model, config).eval()
        # PEFT keeps a row per position: layer, then key or value, then head.
        flat = prefix.permute(3, 0, 1, 2, 4).reshape(3, -1)
        theirs.prompt_encoder["default"].embedding.weight.data = flat.detach().clone()
        sources = some_sources(4, 6)
        expected = [generated(theirs, s, num_beams=5) for s in sources]
    rules = BeamRules("plain", EOS, max_new_tokens=NEW)
    assert decode_sources(adapted, sources, rules, batch_size=6) == expected


def test_original_is_the_restated_search() -> None:
    differ = 0
    for seed in (2, 3):
        model = tiny(seed)
        for adapted in (AdaptedDecoder(model), prefixed(model)):
            prefix = adapted.prefix()

            def logits(
                sequence: Sequence[int], model: GPT2LMHeadModel = model, prefix: Tensor | None = prefix
            ) -> Tensor:
                cache = None if prefix is None else make_cache(prefix, 1)
                output = model(torch.tensor([sequence]), past_key_values=cache, use_cache=prefix is not None)
                return output.logits[0, -1]

            sources = some_sources(seed + 20, 4)
            rules = BeamRules("original", EOS, max_new_tokens=NEW, min_length=5, banned=(11, 12))
            with torch.no_grad():
                expected = [slow_original(logits, source, rules) for source in sources]
            assert decode_sources(adapted, sources, rules, batch_size=5) == expected
            plain = decode_sources(adapted, sources, BeamRules("plain", EOS, max_new_tokens=NEW))
            differ += sum(a != b for a, b in zip(plain, expected, strict=True))
    assert differ > 3, "the cases do not tell the two protocols apart"


class Continued(AdaptedDecoder):
    """As infix: all but BOS is in the cache, with padding, and decoding continues BOS."""

    def context(self, sources: Sequence[Sequence[int]]) -> Context:
        width = max(len(source) for source in sources)
        ids = torch.tensor([[*s[:-1], *([5] * (width - len(s)))] for s in sources], dtype=torch.long)
        lengths = torch.tensor([len(s) - 1 for s in sources])
        visible = (torch.arange(width - 1) < lengths[:, None]).long()
        _, cache = self.read(DynamicCache(), visible, None, ids=ids, keep=True)
        return Context(cache, visible, lengths, [[EOS]] * len(sources))


def test_a_context_that_was_read_before_is_not_counted_as_prompt() -> None:
    model = tiny(3)
    sources = [source for source in some_sources(5, 8) if len(source) > 2]
    plain = BeamRules("plain", EOS, max_new_tokens=NEW)
    assert decode_sources(Continued(model), sources, plain) == decode_sources(
        AdaptedDecoder(model), sources, plain
    )
    original = BeamRules("original", EOS, max_new_tokens=NEW, min_length=5)
    continued = decode_sources(Continued(model), sources, original)
    assert continued != decode_sources(AdaptedDecoder(model), sources, original)
    for source, found in zip(sources, continued, strict=True):

        def logits(sequence: Sequence[int], source: Sequence[int] = source) -> Tensor:
            return model(torch.tensor([[*source[:-1], *sequence]])).logits[0, -1]

        with torch.no_grad():
            assert found == slow_original(logits, [EOS], original)


@pytest.mark.parametrize("protocol", ["plain", "original"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_batch_size_and_order_do_not_matter(protocol: Any, dtype: torch.dtype) -> None:
    model = prefixed(tiny(5, dtype))
    sources = some_sources(6, 17, longest=30)
    rules = BeamRules(protocol, EOS, max_new_tokens=NEW)
    assert_company_does_not_matter(model, sources, rules, batch_sizes=(2, 5, 17))


def test_equal_logits_of_a_coarse_model_do_not_depend_on_the_batch() -> None:
    class Coarse(AdaptedDecoder):
        """Logits with few distinct values, as a model in bfloat16 has them."""

        def _logits(self, hidden: Tensor) -> Tensor:
            return (super()._logits(hidden) / 4).round() * 4

    model = Coarse(tiny(2))
    sources = some_sources(8, 9)
    for protocol in ("plain", "original"):
        rules = BeamRules(protocol, EOS, max_new_tokens=NEW)
        assert decode_sources(model, sources, rules, batch_size=9) == decode_sources(
            model, sources, rules, batch_size=1
        )


def test_only_the_vocabulary_of_decoding_is_used() -> None:
    model = tiny(3)
    adapted = AdaptedDecoder(model)
    adapted.decode_vocab = 40
    found = decode_sources(adapted, some_sources(9, 6), BeamRules("plain", EOS, max_new_tokens=NEW))
    assert max(token for output in found for token in output) < 40


def test_longest_first_results_in_order_progress_and_mode() -> None:
    class Noting(AdaptedDecoder):
        seen: list[list[int]]

        def context(self, sources: Sequence[Sequence[int]]) -> Context:
            assert not self.training
            assert torch.is_inference_mode_enabled()
            self.seen.append([len(source) for source in sources])
            return super().context(sources)

    model = Noting(tiny(0))
    model.seen = []
    model.train()
    done: list[int] = []
    sources = some_sources(10, 7)
    found = decode_sources(model, sources, BeamRules("plain", EOS, max_new_tokens=4), 3, done.append)
    assert len(found) == 7
    lengths = [length for batch in model.seen for length in batch]
    assert lengths == sorted((len(source) for source in sources), reverse=True)
    assert done == [3, 6, 7]
    assert model.training
    assert decode_sources(model, [], BeamRules("plain", EOS)) == []


def test_what_does_not_fit_is_refused_before_any_output() -> None:
    model = prefixed(tiny(0, positions=32), length=4)
    rules = BeamRules("plain", EOS, beams=2, max_new_tokens=19)
    assert decode_sources(model, [[3] * 9 + [EOS]], rules)
    done: list[int] = []
    # 4 positions of prefix, 11 of prompt: 17 more can be read, and the last one need not be.
    with pytest.raises(UserError, match=r"max_new_tokens=19 .* 17 more .* at most max_new_tokens=18"):
        decode_sources(model, [[3, EOS], [3] * 10 + [EOS]], rules, batch_size=1, progress=done.append)
    assert done == []
    with pytest.raises(UserError, match=r"45 positions"):
        decode_sources(model, [[3] * 40 + [EOS]], rules)
    with pytest.raises(UserError, match="input 1 has no tokens"):
        decode_sources(model, [[EOS], []], rules)
    with pytest.raises(UserError, match="batch_size=0"):
        decode_sources(model, [[EOS]], rules, batch_size=0)


class Words:
    """As much of a tokenizer as the presets ask for."""

    eos_token_id = 2

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self.vocabulary = vocabulary

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        assert not add_special_tokens
        whole = self.vocabulary.get(text)
        return [self.vocabulary[character] for character in text] if whole is None else [whole]


def test_presets() -> None:
    both: Any = Words({"\n": 4, "\n\n": 6})
    single: Any = Words({"\n": 4})
    assert list_newline_tokens(both) == (4, 6)
    assert list_newline_tokens(single) == (4,)
    assert make_decoder_rules("plain", both) == BeamRules("plain", 2)
    original = make_decoder_rules("original", both, max_new_tokens=7)
    assert original == BeamRules("original", 2, max_new_tokens=7, min_length=5, banned=(4, 6))
    assert make_decoder_rules("original", both, banned=(1,)).banned == (1,)
