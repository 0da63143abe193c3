"""Kept for methods written against the first version; new ones import from ``bench.models.architecture``."""

from bench.models.architecture import blocks, kind_of, plain

__all__ = ["blocks", "kind_of", "plain"]
