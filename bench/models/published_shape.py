"""Whether a checkpoint has the shape of a published model: its configuration, its tensors, its parameters.

Read from ``config.json`` and the headers of the safetensors files, without torch and without a weight. It tells a
GPT-2 of one layer from GPT-2 Medium; what the weights are, ``bench.models.verification`` says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.errors import DataError
from bench.foreign_text import escape_controls
from bench.method import ENCODER_DECODER, ModelKind

Shape = tuple[int, ...]

GPT2_DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-05,
    "n_inner": None,
    "attn_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "resid_pdrop": 0.1,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
"""What decides a GPT-2's numbers, with the library's value where a configuration leaves it out. All published
sizes have these values but for width, layers and heads."""
BART_DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 50265,
    "max_position_embeddings": 1024,
    "d_model": 1024,
    "encoder_layers": 12,
    "encoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "decoder_layers": 12,
    "decoder_attention_heads": 16,
    "decoder_ffn_dim": 4096,
    "activation_function": "gelu",
    "scale_embedding": False,
    "is_encoder_decoder": True,
    "tie_word_embeddings": True,
}
"""The same for BART, whose published configurations differ in their dropout."""
GPT2_ALIASES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
BART_ALIASES = {
    "hidden_size": "d_model",
    "num_attention_heads": "encoder_attention_heads",
    "num_hidden_layers": "encoder_layers",
}
"""Second names that the library takes for a size: whichever a configuration gives last would win."""
FOREIGN_KEYS = ("quantization_config", "transformers_weights", "auto_map")
"""What a configuration of the published models does not have and the loader would act on."""
GPT2_BUFFERS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
BART_BUFFERS = re.compile(r"final_logits_bias|(encoder|decoder)\.version")
"""Tensors in published files that are no parameters."""
GPT2_TIED = ("lm_head.weight", "wte.weight")
BART_TIED = ("lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "shared.weight")
"""Names of the one word embedding; its own comes last."""


class PublishedShape(NamedTuple):
    """The sizes of a published model, as the names in its configuration have them."""

    kind: ModelKind
    sizes: Mapping[str, int]

    @property
    def is_encoder_decoder(self) -> bool:
        return self.kind == ENCODER_DECODER


def list_expected_tensors(published: PublishedShape) -> dict[str, Shape]:
    """Name of a parameter, without the prefix of the class -> its shape."""
    return (
        list_bart_tensors(published.sizes)
        if published.is_encoder_decoder
        else list_gpt2_tensors(published.sizes)
    )


def list_gpt2_tensors(sizes: Mapping[str, int]) -> dict[str, Shape]:
    """The parameters of a GPT-2; the library keeps its projections transposed. ``n_inner``: 0 for 4 * n_embd."""
    width = sizes["n_embd"]
    inner = sizes.get("n_inner") or 4 * width
    tensors: dict[str, Shape] = {
        "wte.weight": (sizes["vocab_size"], width),
        "wpe.weight": (sizes["n_positions"], width),
    }
    projections = {
        "attn.c_attn": (width, 3 * width),
        "attn.c_proj": (width, width),
        "mlp.c_fc": (width, inner),
        "mlp.c_proj": (inner, width),
    }
    for layer in range(sizes["n_layer"]):
        for name in ("ln_1", "ln_2"):
            tensors |= {f"h.{layer}.{name}.weight": (width,), f"h.{layer}.{name}.bias": (width,)}
        for name, shape in projections.items():
            tensors |= {f"h.{layer}.{name}.weight": shape, f"h.{layer}.{name}.bias": shape[1:]}
    return tensors | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


def list_bart_tensors(sizes: Mapping[str, int]) -> dict[str, Shape]:
    """The parameters of a BART; two positions more than it counts, as its table starts behind the padding."""
    width = sizes["d_model"]
    tensors: dict[str, Shape] = {"shared.weight": (sizes["vocab_size"], width)}
    for side in ("encoder", "decoder"):
        tensors[f"{side}.embed_positions.weight"] = (sizes["max_position_embeddings"] + 2, width)
        norms = [f"{side}.layernorm_embedding"]
        linear: dict[str, Shape] = {}
        attentions = ("self_attn", "encoder_attn") if side == "decoder" else ("self_attn",)
        for layer in range(sizes[f"{side}_layers"]):
            place, inner = f"{side}.layers.{layer}", sizes[f"{side}_ffn_dim"]
            norms += [f"{place}.{name}_layer_norm" for name in (*attentions, "final")]
            for name in attentions:
                linear |= {f"{place}.{name}.{part}_proj": (width, width) for part in ("q", "k", "v", "out")}
            linear |= {f"{place}.fc1": (inner, width), f"{place}.fc2": (width, inner)}
        for name in norms:
            tensors |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
        for name, shape in linear.items():
            tensors |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return tensors


def find_config_difference(config: Mapping[str, Any], published: PublishedShape) -> str | None:
    """What in ``config.json`` is not as published, in words; None where everything that decides numbers is."""
    defaults, aliases = (
        (BART_DEFAULTS, BART_ALIASES) if published.is_encoder_decoder else (GPT2_DEFAULTS, GPT2_ALIASES)
    )
    for key in FOREIGN_KEYS:
        if config.get(key) is not None:
            return f"{key} is given, and the published configuration has none"
    expected = {**defaults, **published.sizes}
    given = {name: config.get(name, default) for name, default in defaults.items()}
    second = {alias: config[alias] for alias in aliases if alias in config}
    wanted = {**expected, **{alias: expected[name] for alias, name in aliases.items()}}
    differences = [
        f"{name} is {value!r:.40}, published {wanted[name]!r}"
        for name, value in {**given, **second}.items()
        if not is_same_value(value, wanted[name])
        and not (name == "n_inner" and is_same_value(value, 4 * expected["n_embd"]))
    ]
    return join_differences(differences)


def is_same_value(given: object, expected: object) -> bool:
    """Whether two values of a configuration are equal; 1 is not true, and 1.0 is 1."""
    if isinstance(given, bool) or isinstance(expected, bool):
        return given is expected
    return given == expected


def find_tensor_difference(tensors: Mapping[str, Shape], published: PublishedShape) -> str | None:
    """What in the weight files is not as published, in words; ``tensors``: name -> shape as their headers say."""
    expected = list_expected_tensors(published)
    prefix, buffers, tied = (
        ("model.", BART_BUFFERS, BART_TIED)
        if published.is_encoder_decoder
        else ("transformer.", GPT2_BUFFERS, GPT2_TIED)
    )
    held: dict[str, Shape] = {}
    for full_name, shape in tensors.items():
        name = full_name.removeprefix(prefix)
        if name in held:
            return f"{name} is there under two names"
        if not buffers.fullmatch(name):
            held[name] = shape
    count = sum(math.prod(shape) for name, shape in held.items() if name not in tied)
    embeddings = {name: shape for name, shape in held.items() if name in tied}
    count += max(map(math.prod, embeddings.values()), default=0)
    if embeddings:  # under whichever of its names
        expected |= dict.fromkeys(embeddings, expected[tied[-1]])
        held.setdefault(tied[-1], next(iter(embeddings.values())))
    differences = [
        f"{name[:100]} is {list(shape)}, published {list(expected[name]) if name in expected else 'without it'}"
        for name, shape in held.items()
        if expected.get(name) != shape
    ]
    differences += [f"{name} is missing" for name in expected if name not in held]
    if not differences:
        return None
    total = count_published_parameters(published)
    return f"{join_differences(differences)} ({count:,} parameters, published {total:,})"


def join_differences(differences: list[str]) -> str | None:
    """The first few of them, and how many there are more."""
    more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
    return "; ".join(differences[:3]) + more if differences else None


def count_published_parameters(published: PublishedShape) -> int:
    """How many parameters a model of this shape has, the word embedding once."""
    return sum(math.prod(shape) for shape in list_expected_tensors(published).values())


def check_published_shape(
    place: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Shape],
    published: PublishedShape,
    advice: str,
) -> None:
    """Refuse a checkpoint of another shape: says what is given and what is published."""
    for file, difference in (
        ("config.json", find_config_difference(config, published)),
        ("the weights", find_tensor_difference(tensors, published)),
    ):
        if difference is not None:
            problem = escape_controls(f"{file}: {difference}")
            raise DataError(f"{place}: {problem}. {advice}", problem)
