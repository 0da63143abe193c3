"""The regression check: same seed against same seed, value by value, within bands that were measured.

    bench check               run everything small, compare; exit 1 if a value left its band or was not compared
    bench check --update      measure new reference values under all circumstances and show what changed

With the same seed, code and libraries a run gives the same values. What may legitimately change them is little:
the number of threads, the path of a matrix product, the processor's instructions, another version of a library.
How far each of these moves a value is measured (``references.VARIANTS``), and that much, with a margin, is its
band: the loss of an early update moves by some millionths, and a count or the tokens of a prompt not at all. So a
fault that training would hide by its end shows in the first updates, in the tokens or in the rules.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import registry
from bench.regression.cases import (
    Case,
    Suite,
    count_cases,
    find_obstacles,
    find_real_files,
    list_cases,
    parse_case,
    summarise_obstacles,
)
from bench.regression.measuring import HERE, Circumstances, Unit, measure_units
from bench.regression.probes import Probe, list_probes
from bench.regression.reference import CaseReference, Reference, load_reference
from bench.regression.values import Measurement, Plain, ValueKind, compute_shares
from bench.system import progress
from bench.system.json_files import JsonObject


@dataclass(frozen=True)
class ComparedValue:
    """A value beside its reference.

    ``value`` None: it was not computed any more. ``reference`` None: nothing is known of it yet. ``low`` and
    ``high``: the band of a number, None of a text.
    """

    case: str
    metric: str
    kind: ValueKind
    value: Plain | None
    reference: Plain | None
    low: float | None = None
    high: float | None = None

    @property
    def outside(self) -> bool:
        if self.value is None or self.reference is None:
            return True
        if self.low is None or self.high is None or isinstance(self.value, str):
            return self.value != self.reference
        return not self.low <= self.value <= self.high

    def to_json(self) -> JsonObject:
        """For ``bench check --json``."""
        band = None if self.low is None else [self.low, self.high]
        return {
            "case": self.case,
            "metric": self.metric,
            "kind": self.kind.value,
            "value": self.value,
            "reference": self.reference,
            "band": band,
            "outside": self.outside,
        }


@dataclass(frozen=True)
class CheckOutcome:
    """What a check came to. It passed only if everything was compared and nothing left its band."""

    values: list[ComparedValue]
    without_reference: list[str]
    """Cases that can run and that nothing is known of yet, or that have other settings now; they were not run."""
    cannot_run: list[str]
    """Cases of the reference that cannot run here any more."""
    seconds: float
    case_seconds: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    """Case -> what it failed of, with the traceback of a bug."""

    @property
    def outside(self) -> list[ComparedValue]:
        return [value for value in self.values if value.outside]

    @property
    def passed(self) -> bool:
        return bool(self.values) and not (self.outside or self.without_reference or self.cannot_run)

    def to_json(self) -> JsonObject:
        """For ``bench check --json``: every value, those outside once more, and what was not compared."""
        return {
            "passed": self.passed,
            "seconds": round(self.seconds, 1),
            "compared": len(self.values),
            "outside": [value.to_json() for value in self.outside],
            "without_reference": self.without_reference,
            "cannot_run": self.cannot_run,
            "values": [value.to_json() for value in self.values],
        }


def compare_case(name: str, known: CaseReference, measured: Measurement) -> list[ComparedValue]:
    """Every value of the reference beside what came out now, and every value that the reference lacks."""
    values = dict(measured.values)
    if known.outputs is not None:
        values |= compute_shares(known.outputs.fingerprints, measured.outputs)
    compared = []
    for metric, entry in known.values.items():
        now = values.get(metric)
        value = None if now is None else now.value
        low = high = None
        if not isinstance(entry.value, str):
            low, high = entry.value - entry.half_width, entry.value + entry.half_width
        compared.append(ComparedValue(name, metric, entry.kind, value, entry.value, low, high))
    new = [metric for metric in values if metric not in known.values and metric not in known.unstable]
    return compared + [
        ComparedValue(name, metric, values[metric].kind, values[metric].value, None) for metric in new
    ]


@dataclass(frozen=True)
class CheckPlan:
    """What a check will run, and what it can not."""

    units: list[Unit]
    new: list[str]
    obstacles: Mapping[Case, str]


def plan_check(reference: Reference, selectors: Iterable[str], data_dir: Path | None) -> CheckPlan:
    """The cases that the selectors mean with the probes that they rest on; what cannot be compared is reported."""
    names = [name for name, entry in reference.cases.items() if entry.settings is not None]
    referenced = [case for name in names if lacks_no_files(case := parse_case(name, data_dir))]
    cases = list_cases(selectors, referenced, data_dir)
    obstacles = find_obstacles(case for case in cases if case in referenced)
    if obstacles:
        number, reasons = count_cases(obstacles), summarise_obstacles(obstacles)
        progress.print_message(
            f"bench: {number} of the reference cannot run any more: {reasons}", important=True
        )
    able = [case for case in cases if case not in obstacles]
    units: list[Unit] = [*list_probes([case.task for case in able], data_dir), *able]
    new = [unit.name for unit in units if not is_known(unit, reference)]
    if new:
        text = f"{count_cases(new)} without reference values for these settings yet: {', '.join(new)}"
        progress.print_message(f"bench: {text}; `bench check --update --only …` makes them", important=True)
    return CheckPlan([unit for unit in units if unit.name not in new], new, obstacles)


def lacks_no_files(case: Case) -> bool:
    """Whether the check would count it as a regression that the case cannot run: not where files were not given."""
    if case.data_dir is None or case.task not in registry.tasks():
        return True
    return find_real_files(case)


def is_known(unit: Unit, reference: Reference) -> bool:
    """Whether the reference has the unit, measured with the settings of today."""
    known = reference.cases.get(unit.name)
    if known is None:
        return False
    return isinstance(unit, Probe) or known.settings == unit.describe()


def check_cases(
    selectors: Iterable[str],
    processes: int,
    data_dir: Path | None = None,
    circumstances: Circumstances = HERE,
) -> CheckOutcome:
    """Run the cases and compare. What cannot be compared is reported before anything runs; the rest goes on."""
    started = time.monotonic()
    reference = load_reference(Suite.EMBEDDED if data_dir is None else Suite.REAL)
    plan = plan_check(reference, selectors, data_dir)
    measured = measure_units(plan.units, processes, circumstances)
    return CheckOutcome(
        values=[
            value
            for name, measurement in measured.items()
            for value in compare_case(name, reference.cases[name], measurement)
        ],
        without_reference=plan.new,
        cannot_run=[case.name for case in plan.obstacles],
        seconds=time.monotonic() - started,
        case_seconds={name: measurement.seconds for name, measurement in measured.items()},
        failures={name: entry.failure for name, entry in measured.items() if entry.failure},
    )
