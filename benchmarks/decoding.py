"""Beam search over a set of prompts beside the library's `generate`, one by one and in batches.

    python benchmarks/decoding.py [--model DIR_OR_NAME] [--prompts 20] [--rounds 3]

All ways give the same tokens (protocol plain); that is checked before anything is timed.
"""

from __future__ import annotations

import argparse

import torch
from side_by_side import compare

from bench.data.encoding import encode_source
from bench.decoding.generation import decode_sources, make_decoder_rules
from bench.mini import mini_data_dir
from bench.models.catalogue import locate_model
from bench.models.decoder_only import AdaptedDecoder
from bench.models.loading import load_backbone, load_tokenizer
from bench.registry import get_task

NEW_TOKENS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mini-gpt2")
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    located = locate_model(chosen.model)
    tokenizer, model = load_tokenizer(located.path), load_backbone(located)
    task = get_task("webnlg")
    items = task.items("test", mini_data_dir() / task.folder, "plain")[: chosen.prompts]
    prompts = [encode_source(tokenizer, item.source) for item in items]
    rules = make_decoder_rules("plain", tokenizer, max_new_tokens=NEW_TOKENS)
    adapted = AdaptedDecoder(model)
    end = tokenizer.eos_token_id
    generation = {"num_beams": 5, "do_sample": False, "max_new_tokens": NEW_TOKENS, "pad_token_id": end}

    def cut(tokens: list[int]) -> list[int]:
        return tokens[: tokens.index(end) + 1] if end in tokens else tokens

    @torch.inference_mode()
    def generate(batch: list[list[int]]) -> list[list[int]]:
        width = max(len(prompt) for prompt in batch)
        ids = torch.tensor([[end] * (width - len(p)) + p for p in batch])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in batch])
        out = model.generate(ids, attention_mask=mask, **generation)[:, width:].tolist()
        return [cut(tokens) for tokens in out]

    def one_by_one() -> list[list[int]]:
        return [generate([prompt])[0] for prompt in prompts]

    def in_tens() -> list[list[int]]:
        order = sorted(prompts, key=len)
        return [out for i in range(0, len(order), 10) for out in generate(order[i : i + 10])]

    def decode_in_tens() -> list[list[int]]:
        return decode_sources(adapted, prompts, rules, batch_size=10)

    same = sum(a == b for a, b in zip(decode_in_tens(), one_by_one(), strict=True))
    print(f"{located.name}: {same} of {len(prompts)} outputs are the same as generate's")
    compare(
        {
            "generate, one by one": one_by_one,
            "generate, batches of 10": in_tens,
            "ours, batches of 10": decode_in_tens,
        },
        rounds=chosen.rounds,
    )


if __name__ == "__main__":
    main()
