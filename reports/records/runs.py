"""Records as runs: which record of a run counts, which runs are alike, and what may fill a paper's cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reports.records.values import Record, plain_value

REPLICATES = ("data_seed",)
"""Settings that number repetitions of the same thing, like the seed."""


def list_incomparable(record: Record) -> list[str]:
    """Why no number of the paper can stand beside this record's; empty where one can."""
    reasons = []
    if record.get("scale") != "paper":
        reasons.append("mini" if record.get("scale") == "mini" else f"scale {record.get('scale')}")
    stated = record.get("not_comparable")
    if stated is None:
        if not reasons:
            reasons.append("the record does not say whether it is comparable")
    elif reasons:
        reasons += [
            one for one in stated if not one.startswith(("scale ", "backbone", "data of an invented"))
        ]
    else:
        reasons += stated
    if record.get("protocol") != "original" and not any("protocol" in one for one in reasons):
        reasons.append(f"protocol {record.get('protocol')}")
    limit = plain_value((record.get("settings") or {}).get("limit"))
    if limit is not None and not any("limit" in one for one in reasons):
        reasons.append(f"partial data (--limit {limit})")
    return reasons


def is_comparable(record: Record) -> bool:
    """Whether the record may fill a cell of the paper: done, at the paper's scale and by its protocol."""
    return record.get("status") == "done" and not list_incomparable(record)


@dataclass(frozen=True)
class Run:
    """A run by its record that counts: the latest that is done, else the latest attempt."""

    record: Record
    run_id: str
    seed: int
    data_seed: int | None
    status: str
    ended: str
    attempts: int
    seconds: float | None
    """Of all attempts together; None where no record says."""

    @property
    def replicate(self) -> tuple[int | None, int]:
        return self.data_seed, self.seed


@dataclass
class Profile:
    """Runs that are alike in all but seed and data seed."""

    task: str
    method: str
    model: str
    scale: str
    protocol: str
    options: dict[str, Any]
    settings: dict[str, Any]
    origins: dict[str, str]
    """Of options and settings; missing where the record keeps values only."""
    reasons: tuple[str, ...]
    """Why none of them is comparable."""
    runs: list[Run] = field(default_factory=list)

    @property
    def experiments(self) -> set[str]:
        """The experiments that prescribed settings of these runs."""
        return {name for origin in self.origins.values() for name in (experiment_of(origin),) if name}


def experiment_of(origin: str) -> str | None:
    """``figure3`` of the origin ``experiment figure3: paper §6.3``; None for other origins."""
    return origin.split(":")[0].split()[1] if origin.startswith("experiment ") else None


def select_attempts(records: Iterable[Record]) -> list[Run]:
    """One run per run id: its latest record that is done, else its latest attempt."""
    chosen: dict[str, tuple[tuple[bool, str, int], Record]] = {}
    attempts: Counter[str] = Counter()
    seconds: dict[str, float] = {}
    for number, record in enumerate(records):
        run_id = str(record.get("run_id") or f"record {number}")
        attempts[run_id] += 1
        spent = (record.get("seconds") or {}).get("attempt")
        if spent is not None and not record.get("scored"):  # scored again: it repeats what the attempt took
            seconds[run_id] = seconds.get(run_id, 0.0) + float(spent)
        rank = (record.get("status") == "done", read_end_time(record), number)
        if run_id not in chosen or rank > chosen[run_id][0]:
            chosen[run_id] = (rank, record)
    return [
        Run(
            record=record,
            run_id=run_id,
            seed=int(record["seed"]),
            data_seed=plain_value((record.get("settings") or {}).get("data_seed")),
            status=str(record["status"]),
            ended=read_end_time(record),
            attempts=attempts[run_id],
            seconds=seconds.get(run_id),
        )
        for run_id, (_, record) in chosen.items()
    ]


def read_end_time(record: Record) -> str:
    return str(record.get("ended") or record.get("started") or "")


def find_failure_kind(run: Run) -> str:
    """``out-of-memory``, ``time-out``, ``cancelled``, ...: how a run ended that was never done."""
    if run.status == "cancelled":
        return "cancelled"
    return str((run.record.get("error") or {}).get("kind") or "error")
