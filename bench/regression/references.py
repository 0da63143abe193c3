"""New reference values (``bench check --update``): measured under every circumstance that may move them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench.errors import UserError
from bench.regression.cases import SEED, Case, Suite, list_cases
from bench.regression.measuring import (
    HERE,
    Circumstances,
    SeparateMeasurement,
    Unit,
    measure_apart,
)
from bench.regression.probes import Probe, list_probes
from bench.regression.reference import (
    FORMAT,
    REFERENCE_FILES,
    SAFETY,
    CaseReference,
    Reference,
    ReferenceOutputs,
    ReferenceValue,
    VariantFacts,
    compute_half_width,
    read_reference,
)
from bench.regression.values import EXACT, Measurement, Plain, ValueKind, compute_shares
from bench.system import progress
from bench.system.json_files import JsonObject, write_json_atomic

VARIANTS: Final = (
    Circumstances("2 threads", threads=2),
    Circumstances(
        "AVX2 instructions, matrix products without oneDNN",
        onednn=False,
        environment={"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    ),
    Circumstances(
        "no vector instructions in torch, SSE in its libraries",
        environment={
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_CBWR": "COMPATIBLE",
        },
    ),
)
"""What is measured beside one thread on the processor as it is: other processors and paths of a matrix product."""
GROWING: Final = frozenset({ValueKind.LOSS, ValueKind.GRADIENT_NORM, ValueKind.DEV_LOSS})
"""Rounding only grows with the updates: a value moves at least as far as an earlier one of its kind."""
ALWAYS_COMPARED: Final = frozenset(f"loss {update}" for update in range(1, 6))
"""Without these a reference would not see a fault of training; others are left out where rounding moves them far."""


@dataclass(frozen=True)
class ReferenceUpdate:
    """What an update changed, a line per value for the review; and what could not be measured, and why."""

    changes: list[str]
    incomplete: list[str]


def describe_packages(folder: Path) -> str:
    """A name for circumstances with other packages: ``transformers 5.0.0, tokenizers 0.22.2``."""
    from importlib.metadata import distributions

    from bench.system.provenance import PACKAGES

    if not folder.is_dir():
        raise UserError(
            f"--with-packages {folder}: no such folder; expected one of `pip install --target FOLDER`"
        )
    versions = {entry.name: entry.version for entry in distributions(path=[str(folder)])}
    listed = [f"{name} {versions[name]}" for name in PACKAGES if name in versions]
    if not listed:
        raise UserError(
            f"--with-packages {folder}: has none of {', '.join(PACKAGES)}; "
            "expected a folder of `pip install --target FOLDER`"
        )
    return ", ".join(listed)


def list_variants(packages: Iterable[Path]) -> list[Circumstances]:
    """All circumstances beside ``HERE``; ``packages``: folders with other versions of packages.

    Each folder joins a variant, the last first: a band only needs the furthest that anything moves a value.
    """
    joined = list(VARIANTS)
    for number, folder in enumerate(packages, 1):
        name = describe_packages(folder)
        if number < len(VARIANTS):
            before = joined[-number]
            joined[-number] = replace(before, name=f"{before.name}; {name}", packages=folder)
        else:
            joined.append(Circumstances(name, packages=folder))
    return joined


def measure_reference(
    units: Sequence[Unit], processes: int, packages: Sequence[Path], suite: Suite
) -> tuple[Reference, list[str]]:
    """The reference of the units, and for each that has none a sentence that says why."""
    variants = list_variants(packages)
    separate: list[SeparateMeasurement] = []
    for number, variant in enumerate([HERE, *variants], 1):
        progress.print_message(f"circumstances {number} of {len(variants) + 1}: {variant.name}")
        # Reading large files has nothing to round: once is enough.
        varied = [
            unit for unit in units if variant is HERE or not (isinstance(unit, Probe) and unit.data_dir)
        ]
        measured = measure_apart(varied, max(1, processes // variant.threads), variant)
        if separate:
            measured = replace(measured, measured={**separate[0].measured, **measured.measured})
        separate.append(measured)
    base, others = separate[0], separate[1:]
    cases: dict[str, CaseReference] = {}
    incomplete = []
    for unit in units:
        of_unit = {
            variant.name: entry.measured[unit.name] for variant, entry in zip(variants, others, strict=True)
        }
        try:
            cases[unit.name] = make_case_reference(unit, base.measured[unit.name], of_unit)
        except ValueError as error:
            incomplete.append(f"{unit.name}: {error}")
    facts = [VariantFacts(name=HERE.name)] + [
        VariantFacts(name=variant.name, packages=list_other_versions(base.packages, entry.packages))
        for variant, entry in zip(variants, others, strict=True)
    ]
    reference = Reference(
        format=FORMAT,
        suite=suite,
        seed=SEED,
        safety=SAFETY,
        packages=dict(base.packages),
        variants=facts,
        cases=cases,
    )
    return reference, incomplete


def list_other_versions(
    base: Mapping[str, str | None], other: Mapping[str, str | None]
) -> dict[str, str | None]:
    """The packages that have another version."""
    return {name: version for name, version in other.items() if base.get(name) != version}


def make_case_reference(unit: Unit, base: Measurement, variants: Mapping[str, Measurement]) -> CaseReference:
    """The values of one unit with their bands; ``ValueError`` in words where there can be none."""
    for name, measurement in {HERE.name: base, **variants}.items():
        if measurement.failure:
            raise ValueError(f"failed with {name}: {measurement.failure.strip().splitlines()[-1]}")
    outputs = ReferenceOutputs(**base.outputs.to_json()) if base.outputs.tokens else None
    count = len(base.outputs.tokens.split(" ")) if outputs is not None else 0
    complete = {
        name: {**measurement.values, **compute_shares(base.outputs, measurement.outputs)}
        for name, measurement in {HERE.name: base, **variants}.items()
    }
    values: dict[str, ReferenceValue] = {}
    unstable: dict[str, float] = {}
    grown: dict[ValueKind, float] = {}
    for metric, entry in complete[HERE.name].items():
        others = {}
        for name in variants:
            if metric not in complete[name]:
                raise ValueError(f"{metric} is not computed with {name}")
            others[name] = complete[name][metric].value
        moved = measure_movement(metric, entry.kind, entry.value, others)
        if entry.kind in GROWING:
            moved = grown[entry.kind] = max(moved, grown.get(entry.kind, 0.0))
        half_width = compute_half_width(entry.kind, entry.value, moved, count)
        band = ReferenceValue(kind=entry.kind, value=entry.value, moved=moved, half_width=half_width)
        problem = band.find_problem(count)
        if problem is None:
            values[metric] = band
        elif metric in ALWAYS_COMPARED:
            raise ValueError(f"{metric} is not reproducible enough to be compared: {problem}")
        else:
            unstable[metric] = moved
    settings = unit.describe() if isinstance(unit, Case) else None
    return CaseReference(settings=settings, values=values, outputs=outputs, unstable=unstable)


def measure_movement(metric: str, kind: ValueKind, value: Plain, others: Mapping[str, Plain]) -> float:
    """How far the variants are from a value; ``ValueError`` where it must not move and does."""
    if kind in EXACT:
        moved_by = [name for name, other in others.items() if other != value]
        if moved_by:
            raise ValueError(f"{metric}, a {kind}, is another one with {', '.join(moved_by)}")
        return 0.0
    return max((abs(float(other) - float(value)) for other in others.values()), default=0.0)


def update_reference(
    selectors: Iterable[str],
    processes: int,
    packages: Sequence[Path] = (),
    data_dir: Path | None = None,
    path: Path | None = None,
) -> ReferenceUpdate:
    """Measure anew and write ``path`` (the committed file). A case that is not measured now keeps its values."""
    selectors = list(selectors)
    suite = Suite.EMBEDDED if data_dir is None else Suite.REAL
    path = path or REFERENCE_FILES[suite]
    list_variants(packages)  # refused before anything runs
    cases = list_cases(selectors, data_dir=data_dir)
    probes = list_probes([case.task for case in cases], data_dir)
    if path != REFERENCE_FILES[suite]:
        probes = [probe for probe in probes if isinstance(probe, Probe) and is_of_plugin(probe)]
    new, incomplete = measure_reference([*probes, *cases], processes, packages, suite)
    old = read_previous(path, suite)
    retained = {} if old is None else select_retained(old, new, selectors, [case.name for case in cases])
    document = merge_references(old, retained, new)
    changes = []
    for name, case in (old.cases if old is not None else {}).items():
        if name not in document["cases"]:
            changes.append(f"{name}: dropped")
        elif name in new.cases:
            changes += list_changes(name, case, new.cases[name])
    changes += [
        line
        for name, case in new.cases.items()
        if old is None or name not in old.cases
        for line in list_changes(name, None, case)
    ]
    Reference.model_validate(document)
    write_json_atomic(path, document)
    return ReferenceUpdate(changes, incomplete)


def is_of_plugin(probe: Probe) -> bool:
    """Whether a probe is of a task from another package: its reference is in that package's file."""
    from bench import registry
    from bench.regression.observing import OURS, get_package

    return bool(probe.task) and get_package(registry.get_task(probe.task)) not in OURS


def read_previous(path: Path, suite: Suite) -> Reference | None:
    """The reference of before; None where there is none, or one of an older version."""
    if not path.is_file():
        return None
    try:
        return read_reference(path, suite)
    except UserError as error:
        progress.print_message(f"{error} Nothing of it is kept.", important=True)
        return None


def select_retained(
    old: Reference, new: Reference, selectors: Sequence[str], measured: Sequence[str]
) -> dict[str, CaseReference]:
    """The cases of before that were not measured now: all where some were selected, else those that failed now."""
    if selectors:
        return {name: case for name, case in old.cases.items() if name not in new.cases}
    return {name: case for name, case in old.cases.items() if name in measured and name not in new.cases}


def list_changes(name: str, before: CaseReference | None, now: CaseReference) -> list[str]:
    """A line per value of a case that is new, another one, or not measured any more."""
    if before is None:
        return [f"{name}: new, {len(now.values)} values"]
    lines = []
    for metric, entry in now.values.items():
        previous = before.values.get(metric)
        if previous is None:
            lines.append(f"{name}: {metric} is new: {format_band(entry)}")
        elif previous.value != entry.value:
            lines.append(f"{name}: {metric} {format_band(previous)} -> {format_band(entry)}")
    for metric, moved in now.unstable.items():
        if metric not in before.unstable:
            lines.append(
                f"{name}: {metric} is not compared, it moves by {moved:.2g} without a change of the code"
            )
    gone = [metric for metric in before.values if metric not in {*now.values, *now.unstable}]
    return lines + [f"{name}: {metric} is gone" for metric in gone]


def format_band(entry: ReferenceValue) -> str:
    """``3.21 ± 1e-06``, or a text."""
    return entry.value if isinstance(entry.value, str) else f"{entry.value:.7g} ± {entry.half_width:.2g}"


def merge_references(
    old: Reference | None, retained: Mapping[str, CaseReference], new: Reference
) -> JsonObject:
    """The document of cases measured at two times, as JSON.

    It has the circumstances of most cases, and a case that was measured under others has those itself.
    """
    base = old if old is not None and len(retained) > len(new.cases) else new
    merged: dict[str, Any] = {}
    for source, cases in ((old, retained), (new, new.cases)):
        if source is None:
            continue
        for name, case in cases.items():
            own = {key: getattr(case, key) or getattr(source, key) for key in ("packages", "variants")}
            differing = {key: None if value == getattr(base, key) else value for key, value in own.items()}
            merged[name] = case.model_copy(update=differing)
    ordered = dict(sorted(merged.items(), key=lambda item: item[0].split(" ")))
    document: JsonObject = base.model_copy(update={"cases": ordered}).model_dump(
        mode="json", exclude_defaults=True
    )
    return document
