"""Kept for methods written against the first version; new ones import from ``bench.models.encoder_decoder``."""

from bench.models.encoder_decoder import AdaptedEncoderDecoder as TunedSeq2Seq
from bench.models.encoder_decoder import Prefixes

__all__ = ["Prefixes", "TunedSeq2Seq"]
