"""Keys of a checkpoint's JSON files that would make a library load code, kernels or files from elsewhere.

They are refused by name, at any depth, before a library sees the file. The names are those that transformers 5.0 to
5.24 acts on; a checkpoint of GPT-2 or BART needs none of them. An empty value (null, false, {} or []) says nothing
and is accepted, as are the two implementations of attention that ship with the library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from bench.errors import DataError
from bench.foreign_text import quote_foreign, show_foreign

CODE = "would run code that lies with the checkpoint or on the hub"
KERNELS = "would load compiled kernels from the hub"
QUANTISER = "would load a quantiser plug-in"
PLUGIN = "would load a plug-in of the library"
OTHER_FILE = "would read a file of another name"
DISTRIBUTION = "would distribute the model in its own way"
OTHER_MODEL = "would load another model below this one"
OTHER_LAYERS = "would change single layers"

REFUSED_KEYS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("auto_map", "custom_generate", "custom_pipelines", "trust_remote_code", "code_revision"),
            *("init_inputs", "tokenizer_object", "custom_code", "pipeline_class", "remote_code"),
        ),
        CODE,
    ),
    **dict.fromkeys(
        ("use_kernels", "kernel_config", "kernels", "kernels_config", "allow_all_kernels", "use_hub_kernels"),
        KERNELS,
    ),
    **dict.fromkeys(
        (
            *("quantization_config", "quantization", "quantizer", "quantizers", "hf_quantizer"),
            *("compression_config", "sparsity_config", "quant_method", "_pre_quantization_dtype"),
        ),
        QUANTISER,
    ),
    **dict.fromkeys(("fusion_config", "compile_config", "plugins", "plugin"), PLUGIN),
    **dict.fromkeys(
        (
            *("transformers_weights", "configuration_files", "fast_tokenizer_files", "gguf_file"),
            *("tokenizer_file", "vocab_file", "merges_file", "spm_file", "source_spm", "target_spm"),
            *("added_tokens_file", "special_tokens_map_file", "chat_template_file", "extra_files"),
            *("extra_config_files", "subfolder"),
        ),
        OTHER_FILE,
    ),
    **dict.fromkeys(
        (
            *("distributed_config", "device_map", "device_mesh", "tp_plan", "tp_size", "base_model_tp_plan"),
            *("base_model_pp_plan", "base_model_ep_plan", "base_model_fsdp_plan", "offload_folder"),
        ),
        DISTRIBUTION,
    ),
    **dict.fromkeys(
        (
            *("base_model_name_or_path", "peft_type", "peft_config", "adapter_config", "_adapter_model_path"),
            *("backbone", "backbone_config", "use_timm_backbone", "assistant_model"),
        ),
        OTHER_MODEL,
    ),
    **dict.fromkeys(("per_layer_config", "pruned_heads", "prune_heads"), OTHER_LAYERS),
}
"""Key -> what it would make a library do."""
REFUSED_NAMES = (
    (re.compile(r".*(remote|custom)_code.*|custom_(generate|pipelines?|class|model|module)\w*"), CODE),
    (
        re.compile(r"\w*(use|allow|hub|disable|load)_\w*kernels?|kernels?_(config|mapping|repo|layers?)"),
        KERNELS,
    ),
    (re.compile(r"\w*quanti[sz](ation|er)s?_?(config|method|class|plugin)\w*"), QUANTISER),
)
"""The same for names that follow a pattern."""
IMPLEMENTATION = re.compile(r"_?(attn|attention|experts|mlp|moe)_implementation(_internal)?")
SHIPPED_ATTENTION = ("eager", "sdpa")
"""The implementations of attention that need nothing but torch."""


class RefusedKey(NamedTuple):
    """A key that is refused: ``place`` is its path within the document."""

    place: str
    value: Any
    consequence: str
    expected: str


def find_refused_key(document: Any, place: str = "", depth: int = 0) -> RefusedKey | None:
    """The first key in a parsed JSON file, at any depth, that would make a library load something; else None."""
    if depth > 100:  # deeper than any configuration; what is below reaches no library either
        return None
    if isinstance(document, list):
        entries = [(f"{place}[{index}]", None, value) for index, value in enumerate(document)]
    elif isinstance(document, dict):
        entries = [(f"{place}.{key}" if place else str(key), key, value) for key, value in document.items()]
    else:
        return None
    for path, key, value in entries:
        if key is not None and (refused := judge_key(path, key, value)) is not None:
            return refused
        if isinstance(value, (dict, list)) and (refused := find_refused_key(value, path, depth + 1)):
            return refused
    return None


def judge_key(place: str, key: str, value: Any) -> RefusedKey | None:
    """What is wrong with a single key; None where nothing is."""
    if value is None or value is False or value == {} or value == []:
        return None
    if IMPLEMENTATION.fullmatch(key):
        return judge_implementation(place, key, value)
    consequence = REFUSED_KEYS.get(key)
    if consequence is None:
        consequence = next((text for pattern, text in REFUSED_NAMES if pattern.fullmatch(key)), None)
    return None if consequence is None else RefusedKey(place, value, consequence, "a checkpoint without it")


def judge_implementation(place: str, key: str, value: Any) -> RefusedKey | None:
    """Attention may be one that ships with the library, under the names that users give; nothing else may be set."""
    if "attn" in key and isinstance(value, str) and value in SHIPPED_ATTENTION:
        return None
    return RefusedKey(
        place, value, KERNELS, f"{' or '.join(SHIPPED_ATTENTION)} for attention, or no such key"
    )


def refuse_key(file: Path, refused: RefusedKey) -> NoReturn:
    """Raise ``DataError`` for a key that was found in ``file``."""
    problem = (
        f"{show_foreign(refused.place)} is {quote_foreign(refused.value, 60)}, which {refused.consequence}; "
        f"expected {refused.expected}"
    )
    raise DataError(f"{file}: {problem}", problem)


def check_keys(file: Path, document: Any) -> None:
    """Refuse a JSON file of a checkpoint with a key that would make a library load something from elsewhere."""
    if (refused := find_refused_key(document)) is not None:
        refuse_key(file, refused)
