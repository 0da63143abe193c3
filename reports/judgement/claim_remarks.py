"""What is to be said of the runs behind a claim: whether its sides are alike in all but the system, and what was
left out of them.

Every number of a side is of one group of like runs (``reports.records.grouping``). Two sides are of two groups, which
may have been computed with other code, packages or weights: then a difference between them is not the systems' alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.store.record import Record
from reports.judgement.claim_values import ClaimValue
from reports.paper.published import Claim
from reports.records.grouping import DIRTY_MEANING, ChosenGroup, DecidingFact, Difference, UnlikeRuns

COMBINED_LABEL = "all"
"""The label of numbers that are compared together."""


@dataclass(frozen=True)
class UnlikeSides:
    """What differs between the groups that a number of a claim compares. ``theirs``: of the first side."""

    label: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class EvidenceRemarks:
    """What a reader must know of the runs that a claim rests on."""

    unlike_sides: tuple[UnlikeSides, ...] = ()
    compared: int = 0
    """How many numbers compare groups."""
    left_out: tuple[UnlikeRuns, ...] = ()
    dirty: bool = False
    """Whether the code of some of the runs had changes that were not committed."""

    def to_sentences(self) -> list[str]:
        """``Not alike on both sides: packages (torch 2.12.0 against torch 2.13.0).``"""
        sentences = []
        if self.unlike_sides:
            facts = "; ".join(self._describe_fact(fact) for fact in self._list_facts())
            sentences.append(f"Not alike on both sides: {facts}.")
        if self.left_out:
            count = len({run_id for unlike in self.left_out for run_id in unlike.run_ids})
            facts = ", ".join(
                dict.fromkeys(
                    difference.fact for unlike in self.left_out for difference in unlike.differences
                )
            )
            sentences.append(f"{count} run{'' if count == 1 else 's'} left out as unlike: {facts}.")
        if self.dirty:
            sentences.append(f"{DIRTY_MEANING[:1].upper()}{DIRTY_MEANING[1:]}.")
        return sentences

    def _list_facts(self) -> list[DecidingFact]:
        differing = {difference.fact for sides in self.unlike_sides for difference in sides.differences}
        return [fact for fact in DecidingFact if fact in differing]

    def _describe_fact(self, fact: DecidingFact) -> str:
        """``code (1f2e3d against 4c5b6a, in 2 of 5 numbers)``: the first of the differences."""
        differences = [
            difference
            for sides in self.unlike_sides
            for difference in sides.differences
            if difference.fact is fact
        ]
        theirs, ours = differences[0].spell_sides()
        numbers = sum(any(d.fact is fact for d in sides.differences) for sides in self.unlike_sides)
        count = f", in {numbers} of {self.compared} numbers" if self.compared > 1 else ""
        return f"{fact} ({theirs} against {ours}{count})"


def collect_remarks(claim: Claim, values: Sequence[Sequence[ClaimValue]]) -> EvidenceRemarks:
    """Of the values of every need: the two of a need are compared, or all where a single number is made of all."""
    labels = [str(need["label"]) for need in claim.needs]
    together = claim.kind == "best" or claim.combine != "each"
    compared = {COMBINED_LABEL: [value for pair in values for value in pair]} if together else {}
    compared = compared or dict(zip(labels, map(list, values), strict=True))
    groups = {label: [value.chosen for value in several] for label, several in compared.items()}
    every = [group for several in groups.values() for group in several]
    return EvidenceRemarks(
        unlike_sides=list_unlike_sides(groups),
        compared=len(groups),
        left_out=tuple(dict.fromkeys(unlike for group in every for unlike in group.unlike)),
        dirty=any(group.dirty for group in every),
    )


def list_unlike_sides(groups: Mapping[str, Sequence[ChosenGroup]]) -> tuple[UnlikeSides, ...]:
    """The numbers whose groups differ, each group compared with those before it."""
    sides = []
    for label, several in groups.items():
        pairs = [(first, second) for i, second in enumerate(several) for first in several[:i]]
        differences = [difference for pair in pairs for difference in compare_groups(*pair)]
        if differences:
            sides.append(UnlikeSides(label, tuple(dict.fromkeys(differences))))
    return tuple(sides)


def compare_groups(first: ChosenGroup, second: ChosenGroup) -> list[Difference]:
    """What differs between two systems' groups beside the systems.

    Settings are a system's own; weights are compared within a model, the scorer within a task, and the data where
    both read the same splits, since their fingerprint is that of the files that were read.
    """
    if not first.members or not second.members:
        return []
    records = [group.members[0].run.record for group in (first, second)]
    same_model = records[0].model == records[1].model
    same_task = records[0].task == records[1].task
    splits = [list_read_splits(record) for record in records]
    comparable = {
        DecidingFact.SETTINGS: False,
        DecidingFact.WEIGHTS: same_model,
        DecidingFact.DATA: same_task and splits[0] is not None and splits[0] == splits[1],
        DecidingFact.SCORER: same_task,
    }
    return [
        Difference(fact, first.facts[fact], second.facts[fact])
        for fact in DecidingFact
        if comparable.get(fact, True)
        and fact in first.compared
        and fact in second.compared
        and first.facts[fact] != second.facts[fact]
    ]


def list_read_splits(record: Record) -> tuple[Any, ...] | None:
    """The splits whose files a run read; None where the record does not say whether it trained.

    Nothing trains on none, and dev is read where the loss on it is computed.
    """
    if "training" not in record:
        return None
    values = {name: entry.value for name, entry in record.settings.items()}
    if record.training is None:
        return (values.get("test_split"),)
    return (values.get("train_split"), values.get("eval_every") is not None, values.get("test_split"))
