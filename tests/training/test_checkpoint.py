"""Files of tensors: what a damaged one says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.errors import DataError
from bench.training.checkpoint import load_tensors, save_tensors


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    save_tensors(tmp_path / "some.safetensors", {"weight": torch.arange(6.0)}, {"run": "some"})
    content = load_tensors(tmp_path / "some.safetensors")
    assert torch.equal(content.tensors["weight"], torch.arange(6.0))
    assert content.metadata == {"run": "some"}


def test_a_damaged_file_says_what_its_reader_advises(tmp_path: Path) -> None:
    damaged = tmp_path / "parameters.safetensors"
    damaged.write_bytes(b"half")
    with pytest.raises(DataError, match=r"expected a whole safetensors file .*; delete it to start over"):
        load_tensors(damaged)
    with pytest.raises(DataError, match=r"\); issue the command again$"):
        load_tensors(damaged, "issue the command again")
