"""Under which conditions numbers are computed, and that a change of them is noticed."""

from __future__ import annotations

import dataclasses
import os

import pytest
import torch

from bench.store.record import EarlierConditions
from bench.system import cpus, execution
from bench.system.cpus import CpuSource
from bench.system.devices import make_accelerator
from bench.system.execution import ExecutionConditions, ThreadSource


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


@pytest.mark.parametrize(
    ("decided", "typed", "variables", "expected"),
    [
        (2, False, {}, 2),
        (2, False, {"OMP_NUM_THREADS": "1"}, None),
        (2, False, {"OMP_NUM_THREADS": "1", "BENCH_CORES": "1"}, 2),
        (2, False, {"OMP_NUM_THREADS": "3", "BENCH_CORES": "1"}, None),
        (3, True, {"OMP_NUM_THREADS": "1"}, 3),
        (None, False, {}, None),
        (None, True, {"OMP_NUM_THREADS": "8"}, None),
        (None, False, {"OMP_NUM_THREADS": "4", "BENCH_CORES": "4"}, None),
    ],
)
def test_who_decides_the_number_of_threads(
    decided: int | None,
    typed: bool,
    variables: dict[str, str],
    expected: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("OMP_NUM_THREADS", "BENCH_CORES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert execution.choose_threads(decided, typed) == expected


@pytest.mark.parametrize(
    ("decided", "typed", "variables", "expected"),
    [
        (2, False, {}, (2, ThreadSource.SETTING)),
        (2, False, {"SLURM_CPUS_PER_TASK": "1"}, (1, CpuSource.SLURM_TASK)),
        (2, False, {"SLURM_CPUS_PER_TASK": "8"}, (2, ThreadSource.SETTING)),  # the same bytes as elsewhere
        (2, False, {"SLURM_CPUS_PER_TASK": "8", "OMP_NUM_THREADS": "8", "BENCH_CORES": "8"},
            (2, ThreadSource.SETTING)),
        (2, False, {"SLURM_CPUS_ON_NODE": "1", "OMP_NUM_THREADS": "1", "BENCH_CORES": "1"},
            (1, CpuSource.SLURM_NODE)),
        (2, False, {"OMP_NUM_THREADS": "1"}, (None, ThreadSource.VARIABLE)),
        (6, True, {"SLURM_CPUS_PER_TASK": "4"}, (4, CpuSource.SLURM_TASK)),
        (6, True, {"SUBMITIT_EXECUTOR": "local"}, (6, ThreadSource.TYPED)),
        (16, True, {"SUBMITIT_EXECUTOR": "local"}, (8, CpuSource.AFFINITY)),
        (16, True, {}, (16, ThreadSource.TYPED)),
        (None, False, {}, (None, CpuSource.AFFINITY)),
        (None, False, {"OMP_NUM_THREADS": "2", "BENCH_CORES": "2"}, (None, CpuSource.SHARE)),
        (None, False, {"SLURM_CPUS_PER_TASK": "4", "OMP_NUM_THREADS": "4", "BENCH_CORES": "4"},
            (None, CpuSource.SLURM_TASK)),
    ],
)  # fmt: skip
def test_what_decided_the_number_of_threads(
    decided: int | None,
    typed: bool,
    variables: dict[str, str],
    expected: tuple[int | None, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpus, "count_affinity", lambda: 8)
    monkeypatch.setattr(cpus, "read_cgroup_quota", lambda: None)
    for name in ("OMP_NUM_THREADS", "BENCH_CORES", "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert execution.explain_threads(decided, typed) == expected


def test_the_threads_of_before_come_back() -> None:
    before = torch.get_num_threads()
    with execution.use_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        with execution.use_threads(None):
            assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_variables_of_accelerate_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "eager")
    accelerator = make_accelerator("cpu", "fp32")
    assert accelerator.gradient_accumulation_steps == 1
    assert accelerator.mixed_precision == "no"
    assert accelerator.state.dynamo_plugin.backend == "NO"
    assert os.environ["ACCELERATE_GRADIENT_ACCUMULATION_STEPS"] == "4"


def test_records_have_every_condition() -> None:
    names = {field.name for field in dataclasses.fields(ExecutionConditions)}
    assert names == set(EarlierConditions.model_fields)
