"""A tiny random GPT-2, a tiny random BART, and every discovered method on both, for tests that ask about
all methods at once."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import torch
from transformers import BartConfig, BartForConditionalGeneration, GPT2Config, GPT2LMHeadModel

from bench import registry
from bench.method import DECODER_ONLY, ENCODER_DECODER
from bench.models.adapted import AdaptedModel
from bench.system.rng import make_generator

T = TypeVar("T", bound=AdaptedModel)

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


def bart(seed: int = 0, **changes: Any) -> BartForConditionalGeneration:
    """Two layers that read and three that write, with other heads. BOS is the </s> that all texts end with."""
    shape = {
        "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 24, "decoder_ffn_dim": 32, "d_model": 16, "max_position_embeddings": POSITIONS,
    }  # fmt: skip
    ids = {"eos_token_id": BOS, "decoder_start_token_id": BOS, "bos_token_id": 58, "pad_token_id": 59}
    config = BartConfig(**{**shape, **ids, **changes}, vocab_size=VOCAB, init_std=0.2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BartForConditionalGeneration(config).eval()


BACKBONES = {DECODER_ONLY: backbone, ENCODER_DECODER: bart}

# What the variants alone would leave out.
MORE: dict[str, list[dict[str, object]]] = {
    "adapter": [{"bottleneck": 3}],
    "embedding": [{"mlp": "no", "length": 3}],
    "prefix": [{"length": 1}, {"mlp": "no"}, {"init": "words"}, {"init": "words", "mlp": "no"}],
}
Case = tuple[str, dict[str, object], str]
"""Method, options, kind of backbone."""
CASES: list[Case] = [
    (name, dict(options), kind)
    for name, method in registry.methods().items()
    for kind in method.kinds
    for options in [*method.variants_for(kind), *MORE.get(name, [])]
]
TRAINED = [case for case in CASES if registry.get_method(case[0]).trains]


def shown(case: Case) -> str:
    """A case as a selector and a kind of backbone, for the names of tests."""
    name, options, kind = case
    return f"{name}[{','.join(f'{key}={value}' for key, value in options.items())}] {kind}"


def build(name: str, options: dict[str, object], kind: str = DECODER_ONLY, seed: int = 0) -> Any:
    """The method on a fresh backbone; the same arguments give the same numbers."""
    method = registry.get_method(name)
    return method.build(BACKBONES[kind](), Letters(), method.resolve_options(options), seed)


def shake(model: T) -> T:
    """Move every trained parameter, as training would, but in an instant."""
    with torch.no_grad():
        for parameter_name, tensor in model.trained_state().items():
            tensor += 0.3 * torch.randn(tensor.shape, generator=make_generator(7, parameter_name))
    return model.eval()


@cache
def shaken(case: str) -> AdaptedModel:
    """A method in the state of after some training, made once. Not to be changed by a test."""
    return shake(build(*next(known for known in CASES if shown(known) == case)))


def greedy(model: AdaptedModel, sources: list[list[int]], length: int) -> list[list[int]]:
    """The most likely token, again and again."""
    state, logits = model.start(sources)
    written = []
    for _ in range(length):
        tokens = logits.argmax(dim=1)
        written.append(tokens)
        logits = model.step(state, tokens)
    return torch.stack(written, dim=1).tolist()


SOURCES = [[3, 1, 4, 1, 5, BOS], [BOS], [9, 2, 6, 5, 3, 5, 8, 9, 7, 9, BOS]]
TARGETS = [[2, 7, 1, 8, BOS], [1, 4, BOS], [5, 7, 7, BOS]]
