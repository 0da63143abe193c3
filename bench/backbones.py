"""Kept for methods written against the first version; new ones import from ``bench.models.architecture``."""

from bench.models.architecture import get_model_kind as kind_of
from bench.models.architecture import list_blocks as blocks
from bench.models.architecture import make_plain_model as plain

__all__ = ["blocks", "kind_of", "plain"]
