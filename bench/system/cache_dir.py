"""Where generated things are kept between commands."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """BENCH_CACHE, else ``prefix-bench`` in the user's cache folder (XDG_CACHE_HOME, else ``~/.cache``)."""
    if chosen := os.environ.get("BENCH_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "prefix-bench"
