"""The tokenizer that lengths of texts are counted with, where no backbone is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UnavailableError
from bench.models.catalogue import MODELS
from bench.models.loading import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def find_tokenizer(directory: Path | None = None) -> PreTrainedTokenizerBase:
    """GPT-2's tokenizer, which counts the lengths of Table 1: all its sizes share one, and BART's has the
    same pieces under other ids.

    From ``directory`` (``--tokenizer DIR``), else from a GPT-2 or BART folder below ``BENCH_MODELS``, else
    from what the hub's cache has; ``UnavailableError`` says which of these were tried.
    """
    if directory is not None:
        return load_tokenizer(directory)
    tried = []
    models = os.environ.get("BENCH_MODELS")
    names = ("gpt2-medium", "gpt2-large", "gpt2", "bart-large")
    for path in [Path(os.path.expanduser(models)) / name for name in names] if models else []:  # noqa: PTH111 - it never raises
        if any(os.path.isfile(path / name) for name in ("tokenizer.json", "vocab.json")):  # noqa: PTH113 - likewise
            return load_tokenizer(path)
    tried.append(f"BENCH_MODELS {models}: no {' or '.join(names)}" if models else "BENCH_MODELS is not set")
    for entry in MODELS.values():
        if entry.hub and (cached := _hub_folder(entry.hub, entry.revision)):
            return load_tokenizer(cached)
    tried.append("the hub's cache has no GPT-2")
    raise UnavailableError(
        f"no GPT-2 tokenizer to count lengths with. Tried: {'; '.join(tried)}. Give a folder with "
        "tokenizer.json (or vocab.json and merges.txt) as --tokenizer DIR, or set BENCH_MODELS"
    )


def _hub_folder(repository: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository, "tokenizer.json", revision=revision)
    return Path(cached).parent if isinstance(cached, str) else None
