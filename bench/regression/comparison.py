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
from typing import Any

from bench import registry
from bench.errors import UnknownNameError, UserError
from bench.system import progress
from bench.system.json_files import read_json

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "check" / "reference.json"
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

    def fits(self, name: str) -> bool:
        """Whether it is meant by the name of a task, of a method or of both."""
        return name in (self.name, self.task, self.method)


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


@dataclass(frozen=True)
class Outcome:
    """What a check came to. It passed only if everything was compared and nothing left its band."""

    values: list[Moved]
    without_reference: list[str]
    """Cases that can run and that nothing is known of yet; they were not run."""
    cannot_run: list[str]
    """Cases of the reference that cannot run here any more."""
    seconds: float

    @property
    def outside(self) -> list[Moved]:
        return [one for one in self.values if one.outside]

    @property
    def passed(self) -> bool:
        return not (self.outside or self.without_reference or self.cannot_run)


def given(task: str) -> dict[str, object]:
    """The settings of a task's runs."""
    return GIVEN[registry.get_task(task).kind]


def registered() -> list[Case]:
    """Every task with every method, in the order of their names."""
    return [Case(task, method) for task in registry.tasks() for method in registry.methods()]


def fitting(only: Iterable[str], among: Sequence[Case]) -> list[Case]:
    """The cases that fit one of the names; all without names. A name that fits none is an error."""
    tasks, methods = {one.task for one in among}, {one.method for one in among}
    chosen = list(only)
    for name in chosen:
        task, blank, method = name.partition(" ")
        if not blank and name not in tasks | methods:
            raise UnknownNameError("task or method", name, tasks | methods, "bench check --only")
        if blank and task not in tasks:
            raise UnknownNameError("task", task, tasks, f"bench check --only '{name}'")
        if blank and method not in methods:
            raise UnknownNameError("method", method, methods, f"bench check --only '{name}'")
    return [one for one in among if not chosen or any(one.fits(name) for name in chosen)]


def refusal(case: Case) -> str | None:
    """Why a case cannot run at scale mini, found out without running it; None if it can.

    The task or method is not here, it is not for this kind of model, or the mini suite has no data for it.
    """
    from bench.config.request import CommonOptions, expand_requests
    from bench.data.sources import mini_root

    try:
        common = CommonOptions(given=given(case.task))
        [request] = expand_requests(methods=case.method, tasks=case.task, seeds=str(SEED), common=common)
        request.resolve(request.model)
        mini_root(request.task)
    except UserError as error:
        return str(error)
    return None


def cases(only: Iterable[str] = (), known: Iterable[Case] = ()) -> list[Case]:
    """The cases that can run and fit the names, and of the ``known`` ones those that fit.

    Others are left out, which is said; where nothing is left of a name, that is an error.
    """
    only, known = list(only), list(known)
    found = fitting(only, list(dict.fromkeys([*registered(), *known])))
    refused = {one: why for one in found if one not in known and (why := refusal(one)) is not None}
    for meant in [[one for one in found if one.fits(name)] for name in only] or [found]:
        if all(one in refused for one in meant):
            raise UserError(f"nothing to run: {in_short({one: refused[one] for one in meant})}")
    if refused:
        progress.say(f"left out, as they cannot run at scale mini: {in_short(refused)}")
    return [one for one in found if one not in refused]


def in_short(refused: Mapping[Case, str]) -> str:
    """Cases by the reason why they cannot run, in one line."""
    by_reason: dict[str, list[str]] = {}
    for case, why in refused.items():
        by_reason.setdefault(why, []).append(case.name)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in by_reason.items())


def measure(case: Case, seed: int, runs: Path) -> Values:
    """Run one case afresh below ``runs`` and take its values: scores of all items, losses, counts."""
    from bench.config.request import CommonOptions, expand_requests
    from bench.runs.runner import run
    from bench.system.progress import quietly

    common = CommonOptions(runs=runs, offline=True, given=given(case.task))
    [request] = expand_requests(methods=case.method, tasks=case.task, seeds=str(seed), common=common)
    with quietly(), mini_data():
        record = run(request)
    assert record is not None
    return values_of(record)


@contextlib.contextmanager
def mini_data() -> Iterator[None]:
    """Whatever BENCH_DATA says: the reference is of the embedded suite."""
    own = os.environ.pop("BENCH_DATA", None)
    try:
        yield
    finally:
        if own is not None:
            os.environ["BENCH_DATA"] = own


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


def timed(case: Case, seed: int, runs: Path) -> tuple[Values, float, str]:
    """The values of a run, its seconds, and why it failed: then it has no values, and the others go on."""
    started = time.monotonic()
    try:
        values, failure = measure(case, seed, runs), ""
    except UserError as error:
        values, failure = {}, str(error)
    except Exception:  # noqa: BLE001 - a broken method is found by its missing values, beside all others
        values, failure = {}, traceback.format_exc()
    return values, time.monotonic() - started, failure


def measured(wanted: Sequence[tuple[Case, int]], processes: int) -> list[Values]:
    """The values of every (case, seed), over several processes; none where the run failed, which is said."""
    from bench.system.process_pool import scratch, workers

    found: dict[int, Values] = {}

    def done(number: int, values: Values, seconds: float, failure: str) -> None:
        case, seed = wanted[number]
        found[number] = values
        name = case.name if seed == SEED else f"{case.name}, seed {seed}"
        progress.say(f"[{len(found)}/{len(wanted)}] {name} {progress.duration(seconds)}")
        if failure:
            progress.say(f"bench: {case.name}, seed {seed}, failed: {failure.rstrip()}", important=True)

    with scratch("bench-check-") as folder:
        if processes < 2:
            for number, (case, seed) in enumerate(wanted):
                done(number, *timed(case, seed, folder))
        else:
            with workers(min(processes, len(wanted) or 1)) as pool:
                futures = {pool.submit(timed, *one, folder): number for number, one in enumerate(wanted)}
                for future in as_completed(futures):
                    done(futures[future], *future.result())
    return [found[number] for number in range(len(wanted))]


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


def load(path: Path = REFERENCE) -> dict[str, Any]:
    """The committed reference."""
    if not path.is_file():
        raise UserError(f"{path.name}: no reference values are here; `bench check --update` makes them")
    document: dict[str, Any] = read_json(path)
    return document


def check(only: Iterable[str], processes: int) -> Outcome:
    """Run the cases and compare. What cannot be compared is said before anything runs; the rest goes on."""
    started = time.monotonic()
    reference = load()
    known = [Case(*name.split(" ", 1)) for name in reference["cases"]]
    found = cases(only, known)
    gone = {one: why for one in found if one in known and (why := refusal(one)) is not None}
    if gone:
        progress.say(
            f"bench: {amount(gone)} of the reference cannot run any more: {in_short(gone)}", important=True
        )
    new = [one.name for one in found if one not in known]
    if new:
        text = f"{amount(new)} without reference values yet: {', '.join(new)}"
        progress.say(f"bench: {text}; `bench check --update --only …` makes them", important=True)
    wanted = [one for one in found if one in known and one not in gone]
    values = measured([(one, SEED) for one in wanted], processes)
    moved = compare(reference, dict(zip((one.name for one in wanted), values, strict=True)))
    return Outcome(moved, new, [one.name for one in gone], time.monotonic() - started)


def amount(found: Sized) -> str:
    return f"{len(found)} case{'' if len(found) == 1 else 's'}"
