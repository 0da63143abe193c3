"""The search itself, on made-up models whose next token is a function of all tokens so far."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from decoding import Logits, slow_original
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.decoding.beam_search import (
    BeamRules,
    Candidate,
    Hypothesis,
    SourceSearch,
    search_beams,
    select_best_entries,
)
from bench.errors import UserError

pytestmark = pytest.mark.usefixtures("one_thread")
EOS = 0


@dataclass
class Histories:
    """The state of a made-up model: the tokens so far."""

    rows: list[list[int]]
    prompts: list[list[int]]
    room: int

    def select(self, rows: Tensor) -> None:
        self.rows = [list(self.rows[row]) for row in rows.tolist()]


@dataclass
class MadeUp:
    """A model whose logits are ``logits(history)``; ``widths`` notes how many rows each step had."""

    logits: Logits
    room: int = 1000

    def __post_init__(self) -> None:
        self.widths: list[int] = []

    def start(self, sources: Sequence[Sequence[int]]) -> tuple[Histories, Tensor]:
        rows = [list(source) for source in sources]
        return Histories(rows, [list(row) for row in rows], self.room), self._all(rows)

    def step(self, state: Histories, tokens: Tensor) -> Tensor:
        assert len(tokens) == len(state.rows)
        for row, token in zip(state.rows, tokens.tolist(), strict=True):
            row.append(token)
        self.widths.append(len(tokens))
        return self._all(state.rows)

    def _all(self, rows: Sequence[Sequence[int]]) -> Tensor:
        return torch.stack([self.logits(row) for row in rows])


def dice(seed: int, size: int, sharp: float, ending: float) -> Logits:
    """Random logits for every history; ``ending`` is added to EOS."""

    def logits(history: Sequence[int]) -> Tensor:
        draw = random.Random(hash((seed, *history)))
        values = [draw.gauss(0, sharp) for _ in range(size)]
        values[EOS] += ending
        return torch.tensor(values)

    return logits


def table(rows: dict[tuple[int, ...], dict[int, float]], size: int) -> Logits:
    """Probabilities by what was generated after the prompt (all 9s); what is left goes to the last token."""

    def logits(history: Sequence[int]) -> Tensor:
        row = rows.get(tuple(token for token in history if token != 9), {EOS: 0.9})
        rest = (1 - sum(row.values())) / (size - len(row))
        return torch.tensor([math.log(row.get(token, rest)) for token in range(size)])

    return logits


prompts_of = st.lists(st.lists(st.integers(1, 11), min_size=1, max_size=9), min_size=1, max_size=7)
rule_sets = st.fixed_dictionaries(
    {
        "beams": st.integers(1, 4),
        "max_new_tokens": st.integers(1, 12),
        "min_length": st.integers(0, 8),
        "length_penalty": st.sampled_from([0.0, 0.8, 1.0, 1.2, 2.0]),
        "banned": st.sampled_from([(), (3,), (2, 5)]),
        "early_stopping": st.booleans(),
    }
)
models = st.builds(
    dice,
    st.integers(0, 10**6),
    st.just(13),
    st.sampled_from([0.5, 2.0]),
    st.sampled_from([-1.0, 1.0, 3.0]),
)


@settings(max_examples=120)
@given(prompts_of, rule_sets, models)
def test_original_is_the_restated_search(
    prompts: list[list[int]], settings_: dict[str, Any], model: Logits
) -> None:
    rules = BeamRules("original", EOS, **settings_)
    together = search_beams(MadeUp(model), prompts, rules)
    assert together == [slow_original(model, prompt, rules) for prompt in prompts]


@settings(max_examples=120)
@given(prompts_of, rule_sets, models, st.sampled_from(["original", "plain"]), st.randoms())
def test_company_in_the_batch_does_not_matter(
    prompts: list[list[int]], settings_: dict[str, Any], model: Logits, protocol: Any, chance: random.Random
) -> None:
    rules = BeamRules(protocol, EOS, no_repeat_ngram=chance.choice([0, 2]), **settings_)
    alone = [search_beams(MadeUp(model), [prompt], rules)[0] for prompt in prompts]
    order = list(range(len(prompts)))
    chance.shuffle(order)
    shuffled = search_beams(MadeUp(model), [prompts[place] for place in order], rules)
    assert shuffled == [alone[place] for place in order]
    for output in alone:
        assert len(output) <= rules.max_new_tokens
        assert not set(output) & set(rules.banned)
        assert EOS not in output[:-1]


def test_protocols_differ_where_the_prompt_flattens_the_normalisation() -> None:
    # Ending at once costs log 0.3; three certain tokens first cost log 0.6 - a little.
    rows = {(): {EOS: 0.3, 1: 0.6}, (1,): {2: 0.97}, (1, 2): {3: 0.97}, (1, 2, 3): {EOS: 0.97}}
    model = table(rows, 12)
    prompt = [9] * 8
    for beams in (2, 3):
        plain = BeamRules("plain", EOS, beams=beams, max_new_tokens=10)
        original = BeamRules("original", EOS, beams=beams, max_new_tokens=10)
        assert search_beams(MadeUp(model), [prompt], plain) == [[1, 2, 3, EOS]]
        assert search_beams(MadeUp(model), [prompt], original) == [[1, 2, 3, EOS]]
    rows[()] = {EOS: 0.5, 1: 0.4}
    # plain: log 0.5 / 1 = -0.69 against about (log 0.4 - 0.1) / 4 = -0.25: the longer wins.
    # original: log 0.5 / 8 = -0.087 against about -1.01 / 11 = -0.092: the shorter wins.
    for beams in (2, 3):
        plain = BeamRules("plain", EOS, beams=beams, max_new_tokens=10)
        original = BeamRules("original", EOS, beams=beams, max_new_tokens=10)
        assert search_beams(MadeUp(table(rows, 12)), [prompt], plain) == [[1, 2, 3, EOS]]
        assert search_beams(MadeUp(table(rows, 12)), [prompt], original) == [[EOS]]
        # With BOS alone as the prompt there is little to flatten.
        assert search_beams(MadeUp(table(rows, 12)), [[9]], original) == [[1, 2, 3, EOS]]


def test_one_beam_is_greedy() -> None:
    model = dice(4, 13, 2.0, 1.0)
    for protocol in ("plain", "original"):
        for first in range(1, 12):
            greedy: list[int] = []
            while EOS not in greedy and len(greedy) < 15:
                greedy.append(int(model([first, *greedy]).argmax()))
            rules = BeamRules(protocol, EOS, beams=1, max_new_tokens=15)
            assert search_beams(MadeUp(model), [[first]], rules) == [greedy]


def test_what_is_finished_leaves_the_batch() -> None:
    def logits(history: Sequence[int]) -> Tensor:
        # An input ends when it has generated as many tokens as its first one says.
        values = torch.arange(13, dtype=torch.float32) / 10
        values[EOS] = 9.0 if len(history) - 1 >= history[0] else -30.0
        return values

    model = MadeUp(logits)
    rules = BeamRules("original", EOS, beams=2, max_new_tokens=20)
    found = search_beams(model, [[2], [9], [4]], rules)
    assert [len(output) for output in found] == [3, 10, 5]
    assert model.widths[0] == 6
    assert model.widths[-1] == 2
    assert sorted(model.widths, reverse=True) == model.widths
    assert found == [search_beams(MadeUp(logits), [[n]], rules)[0] for n in (2, 9, 4)]


def test_minimum_length_counts_the_prompt_in_original_only() -> None:
    model = MadeUp(lambda _: torch.tensor([9.0] + [0.1 * n for n in range(12)]))
    for protocol, prompt, expected in (
        ("plain", 3, 6),  # five tokens, then EOS
        ("original", 3, 3),  # 3 + 2 tokens, then EOS
        ("original", 1, 5),  # as for infix: four tokens, then EOS
        ("original", 5, 1),
    ):
        rules = BeamRules(protocol, EOS, beams=2, min_length=5)
        assert len(search_beams(model, [[1] * prompt], rules)[0]) == expected


def test_no_ngram_twice_the_prompt_included() -> None:
    model = MadeUp(dice(1, 13, 0.3, -20.0))
    for size in (1, 2, 3):
        rules = BeamRules("plain", EOS, beams=3, max_new_tokens=10 if size == 1 else 40, no_repeat_ngram=size)
        for prompt in ([5], [5, 6, 5]):
            whole = [*prompt, *search_beams(model, [prompt], rules)[0]]
            grams = [tuple(whole[i : i + size]) for i in range(len(whole) - size + 1)]
            repeated = len(grams) - len(set(grams))
            assert repeated == (1 if size == 1 and prompt == [5, 6, 5] else 0)


def test_equal_scores_are_ordered_by_beam_and_token() -> None:
    rows = torch.tensor([[1.0, 3.0, 3.0, 3.0, 2.0], [5.0, 1.0, 4.0, 1.0, 1.0], [0.0] * 5])
    assert [[index for _, index in row] for row in select_best_entries(rows, 2)] == [[1, 2], [0, 2], [0, 1]]
    assert [[index for _, index in row] for row in select_best_entries(rows, 4)][1] == [0, 2, 1, 3]
    assert [[index for _, index in row] for row in select_best_entries(rows, 5)][0] == [1, 2, 3, 4, 0]
    # A wide row of equals, where the library's own order is anything.
    wide = torch.zeros(2, 50_000)
    wide[1, 40_000] = 1.0
    assert select_best_entries(wide, 3) == [
        [(0.0, 0), (0.0, 1), (0.0, 2)],
        [(1.0, 40_000), (0.0, 0), (0.0, 1)],
    ]


def test_an_ending_outside_the_best_beams_does_not_count() -> None:
    rules = BeamRules("original", EOS, beams=2)
    search = SourceSearch(rules, [9, 9, 9])
    stay = search.advance(
        [Candidate(-1.0, 0, 4), Candidate(-2.0, 0, 5), Candidate(-3.0, 0, EOS), Candidate(-4.0, 0, 6)]
    )
    assert [candidate.token for candidate in stay] == [4, 5]
    assert not search.finished
    search.advance(
        [Candidate(-1.5, 0, EOS), Candidate(-2.5, 1, 7), Candidate(-3.0, 1, EOS), Candidate(-3.5, 0, 7)]
    )
    assert [(found.score, found.tokens) for found in search.finished] == [(-1.5 / 4, (4, EOS))]


@pytest.mark.parametrize(("protocol", "expected"), [("plain", [4]), ("original", [EOS])])
def test_the_last_step_under_early_stopping(protocol: Any, expected: list[int]) -> None:
    # `plain` ends all continuations of the last step at once, so a better open one still counts;
    # `original` is done as soon as enough have ended.
    rules = BeamRules(protocol, EOS, beams=2, max_new_tokens=1, early_stopping=True)
    search = SourceSearch(rules, [9], finished=[Hypothesis(-9.0, (5, EOS))])
    search.advance(
        [Candidate(-1.0, 0, 4), Candidate(-2.0, 0, EOS), Candidate(-3.0, 0, 6), Candidate(-4.0, 0, 7)]
    )
    assert search.done
    assert search.select_best() == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"beams": 0}, "beams=0: expected at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"min_length": -1}, "min_length=-1"),
        ({"banned": (3, EOS)}, "contains the end-of-sequence token 0"),
    ],
)
def test_impossible_rules_are_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        BeamRules("plain", EOS, **changes)


def test_what_cannot_be_decoded_is_refused_with_numbers() -> None:
    model = dice(0, 13, 1.0, 0.0)
    with pytest.raises(UserError, match=r"max_new_tokens=12 .* read 10 more .* at most max_new_tokens=11"):
        search_beams(MadeUp(model, room=10), [[1]], BeamRules("plain", EOS, max_new_tokens=12))
    search_beams(MadeUp(model, room=10), [[1]], BeamRules("plain", EOS, max_new_tokens=11))
    with pytest.raises(UserError, match=r"beams=6 needs 12 tokens .* has 11"):
        search_beams(MadeUp(model), [[1]], BeamRules("plain", EOS, beams=6, banned=(4,)))


def test_a_diverged_model_is_a_failure_not_an_output() -> None:
    model = MadeUp(lambda _: torch.full((13,), math.nan))
    with pytest.raises(FloatingPointError, match="NaN"):
        search_beams(model, [[1]], BeamRules("plain", EOS))
