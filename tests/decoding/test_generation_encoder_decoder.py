"""Decoding with BARTs: `plain` against `generate`, `original` against a search without batch or cache, and
the scores of both against teacher forcing.

The models compute in float64, so that no comparison hangs on the last bit of a matrix product.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from decoding import Logits, assert_company_does_not_matter, slow_original
from plain_bart import NONE, logits, random_bart
from torch import Tensor
from transformers import BartForConditionalGeneration

from baselines.prefix.encoder_decoder_model import EncoderDecoderPrefixModel
from bench.decoding.beam_search import BeamRules, SourceSearch
from bench.decoding.generation import decode_sources, make_encoder_decoder_rules
from bench.models.encoder_decoder import AdaptedEncoderDecoder

BOS, PAD, EOS = 0, 1, 2
SIZE, NEW = 80, 14
RULES = BeamRules("plain", EOS, beams=3, max_new_tokens=NEW, forced_first=BOS, forced_eos=True)
pytestmark = pytest.mark.usefixtures("one_thread")


def model(seed: int) -> BartForConditionalGeneration:
    return random_bart(seed, SIZE, torch.float64)


def some_sources(seed: int, count: int, longest: int = 14) -> list[list[int]]:
    chance = random.Random(seed)
    lengths = [chance.randrange(1, longest) for _ in range(count)]
    return [[BOS, *(chance.randrange(3, SIZE) for _ in range(length)), EOS] for length in lengths]


def generated(backbone: BartForConditionalGeneration, source: list[int], **settings: Any) -> list[int]:
    """What `generate` says, alone, without the start token."""
    ids = torch.tensor([source])
    chosen = {"max_length": NEW + 1, "forced_bos_token_id": BOS, "forced_eos_token_id": EOS, **settings}
    if chosen["num_beams"] == 1:
        chosen.pop("length_penalty", None)
        chosen.pop("early_stopping", None)
    found = backbone.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=PAD, **chosen
    )
    assert found[0, 0] == EOS
    return [token for token in found[0, 1:].tolist() if token != PAD]


@pytest.mark.parametrize(
    ("seed", "ours", "theirs"),
    [
        (0, {"beams": 6, "length_penalty": 0.8}, {"num_beams": 6, "length_penalty": 0.8}),
        (1, {"beams": 4, "early_stopping": True}, {"num_beams": 4, "early_stopping": True}),
        (2, {"beams": 2, "no_repeat_ngram": 3}, {"num_beams": 2, "no_repeat_ngram_size": 3}),
        (3, {"beams": 3, "min_new_tokens": 7}, {"num_beams": 3, "min_length": 8}),
        (4, {"beams": 1}, {"num_beams": 1}),
        (5, {"beams": 3, "forced_first": None}, {"num_beams": 3, "forced_bos_token_id": None}),
        (6, {"beams": 3, "forced_eos": False}, {"num_beams": 3, "forced_eos_token_id": None}),
        (
            7,
            {
                "beams": 6, "length_penalty": 0.8, "early_stopping": True, "no_repeat_ngram": 3,
                "min_new_tokens": 5,
            },
            {
                "num_beams": 6, "length_penalty": 0.8, "early_stopping": True, "no_repeat_ngram_size": 3,
                "min_length": 6,
            },
        ),
    ],
)  # fmt: skip
def test_plain_is_generate(seed: int, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    backbone, sources = model(seed), some_sources(seed, 9)
    expected = [generated(backbone, source, **theirs) for source in sources]
    assert len({tuple(output) for output in expected}) > 4, "the model says the same everywhere"
    rules = replace(RULES, **ours)
    assert decode_sources(AdaptedEncoderDecoder(backbone), sources, rules, batch_size=4) == expected
    assert decode_sources(AdaptedEncoderDecoder(backbone), sources, rules, batch_size=1) == expected


def reading(backbone: Any, source: list[int], prefixes: Mapping[str, Tensor] = NONE) -> Logits:
    """What a BART says next after a target begun, with everything read anew each time."""
    return lambda target: logits(backbone, source, target, prefixes)[-1]


def prefixed(backbone: BartForConditionalGeneration, length: int = 3) -> EncoderDecoderPrefixModel:
    options = {"length": length, "hidden": 8, "mlp": "no", "init": "random"}
    return EncoderDecoderPrefixModel(backbone, None, options, 1).to(torch.float64)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_original_is_the_restated_search(seed: int, early: bool) -> None:
    """With the authors' rules, with and without the three prefixes; and it is not what `plain` says."""
    backbone, sources = model(seed), some_sources(seed + 20, 4)
    rules = BeamRules(
        "original", EOS, beams=4, max_new_tokens=10, length_penalty=0.8, min_new_tokens=3,
        no_repeat_ngram=3, early_stopping=early, forced_eos=True,
    )  # fmt: skip
    adapted = prefixed(backbone)
    found = decode_sources(adapted, sources, rules, batch_size=3)
    # Lengths count the start token, so it is the prompt.
    prefixes = adapted.stored_state()
    assert found == [slow_original(reading(backbone, source, prefixes), [EOS], rules) for source in sources]
    without = decode_sources(AdaptedEncoderDecoder(backbone), sources, rules, batch_size=3)
    assert without == [slow_original(reading(backbone, source), [EOS], rules) for source in sources]
    assert found != without


@pytest.mark.parametrize("protocol", ["original", "plain"])
def test_scores_are_teacher_forced_log_probabilities(protocol: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A beam's score is what the loss sums for the same sequence, less what was forced, which is free."""
    adapted = prefixed(model(6))
    scores: list[float] = []
    select_best = SourceSearch.select_best

    def noting(search: SourceSearch) -> list[int]:
        scores.append(max(hypothesis.score for hypothesis in search.finished))
        return select_best(search)

    monkeypatch.setattr(SourceSearch, "select_best", noting)
    sources = sorted(some_sources(5, 8), key=len, reverse=True)  # the order in which they are decoded
    first = BOS if protocol == "plain" else None
    rules = BeamRules(
        protocol, EOS, beams=4, max_new_tokens=NEW, length_penalty=0.0, forced_first=first, forced_eos=True
    )
    outputs = decode_sources(adapted, sources, rules)
    assert len({len(output) for output in outputs}) > 1
    assert all(output[-1] == EOS for output in outputs)
    with torch.no_grad():
        teacher = -adapted(sources, outputs)
        for score, total, source, output in zip(scores, teacher, sources, outputs, strict=True):
            each = logits(adapted.backbone, source, [EOS, *output[:-1]], adapted.stored_state()).log_softmax(
                1
            )
            free = float(each[0, BOS]) if protocol == "plain" else 0.0
            free += float(each[-1, EOS]) if len(output) == NEW else 0.0
            assert score == pytest.approx(float(total) - free, rel=1e-5)


@pytest.mark.parametrize("protocol", ["original", "plain"])
def test_batch_size_and_order_do_not_matter(protocol: Any) -> None:
    adapted, sources = prefixed(model(4)), some_sources(6, 13)
    rules = replace(RULES, protocol=protocol, beams=4, early_stopping=True)
    assert_company_does_not_matter(adapted, sources, rules, batch_sizes=(2, 5, 13))


def test_length_zero_generates_as_the_untouched_model() -> None:
    backbone, sources = model(2), some_sources(7, 6)
    nothing = prefixed(backbone, length=0)
    assert decode_sources(nothing, sources, RULES) == decode_sources(
        AdaptedEncoderDecoder(backbone), sources, RULES
    )


def test_what_is_forced() -> None:
    adapted, sources = AdaptedEncoderDecoder(model(5)), some_sources(8, 5)
    outputs = decode_sources(adapted, sources, replace(RULES, max_new_tokens=5, min_new_tokens=9))
    assert all(output[0] == BOS and output[-1] == EOS and len(output) == 5 for output in outputs)
    # Where the first token is the last one too, the end is forced.
    assert decode_sources(adapted, sources, replace(RULES, max_new_tokens=1)) == [[EOS]] * 5


class Specials:
    bos_token_id, eos_token_id = BOS, EOS


def test_presets() -> None:
    chosen = {"beams": 6, "max_new_tokens": 61, "min_new_tokens": 10, "length_penalty": 0.8}
    tokenizer: Any = Specials()
    original = make_encoder_decoder_rules("original", tokenizer, chosen)
    assert original == BeamRules(
        "original", EOS, beams=6, max_new_tokens=61, min_new_tokens=10, length_penalty=0.8, forced_eos=True
    )
    assert make_encoder_decoder_rules("plain", tokenizer, chosen) == replace(
        original, protocol="plain", forced_first=BOS
    )
