"""How far a killed run is, is read from its checkpoint's header; a damaged one says nothing, and stops nothing."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from bench.cluster.job import read_progress
from bench.store.run_dir import RunDir


def pack(header: object, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    ("content", "step"),
    [
        (pack({"__metadata__": {"progress": '{"step": 3}'}}), 3),
        (pack({"__metadata__": {"progress": '{"step": 3}'}}, 2**63), 3),  # to the end of the file
        (pack([]), None),
        (pack({"__metadata__": 5}), None),
        (pack({"__metadata__": {"progress": "[]"}}), None),
        (pack({"__metadata__": {"progress": "[" * 100_000}}), None),
        (b"1234", None),
        (b"", None),
    ],
)
def test_a_damaged_checkpoint_has_no_step(content: bytes, step: int | None, tmp_path: Path) -> None:
    folder = RunDir(tmp_path, "run")
    folder.path.mkdir()
    folder.checkpoint.write_bytes(content)
    assert json.loads(read_progress(folder)) == [[], step]
