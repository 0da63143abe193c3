"""JSON that is refused wherever the program reads it; here as outputs to be scored."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from inputs import MalformedInput

DAMAGED = {
    "duplicate-name": (b'{"hyp": "a", "hyp": "b", "refs": ["a"]}', "twice"),
    "nan": (b'{"hyp": NaN, "refs": ["a"]}', "NaN"),
    "infinite": (b'{"hyp": 1e999, "refs": ["a"]}', "1e999"),
    "surrogate": (b'{"hyp": "\\ud800", "refs": ["a"]}', "surrogate"),
    "escaped-nul": (b'{"hyp": "a\\u0000", "refs": ["a"]}', "NUL"),
    "plain-nul": (b'{"hyp": "a\x00", "refs": ["a"]}', "control|NUL"),
    "no-utf-8": (b'{"hyp": "\xff", "refs": ["a"]}', "UTF-8"),
    "deep": (b"[" * 100_000, "deep"),
    "long-integer": (b"9" * 5_000, "digits"),
    "byte-order-mark-alone": (b"\xef\xbb\xbf", "empty|no pair"),
    "cut": (b'{"hyp": "a", "ref', "."),
}


def prepare_pairs(content: bytes, folder: Path) -> list[str]:
    (folder / "pairs.jsonl").write_bytes(content + b"\n")
    return ["score", "--task", "dart", "--metric", "bleu", "--pairs", "pairs.jsonl"]


INPUTS = [
    MalformedInput(name, "json", partial(prepare_pairs, content), f"pairs.jsonl.*({expects})")
    for name, (content, expects) in DAMAGED.items()
]
