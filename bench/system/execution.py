"""Under which conditions numbers are computed: what may change the last digits of a result and is no setting.

A sum of floats depends on the order of its parts, and that order on the number of threads and processes, on the
processor's instructions and on the path that a matrix product takes. Two runs with the same specification have the
same bytes only under equal conditions; records keep them (``bench.store.record.ExecutionFacts``), so that runs
under others can be told apart.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, NamedTuple

from bench.system import provenance
from bench.system.cpus import SHARE_OF_CORES, CpuSource, find_cpu_share
from bench.system.devices import count_processes
from bench.system.json_files import JsonObject

VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "MKL_CBWR",
    "MKL_DOMAIN_NUM_THREADS",
    "MKL_DYNAMIC",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OMP_DYNAMIC",
    "OMP_SCHEDULE",
    "OMP_THREAD_LIMIT",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
    "TORCH_BLAS_PREFER_HIPBLASLT",
)
"""What torch and its libraries read to choose how they compute, besides what torch itself can be asked for."""
PACKAGES = ("accelerate", "numpy", "tokenizers", "torch", "transformers")
"""Whose versions training and decoding depend on."""


@dataclass(frozen=True)
class ExecutionConditions:
    """What decides the bytes of a result beside its specification, its data and the versions of packages."""

    threads: int
    """Of one operation on the CPU (``torch.get_num_threads``)."""
    matmul_precision: str
    """Of float32 matrix products: highest, high (TensorFloat-32 or the like) or medium (bfloat16)."""
    processes: int
    """That share a training."""
    deterministic: bool
    """Whether torch was told to use deterministic algorithms only."""
    device: str
    """cpu, cuda or mps."""
    cpu_capability: str | None = None
    """The widest instructions that torch uses: DEFAULT, AVX2, AVX512; None where torch does not say."""
    accelerator: str | None = None
    """The GPU's name; None on a CPU."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Those of ``VARIABLES`` that are set."""
    deciding_sha256: str | None = None
    """Of the code that decides numbers (``bench.system.provenance``)."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions of ``PACKAGES``."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that make no other run and may change the last digits, as how micro-batches are cut."""

    def to_json(self) -> JsonObject:
        """As records and notes have it."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: object) -> ExecutionConditions | None:
        """What ``to_json`` made; None where it is something else, as in what older versions wrote."""
        if not isinstance(document, dict):
            return None
        names = {each.name for each in fields(cls)}
        try:
            return cls(**{name: value for name, value in document.items() if name in names})
        except TypeError:
            return None

    def list_differences(self, earlier: ExecutionConditions) -> list[str]:
        """The fields in which both differ, ``threads 1, then 2``."""
        return [
            f"{name.replace('_', ' ')} {_format(old)}, then {_format(new)}"
            for name, new in self.to_json().items()
            if (old := earlier.to_json()[name]) != new
        ]


def _format(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    if isinstance(value, Mapping):
        return " ".join(f"{name}={text}" for name, text in value.items()) or "none"
    return "none" if value is None else str(value)


class ThreadSource(StrEnum):
    """What decided how many threads an operation has, where no limit (``CpuSource``) did."""

    TYPED = "--threads"
    VARIABLE = "OMP_NUM_THREADS"
    SETTING = "default of the scale"


class ThreadChoice(NamedTuple):
    """How many threads an operation is to have (None: as many as torch takes by itself), and what decided it."""

    number: int | None
    source: ThreadSource | CpuSource


def choose_threads(decided: int | None, typed: bool) -> int | None:
    """How many threads an operation is to have; None: as many as torch takes by itself (``explain_threads``)."""
    return explain_threads(decided, typed).number


def explain_threads(decided: int | None, typed: bool) -> ThreadChoice:
    """How many threads an operation is to have, and why.

    What was typed counts most, then the OMP_NUM_THREADS of the user (which torch has read by itself), then what the
    run's settings say, then the processors that there are. None of it, but for what is typed outside of any job,
    exceeds what a scheduler, a control group or the affinity give; a share of a machine, which its jobs keep to by
    agreement, bounds only what nobody decided, so that a run has the same bytes alone and beside others.
    """
    chosen = os.environ.get("OMP_NUM_THREADS")
    is_users = bool(chosen) and chosen != os.environ.get(SHARE_OF_CORES)
    limit = find_cpu_share()
    if typed and decided is not None:
        is_job = "SUBMITIT_EXECUTOR" in os.environ or limit.source in _OF_SLURM
        bound = limit.number if is_job else decided
        return ThreadChoice(min(decided, bound), limit.source if bound < decided else ThreadSource.TYPED)
    if is_users:
        return ThreadChoice(None, ThreadSource.VARIABLE)
    if decided is not None:
        number = min(decided, limit.number)
        return ThreadChoice(number, limit.source if number < decided else ThreadSource.SETTING)
    # Less than what the system gives is a part that was left to a job beside others.
    return ThreadChoice(None, CpuSource.SHARE if chosen and chosen != str(limit.number) else limit.source)


_OF_SLURM = (CpuSource.SLURM_TASK, CpuSource.SLURM_NODE)


@contextlib.contextmanager
def use_threads(number: int | None) -> Iterator[None]:
    """Compute with that many threads in the block; None leaves them."""
    import torch

    before = torch.get_num_threads()
    try:
        if number is not None:
            torch.set_num_threads(number)
        yield
    finally:
        torch.set_num_threads(before)


def measure_conditions(device: str, settings: Mapping[str, Any] | None = None) -> ExecutionConditions | None:
    """Those of this process on ``device`` (cpu, cuda, mps); None where torch is not loaded: that takes seconds.

    ``settings``: of the run, as far as they may change the last digits.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    accelerator = None
    if device == "cuda" and torch.cuda.is_available():
        accelerator = str(torch.cuda.get_device_name())
    return ExecutionConditions(
        threads=torch.get_num_threads(),
        matmul_precision=torch.get_float32_matmul_precision(),
        processes=count_processes(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        device=device,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        accelerator=accelerator,
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        deciding_sha256=provenance.hash_running_source(),
        packages=provenance.list_package_versions(PACKAGES),
        settings=dict(settings or {}),
    )


def describe_change(earlier: object, current: ExecutionConditions | None, stage: str) -> str:
    """One line for whoever continues a run under other conditions than ``earlier`` (as ``to_json`` made them)."""
    before = ExecutionConditions.from_json(earlier)
    if before is None or current is None:
        changes = "those of before were not noted"
    else:
        changes = "; ".join(current.list_differences(before))
    return (
        f"{stage} goes on under other conditions ({changes}): "
        "the same seed may give other bytes, and the record says so"
    )


def list_distinct(conditions: Iterable[JsonObject | None]) -> list[JsonObject | None]:
    """Each once, in the order of their first appearance; None stands for conditions that nobody noted."""
    distinct: list[JsonObject | None] = []
    for entry in conditions:
        if entry not in distinct:
            distinct.append(entry)
    return distinct
