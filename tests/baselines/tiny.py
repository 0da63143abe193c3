"""A tiny random GPT-2 and every discovered method on it, for tests that ask about all methods at once."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from bench import registry
from bench.rng import generator
from bench.tuned import Tuned

VOCAB, BOS = 61, 60
POSITIONS = 96


class Letters:
    """A tokenizer of one token per letter, for methods that start from words."""

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [ord(letter) % (VOCAB - 1) for letter in text]


def backbone(seed: int = 0, **changes: Any) -> GPT2LMHeadModel:
    """Three blocks of width 16. Weights are larger than GPT-2's, so that mistakes show in the loss."""
    shape = {"n_layer": 3, "n_embd": 16, "n_head": 2, "n_positions": POSITIONS, "vocab_size": VOCAB}
    config = GPT2Config(**{**shape, **changes}, initializer_range=0.2, bos_token_id=BOS, eos_token_id=BOS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config).eval()


# What the variants alone would leave out.
MORE: dict[str, list[dict[str, object]]] = {
    "adapter": [{"bottleneck": 3}],
    "embedding": [{"mlp": "no", "length": 3}],
    "prefix": [{"length": 1}, {"mlp": "no"}, {"init": "words"}, {"init": "words", "mlp": "no"}],
}
CASES = [
    (name, options)
    for name, method in registry.methods().items()
    for options in [*method.variants, *MORE.get(name, [])]
]
TRAINED = [case for case in CASES if registry.get_method(case[0]).trains]


def shown(case: tuple[str, dict[str, object]]) -> str:
    """A case as a selector, for the names of tests."""
    name, options = case
    return f"{name}[{','.join(f'{key}={value}' for key, value in options.items())}]"


def build(name: str, options: dict[str, object], seed: int = 0) -> Tuned:
    """The method on a fresh backbone; the same arguments give the same numbers."""
    method = registry.get_method(name)
    return method.build(backbone(), Letters(), method.resolve_options(options), seed)


def shake(tuned: Tuned) -> Tuned:
    """Move every trained parameter, as training would, but in an instant."""
    with torch.no_grad():
        for parameter_name, tensor in tuned.trained_state().items():
            tensor += 0.3 * torch.randn(tensor.shape, generator=generator(7, parameter_name))
    return tuned.eval()


@cache
def shaken(case: str) -> Tuned:
    """A method in the state of after some training, made once. Not to be changed by a test."""
    name, options = next(known for known in CASES if shown(known) == case)
    return shake(build(name, options))


def greedy(tuned: Tuned, sources: list[list[int]], length: int) -> list[list[int]]:
    """The most likely token, again and again."""
    state, logits = tuned.start(sources)
    written = []
    for _ in range(length):
        tokens = logits.argmax(dim=1)
        written.append(tokens)
        logits = tuned.step(state, tokens)
    return torch.stack(written, dim=1).tolist()


SOURCES = [[3, 1, 4, 1, 5, BOS], [BOS], [9, 2, 6, 5, 3, 5, 8, 9, 7, 9, BOS]]
TARGETS = [[2, 7, 1, 8, BOS], [1, 4, BOS], [5, 7, 7, BOS]]
