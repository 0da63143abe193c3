"""Small random checkpoints that stand in for published models, and a hub that lists what it is given."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.models import verification
from bench.models.catalogue import MODELS
from bench.models.checkpoint_files import digest_checkpoint, hash_git_blob
from bench.models.verification import FileListing, PublishedFiles, verify_with_hub
from bench.system.hub import HubFile, PinnedRepository


def list_as_hub(folder: Path, lfs: frozenset[str] = frozenset({"model.safetensors"})) -> FileListing:
    """A hub whose revision has the files of ``folder``; those in ``lfs`` by SHA-256, the others by git's SHA-1."""
    listed: Mapping[str, HubFile] = {
        name: HubFile(
            (folder / name).stat().st_size,
            hashlib.sha256((folder / name).read_bytes()).hexdigest() if name in lfs else None,
            hash_git_blob(folder / name),
        )
        for name in digest_checkpoint(folder)
    }
    return lambda _pinned: listed


def take_shape(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> None:
    """Let the published ``name`` be of the shape that ``folder`` has, with no checksums of its own."""
    entry = MODELS[name]
    assert entry.shape is not None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shape = {size: config[size] for size in entry.shape}
    monkeypatch.setitem(MODELS, name, dataclasses.replace(entry, shape=shape))
    monkeypatch.setattr(verification, "SHIPPED_CHECKSUMS", {})


def get_files(name: str, folder: Path) -> PublishedFiles:
    """The files of ``folder`` as those of the published ``name``."""
    pinned = MODELS[name].pinned
    assert isinstance(pinned, PinnedRepository)
    return PublishedFiles(name, pinned, folder, digest_checkpoint(folder))


def publish(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> None:
    """Let ``folder`` be the published ``name`` in ``BENCH_MODELS``, proven as the hub has it."""
    assert folder.name == name
    take_shape(monkeypatch, name, folder)
    monkeypatch.setenv("BENCH_MODELS", str(folder.parent))
    found, _ = verify_with_hub(get_files(name, folder), list_as_hub(folder))
    assert found.is_verified
