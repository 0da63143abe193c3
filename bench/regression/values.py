"""What the regression check compares: values of a kind each, and fingerprints of what must not be stored as text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from bench.system.json_files import JsonObject, to_canonical_json

Tokens = Sequence[int]


class ValueKind(StrEnum):
    """What a value is; the rule of its band follows from it (``reference.compute_half_width``)."""

    LOSS = "loss"
    """Of one update or a mean of some, in nats."""
    GRADIENT_NORM = "gradient norm"
    """Before clipping."""
    DEV_LOSS = "dev loss"
    """Per target token, in nats."""
    OUTPUT_SHARE = "share of identical outputs"
    """Of tokens or texts that are the reference's, 1 in the reference itself."""
    SCORE = "score"
    """Of a run's outputs."""
    SCORER = "score of fixed texts"
    COUNT = "count"
    FINGERPRINT = "fingerprint"
    """Of token ids, rules or items: the beginning of a SHA-256."""
    GOLDEN = "golden values"
    """``passed`` where a scorer gives the known values for its golden outputs."""


EXACT: Final = frozenset({ValueKind.COUNT, ValueKind.FINGERPRINT, ValueKind.GOLDEN})
"""Nothing may legitimately change them."""
Plain = float | str


class MeasuredValue(NamedTuple):
    """A value of a run."""

    kind: ValueKind
    value: Plain


@dataclass(frozen=True)
class OutputFingerprints:
    """The outputs of a run without their text: a hash of a byte per token, and of two bytes per text.

    Both are base64; ``tokens`` has the items apart by blanks. A byte is equal by chance once in 256.
    """

    tokens: str = ""
    texts: str = ""

    def to_json(self) -> JsonObject:
        return {"tokens": self.tokens, "texts": self.texts}


@dataclass(frozen=True)
class Measurement:
    """What a case came to: its values, its outputs, its seconds, and the text of its failure ("" if none)."""

    values: Mapping[str, MeasuredValue] = field(default_factory=dict)
    outputs: OutputFingerprints = field(default_factory=OutputFingerprints)
    seconds: float = 0.0
    failure: str = ""

    def to_json(self) -> JsonObject:
        """As one process hands it to another."""
        return {
            "values": {name: [value.kind.value, value.value] for name, value in self.values.items()},
            "outputs": self.outputs.to_json(),
            "seconds": self.seconds,
            "failure": self.failure,
        }


def read_measurement(document: Mapping[str, Any]) -> Measurement:
    """The inverse of ``Measurement.to_json``."""
    values = {
        name: MeasuredValue(ValueKind(kind), value) for name, (kind, value) in document["values"].items()
    }
    outputs = OutputFingerprints(**document["outputs"])
    return Measurement(values, outputs, document["seconds"], document["failure"])


def compute_fingerprint(document: Any) -> str:
    """16 hexadecimal digits of the SHA-256 over plain values."""
    return hashlib.sha256(to_canonical_json(document).encode()).hexdigest()[:16]


def _encode_bytes(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii").rstrip("=")


def _decode_bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


def fingerprint_outputs(outputs: Sequence[Tokens], texts: Sequence[str]) -> OutputFingerprints:
    """A byte per token, of the hash of its id, its position and its item's number; two per text."""
    rows = (
        bytes(
            hashlib.sha256(f"{item}/{position}/{token}".encode()).digest()[0]
            for position, token in enumerate(tokens)
        )
        for item, tokens in enumerate(outputs)
    )
    hashed = b"".join(
        hashlib.sha256(f"{item}/{text}".encode()).digest()[:2] for item, text in enumerate(texts)
    )
    return OutputFingerprints(" ".join(map(_encode_bytes, rows)), _encode_bytes(hashed))


def compute_token_share(reference: str, measured: str) -> float:
    """Which share of the positions of either has the same token."""
    expected, actual = ([_decode_bytes(row) for row in text.split(" ")] for text in (reference, measured))
    if len(expected) != len(actual):
        return 0.0
    total = sum(max(len(a), len(b)) for a, b in zip(expected, actual, strict=True))
    same = sum(sum(map(int.__eq__, a, b)) for a, b in zip(expected, actual, strict=True))
    return same / total if total else 1.0


def compute_text_share(reference: str, measured: str) -> float:
    """Which share of the items has the same text."""
    expected, actual = _decode_bytes(reference), _decode_bytes(measured)
    if len(expected) != len(actual):
        return 0.0
    same = sum(expected[i : i + 2] == actual[i : i + 2] for i in range(0, len(expected), 2))
    return same / (len(expected) // 2) if expected else 1.0


def compute_shares(reference: OutputFingerprints, measured: OutputFingerprints) -> dict[str, MeasuredValue]:
    """The outputs beside the reference's, as values; none where the reference has no outputs."""
    if not reference.tokens:
        return {}
    shares = {
        "identical output tokens": compute_token_share(reference.tokens, measured.tokens),
        "identical output texts": compute_text_share(reference.texts, measured.texts),
    }
    return {name: MeasuredValue(ValueKind.OUTPUT_SHARE, share) for name, share in shares.items()}
