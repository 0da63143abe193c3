"""From sources to outputs: what is decoded together, in which order, and by which rules.

Inputs are decoded longest first, so that what does not fit (memory, positions) shows with the first
batch and not after an hour; results come back in the order of the inputs. An input whose prompt and
output together would leave the model's position table is refused, not silently cut shorter: the
authors' code would have run off the table's end, and an output limit that differs between inputs
would be compared as if it were the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from bench.decoding.beam_search import BeamRules, Tokens, search_beams
from bench.errors import UserError
from bench.task import ProtocolName

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from bench.models.adapted import AdaptedModel


def list_newline_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The tokens that are one or two newlines and nothing else (GPT-2: 198 and 628)."""
    encoded = [tokenizer.encode(text, add_special_tokens=False) for text in ("\n", "\n\n")]
    return tuple(ids[0] for ids in encoded if len(ids) == 1)


def make_decoder_rules(
    protocol: ProtocolName, tokenizer: PreTrainedTokenizerBase, **changes: Any
) -> BeamRules:
    """The protocol's rules for GPT-2 (beam 5, 100 new tokens), with ``changes`` to single fields.

    ``original``: newlines are banned, and the minimum length of 5 counts the prompt, so it acts only
    where decoding starts from BOS alone (infix).
    """
    settings: dict[str, Any] = {"protocol": protocol, "eos": tokenizer.eos_token_id}
    if protocol == "original":
        settings |= {"min_length": 5, "banned": list_newline_tokens(tokenizer)}
    return BeamRules(**{**settings, **changes})


def make_encoder_decoder_rules(
    protocol: ProtocolName, tokenizer: PreTrainedTokenizerBase, settings: Mapping[str, Any]
) -> BeamRules:
    """The protocol's rules for BART, with ``settings`` (beams, lengths …) as the run has them.

    EOS is forced where the longest output ends, in both libraries. ``plain`` forces ``<s>`` first, as
    today's configuration of the model says; transformers 3.2 did not.
    """
    forced = tokenizer.bos_token_id if protocol == "plain" else None
    return BeamRules(
        protocol, eos=int(tokenizer.eos_token_id), forced_first=forced, forced_eos=True, **settings
    )


def decode_sources(
    model: AdaptedModel,
    sources: Sequence[Tokens],
    rules: BeamRules,
    batch_size: int = 10,
    progress: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """The best output for each source (token ids, EOS kept where it was generated), in their order.

    ``progress`` is called after every batch with the number of inputs done so far.
    """
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size}: expected at least 1")
    empty = [index for index, source in enumerate(sources) if not source]
    if empty:
        raise UserError(f"input {empty[0]} has no tokens; expected at least its special token")
    order = sorted(range(len(sources)), key=lambda index: -len(sources[index]))
    outputs: list[list[int]] = [[] for _ in sources]
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for begin in range(0, len(order), batch_size):
                indices = order[begin : begin + batch_size]
                results = search_beams(model, [sources[index] for index in indices], rules)
                for index, output in zip(indices, results, strict=True):
                    outputs[index] = output
                if progress is not None:
                    progress(begin + len(indices))
    finally:
        model.train(was_training)
    return outputs
