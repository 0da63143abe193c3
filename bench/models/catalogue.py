"""Backbones: which there are, where their weights come from, and finding them.

Weights are looked for in this order: a directory given as ``--model PATH``; ``BENCH_MODELS/<name>``;
the backbone shipped with the package (mini); the hub, at a pinned revision. Only safetensors are
read, and no code from a checkpoint is ever run. Loading them is in ``bench.models.loading``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.errors import DataError, UnavailableError, UnknownNameError, first_line
from bench.method import DECODER_ONLY, ENCODER_DECODER, ModelKind
from bench.system.hub import TOKENIZER_FILES, PinnedRepository, fetch_snapshot, find_local_folder


@dataclass(frozen=True)
class ModelEntry:
    """One backbone. ``hub`` and ``revision`` pin its weights; None: shipped with the package."""

    name: str
    kind: ModelKind
    summary: str
    hub: str | None = None
    revision: str | None = None
    shape: Mapping[str, int] | None = None
    """The configuration's sizes, for counting without weights."""


def make_gpt2_shape(layers: int, width: int, heads: int) -> dict[str, int]:
    """The sizes in a GPT-2's configuration; the rest are its usual ones."""
    return {"n_layer": layers, "n_embd": width, "n_head": heads, "n_positions": 1024, "vocab_size": 50257}


def make_bart_shape(layers: int, width: int, heads: int) -> dict[str, int]:
    """The sizes in a BART's configuration, with ``layers`` on each side; the rest are its usual ones."""
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
            make_gpt2_shape(24, 1024, 16),
        ),
        ModelEntry(
            "gpt2-large",
            DECODER_ONLY,
            "774,030,080 parameters; the paper's GPT-2 LARGE",
            "openai-community/gpt2-large",
            "32b71b12589c2f8d625668d2335a01cac3249519",
            make_gpt2_shape(36, 1280, 20),
        ),
        ModelEntry("mini-bart", ENCODER_DECODER, "shipped: pre-trained on the project's invented news"),
        ModelEntry(
            "bart-large",
            ENCODER_DECODER,
            "406,291,456 parameters; the paper's BART LARGE",
            "facebook/bart-large",
            # The branch `main` has no safetensors; this is the hub's own conversion of the same weights.
            "4422181a85458e2acc57a4c1f845b9dfd60bd411",
            make_bart_shape(12, 1024, 16),
        ),
    )
}
MODEL_TYPES = {"gpt2": DECODER_ONLY, "bart": ENCODER_DECODER}
"""``model_type`` of a configuration -> kind of model."""
MODEL_KIND_BY_TASK_KIND = {"table-to-text": DECODER_ONLY, "summarization": ENCODER_DECODER}
"""Kind of task -> the kind of model that it is run on."""
CHECKPOINT_FILES = ("config.json", "model.safetensors", "tokenizer files")


class ModelOriginKind(StrEnum):
    """What sort of place a backbone's weights come from."""

    SHIPPED = "shipped"
    """With the package: the project's own mini models."""
    DIRECTORY = "directory"
    """Given as ``--model PATH``."""
    BENCH_MODELS = "bench-models"
    """The folder of a name in ``BENCH_MODELS``."""
    HUB = "hub"
    """The hub, at the pinned revision."""


@dataclass(frozen=True)
class ModelOrigin:
    """Where weights come from: ``kind`` to decide by, ``text`` to show and to record."""

    kind: ModelOriginKind
    text: str

    @property
    def is_published_model(self) -> bool:
        """Whether the weights are held to be those that the paper's name for them stands for."""
        return self.kind in (ModelOriginKind.BENCH_MODELS, ModelOriginKind.HUB)


SHIPPED = ModelOrigin(ModelOriginKind.SHIPPED, "shipped with the package")
FROM_BENCH_MODELS = ModelOrigin(ModelOriginKind.BENCH_MODELS, "BENCH_MODELS")


@dataclass(frozen=True)
class LocatedModel:
    """A backbone whose files are on this machine."""

    name: str
    """For records."""
    path: Path
    """The directory to load from."""
    origin: ModelOrigin
    fingerprint: str
    """SHA-256 over its files."""
    kind: ModelKind = DECODER_ONLY


def is_model_path(model: str) -> bool:
    """Whether ``--model`` was given a directory rather than a name."""
    return os.sep in model or model in (".", "..") or (model not in MODELS and Path(model).is_dir())


def find_model_kind(model: str) -> ModelKind:
    """The kind of model that a name or a directory is; the errors are those of ``locate_model``."""
    if is_model_path(model):
        path = Path(model).expanduser().resolve()
        check_path_exists(model, path)
        list_weight_files(path)
        return read_model_kind(path)
    if model not in MODELS:
        raise UnknownNameError("model", model, MODELS, "or a directory with a GPT-2 or BART checkpoint")
    return MODELS[model].kind


def check_path_exists(model: str, path: Path) -> None:
    """Refuse a ``--model`` that names no directory."""
    if not path.exists():
        raise DataError(
            f"--model {model}: does not exist; expected a directory with {', '.join(CHECKPOINT_FILES)}"
        )


def locate_model(model: str, allow_download: bool = True) -> LocatedModel:
    """Find the weights of a named model or of a directory, and hash them.

    Raises ``UserError`` for an unknown name, ``DataError`` for a directory that is not a usable
    checkpoint, and ``UnavailableError`` saying what was tried when weights cannot be had.
    """
    kind = find_model_kind(model)
    if is_model_path(model):
        path = Path(model).expanduser().resolve()
        origin = ModelOrigin(ModelOriginKind.DIRECTORY, f"directory {path.name}")
        return LocatedModel(path.name, path, origin, fingerprint_checkpoint(path), kind)
    entry = MODELS[model]
    if entry.hub is None:
        from bench.mini import mini_model_dir

        path = mini_model_dir(model)
        return LocatedModel(model, path, SHIPPED, fingerprint_checkpoint(path), kind)
    local, why_not = find_local_folder(model)
    if local is not None:
        fingerprint = fingerprint_checkpoint(local)
        if (local_kind := read_model_kind(local)) != kind:
            raise DataError(f"{local}: a {local_kind} checkpoint; {model} is {kind}")
        return LocatedModel(model, local, FROM_BENCH_MODELS, fingerprint, kind)
    pinned = PinnedRepository(entry.hub, str(entry.revision))
    try:
        path = fetch_snapshot(pinned, allow_download)
    except Exception as error:
        tried = [why_not, f"hub {entry.hub}@{entry.revision}: {first_line(error)}"]
        raise UnavailableError(describe_missing_weights(model, entry, tried)) from error
    origin = ModelOrigin(ModelOriginKind.HUB, f"hub {entry.hub}@{entry.revision}")
    return LocatedModel(model, path, origin, fingerprint_checkpoint(path), kind)


def describe_missing_weights(model: str, entry: ModelEntry, tried: Sequence[str]) -> str:
    """What was ``tried`` for the weights of a named model, and what to do."""
    return (
        f"the weights of {model} could not be had. Tried: {'; '.join(tried)}. Put {', '.join(CHECKPOINT_FILES)} "
        f"into a folder DIR/{model} and set BENCH_MODELS=DIR, or give the folder as --model PATH; on a "
        f"machine with a network: hf download {entry.hub} --revision {entry.revision} "
        f"--local-dir DIR/{model}"
    )


def list_weight_files(path: Path) -> list[Path]:
    """The weight files of a checkpoint directory; ``DataError`` where it is not one."""
    if not path.is_dir():
        raise DataError(f"{path}: expected a directory with {', '.join(CHECKPOINT_FILES)}")
    weights = sorted(path.glob("*.safetensors"))
    if not (path / "config.json").is_file() or not weights:
        others = "pytorch_model.bin (pickled weights are not read)" if list(path.glob("*.bin")) else "none"
        raise DataError(
            f"{path}: expected config.json and model.safetensors; weights found: {others}. "
            "Save with save_pretrained(..., safe_serialization=True)"
        )
    return weights


def fingerprint_checkpoint(path: Path) -> str:
    """SHA-256 over the configuration, weights and tokenizer of a checkpoint directory."""
    weights = list_weight_files(path)
    digest = hashlib.sha256()
    read_model_kind(path)
    tokenizer = [path / name for name in TOKENIZER_FILES if (path / name).is_file()]
    for file in [path / "config.json", *weights, *tokenizer]:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
    return digest.hexdigest()


def read_model_kind(path: Path) -> ModelKind:
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
