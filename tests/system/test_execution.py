"""Under which conditions numbers are computed, and that a change of them is noticed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bench.store.record import EarlierConditions
from bench.system import execution
from bench.system.execution import ExecutionConditions


def measure() -> ExecutionConditions:
    measured = execution.measure_conditions("cpu")
    assert measured is not None
    return measured


def test_the_conditions_are_those_of_this_process() -> None:
    measured = measure()
    assert measured.threads == torch.get_num_threads()
    assert measured.matmul_precision == "highest"
    assert (measured.processes, measured.deterministic, measured.device) == (1, False, "cpu")
    assert measured.cpu_capability == torch.backends.cpu.get_cpu_capability()
    assert measured.accelerator is None


def test_each_of_them_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    before, threads = measure(), torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert measure().list_differences(before) == [f"threads {threads}, then {threads + 1}"]
    finally:
        torch.set_num_threads(threads)
    try:
        torch.set_float32_matmul_precision("medium")
        assert measure().list_differences(before) == ["matmul precision highest, then medium"]
    finally:
        torch.set_float32_matmul_precision("highest")
    try:
        torch.use_deterministic_algorithms(True)
        assert measure().list_differences(before) == ["deterministic False, then True"]
    finally:
        torch.use_deterministic_algorithms(False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert measure().list_differences(before) == [
        "processes 1, then 2",
        "variables none, then MKL_CBWR=COMPATIBLE",
    ]


def test_what_was_noted_comes_back_and_nothing_else_does() -> None:
    measured = measure()
    assert ExecutionConditions.from_json(measured.to_json()) == measured
    assert ExecutionConditions.from_json({**measured.to_json(), "newer": 1}) == measured
    for odd in (None, "text", {}, {"threads": 1}):
        assert ExecutionConditions.from_json(odd) is None


def test_records_have_every_condition() -> None:
    names = {field.name for field in dataclasses.fields(ExecutionConditions)}
    assert names == set(EarlierConditions.model_fields)
