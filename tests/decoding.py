"""What the tests of decoding share: a search without batch or cache, and what must hold for every model."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from bench.decoding.beam_search import BeamRules
from bench.decoding.generation import decode_sources
from bench.models.adapted import AdaptedModel

Logits = Callable[[Sequence[int]], Tensor]
"""What a model says of the next token, [V], after all tokens so far."""


def slow_original(logits: Logits, prompt: Sequence[int], rules: BeamRules) -> list[int]:  # noqa: C901 - as it was there
    """The search of transformers 3.2, restated: one input, whole sequences, nothing cached.

    Where the end is forced, the logits of all other tokens are barred before the softmax, so that it costs
    nothing.
    """
    longest = len(prompt) + rules.max_new_tokens
    alive = [(0.0, list(prompt))]
    pool: list[tuple[float, list[int], bool]] = []
    stopped = False

    def keep(total: float, sequence: list[int], ended: bool) -> None:
        score = total / len(sequence) ** rules.length_penalty
        if len(pool) < rules.beams:
            pool.append((score, sequence, ended))
        elif score > min(entry[0] for entry in pool):
            pool.append((score, sequence, ended))
            scores = [entry[0] for entry in pool]
            del pool[scores.index(min(scores))]

    while not stopped and len(alive[0][1]) < longest:
        length = len(alive[0][1])
        everything = []
        for place, (total, sequence) in enumerate(alive):
            row = logits(sequence).float()
            forced = rules.forced_eos and length == longest - 1
            if forced:
                row = row.masked_fill(torch.arange(len(row)) != rules.eos, -math.inf)
            row = row.log_softmax(dim=-1)
            short = length < rules.min_length or length - len(prompt) < rules.min_new_tokens
            if short and not forced:
                row[rules.eos] = -math.inf
            row[[*rules.banned, *repeating(sequence, rules.no_repeat_ngram)]] = -math.inf
            for token, value in enumerate((row + torch.tensor(total)).tolist()):
                everything.append((-value, place, token))
        everything.sort()
        top = everything[: 2 * rules.beams]
        following: list[tuple[float, list[int]]] = []
        for rank, (minus, place, token) in enumerate(top):
            if token != rules.eos and len(following) < rules.beams:
                following.append((-minus, [*alive[place][1], token]))
            if token == rules.eos and rank < rules.beams:
                keep(-minus, alive[place][1], True)
        if len(pool) == rules.beams:
            worst = min(entry[0] for entry in pool)
            stopped = rules.early_stopping or worst >= -top[0][0] / length**rules.length_penalty
        alive = following
    if not stopped:
        for total, sequence in alive:
            keep(total, sequence, False)
    highest = max(score for score, _, _ in pool)
    _, sequence, ended = next(entry for entry in reversed(pool) if entry[0] == highest)
    return sequence[len(prompt) :] + ([rules.eos] if ended else [])


def repeating(sequence: list[int], size: int) -> Iterator[int]:
    """The tokens that would end an n-gram of this ``size`` that is in the sequence already (0: none)."""
    for start in range(len(sequence) - size + 1 if size else 0):
        *before, token = sequence[start : start + size]
        if before == sequence[len(sequence) - size + 1 :]:
            yield token


def assert_company_does_not_matter(
    model: AdaptedModel, sources: Sequence[list[int]], rules: BeamRules, batch_sizes: Sequence[int]
) -> None:
    """Every source gets what it gets alone, whatever the size of the batch and the order in it."""
    expected = decode_sources(model, sources, rules, batch_size=1)
    order = list(range(len(sources)))
    for batch_size in batch_sizes:
        random.Random(batch_size).shuffle(order)
        found = decode_sources(model, [sources[place] for place in order], rules, batch_size=batch_size)
        assert found == [expected[place] for place in order]
