"""The files of a checkpoint directory: which of them the loader reads, what they hash to, which tensors they hold.

A run's identity rests on ``fingerprint_checkpoint``, so everything that loading reads is in it and nothing else:
a stray file beside the weights changes no run's name. What would make the loader read from another place is
refused: shard names that are not plain siblings, an adapter beside the weights, a configuration that names weights
of its own.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bench.errors import DataError
from bench.foreign_text import quote_foreign, show_foreign
from bench.system.files import check_regular_file, read_bytes, sha256_text
from bench.system.json_files import parse_json
from bench.system.progress import track_progress

CHECKPOINT_FILES = ("config.json", "model.safetensors", "tokenizer files")
"""What a directory must have, in words."""
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
ADAPTER_FILE = "adapter_config.json"
TEMPLATE_FOLDER = "additional_chat_templates"
SIDE_FILES = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.*.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "*.model",
    "*.spm",
    "*.tiktoken",
    "tekken.json",
    "chat_template.jinja",
    "chat_template.json",
    f"{TEMPLATE_FOLDER}/*.jinja",
)
"""What loading the tokenizer and the model may read besides configuration and weights (transformers 5)."""
SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}\.safetensors")
"""A plain file name beside the index; the loader would unpickle a shard of another ending."""
SHARD_EXPECTED = "expected the name of a .safetensors file beside it"
LARGEST_INDEX = 64 << 20  # bytes; an index of a thousand shards has some 10 MB
CHUNK = 1 << 22  # bytes read at once
LONG = 256 << 20  # bytes; hashing more than this shows its progress


class FileDigest(NamedTuple):
    """What a file holds: ``size`` in bytes."""

    sha256: str
    size: int


class FileIdentity(NamedTuple):
    """What tells that a file is still the one that was hashed; ``modified`` and ``changed`` in nanoseconds."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


_digests: dict[FileIdentity, str] = {}
"""SHA-256 of files that this process has hashed. Kept on disk, it could be wrong about a file that came back."""


# --- which files the loader reads


def list_weight_files(path: Path) -> list[Path]:
    """What the loader takes the weights from: ``model.safetensors``, or else the index and every shard it names.

    ``DataError`` where the directory is no checkpoint, or where the weights would come from another place.
    """
    names = list_names(path)
    if CONFIG_FILE in names:
        if ADAPTER_FILE in names:
            raise DataError(
                f"{path / ADAPTER_FILE}: an adapter beside the weights would be loaded into them; expected a "
                "checkpoint alone: merge the adapter into the weights, or remove its files"
            )
        if WEIGHTS_FILE in names:
            return [path / WEIGHTS_FILE]
        if INDEX_FILE in names:
            return [path / INDEX_FILE, *list_shards(path)]
    pickled = any(name.endswith(".bin") for name in names)
    others = "pytorch_model.bin (pickled weights are not read)" if pickled else "none"
    weights = sorted(name for name in names if name.endswith(".safetensors"))
    others = show_foreign(", ".join(weights)) or others
    raise DataError(
        f"{path}: expected {CONFIG_FILE} and {WEIGHTS_FILE} (or {INDEX_FILE} with its shards); weights found: "
        f"{others}. Save with save_pretrained(..., safe_serialization=True)"
    )


def is_directory(path: Path | str) -> bool:
    """Whether it is one; ``Path.is_dir`` raises where a name is too long or a part of the path may not be entered."""
    try:
        return os.path.isdir(path)  # noqa: PTH112
    except ValueError:  # half a surrogate pair
        return False


def list_names(path: Path) -> set[str]:
    """The names in a checkpoint directory; ``DataError`` where it is none or cannot be listed."""
    if not is_directory(path):
        raise DataError(f"{path}: expected a directory with {', '.join(CHECKPOINT_FILES)}")
    try:
        return set(os.listdir(path))  # noqa: PTH208 - names are all that is needed
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); expected a directory with {', '.join(CHECKPOINT_FILES)}"
        ) from error


def read_weight_map(path: Path) -> dict[str, str]:
    """Name of a tensor -> name of its shard, as the index of a checkpoint directory says; the shards are not read."""
    index = path / INDEX_FILE
    check_regular_file(index)
    if index.stat().st_size > LARGEST_INDEX:
        raise DataError(
            f"{index}: {index.stat().st_size:,} bytes; expected an index of at most {LARGEST_INDEX:,}"
        )
    document = parse_json(index, read_bytes(index))
    parts = document if isinstance(document, dict) else {}
    names, metadata = parts.get("weight_map"), parts.get("metadata")
    if not isinstance(names, dict) or not names or not isinstance(metadata, dict):
        raise DataError(
            f"{index}: not an index of weights; expected metadata, and weight_map with a shard's name per tensor"
        )
    for tensor, shard in names.items():
        if not isinstance(shard, str) or not SHARD_NAME.fullmatch(shard):
            raise DataError(
                f"{index}: names the shard {quote_foreign(shard)} for {quote_foreign(tensor)}; {SHARD_EXPECTED}"
            )
    return names


def list_shards(path: Path) -> list[Path]:
    """The shards that the index of a checkpoint directory names, each a plain file beside it."""
    shards = sorted(set(read_weight_map(path).values()))
    for name in shards:
        check_shard(path, name)
    return [path / name for name in shards]


def check_shard(path: Path, name: str) -> None:
    """Refuse a shard that is not a plain file beside the index; the hub's cache links into its own blobs."""
    index, shard = path / INDEX_FILE, path / name
    if not shard.exists() and not shard.is_symlink():
        raise DataError(f"{index}: the shard {show_foreign(name)} is missing; {SHARD_EXPECTED}")
    check_regular_file(shard)
    leads_out = shard.is_symlink() and shard.resolve().parent != path.resolve()
    if leads_out and find_hub_blob(shard) is None:
        raise DataError(
            f"{index}: the shard {name} is a link to another folder; {SHARD_EXPECTED}, not a link"
        )


def list_read_files(path: Path) -> list[Path]:
    """Every file of a checkpoint directory that loading reads: configuration, weights, tokenizer and its tokens."""
    files = [path / CONFIG_FILE, *list_weight_files(path), *list_side_files(path)]
    for file in files:
        check_regular_file(file)
    return files


def list_side_files(path: Path) -> list[Path]:
    """What a directory has of ``SIDE_FILES``, links that lead nowhere and what is no file among them."""
    names = list_names(path)
    if TEMPLATE_FOLDER in names and is_directory(path / TEMPLATE_FOLDER):
        names |= {
            f"{TEMPLATE_FOLDER}/{name}"
            for name in list_names(path / TEMPLATE_FOLDER)
            if name.endswith(".jinja")
        }
    matching = {name for pattern in SIDE_FILES for name in fnmatch.filter(names, pattern)}
    return sorted(path / name for name in matching)


def find_hub_blob(file: Path) -> str | None:
    """The name of the blob that a file of the hub's cache links to, ``snapshots/REVISION/x -> blobs/NAME``.

    The cache names a blob by its SHA-256 where the hub keeps the file in LFS, else by git's SHA-1 of it.
    None for what is not laid out like that.
    """
    if not file.is_symlink():
        return None
    folder = file.parent.resolve()
    target = Path(os.path.normpath(folder / file.readlink()))
    if folder.parent.name != "snapshots" or target.parent != folder.parent.parent / "blobs":
        return None
    return target.name


# --- what they hash to


def fingerprint_checkpoint(path: Path) -> str:
    """SHA-256 over names, sizes and contents of all files that loading the checkpoint directory reads."""
    return fingerprint_digests(digest_checkpoint(path))


def fingerprint_digests(digests: Mapping[str, FileDigest]) -> str:
    """SHA-256 over the names, sizes and hashes of files."""
    lines = (f"{name}\t{digest.size}\t{digest.sha256}\n" for name, digest in sorted(digests.items()))
    return sha256_text("".join(lines))


def digest_checkpoint(path: Path) -> dict[str, FileDigest]:
    """File name, relative to the directory -> what it holds, for all files that loading reads."""
    return {file.relative_to(path).as_posix(): digest_file(file) for file in list_read_files(path)}


def digest_file(file: Path) -> FileDigest:
    """What a file holds, hashed once per process as long as its size, times and inode stay."""
    try:
        with file.open("rb") as stream:
            identity = identify_file(os.fstat(stream.fileno()))
            if identity not in _digests:
                digest = hashlib.sha256()
                for chunk in read_with_progress(stream, identity.size, f"hashing {file.name}"):
                    digest.update(chunk)
                if identify_file(os.fstat(stream.fileno())) != identity:
                    raise DataError(
                        f"{file}: changed while it was read; expected a file that is not written to"
                    )
                _digests[identity] = digest.hexdigest()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); expected a file") from error
    return FileDigest(_digests[identity], identity.size)


def identify_file(status: os.stat_result) -> FileIdentity:
    return FileIdentity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def read_with_progress(stream: BinaryIO, size: int, label: str) -> Iterable[bytes]:
    """The content in chunks; a file that takes seconds says how far it is."""
    if size < LONG:
        yield from iter(lambda: stream.read(CHUNK), b"")
        return
    with track_progress(-(-size // (1 << 20)), label, "MiB") as progress:
        while chunk := stream.read(CHUNK):
            yield chunk
            progress.advance(-(-len(chunk) // (1 << 20)))


def hash_git_blob(file: Path) -> str:
    """Git's SHA-1 of a file's content, as the hub names files that it does not keep in LFS."""
    with file.open("rb") as stream:
        digest = hashlib.sha1(b"blob %d\0" % os.fstat(stream.fileno()).st_size, usedforsecurity=False)
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
