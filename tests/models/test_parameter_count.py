"""Parameter counts against what the paper, the authors' code and others printed."""

from __future__ import annotations

import pytest
from transformers import GPT2Config

from bench.errors import UserError
from bench.models.parameter_count import count_parameters, list_variants
from bench.registry import get_method, methods

MEDIUM, LARGE, BART = "gpt2-medium", "gpt2-large", "bart-large"
COUNTS = [
    # method, options, model, trained, stored, the share that the paper prints
    ("ft-full", {}, MEDIUM, 354_823_168, 354_823_168, "100%"),
    ("ft-full", {}, LARGE, 774_030_080, 774_030_080, "100%"),
    ("ft-top2", {}, MEDIUM, 25_194_496, 25_194_496, None),
    ("adapter", {"size": "3%"}, MEDIUM, 11_089_152, 11_089_152, "3%"),
    ("adapter", {"size": "0.1%"}, MEDIUM, 368_784, 368_784, "0.1%"),
    ("adapter", {"size": "3%"}, LARGE, 23_002_848, 23_002_848, "3%"),
    ("adapter", {"size": "0.1%"}, LARGE, 875_808, 875_808, "0.1%"),
    ("adapter", {"bottleneck": "100"}, MEDIUM, 4_991_328, 4_991_328, None),
    ("prefix", {"length": 5}, MEDIUM, 25_744_896, 245_760, "0.1%"),
    ("prefix", {"length": 10}, MEDIUM, 25_750_016, 491_520, "0.1%"),
    ("prefix", {"length": 5}, LARGE, 47_940_352, 460_800, "0.1%"),
    ("prefix", {"length": 10}, LARGE, 47_946_752, 921_600, "0.1%"),
    ("prefix", {"length": 5, "mlp": "no"}, MEDIUM, 245_760, 245_760, None),
    ("prefix", {"length": 0}, MEDIUM, 0, 0, None),
    ("embedding", {"length": 10}, MEDIUM, 1_060_352, 10_240, None),
    ("infix", {"length": 10}, MEDIUM, 25_760_256, 10_240 + 491_520, None),
    ("prompt", {}, MEDIUM, 0, 0, None),
    # BART's prefix: 3 attentions · 12 layers · 2 · 1024 = 73,728 per position.
    ("ft-full", {}, BART, 406_291_456, 406_291_456, "100%"),
    ("ft-top2", {}, BART, 33_593_344, 33_593_344, None),
    ("prefix", {"length": 100, "hidden": 800}, BART, 61_823_328, 7_372_800, "2%"),
    ("prefix", {"length": 5, "hidden": 800}, BART, 61_531_488, 368_640, "0.1%"),
    ("prefix", {"length": 200, "hidden": 800}, BART, 62_130_528, 14_745_600, None),
    ("prefix", {"length": 1, "mlp": "no"}, BART, 73_728, 73_728, None),
    ("infix", {"length": 10, "hidden": 800}, BART, 41_031_232, 491_520, None),
    ("embedding", {"length": 10}, BART, 2 * 1_060_352, 2 * 10_240, None),
    ("prompt", {}, BART, 0, 0, None),
]


@pytest.mark.parametrize(("name", "options", "model", "trained", "stored", "paper"), COUNTS)
def test_counts(
    name: str, options: dict[str, object], model: str, trained: int, stored: int, paper: str | None
) -> None:
    counted = count_parameters(get_method(name), model, options)
    assert (counted["trainable"], counted["stored"]) == (trained, stored)
    assert counted["total"] == {MEDIUM: 354_823_168, LARGE: 774_030_080, BART: 406_291_456}[model]
    assert counted["share_stored"] == stored / counted["total"]
    assert counted["share_trained"] == trained / counted["total"]
    assert counted["paper_share"] == paper
    assert counted["model"] == model
    if paper not in (None, "100%"):
        # What the paper prints is rounded: 0.07 % and 0.14 % are both "0.1 %".
        assert 100 * counted["share_stored"] == pytest.approx(float(str(paper)[:-1]), rel=0.45)


def test_every_counted_method_is_found() -> None:
    assert {row[0] for row in COUNTS} <= set(methods())


def test_configuration_instead_of_a_name() -> None:
    config = GPT2Config(n_layer=2, n_embd=8, n_head=2, n_positions=16, vocab_size=20)
    counted = count_parameters(get_method("prefix"), config, {"length": 3, "hidden": 4})
    assert counted["stored"] == 2 * 2 * 8 * 3
    assert counted["trainable"] == 3 * 8 + (8 * 4 + 4) + (4 * 32 + 32)
    assert counted["paper_share"] is None
    assert counted["method"] == "prefix[length=3,hidden=4]"


def test_reduction_is_reported() -> None:
    assert count_parameters(get_method("adapter"), MEDIUM, {})["facts"] == {
        "bottleneck": 224,
        "reduction": 4.57,
    }


def test_what_cannot_be_counted() -> None:
    with pytest.raises(UserError, match=r"prefix\[init=summarize\] needs the model's tokenizer"):
        count_parameters(get_method("prefix"), MEDIUM, {"init": "summarize"})
    with pytest.raises(UserError, match="did you mean 'gpt2-medium'"):
        count_parameters(get_method("prefix"), "gpt2-meduim", {})


def test_listed_settings() -> None:
    """What the paper's settings choose per task is listed beside the variants."""
    assert list_variants(get_method("prefix"), MEDIUM) == [{"length": 5}, {"length": 10}]
    assert list_variants(get_method("adapter"), MEDIUM) == [{"size": "3%"}, {"size": "0.1%"}]
    assert list_variants(get_method("ft-full"), MEDIUM) == [{}]
    assert list_variants(get_method("prefix"), BART) == [
        {"length": 100, "hidden": 800},
        {"length": 80, "hidden": 800},
        {"length": 40, "hidden": 800},
        {"length": 5, "hidden": 800},
    ]
