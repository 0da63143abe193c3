"""Whether the numbers in weight files are numbers: NaN and infinities are refused before a run is begun.

A training over them would seem to diverge by its own fault. The bytes are mapped and looked at in pieces, without
torch: a floating-point number is not finite where all bits of its exponent are set.
"""

from __future__ import annotations

from pathlib import Path

from bench.errors import DataError
from bench.foreign_text import quote_foreign
from bench.models.weight_headers import WeightFiles

EXPONENTS = {
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F32": ("<u4", 0x7F80_0000),
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
}
"""Type -> the unsigned integer of its width, and the bits of the exponent."""
NUMBERS_AT_ONCE = 1 << 22


def check_finite(weights: WeightFiles) -> None:
    """``DataError`` for the first tensor with a NaN or an infinity."""
    for name, entry in weights.tensors.items():
        if entry.dtype in EXPONENTS and entry.end > entry.begin:
            kind, exponent = EXPONENTS[entry.dtype]
            if not is_finite(weights.files[name], entry.begin, entry.end, kind, exponent):
                raise DataError(
                    f"{weights.files[name]}: {quote_foreign(name)} holds NaN or an infinity; expected the weights "
                    "of a trained model"
                )


def is_finite(file: Path, begin: int, end: int, kind: str, exponent: int) -> bool:
    """Whether all numbers in the bytes from ``begin`` to ``end`` are finite."""
    import numpy as np

    width = int(kind[-1])
    with file.open("rb") as stream:
        stream.seek(begin)
        for start in range(begin, end, NUMBERS_AT_ONCE * width):
            piece = stream.read(min(NUMBERS_AT_ONCE * width, end - start))
            bits = np.frombuffer(piece, dtype=kind)
            if ((bits & exponent) == exponent).any():
                return False
    return True
