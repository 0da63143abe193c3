"""Backbones: which there are, where their weights come from, and loading them safely.

Weights are looked for in this order: a directory given as ``--model PATH``; ``BENCH_MODELS/<name>``;
the backbone shipped with the package (mini); the hub, at a pinned revision. Only safetensors are
read, and no code from a checkpoint is ever run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import DataError, UnavailableError, unknown
from bench.method import DECODER_ONLY, ENCODER_DECODER

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class ModelEntry:
    """One backbone. ``hub`` and ``revision`` pin its weights; None: shipped with the package."""

    name: str
    kind: str
    summary: str
    hub: str | None = None
    revision: str | None = None
    shape: Mapping[str, int] | None = None
    """The configuration's sizes, for counting without weights."""


def gpt2_shape(layers: int, width: int, heads: int) -> dict[str, int]:
    return {"n_layer": layers, "n_embd": width, "n_head": heads, "n_positions": 1024, "vocab_size": 50257}


def bart_shape(layers: int, width: int, heads: int) -> dict[str, int]:
    both = {"layers": layers, "attention_heads": heads, "ffn_dim": 4 * width}
    sides = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in both.items()}
    return {**sides, "d_model": width, "max_position_embeddings": 1024, "vocab_size": 50265}


MODELS = {
    entry.name: entry
    for entry in (
        ModelEntry("mini-gpt2", DECODER_ONLY, "shipped: pre-trained on the project's invented world"),
        ModelEntry(
            "gpt2-medium",
            DECODER_ONLY,
            "354,823,168 parameters; the paper's GPT-2 MEDIUM",
            "openai-community/gpt2-medium",
            "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
            gpt2_shape(24, 1024, 16),
        ),
        ModelEntry(
            "gpt2-large",
            DECODER_ONLY,
            "774,030,080 parameters; the paper's GPT-2 LARGE",
            "openai-community/gpt2-large",
            "32b71b12589c2f8d625668d2335a01cac3249519",
            gpt2_shape(36, 1280, 20),
        ),
        ModelEntry("mini-bart", ENCODER_DECODER, "shipped: pre-trained on the project's invented news"),
        ModelEntry(
            "bart-large",
            ENCODER_DECODER,
            "406,291,456 parameters; the paper's BART LARGE",
            "facebook/bart-large",
            # The branch `main` has no safetensors; this is the hub's own conversion of the same weights.
            "4422181a85458e2acc57a4c1f845b9dfd60bd411",
            bart_shape(12, 1024, 16),
        ),
    )
}
MODEL_TYPES = {"gpt2": DECODER_ONLY, "bart": ENCODER_DECODER}
"""``model_type`` of a configuration -> kind of model."""
FITS = {"table-to-text": DECODER_ONLY, "summarization": ENCODER_DECODER}
"""Kind of task -> the kind of model that it is run on."""
TIED = ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
"""Weights that are the word embedding under another name."""
TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
NEEDED = ("config.json", "model.safetensors", "tokenizer files")


@dataclass(frozen=True)
class Located:
    """A backbone that was found: ``name`` for records, ``path`` to load from, ``origin`` in words."""

    name: str
    path: Path
    origin: str
    fingerprint: str
    kind: str = DECODER_ONLY


def is_path(model: str) -> bool:
    """Whether ``--model`` was given a directory rather than a name."""
    return os.sep in model or model in (".", "..") or (model not in MODELS and Path(model).is_dir())


def kind_of_model(model: str) -> str:
    """``decoder-only`` or ``encoder-decoder``, for a name or a directory; the errors are those of `locate`."""
    if is_path(model):
        path = Path(model).expanduser().resolve()
        check_exists(model, path)
        check_files(path)
        return check_kind(path)
    if model not in MODELS:
        raise unknown("model", model, MODELS, "or a directory with a GPT-2 or BART checkpoint")
    return MODELS[model].kind


def check_exists(given: str, path: Path) -> None:
    if not path.exists():
        raise DataError(f"--model {given}: does not exist; expected a directory with {', '.join(NEEDED)}")


def locate(model: str, allow_download: bool = True) -> Located:
    """Find the weights of a named model or of a directory, and hash them.

    Raises ``UserError`` for an unknown name, ``DataError`` for a directory that is not a usable
    checkpoint, and ``UnavailableError`` saying what was tried when weights cannot be had.
    """
    kind = kind_of_model(model)
    if is_path(model):
        path = Path(model).expanduser().resolve()
        return Located(path.name, path, f"directory {path.name}", fingerprint(path), kind)
    entry = MODELS[model]
    if entry.hub is None:
        from bench.mini import mini_model_dir

        path = mini_model_dir(model)
        return Located(model, path, "shipped with the package", fingerprint(path), kind)
    tried = []
    local = os.environ.get("BENCH_MODELS")
    if local:
        path = Path(local).expanduser() / model
        if path.is_dir():
            found = fingerprint(path)
            if (other := check_kind(path)) != kind:
                raise DataError(f"{path}: a {other} checkpoint; {model} is {kind}")
            return Located(model, path, "BENCH_MODELS", found, kind)
        tried.append(f"BENCH_MODELS: no folder {path}")
    else:
        tried.append("BENCH_MODELS is not set")
    try:
        path = from_hub(entry, allow_download)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        tried.append(f"hub {entry.hub}@{entry.revision}: {reason}")
        raise UnavailableError(
            f"the weights of {model} could not be had. Tried: {'; '.join(tried)}. Put {', '.join(NEEDED)} "
            f"into a folder DIR/{model} and set BENCH_MODELS=DIR, or give the folder as --model PATH; on a "
            f"machine with a network: hf download {entry.hub} --revision {entry.revision} "
            f"--local-dir DIR/{model}"
        ) from error
    return Located(model, path, f"hub {entry.hub}@{entry.revision}", fingerprint(path), kind)


def from_hub(entry: ModelEntry, allow_download: bool) -> Path:
    """The pinned snapshot in the hub's cache, downloaded if needed and allowed."""
    from huggingface_hub import snapshot_download

    # Retries are its own affair; what finally went wrong is said in one message.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    wanted = ["config.json", "model.safetensors", *TOKENIZER_FILES]
    try:
        return Path(
            snapshot_download(
                str(entry.hub),
                revision=entry.revision,
                allow_patterns=wanted,
                local_files_only=True,
            )
        )
    except Exception:
        if not allow_download:
            raise
    return Path(snapshot_download(str(entry.hub), revision=entry.revision, allow_patterns=wanted))


def check_files(path: Path) -> list[Path]:
    """The weight files of a checkpoint directory; ``DataError`` where it is not one."""
    if not path.is_dir():
        raise DataError(f"{path}: expected a directory with {', '.join(NEEDED)}")
    weights = sorted(path.glob("*.safetensors"))
    if not (path / "config.json").is_file() or not weights:
        found = "pytorch_model.bin (pickled weights are not read)" if list(path.glob("*.bin")) else "none"
        raise DataError(
            f"{path}: expected config.json and model.safetensors; weights found: {found}. "
            "Save with save_pretrained(..., safe_serialization=True)"
        )
    return weights


def fingerprint(path: Path) -> str:
    """SHA-256 over the configuration, weights and tokenizer of a checkpoint directory."""
    weights = check_files(path)
    digest = hashlib.sha256()
    check_kind(path)
    tokenizer = [path / name for name in TOKENIZER_FILES if (path / name).is_file()]
    for file in [path / "config.json", *weights, *tokenizer]:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
    return digest.hexdigest()


def check_kind(path: Path) -> str:
    """The kind of a checkpoint; another architecture is refused, before anything heavy is imported."""
    try:
        model_type = json.loads((path / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(
            f"{path / 'config.json'}: not a model configuration ({type(error).__name__}: {error})"
        ) from error
    if model_type not in MODEL_TYPES:
        raise DataError(
            f"{path / 'config.json'}: model_type is {model_type!r}; expected 'gpt2' for table-to-text or "
            "'bart' for summarization"
        )
    return MODEL_TYPES[model_type]


def model_config(model: str) -> Any:
    """The architecture of a named model or directory, without weights and without a network."""
    from transformers import BartConfig, GPT2Config

    entry = MODELS.get(model)
    if entry is not None and entry.shape is not None:
        return (BartConfig if entry.kind == ENCODER_DECODER else GPT2Config)(**entry.shape)
    return read_config(locate(model, allow_download=False).path)


def model_class(kind: str) -> Any:
    """The library's class for a kind of model, with its LM head."""
    from transformers import BartForConditionalGeneration, GPT2LMHeadModel

    return BartForConditionalGeneration if kind == ENCODER_DECODER else GPT2LMHeadModel


def read_config(path: Path) -> Any:
    """``config.json`` of a checkpoint, which must be a GPT-2 or a BART."""
    from transformers import AutoConfig

    check_kind(path)

    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path / 'config.json'}: not a model configuration ({error})") from error
    return config


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer beside the weights. GPT-2's end-of-text token serves as BOS and EOS (authors' code)."""
    from transformers import AutoTokenizer

    there = {file.name for file in path.iterdir()} if path.is_dir() else set()
    # Checked here because the library makes an empty tokenizer when it finds no files.
    if "tokenizer.json" not in there and not {"vocab.json", "merges.txt"} <= there:
        raise DataError(
            f"{path}: no tokenizer; expected tokenizer.json, or vocab.json and merges.txt, beside the weights"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, use_fast=True
        )
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the tokenizer cannot be read ({error})") from error
    if tokenizer.eos_token_id is None:
        raise DataError(
            f"{path}: the tokenizer has no end-of-text token; expected GPT-2's <|endoftext|> or BART's </s>"
        )
    return tokenizer


def load_backbone(located: Located, dtype: str = "float32") -> Any:
    """The weights as a model in eval mode on the CPU."""
    import torch
    from safetensors import SafetensorError
    from transformers.utils.logging import disable_progress_bar

    read_config(located.path)
    disable_progress_bar()  # our own progress says what takes time
    loaded: Any
    try:
        loaded, report = model_class(check_kind(located.path)).from_pretrained(
            located.path,
            local_files_only=True,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
            # Reported below in our words; the library would fill what is missing with random numbers.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, SafetensorError) as error:
        raise DataError(f"{located.path}: the weights cannot be read ({error})") from error
    missing = sorted(set(report["missing_keys"]) - {*TIED, "final_logits_bias"})  # the bias is then 0
    mismatched = sorted(str(entry[0]) for entry in report["mismatched_keys"])
    for what, names in (("lacks", missing), ("has another shape for", mismatched)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise DataError(
                f"{located.path}: the checkpoint {what} {names[0]}{more}; expected the weights of its config.json"
            )
    return loaded.eval()


def check_vocabulary(backbone: Any, tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    """Refuse a tokenizer with ids that the embedding does not have, or with special tokens other than BART's."""
    if len(tokenizer) > backbone.config.vocab_size:
        raise DataError(
            f"{path}: the tokenizer has {len(tokenizer):,} tokens and the model {backbone.config.vocab_size:,}; "
            "expected the tokenizer that belongs to these weights"
        )
    if not backbone.config.is_encoder_decoder:
        return
    for name, theirs in (("bos", "bos"), ("eos", "eos"), ("pad", "pad"), ("eos", "decoder_start")):
        wanted = getattr(backbone.config, f"{theirs}_token_id")
        if getattr(tokenizer, f"{name}_token_id") != wanted:
            raise DataError(
                f"{path}: the tokenizer's {name} token is {getattr(tokenizer, f'{name}_token_id')} and the "
                f"model's {theirs}_token_id is {wanted}; expected BART's <s>, </s> and <pad>, where decoding "
                "starts from </s>"
            )


def add_pad_row(backbone: GPT2LMHeadModel, seed: int) -> None:
    """Grow the tied embedding by the PAD row that the authors' code trains with, drawn from N(0, 0.02).

    It takes part in the training softmax and is never decoded (paper facts: training over 50,258
    rows, decoding over 50,257).
    """
    import torch
    from torch import nn

    from bench.rng import generator

    old = backbone.transformer.wte.weight.data
    row = torch.randn(1, old.shape[1], generator=generator(seed, "pad-row")) * 0.02
    grown = torch.cat((old, row.to(old)))
    backbone.transformer.wte = nn.Embedding.from_pretrained(grown, freeze=False)
    backbone.lm_head = nn.Linear(grown.shape[1], grown.shape[0], bias=False, device="meta")
    backbone.lm_head.weight = backbone.transformer.wte.weight
    backbone.config.vocab_size = grown.shape[0]
