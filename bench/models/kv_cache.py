"""Keys and values that were read, and how decoding goes on from them.

Shapes: L layers, H heads, P positions, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.cache_utils import DynamicLayer


def make_cache(keys_values: Tensor, batch: int) -> DynamicCache:
    """[L, 2, H, P, D] as a cache in which every one of ``batch`` examples sees the same P positions."""
    layers = [(pair[0].expand(batch, -1, -1, -1), pair[1].expand(batch, -1, -1, -1)) for pair in keys_values]
    return DynamicCache(layers)


def stack_cache(cache: DynamicCache) -> Tensor:
    """The inverse of ``make_cache`` for one example: [L, 2, H, P, D]."""
    return torch.stack([torch.stack((layer.keys[0], layer.values[0])) for layer in cache.layers])


class GrowingLayer(DynamicLayer):
    """Keys and values in buffers with room to spare, so that reading a token copies that token alone.

    The library's layer copies everything it holds, once to append and once more to reorder beams.
    """

    ROOM = 32  # columns by which a full buffer grows

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.buffers = [keys, values]
        self.keys, self.values = keys, values

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append new keys and values [rows, H, S, D]; all that are held by now."""
        used = self.keys.shape[-2]
        grown = used + keys.shape[-2]
        if grown > self.buffers[0].shape[-2]:
            more = (*keys.shape[:2], keys.shape[-2] + self.ROOM, keys.shape[-1])
            self.buffers = [
                torch.cat((buffer[..., :used, :], buffer.new_zeros(more)), dim=-2) for buffer in self.buffers
            ]
        for buffer, new in zip(self.buffers, (keys, values), strict=True):
            buffer[..., used:grown, :] = new
        self.keys, self.values = (buffer[..., :grown, :] for buffer in self.buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep (repeat, reorder) the rows with these ``indices``, whole."""
        used = self.keys.shape[-2]
        self.buffers = [buffer.index_select(0, indices) for buffer in self.buffers]
        self.keys, self.values = (buffer[..., :used, :] for buffer in self.buffers)

    def reorder_from(self, column: int, indices: Tensor) -> None:
        """Reorder the rows, where they are known to be equal before ``column``."""
        for half in (self.keys, self.values):
            half[..., column:, :] = half[indices, :, column:]


@dataclass
class DecoderState:
    """The reading so far of ``rows`` hypotheses: ``mask`` [rows, read], ``position`` [rows] of the next token.

    ``prompts`` (per source, the tokens that decoding continues) and ``room`` (how many more tokens the
    position table has after the longest source) describe the start and do not change with the rows.
    ``origin`` [rows] is the source that a hypothesis belongs to; those of one source share all that
    was read at the start, the first ``shared`` columns.
    """

    cache: DynamicCache
    mask: Tensor
    position: Tensor
    prompts: list[list[int]]
    room: int

    def __post_init__(self) -> None:
        self.origin = torch.arange(len(self.mask), device=self.mask.device)
        self.shared = self.mask.shape[1]
        self.cache.layers = [GrowingLayer(layer.keys, layer.values) for layer in self.cache.layers]

    def select(self, rows: Tensor) -> None:
        """Keep (repeat, reorder) the hypotheses with these indices."""
        origin = self.origin[rows]
        if torch.equal(origin, self.origin):
            # The usual step of a beam search: hypotheses only change places within their source.
            # Masks and positions are those of the source, so they stay.
            for layer in self.cache.layers:
                layer.reorder_from(self.shared, rows)
            return
        self.cache.batch_select_indices(rows)
        self.mask = self.mask[rows]
        self.position = self.position[rows]
        self.origin = origin


@dataclass
class EncoderDecoderState:
    """What a decoder has read so far, ``beams`` hypotheses for each of the encoded sources.

    ``cache`` holds, per hypothesis, the keys and values of prefix and target so far and, once per source,
    those of prefix and source; ``mask`` [sources, 1, 1, columns] says which of the latter are real (None:
    all). ``position`` is that of the next token, the same for all rows. ``prompts`` and ``room`` as in
    ``DecoderState``.
    """

    cache: EncoderDecoderCache
    mask: Tensor | None
    position: int
    prompts: list[list[int]]
    room: int
    beams: int = 1

    def __post_init__(self) -> None:
        target = self.cache.self_attention_cache
        self.shared = target.get_seq_length()  # equal in all hypotheses of a source
        target.layers = [GrowingLayer(layer.keys, layer.values) for layer in target.layers]

    def select(self, rows: Tensor) -> None:
        """Keep (repeat, reorder) the hypotheses with these indices."""
        target, source = self.cache.self_attention_cache, self.cache.cross_attention_cache
        sources = rows // self.beams
        selected, widths = torch.unique_consecutive(sources, return_counts=True)
        if len(set(widths.tolist())) == 1:
            beams = int(widths[0])
        else:  # of one source more hypotheses than of another: each gets the source for itself
            selected, beams = sources, 1
        same = torch.equal(selected, torch.arange(len(source.layers[0].keys), device=rows.device))
        if same and beams == self.beams:
            # The usual step of a beam search: hypotheses only change places within their source.
            for layer in target.layers:
                layer.reorder_from(self.shared, rows)
            return
        target.batch_select_indices(rows)
        if not same:
            source.batch_select_indices(selected)
            self.mask = None if self.mask is None else self.mask[selected]
        self.beams = beams
