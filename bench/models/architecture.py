"""The two kinds of backbones, for code that must tell them apart."""

from __future__ import annotations

from typing import Any

from bench.method import DECODER_ONLY, ENCODER_DECODER
from bench.models.adapted import TunedBase


def kind_of(config: Any) -> str:
    """``decoder-only`` or ``encoder-decoder``, by a model's configuration."""
    return ENCODER_DECODER if config.is_encoder_decoder else DECODER_ONLY


def plain(backbone: Any) -> TunedBase:
    """The backbone as it is, frozen and readable: a ``Tuned`` or a ``TunedSeq2Seq``."""
    if kind_of(backbone.config) == ENCODER_DECODER:
        from bench.models.encoder_decoder import TunedSeq2Seq

        return TunedSeq2Seq(backbone)
    from bench.models.decoder_only import Tuned

    return Tuned(backbone)


def blocks(backbone: Any) -> list[Any]:
    """The layers, bottom to top; an encoder-decoder's encoder first."""
    if kind_of(backbone.config) == ENCODER_DECODER:
        return [*backbone.model.encoder.layers, *backbone.model.decoder.layers]
    return list(backbone.transformer.h)
