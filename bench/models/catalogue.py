"""Backbones: which there are, where their weights come from, and finding them.

Weights are looked for in this order: a directory given as ``--model PATH``; ``BENCH_MODELS/<name>``;
the backbone shipped with the package (mini); the hub, at a pinned revision. Only safetensors are
read, and no code from a checkpoint is ever run. What bears a published model's name must have its shape
(``bench.models.published_shape``), and is held to be it where its content is known (``bench.models.verification``).
Loading is in ``bench.models.loading``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from bench.errors import DataError, UnavailableError, UnknownNameError, UserError, first_line
from bench.foreign_text import quote_foreign, show_foreign
from bench.method import DECODER_ONLY, ENCODER_DECODER, ModelKind
from bench.models.checkpoint_documents import read_config_document
from bench.models.checkpoint_files import (
    CHECKPOINT_FILES,
    digest_checkpoint,
    fingerprint_checkpoint,
    fingerprint_digests,
    is_directory,
    list_weight_files,
)
from bench.models.published_shape import PublishedShape, check_published_shape
from bench.models.verification import NOT_PUBLISHED, ModelVerification, PublishedFiles, check_content
from bench.system.hub import PinnedRepository, fetch_snapshot, find_local_folder, is_reachable
from bench.system.paths import find_broken_link
from bench.system.progress import print_message


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

    @property
    def pinned(self) -> PinnedRepository | None:
        """Where the hub has the published weights; None for what ships with the package."""
        return None if self.hub is None else PinnedRepository(self.hub, str(self.revision))


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
LONGEST_NAME = 160  # of 200 that a run's name may have
FOLDER_NAME = re.compile(rf"[A-Za-z0-9._+=-]{{1,{LONGEST_NAME}}}")
MODEL_KIND_BY_TASK_KIND = {"table-to-text": DECODER_ONLY, "summarization": ENCODER_DECODER}
"""Kind of task -> the kind of model that it is run on."""


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
    def is_named(self) -> bool:
        """Whether the weights go by a published model's name, and must be its weights."""
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
    """SHA-256 over all files that loading reads (``bench.models.checkpoint_files``)."""
    kind: ModelKind = DECODER_ONLY
    verification: ModelVerification = NOT_PUBLISHED
    """Whether the weights are known to be the published ones of this name."""


@dataclass(frozen=True)
class ModelSizes:
    """What bounds a request; None where the configuration does not say it in a number."""

    vocabulary: int | None
    positions: int | None
    """Of the table of positions: on either side of an encoder-decoder, of source and target together elsewhere."""


def find_model_sizes(model: str) -> ModelSizes:
    """The sizes of a named model or of a checkpoint's configuration; needs no weights and no network."""
    entry = MODELS.get(model)
    if not is_model_path(model) and entry is not None and entry.shape is not None:
        config: Mapping[str, Any] = entry.shape
    elif is_model_path(model):
        config = read_config_document(resolve_model_path(model))
    else:
        from bench.mini import mini_model_dir

        config = read_config_document(mini_model_dir(model))

    def get_number(*names: str) -> int | None:
        values = (config.get(name) for name in names)
        return next((value for value in values if isinstance(value, int) and value > 0), None)

    return ModelSizes(get_number("vocab_size"), get_number("n_positions", "max_position_embeddings"))


def is_model_path(model: str) -> bool:
    """Whether ``--model`` was given a directory rather than a name."""
    return os.sep in model or model in (".", "..") or (model not in MODELS and is_directory(model))


def find_model_kind(model: str) -> ModelKind:
    """The kind of model that a name or a directory is; the errors are those of ``locate_model``."""
    if is_model_path(model):
        path = resolve_model_path(model)
        list_weight_files(path)
        return read_model_kind(path)
    if model not in MODELS:
        raise UnknownNameError("model", model, MODELS, "or a directory with a GPT-2 or BART checkpoint")
    return MODELS[model].kind


def resolve_model_path(model: str) -> Path:
    """The directory that ``--model`` names; ``DataError`` where there is none."""
    expected = f"expected a directory with {', '.join(CHECKPOINT_FILES)}"
    given = f"--model {show_foreign(model, 200)}"
    try:
        path = Path(model).expanduser()
        if (broken := find_broken_link(path)) is not None:
            raise DataError(f"{given}: {broken}; {expected}")
        path = path.resolve()
        path.stat()
    except FileNotFoundError as error:
        raise DataError(f"{given}: does not exist; {expected}") from error
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no such user, a NUL
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"{given}: cannot be read ({reason}); {expected}") from error
    return path


def locate_model(model: str, allow_download: bool = True) -> LocatedModel:
    """Find the weights of a named model or of a directory, hash them, and check what bears a published name.

    Raises ``UserError`` for an unknown name, ``DataError`` for a directory that is not a usable checkpoint or
    not of the shape that its name stands for, and ``UnavailableError`` saying what was tried when weights
    cannot be had.
    """
    kind = find_model_kind(model)
    if is_model_path(model):
        return locate_directory(model, kind)
    entry = MODELS[model]
    if entry.pinned is None:
        from bench.mini import mini_model_dir

        path = mini_model_dir(model)
        return LocatedModel(model, path, SHIPPED, fingerprint_checkpoint(path), kind)
    path, origin = find_named_weights(entry, entry.pinned, allow_download)
    check_named_shape(entry, path)
    check_weights(path)
    digests = digest_checkpoint(path)
    verification = check_content(PublishedFiles(model, entry.pinned, path, digests))
    return LocatedModel(model, path, origin, fingerprint_digests(digests), kind, verification)


def check_folder_name(path: Path) -> None:
    """Refuse a directory whose name cannot be a part of a run's name, which it becomes."""
    if not FOLDER_NAME.fullmatch(path.name):
        raise DataError(
            f"--model {show_foreign(path, 200)}: the folder's name becomes a part of the run's name; expected up to "
            f"{LONGEST_NAME} letters, digits and . _ + = -: rename the folder"
        )


def locate_directory(model: str, kind: ModelKind) -> LocatedModel:
    """The checkpoint in a directory given as ``--model PATH``; one of a published model's name may be proven to
    be that model."""
    path = resolve_model_path(model)
    check_weights(path)
    origin = ModelOrigin(ModelOriginKind.DIRECTORY, f"directory {path.name}")
    digests = digest_checkpoint(path)
    verification, entry = NOT_PUBLISHED, MODELS.get(path.name)
    if entry is not None and entry.pinned is not None:
        verification = check_content(PublishedFiles(entry.name, entry.pinned, path, digests))
        if verification.is_verified:
            check_named_shape(entry, path)
    return LocatedModel(path.name, path, origin, fingerprint_digests(digests), kind, verification)


def find_named_weights(
    entry: ModelEntry, pinned: PinnedRepository, allow_download: bool
) -> tuple[Path, ModelOrigin]:
    """The folder of a published model: in ``BENCH_MODELS``, else in the hub's cache, downloaded where allowed."""
    local, why_not = find_local_folder(entry.name)
    if local is not None:
        return local, FROM_BENCH_MODELS
    try:
        allow_download = allow_download and is_reachable()
        path = fetch_snapshot(pinned, allow_download)
    except Exception as error:
        reason = first_line(error) if allow_download else "not in its cache"
        tried = [why_not, f"hub {pinned}: {reason}"]
        raise UnavailableError(describe_missing_weights(entry.name, entry, tried)) from error
    return path, ModelOrigin(ModelOriginKind.HUB, f"hub {pinned}")


def check_named_shape(entry: ModelEntry, path: Path) -> None:
    """Refuse weights of another kind or shape than the published model whose name they bear."""
    list_weight_files(path)
    if (kind := read_model_kind(path)) != entry.kind:
        raise DataError(f"{path}: a {kind} checkpoint; {entry.name} is {entry.kind}")
    if entry.shape is not None:
        from bench.models.weight_headers import read_tensor_shapes

        advice = (
            f"Expected: hf download {entry.hub} --revision {entry.revision} --local-dir DIR/{entry.name}; "
            "other weights are given as --model PATH"
        )
        published = PublishedShape(entry.kind, entry.shape)
        check_published_shape(
            str(path), read_config_document(path), read_tensor_shapes(path), published, advice
        )


def find_published_entry(model: str) -> tuple[ModelEntry, Path | None]:
    """The published model that a name or a directory stands for, and the directory; ``UserError`` for others.

    A directory stands for the model of its name, else for the one whose shape it has.
    """
    published = {name: entry for name, entry in MODELS.items() if entry.pinned is not None}
    if not is_model_path(model):
        if model not in published:
            raise UnknownNameError("published model", model, published, "or a directory with one of them")
        return published[model], None
    path = resolve_model_path(model)
    if path.name in published:
        return published[path.name], path
    from bench.models.weight_headers import read_weight_headers

    list_weight_files(path)
    kind = read_model_kind(path)
    read_weight_headers(path)  # what is damaged is said, and not taken for another shape
    candidates = [entry for entry in published.values() if entry.kind == kind]
    for entry in candidates:
        with contextlib.suppress(DataError):
            check_named_shape(entry, path)
            return entry, path
    sizes = "; ".join(f"{entry.name} has {describe_shape(entry)}" for entry in candidates)
    raise UserError(f"{path}: of the shape of no published model; {sizes}. Known: {', '.join(published)}")


def describe_shape(entry: ModelEntry) -> str:
    """Layers (of one side) and width of a published model, in words."""
    sizes = entry.shape or {}
    layers, width = (
        sizes.get("n_layer", sizes.get("encoder_layers")),
        sizes.get("n_embd", sizes.get("d_model")),
    )
    return f"{layers} layers of width {width:,}"


def locate_published_files(model: str) -> PublishedFiles:
    """The files of a published model, of the shape that its name stands for, hashed; nothing is downloaded."""
    entry, path = find_published_entry(model)
    assert entry.pinned is not None  # only published models are found
    if path is None:
        path, _ = find_named_weights(entry, entry.pinned, allow_download=False)
    check_named_shape(entry, path)
    return PublishedFiles(entry.name, entry.pinned, path, digest_checkpoint(path))


def describe_missing_weights(model: str, entry: ModelEntry, tried: Sequence[str]) -> str:
    """What was ``tried`` for the weights of a named model, and what to do."""
    return (
        f"the weights of {model} could not be had. Tried: {'; '.join(tried)}. Put {', '.join(CHECKPOINT_FILES)} "
        f"into a folder DIR/{model} and set BENCH_MODELS=DIR, or give the folder as --model PATH; on a "
        f"machine with a network: hf download {entry.hub} --revision {entry.revision} "
        f"--local-dir DIR/{model}"
    )


def read_model_kind(path: Path) -> ModelKind:
    """The kind of a checkpoint whose configuration is sound; another architecture is refused, before anything heavy
    is imported."""
    from bench.models.model_config import ARCHITECTURES, read_model_config_file

    return ARCHITECTURES[read_model_config_file(path).model_type].kind


def check_weights(path: Path) -> list[str]:
    """Refuse weights that are not those of the ``config.json`` beside them; the tensors that are no part of it."""
    from bench.models.model_config import read_model_config_file
    from bench.models.weight_headers import read_weight_headers
    from bench.models.weight_layout import check_weight_layout

    return check_weight_layout(path, read_model_config_file(path), read_weight_headers(path))


def inspect_checkpoint(model: LocatedModel) -> None:
    """Refuse a checkpoint whose configuration, weights or tokenizer cannot be read; torch is not needed for it.

    A tensor that is no part of the model is left out, and said. The numbers themselves are looked at where nothing
    says what they should be.
    """
    from bench.models.model_config import read_model_config_file
    from bench.models.tokenizer_files import check_tokenizer_files
    from bench.models.weight_headers import read_weight_headers
    from bench.models.weight_layout import check_weight_layout
    from bench.models.weight_values import check_finite

    path = model.path
    if model.origin.kind is ModelOriginKind.DIRECTORY:
        check_folder_name(path)
    config, weights = read_model_config_file(path), read_weight_headers(path)
    check_tokenizer_files(path, config.vocab_size)
    if ignored := check_weight_layout(path, config, weights):
        more = f" and {len(ignored) - 1} more" if len(ignored) > 1 else ""
        print_message(
            f"{path}: {quote_foreign(ignored[0])}{more} is no part of the model: left out", important=True
        )
    if not model.verification.is_verified and model.origin.kind is not ModelOriginKind.SHIPPED:
        check_finite(weights)
