"""An encoder-decoder (BART) as training and decoding see it: frozen or not, plus the method's additions.

The counterpart of ``bench.models.decoder_only``. As in the authors' code: a source is ``<s> document </s>``, a target
``<s> summary </s>``; the decoder reads the target with its last token, ``</s>``, moved to the front; every
target token counts, ``<s>`` and ``</s>`` too. Decoding starts from ``</s>`` alone.

A method supplies differences: keys and values before those of any of the three attentions (``prefixes``),
trained input embeddings on either side, hooks on the layers, or which parameters are trainable. Keys and
values take no position of the model's table: the first real token is at position 0 with and without
them (unlike GPT-2's). Input embeddings are inputs and do take positions.

Shapes: B sources, L layers, H heads, D head width, P prefix length, S source, T target tokens, E = d_model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache

from bench.errors import UserError
from bench.models.adapted import AdaptedModel, Tokens, pad_rows
from bench.models.kv_cache import EncoderDecoderState, make_cache

if TYPE_CHECKING:
    from transformers import BartForConditionalGeneration


@dataclass(frozen=True)
class Prefixes:
    """Keys and values, [L, 2, H, P, D] or None, before those of the encoder's self-attention, of the
    decoder's, and of the decoder's attention to the encoded source."""

    encoder: Tensor | None = None
    decoder: Tensor | None = None
    cross: Tensor | None = None


@dataclass(frozen=True)
class EncodedSources:
    """Sources that were read: ``states`` [B, S, E], and ``real`` [B, S], False at padding (None: no padding)."""

    states: Tensor
    real: Tensor | None


class PrecedingKeysValues:
    """As much of a cache as one attention asks for: keys and values [2, H, P, D] that precede its own.

    BART's encoder keeps no cache, but its attention is the class of the decoder's and would take one.
    """

    def __init__(self, pair: Tensor) -> None:
        self.pair = pair

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Called by the attention with its own [B, H, S, D]: those and what precedes them, [B, H, P + S, D]."""
        first, second = (half.to(keys.dtype).expand(len(keys), -1, -1, -1) for half in self.pair)
        return torch.cat((first, keys), dim=-2), torch.cat((second, values), dim=-2)


@dataclass
class HookState:
    """What the hooks on the attentions look at. Set while the model reads; otherwise they do nothing."""

    encoder: list[PrecedingKeysValues] | None = None
    beams: int = 1


def insert_prefix(state: HookState, layer: int, _module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
    """Before an encoder layer's self-attention: give it its prefix."""
    if state.encoder is None:
        return None
    return args, {**kwargs, "past_key_values": state.encoder[layer]}


def fold_beams(state: HookState, _module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
    """Before attention to the source: a source's beams, [B·beams, 1, E], as so many queries, [B, beams, E].

    So the keys and values of a source are there once and not once per beam.
    """
    if state.beams == 1:
        return None
    hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
    folded = hidden.reshape(-1, state.beams, hidden.shape[-1])
    if "hidden_states" in kwargs:
        return args, {**kwargs, "hidden_states": folded}
    return (folded, *args[1:]), kwargs


def unfold_beams(state: HookState, _module: nn.Module, _args: Any, output: Any) -> Any:
    """After attention to the source: [B, beams, E] back to [B·beams, 1, E]."""
    if state.beams == 1:
        return None
    return (output[0].reshape(-1, 1, output[0].shape[-1]), *output[1:])


def make_attention_mask(prefix: Tensor | None, real: Tensor | None) -> Tensor | None:
    """Mask [B, 1, 1, P + S] of what may be attended to; None where that is everything."""
    if real is None:
        return None
    if prefix is not None:
        real = torch.cat((real.new_ones((len(real), prefix.shape[-2])), real), dim=1)
    return real[:, None, None, :]


def get_hidden_states(output: Any) -> Tensor:
    """A layer's hidden states; some releases of transformers 5 return more than those."""
    states: Tensor = output[0] if isinstance(output, tuple) else output
    return states


class AdaptedEncoderDecoder(AdaptedModel):
    """A BART and one method's additions."""

    backbone: BartForConditionalGeneration

    def __init__(self, backbone: BartForConditionalGeneration) -> None:
        super().__init__(backbone)
        self.hook_state = HookState()
        # Not closures: copying the whole model must copy what its hooks look at as well.
        for number, layer in enumerate(backbone.model.encoder.layers):
            layer.self_attn.register_forward_pre_hook(
                partial(insert_prefix, self.hook_state, number), with_kwargs=True
            )
        for layer in backbone.model.decoder.layers:
            layer.encoder_attn.register_forward_pre_hook(
                partial(fold_beams, self.hook_state), with_kwargs=True
            )
            layer.encoder_attn.register_forward_hook(partial(unfold_beams, self.hook_state))

    # -- what a method may change ---------------------------------------------------------------

    @property
    def positions(self) -> int:
        """How many positions the table of either side has, ``max_position_embeddings``."""
        return int(self.backbone.config.max_position_embeddings)

    @property
    def reserved_positions(self) -> int:
        """How many positions of either side the method itself takes; keys and values take none."""
        return 0

    def prefixes(self) -> Prefixes:
        """Keys and values before those that the model computes."""
        return Prefixes()

    def source_embeddings(self) -> Tensor | None:
        """Input embeddings [P, E] that the encoder reads before every source."""
        return None

    def target_embeddings(self) -> Tensor | None:
        """Input embeddings [P, E] that the decoder reads before every target."""
        return None

    # -- shared ---------------------------------------------------------------------------------

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the whole vocabulary [..., V], with BART's bias on them."""
        scores: Tensor = self.backbone.lm_head(hidden) + self.backbone.final_logits_bias
        return scores

    def encode(
        self,
        sources: Sequence[Tokens],
        prefix: Tensor | None,
        preceding: list[PrecedingKeysValues] | None = None,
    ) -> EncodedSources:
        """Read the sources; ``prefix`` [L, 2, H, P, D] stands before the self-attention of every layer.

        ``preceding``: what the layers are given in its place, one for each (a method that records what they
        compute passes its own).
        """
        if prefix is not None:
            preceding = [PrecedingKeysValues(pair) for pair in prefix]
        ids = pad_rows(sources, int(self.backbone.config.pad_token_id), self.device)
        lengths = torch.tensor([len(source) for source in sources], device=self.device)
        even = len({len(source) for source in sources}) == 1
        real = None if even else torch.arange(ids.shape[1], device=self.device) < lengths[:, None]
        embeddings = self.source_embeddings()
        hidden = self.embed_inputs(self.backbone.model.encoder, ids, 0, embeddings)
        if embeddings is not None and real is not None:
            real = torch.cat((real.new_ones((len(real), len(embeddings))), real), dim=1)
        mask = make_attention_mask(prefix, real)
        with self._set_hook_state(encoder=preceding):
            for layer in self.backbone.model.encoder.layers:
                hidden = get_hidden_states(layer(hidden, mask))
        return EncodedSources(hidden, real)

    def read(
        self, hidden: Tensor, source: EncodedSources, prefixes: Prefixes, keep: bool
    ) -> tuple[Tensor, EncoderDecoderCache | None]:
        """Run the decoder's layers over its first tokens [B, T, E]: states, and the cache if ``keep``."""
        cache = None
        if keep or prefixes.decoder is not None or prefixes.cross is not None:
            target_cache, source_cache = (
                DynamicCache() if prefix is None else make_cache(prefix.to(self.dtype), len(hidden))
                for prefix in (prefixes.decoder, prefixes.cross)
            )
            cache = EncoderDecoderCache(target_cache, source_cache)
            # A prefix is not yet the source: that is read when a layer first attends to it.
            cache.is_updated = dict.fromkeys(range(len(self.backbone.model.decoder.layers)), False)
        causal = None
        if prefixes.decoder is not None:
            length, width = prefixes.decoder.shape[-2], hidden.shape[1]
            shape = (1, 1, width, length + width)
            causal = torch.ones(shape, dtype=torch.bool, device=self.device).tril(diagonal=length)
        mask = make_attention_mask(prefixes.cross, source.real)
        for layer in self.backbone.model.decoder.layers:
            hidden = get_hidden_states(
                layer(
                    hidden, causal, source.states, encoder_attention_mask=mask, past_key_values=cache
                )
            )  # fmt: skip
        return hidden, cache

    def forward(self, sources: Sequence[Tokens], targets: Sequence[Tokens]) -> Tensor:
        """Negative log-likelihood of each target (summed over all its tokens), [B] in float32.

        Sources and targets are framed by ``<s>`` and ``</s>``. Padding of targets sits on the right and
        needs no mask: causal attention never looks at it.
        """
        prefixes = self.prefixes()
        source = self.encode(sources, prefixes.encoder)
        ids = pad_rows([[target[-1], *target[:-1]] for target in targets], 0, self.device)
        embeddings = self.target_embeddings()
        hidden, _ = self.read(
            self.embed_inputs(self.backbone.model.decoder, ids, 0, embeddings), source, prefixes, False
        )
        first = 0 if embeddings is None else len(embeddings)
        picked = [hidden[i, first : first + len(target)] for i, target in enumerate(targets)]
        return self.target_losses(picked, targets)

    @torch.no_grad()
    def start(self, sources: Sequence[Tokens]) -> tuple[EncoderDecoderState, Tensor]:
        """Read the sources and ``</s>``: the state, and logits [B, V] of the first target token."""
        prefixes = self.prefixes()
        source = self.encode(sources, prefixes.encoder)
        begin = int(self.backbone.config.decoder_start_token_id)
        ids = torch.full((len(sources), 1), begin, device=self.device)
        hidden = self.embed_inputs(self.backbone.model.decoder, ids, 0, self.target_embeddings())
        read = hidden.shape[1]
        hidden, cache = self.read(hidden, source, prefixes, keep=True)
        assert cache is not None
        state = EncoderDecoderState(
            cache=cache,
            mask=make_attention_mask(prefixes.cross, source.real),
            position=read,
            prompts=[[begin] for _ in sources],
            room=self.positions - read,
        )
        return state, self._logits(hidden[:, -1])

    @torch.no_grad()
    def step(self, state: EncoderDecoderState, tokens: Tensor) -> Tensor:
        """Read one more token per hypothesis ([rows]) and return the logits [rows, V] of the next."""
        hidden = self.embed_inputs(self.backbone.model.decoder, tokens[:, None], state.position, None)
        with self._set_hook_state(beams=state.beams):
            for layer in self.backbone.model.decoder.layers:
                # The source is in the cache; that something is given says that there is one.
                hidden = get_hidden_states(
                    layer(
                        hidden, None, hidden, encoder_attention_mask=state.mask, past_key_values=state.cache
                    )
                )  # fmt: skip
        state.position += 1
        return self._logits(hidden[:, -1])

    @contextlib.contextmanager
    def _set_hook_state(
        self, encoder: list[PrecedingKeysValues] | None = None, beams: int = 1
    ) -> Iterator[None]:
        """What the hooks look at, for as long as the block runs."""
        self.hook_state.encoder, self.hook_state.beams = encoder, beams
        try:
            yield
        finally:
            self.hook_state.encoder, self.hook_state.beams = None, 1

    def embed_inputs(self, side: Any, ids: Tensor, first: int, embeddings: Tensor | None) -> Tensor:
        """What the first layer of a side reads, [B, P + S, E], at the positions from ``first``.

        ``side``: the backbone's encoder or decoder. ``embeddings`` [P, E] come before the words ``ids`` [B, S].
        Raises ``UserError`` where the position table is too short.
        """
        embeds = side.embed_tokens(ids)
        if embeddings is not None:
            embeds = torch.cat((embeddings.to(embeds.dtype).expand(len(ids), -1, -1), embeds), dim=1)
        needed = first + embeds.shape[1]
        if needed > self.positions:
            raise UserError(
                f"an example needs {needed} positions (virtual tokens and text); expected at most the "
                f"model's {self.positions}: shorten the example"
            )
        hidden = side.layernorm_embedding(embeds + side.embed_positions(embeds[..., 0], first))
        dropped: Tensor = nn.functional.dropout(hidden, p=side.dropout, training=side.training)
        return dropped
