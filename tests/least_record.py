"""The least that a record must have to be read (``bench.store.record``), for tests of what keeps records."""

from __future__ import annotations

from typing import Any


def least(status: str = "done", **more: Any) -> dict[str, Any]:
    """A record as ``RunDir.write_record`` takes it; ``more`` adds fields or replaces them."""
    made: dict[str, Any] = {
        "status": status,
        "task": "webnlg",
        "method": "prefix",
        "model": "mini-gpt2",
        "scale": "mini",
        "protocol": "original",
        "seed": 101,
        "options": {},
        "settings": {},
        "ended": "2026-01-01T00:00:00.000000+00:00",
    }
    if status == "done":
        made["scores"] = {"all": {}}
        made["training"] = None
        made["parameters"] = {"trained": 1, "stored": 1, "backbone": 1}
        made["decoding"] = {"items": 1, "seconds": 1.0}
        made["seconds"] = {"attempt": 1.0}
    if status == "failed":
        made["error"] = {"kind": "out-of-memory", "message": "no room"}
    return {**made, **more}
