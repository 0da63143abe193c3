"""What a metric is: the contract that every file in ``bench/metrics/`` fulfils.

A metric turns texts and their references into one number, says how it did so (its signature), and, where
that means something, gives a value per item. ``bench.registry`` discovers the files; see docs/scores.md,
"Add a metric". A task can bring a metric of its own (``bench.task.Task.scorers``).

Importing this module imports neither numpy nor torch, and no metric may do so when it is imported:
``bench list metrics`` works without them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeAlias

SignatureValue: TypeAlias = str | int | float | bool | tuple[str, ...] | None
Signature: TypeAlias = Mapping[str, SignatureValue]
"""What decided a score: implementation, version, tokenisation, casing, reference handling."""


def format_signature(signature: Signature) -> str:
    """``key:value|…`` in the mapping's order, the form that records and fingerprints hold.

    None stands for a key without a value, a tuple for a key that is there several times; booleans are
    ``yes`` and ``no``.

    >>> format_signature({"METEOR": None, "version": "1.5", "case": ("lower", "lc"), "idf": False})
    'METEOR|version:1.5|case:lower|case:lc|idf:no'
    """
    parts: list[str] = []
    for key, value in signature.items():
        if value is None:
            parts.append(key)
        elif isinstance(value, bool):
            parts.append(f"{key}:{'yes' if value else 'no'}")
        elif isinstance(value, tuple):
            parts += [f"{key}:{part}" for part in value]
        else:
            parts.append(f"{key}:{value}")
    return "|".join(parts)


class NoReferenceError(Exception):
    """Some items have no reference that the metric could use. ``items``: their numbers, from 1."""

    def __init__(self, items: Sequence[int]) -> None:
        super().__init__(f"no reference for items {items[0]} and {len(items) - 1} more")
        self.items = tuple(items)


def require_references(references: Sequence[Sequence[str]]) -> None:
    """``NoReferenceError`` where an item has none but blank ones."""
    items = [number for number, refs in enumerate(references, 1) if not any(text.strip() for text in refs)]
    if items:
        raise NoReferenceError(items)


@dataclass(frozen=True)
class MetricResult:
    """The score of a set of outputs.

    ``segments`` holds named values per item, in the items' order, for metrics that have them
    (``{"meteor": [...]}``, ``{"ter_edits": [...], "ter_reflen": [...]}``).
    """

    value: float
    signature: Signature
    segments: Mapping[str, Sequence[float]] = field(default_factory=dict)


Scorer: TypeAlias = Callable[[Sequence[str], Sequence[Sequence[str]]], MetricResult]
"""(hypotheses, references of each) -> their score."""


@dataclass(frozen=True)
class Requirements:
    """What must be there before a metric can be computed, besides outputs."""

    packages: tuple[str, ...] = ()
    """Distributions that it imports or whose data it reads."""
    weights: str | None = None
    """The checkpoint that it runs: a repository at a revision, or the folder's name below BENCH_MODELS."""
    references: bool = True
    """Whether every item needs a reference."""


@dataclass(frozen=True)
class Metric(ABC):
    """One score. Instances are equal where they compute the same: golden values of one hold for the other."""

    name: ClassVar[str]
    """What tasks and records call it."""
    summary: ClassVar[str]
    """One line: what is counted, by what, and the range of values."""
    requirements: ClassVar[Requirements] = Requirements()
    reported_for: ClassVar[tuple[str, ...]] = ()
    """Tasks whose scores it joins without being a column of the paper (``Task.metrics`` names those)."""

    @abstractmethod
    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        """The score of ``hypotheses`` (at least one) against the references of each (at least one each).

        Raises ``bench.errors.UnavailableError`` where something that it needs cannot be had, and
        ``NoReferenceError`` where items have references of which the metric can use none.
        """

    def for_task(self, task: str) -> Metric | None:
        """This metric as the task of that name has it computed; None where it means nothing for that task."""
        return self


@dataclass(frozen=True)
class PipelineMetric(Metric):
    """A metric that the official scripts of several tasks compute each in a way of its own.

    ``pipelines``: task -> its way; ``usual``: the key of the way for tasks that have no script, None if
    there is none. ``pipeline``: which one an instance follows.
    """

    pipelines: ClassVar[Mapping[str, Scorer]]
    usual: ClassVar[str | None] = None
    pipeline: str | None = None

    def score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
        chosen = self.pipeline or self.usual
        if chosen is None:
            raise LookupError(
                f"{self.name} has no usual form; for_task chooses one of {list(self.pipelines)}"
            )
        return self.pipelines[chosen](hypotheses, references)

    def for_task(self, task: str) -> Metric | None:
        chosen = task if task in self.pipelines else self.usual
        return None if chosen is None else replace(self, pipeline=chosen)
