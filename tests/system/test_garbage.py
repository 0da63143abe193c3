"""Pausing the search for cycles: on again afterwards, whatever happened, and off where it was off."""

from __future__ import annotations

import gc

import pytest

from bench.system.garbage import pause_garbage_collection


def test_the_search_is_paused_and_goes_on() -> None:
    with pause_garbage_collection():
        assert not gc.isenabled()
        with pause_garbage_collection():
            pass
        assert not gc.isenabled()  # who paused it first decides
    assert gc.isenabled()
    with pytest.raises(ValueError, match="no"), pause_garbage_collection():
        raise ValueError("no")
    assert gc.isenabled()
