"""Repositories on the Hugging Face hub, each pinned to one revision, and whether they may be downloaded now.

Only what is named in ``files`` is ever fetched: configurations, safetensors and tokenizers, no pickles and
no code. A folder of the user's own (``BENCH_MODELS/<name>``) comes before the hub.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.system.paths import find_broken_link

TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
SIDE_FILES = (
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""What a repository may have beside, and loading reads."""
SNAPSHOT_FILES = ("config.json", "model.safetensors", *TOKENIZER_FILES, *SIDE_FILES)
ANSWER_SECONDS = 2.0  # how long the hub may take to answer at all
LISTING_SECONDS = 30.0  # how long the hub may take to list a revision's files

downloads_allowed: ContextVar[bool] = ContextVar("downloads_allowed", default=True)
"""Whether a score may fetch its checkpoint. Asking for a score may; a mini run never downloads 1.4 GB for one."""


@dataclass(frozen=True)
class PinnedRepository:
    """A repository at one revision: ``facebook/bart-large`` at a commit's full SHA-1."""

    repository: str
    revision: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}"


class HubFile(NamedTuple):
    """A file of a revision as the hub lists it: ``size`` in bytes; ``sha256`` of what it keeps in LFS, ``git_sha1``
    (of git's blob) of what it does not."""

    size: int | None
    sha256: str | None
    git_sha1: str | None


@contextlib.contextmanager
def allow_downloads(condition: bool) -> Iterator[None]:
    """Within it, checkpoints are fetched only if ``condition`` holds; what is here already is used anyway."""
    token = downloads_allowed.set(condition)
    try:
        yield
    finally:
        downloads_allowed.reset(token)


def find_local_folder(name: str) -> tuple[Path | None, str]:
    """The folder ``BENCH_MODELS/<name>``; or None, and in words why there is none."""
    if not (models := os.environ.get("BENCH_MODELS")):
        return None, "BENCH_MODELS is not set"
    path = Path(os.path.expanduser(models)) / name  # noqa: PTH111 - it leaves what is no user's name as it is
    if os.path.isdir(path):  # noqa: PTH112 - it never raises
        return path, ""
    return None, f"BENCH_MODELS: {find_broken_link(path) or f'no folder {path}'}"


@functools.lru_cache(maxsize=1)
def is_reachable() -> bool:
    """Whether anything answers where the hub is; asked once. Its client alone tries for 23 s to find out."""
    from urllib.request import getproxies

    from huggingface_hub import constants

    if getproxies():  # which looks the name up itself
        return True
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    answers: list[bool] = []

    def connect() -> None:
        with contextlib.suppress(OSError), socket.create_connection((address.hostname, port), ANSWER_SECONDS):
            answers.append(True)

    thread = threading.Thread(target=connect, daemon=True)  # looking a name up has no time limit of its own
    thread.start()
    thread.join(ANSWER_SECONDS)
    return bool(answers)


def fetch_snapshot(
    pinned: PinnedRepository, allow_download: bool, files: tuple[str, ...] = SNAPSHOT_FILES
) -> Path:
    """The pinned snapshot in the hub's cache, downloaded if needed and allowed; else whatever the hub raises."""
    from huggingface_hub import snapshot_download

    # Retries are its own affair; what finally went wrong is said in one message.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    patterns = list(files)
    try:
        path = Path(
            snapshot_download(
                pinned.repository, revision=pinned.revision, allow_patterns=patterns, local_files_only=True
            )
        )
        if not allow_download or list(path.glob("*.safetensors")):
            return path  # else only a part of it was ever fetched: a tokenizer to count with
    except Exception:
        if not allow_download:
            raise
    return Path(snapshot_download(pinned.repository, revision=pinned.revision, allow_patterns=patterns))


def fetch_file_list(pinned: PinnedRepository) -> dict[str, HubFile]:
    """File name -> what the hub says of it at the pinned revision; raises what its client raises."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(
        pinned.repository, revision=pinned.revision, files_metadata=True, timeout=LISTING_SECONDS
    )
    return {
        file.rfilename: HubFile(file.size, file.lfs.sha256 if file.lfs else None, file.blob_id)
        for file in info.siblings or []
    }
