"""Whether a record may stand beside a number of the paper, decided by values in one place for all readers."""

from __future__ import annotations

from bench.config.comparability import Incomparable, IncomparableKind, make_backbone_not_verified
from bench.models.verification import VerificationStatus
from bench.store.record import Record, RunStatus

_OF_BACKBONE = frozenset({IncomparableKind.BACKBONE, IncomparableKind.BACKBONE_NOT_VERIFIED})
_OF_SCALE = _OF_BACKBONE | {IncomparableKind.SCALE, IncomparableKind.INVENTED_DATA}
"""What goes without saying of a run at another scale than the paper's."""


def list_incomparable(record: Record) -> list[Incomparable]:
    """Why no number of the paper can stand beside this record's; empty where one can.

    What the run stated, and what its scale, backbone, protocol and settings say even where that list forgot it.
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
    if not is_backbone_verified(record) and not kinds & _OF_SCALE:
        verification = record.model_verification
        why = "the record does not say what the weights were" if verification is None else verification.reason
        reasons.append(make_backbone_not_verified(record.model, why))
    if record.protocol != "original" and IncomparableKind.PROTOCOL not in kinds:
        reasons.append(Incomparable(IncomparableKind.PROTOCOL, f"protocol {record.protocol}"))
    limit = record.settings.get("limit")
    if limit is not None and limit.value is not None:
        named = limit.typed and IncomparableKind.TYPED_SETTINGS in kinds  # among the typed settings
        if not named and IncomparableKind.PARTIAL_DATA not in kinds:
            text = f"partial data (--limit {limit.value})"
            reasons.append(Incomparable(IncomparableKind.PARTIAL_DATA, text))
    return reasons


def is_backbone_verified(record: Record) -> bool:
    """Whether the record says that the backbone's weights were the published ones."""
    verification = record.model_verification
    return verification is not None and verification.status is VerificationStatus.VERIFIED


def is_comparable(record: Record) -> bool:
    """Whether the record may fill a cell of the paper: done, at the paper's scale and by its protocol."""
    return record.status is RunStatus.DONE and not list_incomparable(record)
