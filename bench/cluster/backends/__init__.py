"""The clusters that jobs can be submitted to: one file each, found by being there.

``base.py`` says what a backend is. May import the rest of ``bench.cluster`` and what that may import. To add one,
write a file with a class derived from ``Backend``: `bench submit --cluster NAME` finds it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import partial

from bench.cluster.backends.base import DEFAULT_BACKEND, Answer, Backend, JobPhase, JobState
from bench.errors import UnknownNameError, UserError
from bench.system.isolation import GuestError, UnfitGuestError, call_guest

__all__ = ["DEFAULT_BACKEND", "Answer", "Backend", "JobPhase", "JobState", "get_backend", "list_backends"]


def get_backend(name: str) -> Backend:
    """The backend called ``name``; ``UnknownNameError`` lists all, and a file that is broken says why."""
    backends, broken = _discover_backends()
    if name in broken:
        raise UserError(
            f"cluster {name!r} cannot be used: bench/cluster/backends/{name}.py is broken: {broken[name]}"
        )
    if name not in backends:
        raise UnknownNameError("cluster", name, backends)
    return backends[name]


def list_backends() -> list[str]:
    """The names of all backends that can be used."""
    return sorted(_discover_backends()[0])


def _discover_backends() -> tuple[dict[str, Backend], dict[str, str]]:
    """The backends by name, and the files that cannot be used, by their stem, each with its cause."""
    backends: dict[str, Backend] = {}
    broken: dict[str, str] = {}
    for info in pkgutil.iter_modules(__path__):
        try:
            for backend in call_guest(partial(_load_backends, info.name)):
                backends.setdefault(backend.name, backend)
        except GuestError as error:
            broken[info.name] = error.cause
    return backends, broken


def _load_backends(module_name: str) -> list[Backend]:
    module = importlib.import_module(f"{__name__}.{module_name}")
    backends: list[Backend] = []
    for value in vars(module).values():
        is_class = isinstance(value, type) and issubclass(value, Backend)
        if is_class and value.__module__ == module.__name__ and not inspect.isabstract(value):
            backend = value()
            for attribute in ("name", "summary"):
                if not isinstance(getattr(backend, attribute, None), str):
                    raise UnfitGuestError(f"class {value.__name__} has no text as `{attribute}`")
            backends.append(backend)
    return backends
