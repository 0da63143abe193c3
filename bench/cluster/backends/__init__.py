"""The clusters that jobs can be submitted to: one file each, found by being there.

``base.py`` says what a backend is. May import the rest of ``bench.cluster`` and what that may import. To add one,
write a file with a class derived from ``Backend``: `bench submit --cluster NAME` finds it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from bench.cluster.backends.base import DEFAULT_BACKEND, Answer, Backend, JobPhase, JobState
from bench.errors import UnknownNameError

__all__ = ["DEFAULT_BACKEND", "Answer", "Backend", "JobPhase", "JobState", "get_backend", "list_backends"]


def get_backend(name: str) -> Backend:
    """The backend called ``name``; ``UnknownNameError`` lists all."""
    backends = _discover_backends()
    if name not in backends:
        raise UnknownNameError("cluster", name, backends)
    return backends[name]


def list_backends() -> list[str]:
    """The names of all backends."""
    return sorted(_discover_backends())


def _discover_backends() -> dict[str, Backend]:
    backends: dict[str, Backend] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for value in vars(module).values():
            is_class = isinstance(value, type) and issubclass(value, Backend)
            if is_class and value.__module__ == module.__name__ and not inspect.isabstract(value):
                backends[value.name] = value()
    return backends
