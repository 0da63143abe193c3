"""Kept for methods written against the first version; new ones import from ``bench.models.encoder_decoder``."""

from bench.models.encoder_decoder import Prefixes, TunedSeq2Seq

__all__ = ["Prefixes", "TunedSeq2Seq"]
