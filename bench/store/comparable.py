"""Whether a record may stand beside a number of the paper, decided by values in one place for all readers."""

from __future__ import annotations

from bench.config.comparability import Incomparable, IncomparableKind
from bench.store.record import Record, RunStatus

_OF_SCALE = frozenset({IncomparableKind.SCALE, IncomparableKind.BACKBONE, IncomparableKind.INVENTED_DATA})
"""What goes without saying of a run at another scale than the paper's."""


def list_incomparable(record: Record) -> list[Incomparable]:
    """Why no number of the paper can stand beside this record's; empty where one can.

    What the run stated, and what its scale, protocol and settings say even where that list forgot it.
    """
    reasons: list[Incomparable] = []
    if record.scale != "paper":
        text = "mini" if record.scale == "mini" else f"scale {record.scale}"
        reasons.append(Incomparable(IncomparableKind.SCALE, text))
    if record.incomparable is not None:
        covered = _OF_SCALE if reasons else frozenset()
        stated = (entry for entry in record.incomparable if entry.kind not in covered)
        reasons += [Incomparable(entry.kind, entry.text) for entry in stated]
    elif not reasons:
        text = "the record does not say whether it is comparable"
        reasons.append(Incomparable(IncomparableKind.UNSTATED, text))
    kinds = {reason.kind for reason in reasons}
    if record.protocol != "original" and IncomparableKind.PROTOCOL not in kinds:
        reasons.append(Incomparable(IncomparableKind.PROTOCOL, f"protocol {record.protocol}"))
    limit = record.settings.get("limit")
    if limit is not None and limit.value is not None:
        named = limit.typed and IncomparableKind.TYPED_SETTINGS in kinds  # among the typed settings
        if not named and IncomparableKind.PARTIAL_DATA not in kinds:
            text = f"partial data (--limit {limit.value})"
            reasons.append(Incomparable(IncomparableKind.PARTIAL_DATA, text))
    return reasons


def is_comparable(record: Record) -> bool:
    """Whether the record may fill a cell of the paper: done, at the paper's scale and by its protocol."""
    return record.status is RunStatus.DONE and not list_incomparable(record)
