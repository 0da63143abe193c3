"""One training step (forward, backward, AdamW) beside PEFT's prefix tuning and the library's fine-tuning.

    python benchmarks/training_step.py [--layers 12 --width 768] [--rounds 7]

Random weights in GPT-2's shape, batch 10, made-up sources of about 30 tokens and targets of about 28,
as long as E2E's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from side_by_side import compare
from transformers import GPT2Config, GPT2LMHeadModel

from bench.registry import get_method
from bench.system.rng import make_generator
from bench.training.update import make_optimiser

LENGTH = 5


def examples(vocabulary: int) -> list[tuple[list[int], list[int]]]:
    draw = make_generator(0, "benchmark/examples")

    def text(mean: int) -> list[int]:
        length = int(torch.randint(mean - 8, mean + 9, (1,), generator=draw))
        return [*torch.randint(1, vocabulary, (length,), generator=draw).tolist(), 0]

    return [(text(30), text(28)) for _ in range(10)]


def ours(
    method: str, backbone: GPT2LMHeadModel, batch: list[tuple[list[int], list[int]]]
) -> Callable[[], object]:
    chosen = get_method(method)
    options = {"length": LENGTH} if method == "prefix" else {}
    model = chosen.build(backbone, None, chosen.resolve_options(options), seed=1)
    model.train()
    optimiser = make_optimiser(model, 5e-5, 0.0)

    def step() -> None:
        optimiser.zero_grad()
        model([s for s, _ in batch], [t for _, t in batch]).mean().backward()
        optimiser.step()

    return step


def library(model: torch.nn.Module, batch: list[tuple[list[int], list[int]]]) -> Callable[[], object]:
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-5)
    width = max(len(s) + len(t) for s, t in batch)
    ids = torch.tensor([[*s, *t, *[0] * (width - len(s) - len(t))] for s, t in batch])
    labels = torch.tensor([[*[-100] * len(s), *t, *[-100] * (width - len(s) - len(t))] for s, t in batch])
    mask = torch.tensor([[1] * (len(s) + len(t)) + [0] * (width - len(s) - len(t)) for s, t in batch])

    def step() -> None:
        optimiser.zero_grad()
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        optimiser.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    from peft import PrefixTuningConfig, get_peft_model

    config = GPT2Config(n_layer=chosen.layers, n_embd=chosen.width, n_head=chosen.width // 64)
    torch.manual_seed(0)
    models = [GPT2LMHeadModel(config) for _ in range(4)]
    batch = examples(config.vocab_size)
    peft = PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=LENGTH, prefix_projection=True, encoder_hidden_size=512
    )
    print(f"GPT-2 shape, {chosen.layers} layers of {chosen.width}; PEFT prefix tuning with projection = 1")
    compare(
        {
            "PEFT prefix tuning": library(get_peft_model(models[0], peft), batch),
            "prefix": ours("prefix", models[1], batch),
            "library full fine-tuning": library(models[2], batch),
            "ft-full": ours("ft-full", models[3], batch),
        },
        rounds=chosen.rounds,
    )


if __name__ == "__main__":
    main()
