"""The regression check: small runs of every method on every task, against committed values.

    bench check               run them now, compare; exit 1 if a value left its band or something was not compared
    bench check --update      write new reference values and show what changed

Why bands: with the same seed, code and libraries a run gives the same values, so any difference says that
something changed. Other processors and library versions change the last digits, and training amplifies them;
how far such noise can carry a value is measured by what another seed does to it. A value may therefore move
by ``WIDTH`` standard deviations between seeds, from the ten seeds of ``results/check/reference.json``, and no
further. The width of every band is measured, value by value; chosen by hand are ``WIDTH`` and how narrow a
band may get (``RESOLUTION``, ``FINEST``), for values that another seed hardly moves.
"""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench import registry
from bench.errors import UnknownNameError, UserError
from bench.system import progress
from bench.system.json_files import JsonObject, read_json

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "check" / "reference.json"
SEED = 1
SEEDS = tuple(range(1, 11))
WIDTH = 3.0
"""Standard deviations between seeds that a value may move; the reference is one of the seeds itself."""
RESOLUTION = {"bleu": 0.01, "nist": 1e-3, "cider": 1e-3}
"""Metric -> half of its narrowest band; of others it is ``FINEST``, and of what is stored 0."""
FINEST = 1e-4
"""Without such a limit a method without anything random would have bands of width 0."""
SETTINGS: dict[str, dict[str, object]] = {
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

CaseValues = dict[str, float]


@dataclass(frozen=True)
class Case:
    """One run of the check."""

    task: str
    method: str

    @property
    def name(self) -> str:
        return f"{self.task} {self.method}"

    def matches(self, selector: str) -> bool:
        """Whether ``selector`` is the name of its task, of its method or of both."""
        return selector in (self.name, self.task, self.method)


@dataclass(frozen=True)
class ComparedValue:
    """A value and its band; ``value`` None: it was not computed any more."""

    case: str
    metric: str
    value: float | None
    low: float
    high: float

    @property
    def outside(self) -> bool:
        return self.value is None or not self.low <= self.value <= self.high


@dataclass(frozen=True)
class CheckOutcome:
    """What a check came to. It passed only if everything was compared and nothing left its band."""

    values: list[ComparedValue]
    without_reference: list[str]
    """Cases that can run and that nothing is known of yet; they were not run."""
    cannot_run: list[str]
    """Cases of the reference that cannot run here any more."""
    seconds: float

    @property
    def outside(self) -> list[ComparedValue]:
        return [value for value in self.values if value.outside]

    @property
    def passed(self) -> bool:
        return not (self.outside or self.without_reference or self.cannot_run)


class Measurement(NamedTuple):
    """What a run came to: its values, its seconds, and the text of its failure ("" if it did not fail)."""

    values: CaseValues
    seconds: float
    failure: str


# --- which cases


def settings_for(task: str) -> dict[str, object]:
    """The settings of a task's runs."""
    return SETTINGS[registry.get_task(task).kind]


def list_registered_cases() -> list[Case]:
    """Every task with every method, in the order of their names."""
    return [Case(task, method) for task in registry.tasks() for method in registry.methods()]


def select_cases(selectors: Iterable[str], candidates: Sequence[Case]) -> list[Case]:
    """The candidates that match one of the selectors; all without selectors.

    A selector that matches none is an ``UnknownNameError``.
    """
    tasks, methods = {case.task for case in candidates}, {case.method for case in candidates}
    selectors = list(selectors)
    for selector in selectors:
        task, blank, method = selector.partition(" ")
        if not blank and selector not in tasks | methods:
            raise UnknownNameError("task or method", selector, tasks | methods, "bench check --only")
        if blank and task not in tasks:
            raise UnknownNameError("task", task, tasks, f"bench check --only '{selector}'")
        if blank and method not in methods:
            raise UnknownNameError("method", method, methods, f"bench check --only '{selector}'")
    return [
        case for case in candidates if not selectors or any(case.matches(selector) for selector in selectors)
    ]


def find_obstacle(case: Case) -> str | None:
    """Why a case cannot run at scale mini, in words, found out without running it; None if it can.

    The task or method is not here, it is not for this kind of model, or the mini suite has no data for it.
    """
    from bench.config.request import CommonOptions, expand_requests
    from bench.data.sources import find_mini_root

    try:
        common = CommonOptions(given=settings_for(case.task))
        [request] = expand_requests(methods=case.method, tasks=case.task, seeds=str(SEED), common=common)
        request.resolve(request.model)
        find_mini_root(request.task)
    except UserError as error:
        return str(error)
    return None


def find_obstacles(cases: Iterable[Case]) -> dict[Case, str]:
    """Those that cannot run, each with its reason."""
    obstacles = {case: find_obstacle(case) for case in cases}
    return {case: reason for case, reason in obstacles.items() if reason is not None}


def list_cases(selectors: Iterable[str] = (), referenced: Iterable[Case] = ()) -> list[Case]:
    """The cases that can run and match the selectors, and of those ``referenced`` all that match.

    Others are left out, which is reported; where nothing is left of a selector, that is a ``UserError``.
    """
    selectors, referenced = list(selectors), list(referenced)
    candidates = select_cases(selectors, list(dict.fromkeys([*list_registered_cases(), *referenced])))
    obstacles = find_obstacles(case for case in candidates if case not in referenced)
    groups = [[case for case in candidates if case.matches(selector)] for selector in selectors]
    for group in groups or [candidates]:
        if all(case in obstacles for case in group):
            reasons = summarise_obstacles({case: obstacles[case] for case in group})
            raise UserError(f"nothing to run: {reasons}")
    if obstacles:
        progress.print_message(
            f"left out, as they cannot run at scale mini: {summarise_obstacles(obstacles)}"
        )
    return [case for case in candidates if case not in obstacles]


def summarise_obstacles(obstacles: Mapping[Case, str]) -> str:
    """Cases by the reason why they cannot run, in one line."""
    by_reason: dict[str, list[str]] = {}
    for case, reason in obstacles.items():
        by_reason.setdefault(reason, []).append(case.name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


# --- their values


def measure_case(case: Case, seed: int, runs: Path) -> CaseValues:
    """Run one case afresh below ``runs`` and take its values: scores of all items, losses, counts."""
    from bench.config.request import CommonOptions, expand_requests
    from bench.runs.runner import run
    from bench.system.progress import silence_progress

    common = CommonOptions(runs=runs, offline=True, given=settings_for(case.task))
    [request] = expand_requests(methods=case.method, tasks=case.task, seeds=str(seed), common=common)
    with silence_progress(), embedded_data():
        record = run(request)
    assert record is not None
    return extract_values(record)


@contextlib.contextmanager
def embedded_data() -> Iterator[None]:
    """Whatever BENCH_DATA says: the reference is of the embedded suite."""
    users_folder = os.environ.pop("BENCH_DATA", None)
    try:
        yield
    finally:
        if users_folder is not None:
            os.environ["BENCH_DATA"] = users_folder


def extract_values(record: Mapping[str, Any]) -> CaseValues:
    """What the check compares: every score, the loss at the end of training, what is stored."""
    values = {
        name: float(score["value"])
        for name, score in record["scores"]["all"].items()
        if score["value"] is not None
    }
    values["stored parameters"] = float(record["parameters"]["stored"])
    values["generated tokens"] = float(record["decoding"]["generated_tokens"])
    if record["training"] is not None:
        values["final loss"] = float(record["training"]["final_loss"])
    return values


def try_measuring(case: Case, seed: int, runs: Path) -> Measurement:
    """Measure a case; one that fails has no values, and the others go on."""
    started = time.monotonic()
    try:
        values, failure = measure_case(case, seed, runs), ""
    except UserError as error:
        values, failure = {}, str(error)
    except Exception:  # noqa: BLE001 - a broken method is found by its missing values, beside all others
        values, failure = {}, traceback.format_exc()
    return Measurement(values, time.monotonic() - started, failure)


def measure_cases(cases: Sequence[tuple[Case, int]], processes: int) -> list[CaseValues]:
    """The values of every (case, seed), over several processes; none where the run failed, which is reported."""
    from bench.system.process_pool import make_scratch_folder, start_workers

    values: dict[int, CaseValues] = {}

    def report(number: int, measurement: Measurement) -> None:
        case, seed = cases[number]
        values[number] = measurement.values
        name = case.name if seed == SEED else f"{case.name}, seed {seed}"
        progress.print_message(
            f"[{len(values)}/{len(cases)}] {name} {progress.format_duration(measurement.seconds)}"
        )
        if measurement.failure:
            reason = measurement.failure.rstrip()
            progress.print_message(f"bench: {case.name}, seed {seed}, failed: {reason}", important=True)

    with make_scratch_folder("bench-check-") as folder:
        if processes < 2:
            for number, (case, seed) in enumerate(cases):
                report(number, try_measuring(case, seed, folder))
        else:
            with start_workers(min(processes, len(cases) or 1)) as pool:
                futures = {
                    pool.submit(try_measuring, *case, folder): number for number, case in enumerate(cases)
                }
                for future in as_completed(futures):
                    report(futures[future], future.result())
    return [values[number] for number in range(len(cases))]


# --- the comparison


def compare_values(reference: Mapping[str, Any], measured: Mapping[str, CaseValues]) -> list[ComparedValue]:
    """Every value of the reference beside what came out now."""
    compared = []
    for name, values in measured.items():
        if name not in reference["cases"]:
            raise UserError(f"{name} has no reference values; `bench check --update` makes them")
        expected = reference["cases"][name]
        for metric, value in expected["values"].items():
            half = expected["half_width"][metric]
            compared.append(ComparedValue(name, metric, values.get(metric), value - half, value + half))
    return compared


def load_reference(path: Path = REFERENCE) -> dict[str, Any]:
    """The committed reference."""
    if not path.is_file():
        raise UserError(f"{path.name}: no reference values are here; `bench check --update` makes them")
    document: JsonObject = read_json(path)
    return document


def check_cases(selectors: Iterable[str], processes: int) -> CheckOutcome:
    """Run the cases and compare. What cannot be compared is reported before anything runs; the rest goes on."""
    started = time.monotonic()
    reference = load_reference()
    referenced = [Case(*name.split(" ", 1)) for name in reference["cases"]]
    cases = list_cases(selectors, referenced)
    obstacles = find_obstacles(case for case in cases if case in referenced)
    if obstacles:
        number, reasons = count_cases(obstacles), summarise_obstacles(obstacles)
        progress.print_message(
            f"bench: {number} of the reference cannot run any more: {reasons}", important=True
        )
    new = [case.name for case in cases if case not in referenced]
    if new:
        text = f"{count_cases(new)} without reference values yet: {', '.join(new)}"
        progress.print_message(f"bench: {text}; `bench check --update --only …` makes them", important=True)
    comparable = [case for case in cases if case in referenced and case not in obstacles]
    values = measure_cases([(case, SEED) for case in comparable], processes)
    compared = compare_values(reference, dict(zip((case.name for case in comparable), values, strict=True)))
    return CheckOutcome(compared, new, [case.name for case in obstacles], seconds=time.monotonic() - started)


def count_cases(cases: Sized) -> str:
    """``1 case``, ``2 cases``."""
    return f"{len(cases)} case{'' if len(cases) == 1 else 's'}"
