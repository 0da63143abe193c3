"""The regression check: small runs of every method on every task, against committed values.

    bench check               run them now, compare, exit 1 if a value left its band
    bench check --update      write new reference values and show what changed

Why bands: with the same seed, code and libraries a run gives the same values, so any difference says that
something changed. Other processors and library versions change the last digits, and training amplifies them;
how far such noise can carry a value is measured by what another seed does to it. A value may therefore move
by ``WIDTH`` standard deviations between seeds, from the ten seeds of ``results/check/reference.json``, and no
further. The width of every band is measured, value by value; chosen by hand are ``WIDTH`` and how narrow a
band may get (``RESOLUTION``, ``FINEST``), for values that another seed hardly moves.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench import registry
from bench.errors import UserError, unknown
from bench.json_files import read_json, write_json_atomic

REFERENCE = Path(__file__).resolve().parents[1] / "results" / "check" / "reference.json"
SEED = 1
SEEDS = tuple(range(1, 11))
WIDTH = 3.0
"""Standard deviations between seeds that a value may move; the reference is one of the seeds itself."""
RESOLUTION = {"bleu": 0.01, "nist": 1e-3, "cider": 1e-3}
"""Metric -> half of its narrowest band; of others it is ``FINEST``, and of what is stored 0."""
FINEST = 1e-4
"""Without such a limit a method without anything random would have bands of width 0."""
GIVEN: dict[str, dict[str, object]] = {
    "table-to-text": {
        "limit": 60,
        "max_steps": 60,
        "warmup_steps": 10,
        "max_new_tokens": 60,
        "device": "cpu",
    },
    "summarization": {"limit": 20, "max_steps": 20, "warmup_steps": 5, "device": "cpu"},
}
"""What every run of a kind of task is cut down to."""

Values = dict[str, float]


@dataclass(frozen=True)
class Case:
    """One run of the check."""

    task: str
    method: str

    @property
    def name(self) -> str:
        return f"{self.task} {self.method}"


@dataclass(frozen=True)
class Moved:
    """A value and its band; ``value`` None: it was not computed any more."""

    case: str
    metric: str
    value: float | None
    low: float
    high: float

    @property
    def outside(self) -> bool:
        return self.value is None or not self.low <= self.value <= self.high


def given(task: str) -> dict[str, object]:
    """The settings of a task's runs."""
    return GIVEN[registry.get_task(task).kind]


def cases(only: Iterable[str] = ()) -> list[Case]:
    """Every task with every method that runs on it, in the order of their names."""
    from bench.request import Common, expand

    chosen = list(only)
    found = []
    for task in registry.tasks():
        for method in registry.methods():
            case = Case(task, method)
            if chosen and not {case.name, task, method} & set(chosen):
                continue
            try:
                expand(methods=method, tasks=task, seeds=str(SEED), common=Common(given=given(task)))
            except UserError:
                continue  # a method without a meaning on this kind of model
            found.append(case)
    if not found:
        names = [*registry.tasks(), *registry.methods()]
        raise unknown("task or method", ", ".join(chosen), names, "bench check --only")
    return found


def measure(case: Case, seed: int, runs: Path) -> Values:
    """Run one case afresh below ``runs`` and take its values: scores of all items, losses, counts."""
    from bench.progress import quietly
    from bench.request import Common, expand
    from bench.runner import run

    common = Common(runs=runs, offline=True, given=given(case.task))
    [request] = expand(methods=case.method, tasks=case.task, seeds=str(seed), common=common)
    with quietly():
        record = run(request)
    assert record is not None
    return values_of(record)


def values_of(record: Mapping[str, Any]) -> Values:
    """What the check compares: every score, the loss at the end of training, what is stored."""
    values = {
        name: float(one["value"]) for name, one in record["scores"]["all"].items() if one["value"] is not None
    }
    values["stored parameters"] = float(record["parameters"]["stored"])
    values["generated tokens"] = float(record["decoding"]["generated_tokens"])
    if record["training"] is not None:
        values["final loss"] = float(record["training"]["final_loss"])
    return values


def measured(wanted: Sequence[tuple[Case, int]], processes: int) -> list[Values]:
    """The values of every (case, seed), over several processes; nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        work = [(case, seed, Path(folder)) for case, seed in wanted]
        if processes < 2:
            return [measure(*one) for one in work]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            return list(pool.map(measure, *zip(*work, strict=True)))


def compare(reference: Mapping[str, Any], found: Mapping[str, Values]) -> list[Moved]:
    """Every value of the reference beside what came out now."""
    moved = []
    for name, values in found.items():
        if name not in reference["cases"]:
            raise UserError(f"{name} has no reference values; `bench check --update` makes them")
        known = reference["cases"][name]
        for metric, value in known["values"].items():
            half = known["half_width"][metric]
            moved.append(Moved(name, metric, values.get(metric), value - half, value + half))
    return moved


def half_width(metric: str, values: Sequence[float]) -> float:
    """Half of a value's band: ``WIDTH`` standard deviations between the seeds, or the narrowest allowed."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    if metric == "stored parameters":
        return 0.0
    return max(WIDTH * spread, RESOLUTION.get(metric, FINEST))


def make_reference(wanted: Sequence[Case], processes: int) -> dict[str, Any]:
    """Reference values with their bands, from ten seeds of every case."""
    from bench import provenance

    pairs = [(case, seed) for case in wanted for seed in SEEDS]
    found = dict(zip(pairs, measured(pairs, processes), strict=True))
    document: dict[str, Any] = {
        "seed": SEED,
        "seeds": list(SEEDS),
        "width": WIDTH,
        "given": GIVEN,
        "packages": provenance.package_versions(),
        "cases": {},
    }
    for case in wanted:
        per_seed = [found[case, seed] for seed in SEEDS]
        document["cases"][case.name] = {
            "values": per_seed[SEEDS.index(SEED)],
            "half_width": {
                metric: half_width(metric, [one[metric] for one in per_seed]) for metric in per_seed[0]
            },
            "seeds": {metric: [one[metric] for one in per_seed] for metric in per_seed[0]},
        }
    return document


def load(path: Path = REFERENCE) -> dict[str, Any]:
    """The committed reference."""
    if not path.is_file():
        raise UserError(f"{path.name}: no reference values are here; `bench check --update` makes them")
    document: dict[str, Any] = read_json(path)
    return document


def check(only: Iterable[str], processes: int) -> tuple[list[Moved], float]:
    """Run the cases and compare; every value with its band, and the seconds it took."""
    started = time.monotonic()
    reference = load()
    wanted = cases(only)
    found = measured([(case, SEED) for case in wanted], processes)
    names = [case.name for case in wanted]
    return compare(reference, dict(zip(names, found, strict=True))), time.monotonic() - started


def update(only: Iterable[str], processes: int, path: Path = REFERENCE) -> list[str]:
    """Measure anew and write; what changed, in words, for the review."""
    new = make_reference(cases(only), processes)
    old = load(path)["cases"] if path.is_file() else {}
    lines = []
    for name, one in new["cases"].items():
        for metric, value in one["values"].items():
            before = old.get(name, {}).get("values", {}).get(metric)
            if before is None:
                lines.append(f"{name}: {metric} is new: {value:g} ± {one['half_width'][metric]:g}")
            elif before != value:
                lines.append(
                    f"{name}: {metric} {before:g} -> {value:g} (band was ± {old[name]['half_width'][metric]:g})"
                )
    new["cases"] = {**old, **new["cases"]}
    if not list(only):
        new["cases"] = {case.name: new["cases"][case.name] for case in cases()}
    write_json_atomic(path, new)
    return lines
