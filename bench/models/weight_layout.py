"""Whether the tensors of a checkpoint are those that its ``config.json`` asks for; read from headers alone.

The library would fill what is missing with random numbers, after a run has begun. Here it is refused before, without
torch. A further architecture is a further entry of ``LAYOUTS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.errors import DataError
from bench.foreign_text import quote_foreign
from bench.models.model_config import ModelConfig
from bench.models.published_shape import (
    BART_BUFFERS,
    BART_TIED,
    GPT2_BUFFERS,
    GPT2_TIED,
    Shape,
    list_bart_tensors,
    list_gpt2_tensors,
)
from bench.models.weight_headers import WeightFiles

PARAMETER_TYPES = ("F64", "F32", "F16", "BF16")
"""Types of floating point that weights may be stored in."""


class WeightLayout(NamedTuple):
    """How an architecture names its tensors in a file."""

    prefix: str
    """Of the class without a head; a file may leave it out."""
    list_tensors: Callable[[Mapping[str, int]], dict[str, Shape]]
    """Its parameters, but for an output head of its own; the word embedding under ``tied[-1]``."""
    tied: tuple[str, ...]
    """The names of the word embedding, the output head first, its own last."""
    buffers: re.Pattern[str]
    """Tensors that are no parameters and may be there."""
    blocks: re.Pattern[str]
    """Names of tensors in the layers."""


LAYOUTS: Mapping[str, WeightLayout] = {
    "gpt2": WeightLayout(
        "transformer.", list_gpt2_tensors, GPT2_TIED, GPT2_BUFFERS, re.compile(r"(h\.\d+|ln_f|wte|wpe)\..*")
    ),
    "bart": WeightLayout(
        "model.", list_bart_tensors, BART_TIED, BART_BUFFERS, re.compile(r"(encoder|decoder|shared)\..*")
    ),
}
"""``model_type`` -> its layout."""


def check_weight_layout(path: Path, config: ModelConfig, weights: WeightFiles) -> list[str]:
    """Refuse weights that lack a tensor of the configuration, or have it in another shape or no floating point.

    Refused too is a tensor in the layers that the configuration does not speak of: a model of more layers would
    silently be cut. Returned are the names of what is no part of the model, as a head of another task.
    """
    layout = LAYOUTS[config.model_type]
    expected = list_expected(config, layout)
    full_names: dict[str, str] = {}
    ignored: list[str] = []
    for full_name in weights.tensors:
        name = full_name.removeprefix(layout.prefix)
        if name in full_names:
            raise DataError(f"{path}: holds {quote_foreign(name)} under two names; expected it once")
        if name in expected or name in layout.tied:
            full_names[name] = full_name
        elif layout.blocks.fullmatch(name) and not layout.buffers.fullmatch(name):
            raise DataError(
                f"{path}: the checkpoint holds {quote_foreign(full_name)}, which its config.json has no place for; "
                "expected the weights of its config.json"
            )
        elif not layout.buffers.fullmatch(name):
            ignored.append(full_name)
    check_present(path, config, layout, expected, full_names)
    embedding = expected[layout.tied[-1]]
    check_entries(path, weights, {full: expected.get(name, embedding) for name, full in full_names.items()})
    return sorted(ignored)


def list_expected(config: ModelConfig, layout: WeightLayout) -> dict[str, Shape]:
    """Name of a tensor without its prefix -> its shape, an output head of its own among them."""
    sizes = {name: value for name, value in config if type(value) is int}
    expected = layout.list_tensors(sizes)
    if not config.tie_word_embeddings:
        expected[layout.tied[0]] = expected[layout.tied[-1]]
    return expected


def check_present(
    path: Path,
    config: ModelConfig,
    layout: WeightLayout,
    expected: Mapping[str, Shape],
    full_names: Mapping[str, str],
) -> None:
    """Every tensor is there; the word embedding, where all its names are tied, under any of them."""
    missing = [name for name in expected if name not in full_names]
    if config.tie_word_embeddings and any(name in full_names for name in layout.tied):
        missing = [name for name in missing if name != layout.tied[-1]]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        name = missing[0] if missing[0] == layout.tied[0] else layout.prefix + missing[0]
        raise DataError(f"{path}: the checkpoint lacks {name}{more}; expected the weights of its config.json")


def check_entries(path: Path, weights: WeightFiles, expected: Mapping[str, Shape]) -> None:
    """Every tensor has the shape of the configuration, in floating point; ``expected``: by full name."""
    differing = [name for name, shape in expected.items() if weights.tensors[name].shape != shape]
    if differing:
        name = differing[0]
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise DataError(
            f"{path}: the checkpoint has another shape for {name}{more}: {list(weights.tensors[name].shape)}; "
            f"expected {list(expected[name])}, as its config.json says"
        )
    for name in expected:
        if weights.tensors[name].dtype not in PARAMETER_TYPES:
            raise DataError(
                f"{weights.files[name]}: {name} is of type {weights.tensors[name].dtype}; expected floating point "
                f"({', '.join(PARAMETER_TYPES)})"
            )
