"""What the regression check is worth: small faults, planted one at a time in a copy, that it must see.

    make mutants                        all of faults.toml; writes results/check/mutants.json and mutants.md
    make mutants FAULTS="clipping eos"  these alone; prints, writes nothing

Every fault runs the cases that it names; where those see nothing, the whole check. A fault counts as caught when
``bench check`` exits with 1 and names a value that left its band. A copy without a fault is checked the same way
first: where that is not passed, nothing is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).with_name("faults.toml")
RESULTS = ROOT / "results" / "check"
SOURCES = ("bench", "tasks", "baselines", "reports", "results", "docs")
"""What a copy has."""
SHOWN = 3
"""Values that the table names of each fault."""


class Outcome(StrEnum):
    """What the check made of a fault."""

    CAUGHT = "caught"
    MISSED = "missed"
    BROKEN = "broken"
    """The check did not answer: the fault breaks more than a number, and proves nothing."""


@dataclass(frozen=True)
class Fault:
    """An entry of faults.toml, where the fields are explained."""

    name: str
    about: str
    file: str
    find: str
    replace: str
    cases: str

    def plant(self, root: Path) -> None:
        """Change the copy at ``root``; ``ValueError`` where the text does not stand there exactly once."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.find) != 1:
            raise ValueError(
                f"{self.name}: {self.file} has {text.count(self.find)} times {self.find!r}; expected 1"
            )
        path.write_text(text.replace(self.find, self.replace), encoding="utf-8")


@dataclass(frozen=True)
class FaultResult:
    """What came of a fault: ``outside`` are the values that left their bands, ``case metric``."""

    name: str
    about: str
    outcome: Outcome
    cases: str
    """What was run when it was caught; ``all`` for the whole check."""
    outside: tuple[str, ...]
    seconds: float


def read_faults() -> list[Fault]:
    """All faults, in their order."""
    with FAULTS.open("rb") as stream:
        return [Fault(**entry) for entry in tomllib.load(stream)["fault"]]


def copy_source(target: Path) -> None:
    """The source as it stands, without what runs leave behind."""
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", target)


class CheckAnswer(NamedTuple):
    """The exit code of ``bench check``, the values outside their bands, and its last words."""

    code: int
    outside: tuple[str, ...]
    error: str


def run_check(root: Path, cases: str | None) -> CheckAnswer:
    """``bench check`` on the copy at ``root``, in one process; ``cases`` None: all of them."""
    command = [sys.executable, "-m", "bench", "check", "--json", "--processes", "1"]
    command += ["--only", cases] if cases else []
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return CheckAnswer(done.returncode, (), lines[-1] if lines else "no answer")
    outside = tuple(f"{value['case']}: {value['metric']}" for value in document["outside"])
    return CheckAnswer(done.returncode, outside, lines[-1] if lines else "")


def try_fault(fault: Fault) -> FaultResult:
    """Plant the fault in a copy and ask the check: first the cases that the fault names, then all."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-mutant-") as folder:
        root = Path(folder)
        copy_source(root)
        fault.plant(root)
        ran = fault.cases
        answer = run_check(root, ran)
        if answer.code == 0:
            ran = "all"
            answer = run_check(root, None)
    if answer.code == 1 and answer.outside:
        outcome = Outcome.CAUGHT
    else:
        outcome = Outcome.MISSED if answer.code == 0 else Outcome.BROKEN
    seconds = round(time.monotonic() - started, 1)
    details = answer.outside or ((answer.error,) if outcome is Outcome.BROKEN else ())
    return FaultResult(fault.name, fault.about, outcome, ran, details, seconds)


def try_faults(faults: Sequence[Fault], workers: int) -> list[FaultResult]:
    """All of them, ``workers`` at a time; prints each as it ends."""

    def try_and_report(fault: Fault) -> FaultResult:
        result = try_fault(fault)
        print(f"{result.outcome:7} {result.name} ({result.cases}, {result.seconds:.0f} s)", flush=True)
        return result

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(try_and_report, faults))


def format_table(results: Sequence[FaultResult]) -> str:
    """The results as Markdown."""
    caught = sum(result.outcome is Outcome.CAUGHT for result in results)
    lines = [
        "# What the regression check catches",
        "",
        f"`make mutants`: {caught} of {len(results)} planted faults are caught. Each was planted alone in a copy of",
        "the source (tests/mutants/faults.toml); the last column names the first values that left their bands.",
        "",
        "| fault | what it does | | run | seen in |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        more = len(result.outside) - SHOWN
        values = "; ".join(result.outside[:SHOWN]) + (f"; {more} more" if more > 0 else "")
        cells = [result.name, result.about, result.outcome, result.cases, values or "-"]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write_results(results: Sequence[FaultResult]) -> None:
    """results/check/mutants.json and mutants.md."""
    document = {
        "caught": sum(result.outcome is Outcome.CAUGHT for result in results),
        "faults": [asdict(result) for result in results],
    }
    (RESULTS / "mutants.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "mutants.md").write_text(format_table(results), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if a fault was not caught."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "faults", nargs="*", help="names in faults.toml; all otherwise, and the results are written"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="faults at a time")
    given = parser.parse_args(arguments)
    faults = read_faults()
    names = {fault.name for fault in faults}
    unknown = [name for name in given.faults if name not in names]
    if unknown:
        parser.error(f"unknown fault {unknown[0]!r}; expected one of {', '.join(sorted(names))}")
    chosen = [fault for fault in faults if not given.faults or fault.name in given.faults]
    cases = ",".join(dict.fromkeys(fault.cases for fault in chosen))
    with tempfile.TemporaryDirectory(prefix="bench-mutant-") as folder:
        copy_source(Path(folder))
        sound = run_check(Path(folder), cases)
    if sound.code != 0:
        print(f"without a fault the check does not pass: {'; '.join(sound.outside) or sound.error}")
        return 1
    results = try_faults(chosen, given.workers)
    if not given.faults:
        write_results(results)
    print(f"{sum(result.outcome is Outcome.CAUGHT for result in results)} of {len(results)} caught")
    return 0 if all(result.outcome is Outcome.CAUGHT for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
