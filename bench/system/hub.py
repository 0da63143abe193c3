"""Whether a score may fetch its checkpoint. Asking for a score may; a mini run never downloads 1.4 GB for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

allowed: ContextVar[bool] = ContextVar("downloads", default=True)


@contextlib.contextmanager
def only_if(condition: bool) -> Iterator[None]:
    """Within it, checkpoints are fetched only if ``condition`` holds; what is here already is used anyway."""
    token = allowed.set(condition)
    try:
        yield
    finally:
        allowed.reset(token)
