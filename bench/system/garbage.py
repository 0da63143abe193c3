"""Python's search for reference cycles, put off while very many objects are made that all stay.

Reading 10,000 records makes three million objects; each time a share of them is new, the collector walks all of them
and finds nothing: 5.8 s instead of 2.8 s.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """No search for cycles inside; what is not in a cycle is freed as always."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def exempt_existing_objects() -> None:
    """Never search what is there now for cycles: for a command that keeps what it has read until it ends."""
    gc.freeze()
