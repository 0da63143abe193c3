"""Which submitted or stored runs a verb acts on: names, or properties, or both (all must fit)."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import registry
from bench.cluster.post_mortem import EXPLANATIONS
from bench.cluster.rows import HELD, RunRow, RunState
from bench.errors import FailureKind, UnknownNameError, UserError
from bench.store.store import matches_run_name


@dataclass(frozen=True)
class RunSelector:
    """Empty fields fit every run."""

    names: tuple[str, ...] = ()
    launch: str | None = None
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    everything: bool = False

    @property
    def empty(self) -> bool:
        return not (self.names or self.launch or self.fields or self.everything)

    def pick_rows(self, rows: Sequence[RunRow]) -> list[RunRow]:
        """The rows that fit; ``UserError`` for a name that none has, be it a run's or a task's."""
        for name in self.names:
            if not name.strip():  # an unset variable, most likely
                raise UserError("an empty name of a run was given; type a name, or leave it out")
            if not any(is_named(row, name) for row in rows):
                raise UnknownNameError(
                    "run", name, [row.run_id for row in rows], "bench status lists the runs"
                )
        for field, values in self.fields:
            if field in VALID_NAMES:
                valid = {
                    *VALID_NAMES[field](),
                    *(str(getattr(row, field)) for row in rows if getattr(row, field)),
                }
                for value in values:
                    if value not in valid:
                        raise UnknownNameError(field, value, valid)
        return [row for row in rows if self.matches(row)]

    def matches(self, row: RunRow) -> bool:
        if self.names and not any(is_named(row, name) for name in self.names):
            return False
        if self.launch is not None and row.launch != self.launch:
            return False
        return all(str(getattr(row, field)) in values for field, values in self.fields)


def is_named(row: RunRow, name: str) -> bool:
    """By the run's name, its beginning or end, a pattern with ``*``, or the job's number."""
    return matches_run_name(row.run_id, name) or fnmatch.fnmatch(row.run_id, name) or row.job == name


def list_kinds() -> Iterable[str]:
    from bench.cluster.job import EXIT_CODES

    return {*EXPLANATIONS, *EXIT_CODES, HELD, FailureKind.INTERRUPTED}


def list_models() -> Iterable[str]:
    from bench.models.catalogue import MODELS

    return MODELS


VALID_NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "kind": list_kinds,
    "task": registry.tasks,
    "method": registry.methods,
    "model": list_models,
}
"""Names that may be asked for though no run has them."""
FIELDS = ("task", "method", "model", "seed", "state", "kind")


def make_selector(
    runs: Path, names: tuple[str, ...], flags: dict[str, Any], everything: bool = False
) -> RunSelector:
    """The selector that the flags describe; takes them out of ``flags``."""
    from bench.cluster.launches import find_launch

    launch = flags.pop("select_launch", None)
    fields = []
    for name in FIELDS:
        text = flags.pop(f"select_{name}", None)
        if text is not None:
            values = tuple(part.strip() for part in str(text).split(","))
            if name == "state":
                for value in values:
                    if value not in list(RunState):
                        raise UnknownNameError("state", value, [state.value for state in RunState])
            fields.append((name, values))
    launch = find_launch(runs, launch).id if launch is not None else None
    return RunSelector(names, launch, tuple(fields), everything)


def require_selection(selector: RunSelector, verb: str) -> None:
    """Refuse to act on everything by accident."""
    if selector.empty:
        raise UserError(
            f"bench {verb}: which runs? Give names, --launch, --task, --state failed, ... or --all"
        )
