"""Kept for methods written against the first version; new ones import from ``bench.models.decoder_only``."""

from bench.models.decoder_only import Context, Tuned

__all__ = ["Context", "Tuned"]
