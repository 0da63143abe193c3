"""Tokens of a training set: in memory or mapped from a file, the same pairs."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from bench.data import token_pairs
from bench.data.token_pairs import store_pairs

CHUNKS = [([([1, 2, 0], [3, 0]), ([4], [])], 1), ([], 0), ([([5, 50_256], [6, 7])], 2)]
PAIRS = [([1, 2, 0], [3, 0]), ([4], []), ([5, 50_256], [6, 7])]


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_pairs_are_those_that_were_stored(
    tmp_path: Path, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_pairs, "MEMORY_BYTES", memory)
    pairs = store_pairs(iter(CHUNKS), tmp_path / "run")
    assert (len(pairs), pairs.truncated) == (3, 3)
    assert list(pairs) == PAIRS
    assert pairs[-1] == PAIRS[-1] and pairs[1:] == PAIRS[1:] and pairs[5:] == []
    with pytest.raises(IndexError):
        pairs[3]
    assert all(type(token) is int for source, target in pairs for token in (*source, *target))
    gc.collect()
    assert not list(tmp_path.rglob("*.*")), "nothing with a name is left, or ever was"


def test_no_rows(tmp_path: Path) -> None:
    pairs = store_pairs([], tmp_path)
    assert (list(pairs), len(pairs), pairs.truncated) == ([], 0, 0)
