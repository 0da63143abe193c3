"""How much of their facts the stored outputs of a run leave out, and how many say something false.

The check (``reports.records.fact_check``) goes by words and errs. How often was measured on outputs that were
written for this purpose and marked by hand (``tests/reports/records/marked_outputs.json``); ``CHECK_ERRORS`` is
what came out, and a test counts it again. An observed rate p stands for (p - false alarms) / (caught - false alarms),
both as shares (Rogan and Gladen 1978), and the uncertainty of both shares is part of the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.errors import DataError
from reports.records.fact_check import check_facts

FACT_METRICS = ("facts_missing", "facts_false")
"""Share of the facts that are left out; share of the outputs that say something that the facts do not have."""
Item = Mapping[str, Any]
"""A stored generation with the facts, references and groups of its item."""
Generations = Callable[[str], Sequence[Item]]
"""Run id -> that run's stored items (``bench.store.run_dir.RunDir.read_generations``); may raise ``DataError``."""


@dataclass(frozen=True)
class CheckErrors:
    """What the check did on marked outputs: ``caught`` of ``present`` cases, ``alarms`` among ``absent`` ones."""

    caught: int
    present: int
    alarms: int
    absent: int

    @property
    def sensitivity(self) -> float:
        """The share that is caught, drawn towards one half by one case each way: 30 of 30 is not certainty."""
        return (self.caught + 1) / (self.present + 2)

    @property
    def false_alarm_rate(self) -> float:
        """The share of false alarms, drawn the same way."""
        return (self.alarms + 1) / (self.absent + 2)

    @property
    def recall(self) -> float:
        """As counted."""
        return self.caught / self.present

    @property
    def precision(self) -> float:
        """Of what was marked, how much was right, as counted."""
        return self.caught / (self.caught + self.alarms)

    def correct_rate(self, observed: float) -> float:
        """The rate that gives the observed one, on average; it can come out below 0."""
        return (observed - self.false_alarm_rate) / (self.sensitivity - self.false_alarm_rate)

    def compute_error(self, corrected: float) -> float:
        """Standard deviation of a corrected rate that the check's own measured errors account for."""
        shares = (self.sensitivity, self.false_alarm_rate)
        caught, alarms = (
            math.sqrt(share * (1 - share) / (n + 3))
            for share, n in zip(shares, (self.present, self.absent), strict=True)
        )
        return math.hypot(corrected * caught, (1 - corrected) * alarms) / (shares[0] - shares[1])

    def describe(self) -> str:
        """In a sentence, for beside the claim."""
        return (
            f"on outputs marked by hand the check finds {self.caught} of {self.present} "
            f"(recall {self.recall:.0%}, precision {self.precision:.0%}) and marks {self.alarms} of "
            f"{self.absent} wrongly"
        )


CHECK_ERRORS: Mapping[tuple[str, str], CheckErrors] = {
    ("e2e", "facts_missing"): CheckErrors(60, 60, 13, 192),
    ("e2e", "facts_false"): CheckErrors(15, 15, 0, 25),
    ("webnlg", "facts_missing"): CheckErrors(40, 49, 3, 71),
    ("webnlg", "facts_false"): CheckErrors(13, 17, 3, 23),
}
"""(task, metric) -> what was measured: facts for ``facts_missing``, outputs for ``facts_false``."""


class FactRate(NamedTuple):
    """An observed rate of a run, or why there is none."""

    value: float | None
    reason: str = ""


@dataclass
class _Counts:
    """Of the items of a group."""

    items: int = 0
    facts: int = 0
    missing: int = 0
    false: int = 0


@dataclass
class OutputFacts:
    """The stored outputs of runs, counted; each file is read once. Without ``generations`` nothing is known."""

    generations: Generations | None = None
    _counted: dict[str, Mapping[str, _Counts] | str] = field(default_factory=dict)

    def measure_rate(self, run_id: str, group: str, metric: str) -> FactRate:
        """The share that the check marks, uncorrected; never raises for a damaged file."""
        if self.generations is None:
            return FactRate(None, "outputs were not asked for")
        if run_id not in self._counted:
            self._counted[run_id] = self._count(run_id, self.generations)
        counted = self._counted[run_id]
        if isinstance(counted, str):
            return FactRate(None, counted)
        counts = counted.get(group)
        if counts is None or not counts.facts:
            return FactRate(None, f"no stored output with facts in group {group}")
        if metric == "facts_missing":
            return FactRate(counts.missing / counts.facts)
        return FactRate(counts.false / counts.items)

    @staticmethod
    def _count(run_id: str, generations: Generations) -> Mapping[str, _Counts] | str:
        groups: dict[str, _Counts] = {}
        try:
            for item in generations(run_id):
                facts = item.get("facts") or ()
                marks = check_facts(facts, item.get("references") or (), str(item["output"]))
                for group in {"all", *(item.get("groups") or ())}:
                    counts = groups.setdefault(group, _Counts())
                    counts.items += 1
                    counts.facts += len(facts)
                    counts.missing += len(marks.missing)
                    counts.false += bool(marks.false)
        except (DataError, OSError, KeyError, TypeError, ValueError) as error:
            return f"outputs cannot be read: {error}"
        return groups
