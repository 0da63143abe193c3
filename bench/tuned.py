"""Kept for methods written against the first version; new ones import from ``bench.models.decoder_only``."""

from bench.models.decoder_only import AdaptedDecoder as Tuned
from bench.models.decoder_only import Context

__all__ = ["Context", "Tuned"]
