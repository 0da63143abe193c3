"""A tokenizer for tiny models."""

from __future__ import annotations

from typing import Any


def byte_tokenizer(specials: list[str], **roles: str) -> Any:
    """A tokenizer of single bytes with special tokens: the first ids are theirs where they are BART's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    ordered = [*letters, *specials] if len(specials) == 1 else [*specials, *letters]
    raw = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(ordered)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, **roles)
