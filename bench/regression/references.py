"""New reference values for the regression check, with bands measured from ten seeds (``bench check --update``)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.regression import comparison
from bench.system.json_files import JsonObject, write_json_atomic

CIRCUMSTANCES = ("given", "packages")
"""What the reference says of how it was measured, for all cases or for one."""


class MeasuredReference(NamedTuple):
    """A reference document, and for each case that lacks some value a sentence that says which."""

    document: JsonObject
    incomplete: list[str]


class ReferenceUpdate(NamedTuple):
    """What an update changed, a line per value for the review; and what could not be measured, and why."""

    changes: list[str]
    incomplete: list[str]


def compute_half_width(metric: str, values: Sequence[float]) -> float:
    """Half of a value's band: ``comparison.WIDTH`` standard deviations between seeds, or the narrowest allowed."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    if metric == "stored parameters":
        return 0.0
    return max(comparison.WIDTH * spread, comparison.RESOLUTION.get(metric, comparison.FINEST))


def measure_reference(cases: Sequence[comparison.Case], processes: int) -> MeasuredReference:
    """Reference values of the cases with their bands, from ten seeds of each."""
    from bench.system import provenance

    pairs = [(case, seed) for case in cases for seed in comparison.SEEDS]
    measured = dict(zip(pairs, comparison.measure_cases(pairs, processes), strict=True))
    document: JsonObject = {
        "seed": comparison.SEED,
        "seeds": list(comparison.SEEDS),
        "width": comparison.WIDTH,
        "given": comparison.SETTINGS,
        "packages": provenance.list_package_versions(),
        "cases": {},
    }
    incomplete = []
    for case in cases:
        per_seed = {seed: measured[case, seed] for seed in comparison.SEEDS}
        if gaps := describe_gaps(case, per_seed):
            incomplete.append(gaps)
            continue
        metrics = per_seed[comparison.SEED]
        seeds = {metric: [per_seed[seed][metric] for seed in comparison.SEEDS] for metric in metrics}
        document["cases"][case.name] = {
            "values": per_seed[comparison.SEED],
            "half_width": {metric: compute_half_width(metric, seeds[metric]) for metric in metrics},
            "seeds": seeds,
        }
    return MeasuredReference(document, incomplete)


def describe_gaps(case: comparison.Case, per_seed: Mapping[int, comparison.CaseValues]) -> str:
    """Which values some seeds of a case lack, and what tells why; empty if none."""
    metrics = dict.fromkeys(metric for values in per_seed.values() for metric in values) or ["any value"]
    gaps = {metric: [seed for seed, values in per_seed.items() if metric not in values] for metric in metrics}
    gaps = {metric: seeds for metric, seeds in gaps.items() if seeds}
    if not gaps:
        return ""
    sentence = "; ".join(f"{metric} with seed {', '.join(map(str, seeds))}" for metric, seeds in gaps.items())
    first_seed = next(iter(gaps.values()))[0]
    settings = comparison.settings_for(case.task).items()
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in settings)
    command = f"bench run --method {case.method} --task {case.task} --seed {first_seed} {flags}"
    return f"{case.name}: lacks {sentence}; the record of `{command}` says why"


def update_reference(
    selectors: Iterable[str], processes: int, path: Path = comparison.REFERENCE
) -> ReferenceUpdate:
    """Measure anew and write ``path``. A case that is not measured now keeps its values."""
    selectors = list(selectors)
    cases = comparison.list_cases(selectors)
    new, incomplete = measure_reference(cases, processes)
    old = comparison.load_reference(path) if path.is_file() else {**new, "cases": {}}
    measured_before = old["cases"] if selectors else {case.name for case in cases} & set(old["cases"])
    retained = {name: old["cases"][name] for name in measured_before if name not in new["cases"]}
    document = merge_references(old, retained, new)
    changes = [f"{name}: dropped" for name in old["cases"] if name not in document["cases"]]
    for name, case in new["cases"].items():
        changes += list_changes(name, old["cases"].get(name, {"values": {}}), case)
    write_json_atomic(path, document)
    return ReferenceUpdate(changes, incomplete)


def list_changes(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line per value of a case that is new, another one, or not measured any more."""
    lines = []
    for metric, value in now["values"].items():
        previous = before["values"].get(metric)
        if previous is None:
            lines.append(f"{name}: {metric} is new: {value:g} ± {now['half_width'][metric]:g}")
        elif previous != value:
            band = before["half_width"][metric]
            lines.append(f"{name}: {metric} {previous:g} -> {value:g} (band was ± {band:g})")
    return lines + [f"{name}: {metric} is gone" for metric in before["values"] if metric not in now["values"]]


def merge_references(
    old: Mapping[str, Any], retained: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, Any]:
    """The reference of cases measured at two times.

    The document has the circumstances of most cases, and a case that was measured under others has those itself.
    """
    base = old if len(retained) > len(new["cases"]) else new
    merged = {}
    for document, cases in ((old, retained), (new, new["cases"])):
        differing = {key: document[key] for key in CIRCUMSTANCES if document[key] != base[key]}
        merged.update({name: {**differing, **case} for name, case in cases.items()})
    return {**base, "cases": dict(sorted(merged.items(), key=lambda item: item[0].split(" ")))}
