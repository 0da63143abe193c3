"""Named random generators: every random draw of a run comes from (seed, name), never from a global state.

So the draws of one purpose do not depend on how many draws another purpose made, on the number of
workers or on where a killed run was resumed: the data order of epoch 3 is a function of the seed and
of "order/3" alone.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(seed: int, name: str) -> int:
    """A 63-bit seed for the purpose ``name`` of a run with ``seed``; the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def make_generator(seed: int, name: str) -> torch.Generator:
    """A CPU ``torch.Generator`` for the purpose ``name``."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, name))


@contextlib.contextmanager
def seed_globally(seed: int, name: str) -> Iterator[None]:
    """Run a block with torch's global generators seeded for ``name``, and put the CPU one back after.

    For code that offers no generator argument: module initialisers and dropout.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, name))
        yield


def draw_permutation(seed: int, name: str, size: int) -> list[int]:
    """A random order of ``range(size)``."""
    import torch

    order: list[int] = torch.randperm(size, generator=make_generator(seed, name)).tolist()
    return order
