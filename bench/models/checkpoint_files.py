"""The files of a checkpoint directory: which of them the loader reads, what they hash to, which tensors they hold.

A run's identity rests on ``fingerprint_checkpoint``, so everything that loading reads is in it and nothing else:
a stray file beside the weights changes no run's name. What would make the loader read from another place is
refused: shard names that are not plain siblings, an adapter beside the weights, a configuration that names weights
of its own.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeGuard

from bench.errors import DataError
from bench.system.files import check_regular_file, read_bytes, sha256_text
from bench.system.json_files import parse_json
from bench.system.progress import track_progress

CHECKPOINT_FILES = ("config.json", "model.safetensors", "tokenizer files")
"""What a directory must have, in words."""
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
ADAPTER_FILE = "adapter_config.json"
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
    "additional_chat_templates/*.jinja",
)
"""What loading the tokenizer and the model may read besides configuration and weights (transformers 5)."""
SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,250}\.safetensors")
"""A plain file name beside the index; the loader would unpickle a shard of another ending."""
LARGEST_INDEX = 64 << 20  # bytes; an index of a thousand shards has some 10 MB
LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors format
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


def escape_unprintable(text: str) -> str:
    """Names from foreign files as a terminal may show them: what would steer it stands as an escape."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


# --- which files the loader reads


def list_weight_files(path: Path) -> list[Path]:
    """What the loader takes the weights from: ``model.safetensors``, or else the index and every shard it names.

    ``DataError`` where the directory is no checkpoint, or where the weights would come from another place.
    """
    if not path.is_dir():
        raise DataError(f"{path}: expected a directory with {', '.join(CHECKPOINT_FILES)}")
    if (path / CONFIG_FILE).is_file():
        if (path / ADAPTER_FILE).exists():
            raise DataError(
                f"{path / ADAPTER_FILE}: an adapter beside the weights would be loaded into them; expected a "
                "checkpoint alone: merge the adapter into the weights, or remove its files"
            )
        if (path / WEIGHTS_FILE).exists():
            return [path / WEIGHTS_FILE]
        if (path / INDEX_FILE).exists():
            return [path / INDEX_FILE, *list_shards(path)]
    others = "pytorch_model.bin (pickled weights are not read)" if list(path.glob("*.bin")) else "none"
    others = ", ".join(sorted(file.name for file in path.glob("*.safetensors"))) or others
    raise DataError(
        f"{path}: expected {CONFIG_FILE} and {WEIGHTS_FILE} (or {INDEX_FILE} with its shards); weights found: "
        f"{others}. Save with save_pretrained(..., safe_serialization=True)"
    )


def list_shards(path: Path) -> list[Path]:
    """The shards that the index of a checkpoint directory names, each a plain file beside it."""
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
    distinct_names = {name if isinstance(name, str) else repr(name) for name in names.values()}
    for name in sorted(distinct_names):
        check_shard(path, name)
    return [path / name for name in sorted(distinct_names)]


def check_shard(path: Path, name: str) -> None:
    """Refuse a shard that is not a plain file beside the index; the hub's cache links into its own blobs."""
    index, expected = path / INDEX_FILE, "expected the name of a .safetensors file beside it"
    if not SHARD_NAME.fullmatch(name):
        raise DataError(f"{index}: names the shard {name[:200]!r}; {expected}")
    shard = path / name
    if not shard.exists():
        raise DataError(f"{index}: the shard {name} is missing; {expected}")
    leads_out = shard.is_symlink() and shard.resolve().parent != path.resolve()
    if leads_out and find_hub_blob(shard) is None:
        raise DataError(f"{index}: the shard {name} is a link to another folder; {expected}, not a link")
    check_regular_file(shard)


def list_read_files(path: Path) -> list[Path]:
    """Every file of a checkpoint directory that loading reads: configuration, weights, tokenizer and its tokens."""
    sides = {file for pattern in SIDE_FILES for file in path.glob(pattern)}
    files = [path / CONFIG_FILE, *list_weight_files(path), *sorted(sides)]
    for file in files:
        check_regular_file(file)
    return files


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


# --- which tensors the weights hold


def read_tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name of a tensor -> its shape, from the headers of all weight files; no weight is read."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in list_weight_files(path):
        if file.name == INDEX_FILE:
            continue
        for name, shape in read_header(file).items():
            if name in shapes:
                raise DataError(
                    f"{file}: the tensor {name[:200]!r} is in another shard too; expected it once"
                )
            shapes[name] = shape
    return shapes


def read_header(file: Path) -> dict[str, tuple[int, ...]]:
    """Name of a tensor -> its shape, of one safetensors file; ``DataError`` where the header is not one."""
    check_regular_file(file)
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= min(LARGEST_HEADER, size - 8):
            raise DataError(f"{file}: the weights cannot be read (no header); expected a safetensors file")
        header = parse_json(file, stream.read(length))
    entries = dict(header) if isinstance(header, dict) else {"": None}
    entries.pop("__metadata__", None)
    ends = [length + 8]
    shapes = {}
    for name, entry in entries.items():
        shape, offsets = (
            (entry.get("shape"), entry.get("data_offsets")) if isinstance(entry, dict) else (None, None)
        )
        if not is_list_of_sizes(shape) or not is_list_of_sizes(offsets) or len(offsets) != 2:
            raise DataError(f"{file}: the header says no shape and place of {name[:200]!r}")
        shapes[name] = tuple(shape)
        ends.append(length + 8 + offsets[1])
    if max(ends) != size:
        raise DataError(
            f"{file}: the weights cannot be read ({size:,} bytes, the header speaks of {max(ends):,}); "
            "expected a whole safetensors file"
        )
    return shapes


def is_list_of_sizes(value: Any) -> TypeGuard[list[int]]:
    """Whether it is a list of whole numbers from 0."""
    return isinstance(value, list) and all(type(entry) is int and entry >= 0 for entry in value)
