"""The two kinds of backbones, for code that must tell them apart."""

from __future__ import annotations

from typing import Any

from bench.method import DECODER_ONLY, ENCODER_DECODER, ModelKind
from bench.models.adapted import AdaptedModel


def get_model_kind(config: Any) -> ModelKind:
    """The kind of model that a configuration describes."""
    return ENCODER_DECODER if config.is_encoder_decoder else DECODER_ONLY


def make_plain_model(backbone: Any) -> AdaptedModel:
    """The backbone as it is, frozen and readable: an ``AdaptedDecoder`` or an ``AdaptedEncoderDecoder``."""
    if get_model_kind(backbone.config) == ENCODER_DECODER:
        from bench.models.encoder_decoder import AdaptedEncoderDecoder

        return AdaptedEncoderDecoder(backbone)
    from bench.models.decoder_only import AdaptedDecoder

    return AdaptedDecoder(backbone)


def list_blocks(backbone: Any) -> list[Any]:
    """The layers, bottom to top; an encoder-decoder's encoder first."""
    if get_model_kind(backbone.config) == ENCODER_DECODER:
        return [*backbone.model.encoder.layers, *backbone.model.decoder.layers]
    return list(backbone.transformer.h)
