"""Which submitted or stored runs a verb acts on: names, or properties, or both (all must fit)."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from bench import registry
from bench.cluster.post_mortem import WORDS
from bench.cluster.status import STATES, Row
from bench.errors import UnknownNameError, UserError
from bench.store.store import matches_run_name


@dataclass(frozen=True)
class Selector:
    """Empty fields fit every run."""

    names: tuple[str, ...] = ()
    launch: str | None = None
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    everything: bool = False

    @property
    def empty(self) -> bool:
        return not (self.names or self.launch or self.fields or self.everything)

    def pick(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that fit; ``UserError`` for a name that none has, be it a run's or a task's."""
        for name in self.names:
            if not name.strip():  # an unset variable, most likely
                raise UserError("an empty name of a run was given; type a name, or leave it out")
            if not any(named(row, name) for row in rows):
                raise UnknownNameError(
                    "run", name, [row.run_id for row in rows], "bench status lists the runs"
                )
        for field, values in self.fields:
            if field in KNOWN:
                valid = {*KNOWN[field](), *(str(name) for row in rows if (name := getattr(row, field)))}
                for value in values:
                    if value not in valid:
                        raise UnknownNameError(field, value, valid)
        return [row for row in rows if self.fits(row)]

    def fits(self, row: Row) -> bool:
        if self.names and not any(named(row, name) for name in self.names):
            return False
        if self.launch is not None and row.launch != self.launch:
            return False
        return all(str(getattr(row, field)) in values for field, values in self.fields)


def named(row: Row, name: str) -> bool:
    """By the run's name, its beginning or end, a pattern with ``*``, or the job's number."""
    return matches_run_name(row.run_id, name) or fnmatch.fnmatch(row.run_id, name) or row.job == name


def kinds() -> Iterable[str]:
    from bench.cluster.job import EXIT_CODES

    return {*WORDS, *EXIT_CODES, "held", "interrupted"}


def models() -> Iterable[str]:
    from bench.models.catalogue import MODELS

    return MODELS


KNOWN: dict[str, Callable[[], Iterable[str]]] = {
    "kind": kinds,
    "task": registry.tasks,
    "method": registry.methods,
    "model": models,
}
"""Names that may be asked for though no run has them."""
FIELDS = ("task", "method", "model", "seed", "state", "kind")


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that every verb with a selector has."""
    for name in reversed(FIELDS):
        function = click.option(
            f"--{name}", f"select_{name}", default=None, help=f"Only this {name} (or several)."
        )(function)
    function = click.option(
        "--launch", "select_launch", default=None, help="Only this launch; `latest` is the last."
    )(function)
    return click.argument("names", nargs=-1, metavar="[RUN]...")(function)


def from_flags(
    runs: Any, names: tuple[str, ...], given: dict[str, Any], everything: bool = False
) -> Selector:
    """The selector that the flags describe; takes them out of ``given``."""
    from bench.cluster import launches

    launch = given.pop("select_launch", None)
    fields = []
    for name in FIELDS:
        if (text := given.pop(f"select_{name}", None)) is not None:
            values = tuple(part.strip() for part in str(text).split(","))
            if name == "state":
                for value in values:
                    if value not in STATES:
                        raise UnknownNameError("state", value, STATES)
            fields.append((name, values))
    launch = launches.load(runs, launch).id if launch is not None else None
    return Selector(names, launch, tuple(fields), everything)


def need(selector: Selector, verb: str) -> None:
    """Refuse to act on everything by accident."""
    if selector.empty:
        raise UserError(
            f"bench {verb}: which runs? Give names, --launch, --task, --state failed, ... or --all"
        )
