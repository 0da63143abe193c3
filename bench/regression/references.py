"""New reference values for the regression check, with bands measured from ten seeds (``bench check --update``)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.regression import comparison
from bench.system.json_files import write_json_atomic

CIRCUMSTANCES = ("given", "packages")
"""What the reference says of how it was measured, for all cases or for one."""


def half_width(metric: str, values: Sequence[float]) -> float:
    """Half of a value's band: ``check.WIDTH`` standard deviations between the seeds, or the narrowest allowed."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    if metric == "stored parameters":
        return 0.0
    return max(comparison.WIDTH * spread, comparison.RESOLUTION.get(metric, comparison.FINEST))


def make_reference(wanted: Sequence[comparison.Case], processes: int) -> tuple[dict[str, Any], list[str]]:
    """Reference values with their bands, from ten seeds of every case; and the cases that lack some, in words."""
    from bench.system import provenance

    pairs = [(case, seed) for case in wanted for seed in comparison.SEEDS]
    found = dict(zip(pairs, comparison.measured(pairs, processes), strict=True))
    document: dict[str, Any] = {
        "seed": comparison.SEED,
        "seeds": list(comparison.SEEDS),
        "width": comparison.WIDTH,
        "given": comparison.GIVEN,
        "packages": provenance.package_versions(),
        "cases": {},
    }
    incomplete = []
    for case in wanted:
        per_seed = {seed: found[case, seed] for seed in comparison.SEEDS}
        if lack := lacking(case, per_seed):
            incomplete.append(lack)
            continue
        metrics = per_seed[comparison.SEED]
        seeds = {metric: [per_seed[seed][metric] for seed in comparison.SEEDS] for metric in metrics}
        document["cases"][case.name] = {
            "values": per_seed[comparison.SEED],
            "half_width": {metric: half_width(metric, seeds[metric]) for metric in metrics},
            "seeds": seeds,
        }
    return document, incomplete


def lacking(case: comparison.Case, per_seed: Mapping[int, comparison.Values]) -> str:
    """Which values some seeds of a case lack, and what tells why; empty if none."""
    metrics = dict.fromkeys(metric for values in per_seed.values() for metric in values) or ["any value"]
    gaps = {metric: [seed for seed, values in per_seed.items() if metric not in values] for metric in metrics}
    told = "; ".join(f"{metric} with seed {', '.join(map(str, one))}" for metric, one in gaps.items() if one)
    if not told:
        return ""
    seed = next(one[0] for one in gaps.values() if one)
    flags = [f"--{name.replace('_', '-')} {value}" for name, value in comparison.given(case.task).items()]
    command = f"bench run --method {case.method} --task {case.task} --seed {seed} {' '.join(flags)}"
    return f"{case.name}: lacks {told}; the record of `{command}` says why"


def update(
    only: Iterable[str], processes: int, path: Path = comparison.REFERENCE
) -> tuple[list[str], list[str]]:
    """Measure anew and write: what changed, in words, for the review; what could not be measured, and why.

    A case that is not measured now keeps its values.
    """
    only = list(only)
    wanted = comparison.cases(only)
    new, incomplete = make_reference(wanted, processes)
    old = comparison.load(path) if path.is_file() else {**new, "cases": {}}
    measured_before = old["cases"] if only else {one.name for one in wanted} & set(old["cases"])
    kept = {name: old["cases"][name] for name in measured_before if name not in new["cases"]}
    document = merged(old, kept, new)
    lines = [f"{name}: dropped" for name in old["cases"] if name not in document["cases"]]
    for name, one in new["cases"].items():
        known = old["cases"].get(name, {"values": {}})
        for metric, value in one["values"].items():
            before = known["values"].get(metric)
            if before is None:
                lines.append(f"{name}: {metric} is new: {value:g} ± {one['half_width'][metric]:g}")
            elif before != value:
                band = known["half_width"][metric]
                lines.append(f"{name}: {metric} {before:g} -> {value:g} (band was ± {band:g})")
        lines += [f"{name}: {metric} is gone" for metric in known["values"] if metric not in one["values"]]
    write_json_atomic(path, document)
    return lines, incomplete


def merged(old: Mapping[str, Any], kept: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The reference of cases measured at two times: most have the document's circumstances, others their own."""
    base = old if len(kept) > len(new["cases"]) else new
    cases = {}
    for document, ones in ((old, kept), (new, new["cases"])):
        own = {key: document[key] for key in CIRCUMSTANCES if document[key] != base[key]}
        cases.update({name: {**own, **one} for name, one in ones.items()})
    return {**base, "cases": dict(sorted(cases.items(), key=lambda item: item[0].split(" ")))}
