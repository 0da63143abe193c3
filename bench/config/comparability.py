"""Why no number of the paper can stand beside a run's: a value to decide by, and the sentence to show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IncomparableKind(StrEnum):
    """What makes a run another thing than the paper's."""

    SCALE = "scale"
    PROTOCOL = "protocol"
    INVENTED_DATA = "invented-data"
    ROW_COUNTS = "row-counts"
    BACKBONE = "backbone"
    BACKBONE_NOT_VERIFIED = "backbone-not-verified"
    """The weights bear the published model's name, and nothing says that they are its weights."""
    TYPED_SETTINGS = "typed-settings"
    PARTIAL_DATA = "partial-data"
    UNFINISHED = "unfinished"
    UNSTATED = "unstated"
    """The record does not say whether it is comparable."""
    OTHER = "other"


@dataclass(frozen=True)
class Incomparable:
    """One reason."""

    kind: IncomparableKind
    text: str

    def to_json(self) -> dict[str, str]:
        """As records have it."""
        return {"kind": self.kind.value, "text": self.text}


def make_backbone_not_verified(model: str, reason: str | None) -> Incomparable:
    """That the content of a named model's weights is not known; ``reason``: why, in words."""
    because = f" ({reason})" if reason else ""
    text = f"backbone not verified{because}; `bench models verify {model}`"
    return Incomparable(IncomparableKind.BACKBONE_NOT_VERIFIED, text)


UNFINISHED = Incomparable(IncomparableKind.UNFINISHED, "the run did not finish")
