"""A decoder-only LM as training and decoding see it: frozen or not, plus the method's additions.

``AdaptedDecoder`` holds all that the methods share: reading source and target, the loss of the target tokens
only, and the incremental reading that the decoder needs. A method supplies differences: a prefix of
keys and values, another context (infix), hooks (adapter), or which parameters are trainable.
``bench.models.encoder_decoder`` is the counterpart for encoder-decoders.

Shapes: B examples, L layers, H heads, D = head width, P prefix length, E = n_embd, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache

from bench.errors import UserError
from bench.models.adapted import AdaptedModel, Tokens, pad_rows
from bench.models.kv_cache import DecoderState, make_cache

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel


@dataclass
class Context:
    """What the LM has read before the pending tokens of each example.

    ``cache`` keys and values already there; ``visible`` [B, cached] 1 where they may be attended
    (None: everywhere); ``offset`` [B] position id of the first pending token; ``pending`` the tokens
    still to be read before the first target token, BOS last.
    """

    cache: DynamicCache | None
    visible: Tensor | None
    offset: Tensor
    pending: list[list[int]]


class AdaptedDecoder(AdaptedModel):
    """A decoder-only LM and one method's additions: source and target are one sequence."""

    backbone: GPT2LMHeadModel

    # -- what a method may change ---------------------------------------------------------------

    @property
    def positions(self) -> int:
        """How many positions the model's table has, ``n_positions``."""
        return int(self.backbone.config.n_positions)

    @property
    def reserved_positions(self) -> int:
        """How many of the model's positions the method itself takes (a prefix's length)."""
        prefix = self.prefix()
        return 0 if prefix is None else int(prefix.shape[-2])

    def prefix(self) -> Tensor | None:
        """Keys and values that precede the source, [L, 2, H, P, D], or None."""
        return None

    def context(self, sources: Sequence[Tokens]) -> Context:
        """What is read before each source's pending tokens; sources end with BOS.

        The default: the prefix, and then the whole source. Real tokens start at position P
        (authors' code: positions continue after the prefix).
        """
        prefix = self.prefix()
        length = 0 if prefix is None else prefix.shape[-2]
        cache = make_cache(prefix.to(self.dtype), len(sources)) if prefix is not None and length else None
        offset = torch.full((len(sources),), length, dtype=torch.long, device=self.device)
        return Context(cache, None, offset, [list(source) for source in sources])

    # -- shared ---------------------------------------------------------------------------------

    def read(
        self,
        cache: DynamicCache | None,
        mask: Tensor | None,
        position_ids: Tensor | None,
        ids: Tensor | None = None,
        embeds: Tensor | None = None,
        keep: bool = False,
    ) -> tuple[Tensor, DynamicCache | None]:
        """Run the LM's blocks over new tokens: hidden states [B, S, E] and, if ``keep``, the grown cache."""
        output = self.backbone.transformer(
            input_ids=ids,
            inputs_embeds=embeds,
            past_key_values=cache,
            attention_mask=mask,
            position_ids=position_ids,
            use_cache=keep,
        )
        return output.last_hidden_state, output.past_key_values

    def forward(self, sources: Sequence[Tokens], targets: Sequence[Tokens]) -> Tensor:
        """Negative log-likelihood of each target (summed over its tokens), [B] in float32.

        ``sources`` end with BOS, ``targets`` with EOS; nothing is counted for the source.
        """
        context = self.context(sources)
        rows = [[*p, *t[:-1]] for p, t in zip(context.pending, targets, strict=True)]
        ids = pad_rows(rows, 0, self.device)
        position_ids = self._positions(context, [len(row) for row in rows])
        # Padding sits on the right and needs no mask: causal attention never looks at it.
        mask = None
        if context.visible is not None:
            mask = torch.cat((context.visible, torch.ones_like(ids)), dim=1)
        hidden, _ = self.read(context.cache, mask, position_ids, ids=ids)
        starts = [len(p) - 1 for p in context.pending]
        picked = [hidden[i, s : s + len(t)] for i, (s, t) in enumerate(zip(starts, targets, strict=True))]
        return self.target_losses(picked, targets)

    @torch.no_grad()
    def start(self, sources: Sequence[Tokens]) -> tuple[DecoderState, Tensor]:
        """Read the sources once: the state to continue from, and logits [B, V] of the first target token."""
        context = self.context(sources)
        ids = pad_rows(context.pending, 0, self.device)
        lengths = torch.tensor([len(p) for p in context.pending], device=self.device)
        steps = torch.arange(ids.shape[1], device=self.device)
        pending = (steps < lengths[:, None]).long()
        cached = 0 if context.cache is None else context.cache.get_seq_length()
        visible = context.visible
        if visible is None:
            visible = pending.new_ones((len(sources), cached))
        mask = torch.cat((visible, pending), dim=1)
        position_ids = self._positions(context, [len(p) for p in context.pending])
        cache = context.cache if context.cache is not None else DynamicCache()
        hidden, grown = self.read(cache, mask, position_ids, ids=ids, keep=True)
        assert grown is not None
        last = hidden[torch.arange(len(sources), device=self.device), lengths - 1]
        position = context.offset + lengths
        room = self.positions - int(position.max())
        return DecoderState(grown, mask, position, context.pending, room), self._logits(last)

    @torch.no_grad()
    def step(self, state: DecoderState, tokens: Tensor) -> Tensor:
        """Read one more token per hypothesis ([rows]) and return the logits [rows, V] of the next."""
        state.mask = torch.cat((state.mask, state.mask.new_ones((len(tokens), 1))), dim=1)
        hidden, grown = self.read(
            state.cache, state.mask, state.position[:, None], ids=tokens[:, None], keep=True
        )
        assert grown is not None
        state.cache = grown
        state.position = state.position + 1
        return self._logits(hidden[:, -1])

    def _positions(self, context: Context, lengths: Sequence[int]) -> Tensor:
        """Position ids [B, longest] of the tokens that follow ``context``.

        Those of padding are clamped because they may lie past the table's end. A real token past it
        is refused: clamped, it would be read at a wrong position without anybody noticing.
        """
        limit = self.positions
        cached = 0 if context.cache is None else context.cache.get_seq_length()
        # ``cached`` bounds every offset, so that the exact comparison (which waits for the device)
        # is made only where it may fail.
        if cached + max(lengths) > limit:
            needed = int((context.offset + torch.tensor(lengths, device=self.device)).max())
            if needed > limit:
                raise UserError(
                    f"an example needs {needed} positions (prefix or infix, source and target); "
                    f"expected at most the model's {limit}: shorten the example or the prefix"
                )
        steps = torch.arange(max(lengths), device=self.device)
        return (context.offset[:, None] + steps).clamp(max=limit - 1)
