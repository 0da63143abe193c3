"""What the tests of the regression check share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.method import Method
from bench.regression import measuring
from bench.regression.measuring import Circumstances, Unit
from bench.regression.reference import CaseReference, load_reference
from bench.regression.values import MeasuredValue, Measurement, OutputFingerprints, ValueKind
from bench.scoring import golden
from bench.task import Task

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    golden.check_scorer.cache_clear()


def measure_as_referenced(known: CaseReference) -> Measurement:
    """A measurement that is the reference's own."""
    values = {
        name: MeasuredValue(entry.kind, entry.value)
        for name, entry in known.values.items()
        if entry.kind is not ValueKind.OUTPUT_SHARE
    }
    outputs = known.outputs.fingerprints if known.outputs is not None else OutputFingerprints()
    return Measurement(values, outputs)


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is run: each case and probe gives the values of the reference. The names of those asked for."""
    cases, asked = load_reference().cases, []

    def measure(unit: Unit, runs: Path, circumstances: Circumstances) -> Measurement:
        asked.append(unit.name)
        return measure_as_referenced(cases[unit.name])

    monkeypatch.setattr(measuring, "measure_unit", measure)
    return asked


@pytest.fixture
def guides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The method and the task of the guides, as if their files were in place."""
    blocks = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```python\n")[1:]
    space: dict[str, Any] = {"__name__": "guide"}
    for block in blocks:
        lines = block.split("```")[0].splitlines()
        exec("\n".join(line.removeprefix("   ") for line in lines), space)
    methods: dict[str, Method] = {**registry.methods(), "bias": space["Bias"]()}
    tasks: dict[str, Task] = {"colours": space["Colours"](), **registry.tasks()}
    monkeypatch.setattr(registry, "_methods", lambda: registry.Discovery(methods))
    monkeypatch.setattr(registry, "_tasks", lambda: registry.Discovery(tasks))
