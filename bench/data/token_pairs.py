"""The tokens of a training set: encoded some rows at a time, kept as numbers of four bytes, mapped from a file.

A list of Python lists takes some 20 times the memory, and the tokenizer's own results more: for XSum's 204,045
articles that is more than a workstation has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, overload

from bench.data.encoding import Pair
from bench.system.files import explain_storage_error

if TYPE_CHECKING:
    import numpy

MEMORY_BYTES = 64 << 20
"""What stays in memory; a larger training set is mapped from a file."""


class TokenPairs(Sequence[Pair]):
    """``pairs[i]`` is (source ids, target ids) as lists; a slice is a list of pairs."""

    def __init__(self, ids: numpy.ndarray, offsets: numpy.ndarray, truncated: int) -> None:
        self._ids = ids
        """All ids in order, int32."""
        self._offsets = offsets
        """int64, of shape (2 rows + 1): where each source and each target begins, and where the last one ends."""
        self.truncated = truncated
        """How many rows had to be cut."""

    def __len__(self) -> int:
        return len(self._offsets) // 2

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...

    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]  # an IndexError where there is none, and from the end where negative
        start, middle, end = self._offsets[2 * row : 2 * row + 3].tolist()
        return self._ids[start:middle].tolist(), self._ids[middle:end].tolist()


def store_pairs(chunks: Iterable[tuple[Sequence[Pair], int]], folder: Path) -> TokenPairs:
    """The pairs of all ``chunks``, each with the number of its rows that were cut.

    From `MEMORY_BYTES` on they are in a file without a name in ``folder``, which the system removes when the
    process ends, however it ends. Raises ``StorageError`` where the disk is full.
    """
    import numpy

    buffers: list[numpy.ndarray] = []
    lengths: list[numpy.ndarray] = []
    size = truncated = 0
    file: IO[bytes] | None = None
    ids: numpy.ndarray
    try:
        for pairs, cut in chunks:
            sides = list(chain.from_iterable(pairs))
            lengths.append(numpy.fromiter(map(len, sides), numpy.int64, len(sides)))
            total = int(lengths[-1].sum())
            buffers.append(numpy.fromiter(chain.from_iterable(sides), numpy.int32, total))
            size, truncated = size + total, truncated + cut
            if file is None and 4 * size > MEMORY_BYTES:
                folder.mkdir(parents=True, exist_ok=True)
                file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed below
            if file is not None:
                file.writelines(buffer.data for buffer in buffers)
                buffers.clear()
        if file is not None:
            file.flush()
            ids = numpy.memmap(file, numpy.int32, "r")  # it stays mapped when the file is closed
        else:
            ids = numpy.concatenate([numpy.zeros(0, numpy.int32), *buffers])
    except OSError as error:
        raise explain_storage_error(folder / "tokens", error) or error from error
    finally:
        if file is not None:
            file.close()
    offsets = numpy.concatenate([[0], *lengths]).astype(numpy.int64).cumsum()
    return TokenPairs(ids, offsets, truncated)
