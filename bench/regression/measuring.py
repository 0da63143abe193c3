"""Measures cases and probes: here, over several processes, or in a process of its own under other circumstances.

python -m bench.regression.measuring ANSWER < REQUEST     what ``measure_apart`` starts
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.regression.cases import Case
from bench.regression.observing import measure_run
from bench.regression.probes import Probe, measure_probe
from bench.regression.values import Measurement, read_measurement
from bench.system import progress, provenance
from bench.system.files import open_temporary_folder
from bench.system.json_files import read_json, write_json_atomic

ROOT = Path(__file__).resolve().parents[2]
Unit = Case | Probe


@dataclass(frozen=True)
class Circumstances:
    """What may legitimately change the last digits: how a run computes, and with which versions of packages."""

    name: str = "1 thread"
    threads: int = 1
    onednn: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: Path | None = None
    """A folder of ``pip install --target`` whose packages go before the installed ones."""


HERE = Circumstances()


@contextlib.contextmanager
def apply_circumstances(circumstances: Circumstances) -> Iterator[None]:
    """Threads and matrix products as asked for, and as before afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(circumstances.threads)
    with contextlib.ExitStack() as stack:
        stack.callback(torch.set_num_threads, before)
        if not circumstances.onednn:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a GPU that is not here
                stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        yield


def measure_unit(unit: Unit, runs: Path, circumstances: Circumstances = HERE) -> Measurement:
    """The values of a case or a probe; raises what went wrong."""
    if isinstance(unit, Probe):
        return measure_probe(unit)
    with apply_circumstances(circumstances):
        return measure_run(unit, runs)


def try_measuring(unit: Unit, runs: Path, circumstances: Circumstances = HERE) -> Measurement:
    """Measure; what fails has no values, and the others go on."""
    started = time.monotonic()
    try:
        measurement = measure_unit(unit, runs, circumstances)
    except UserError as error:
        measurement = Measurement(failure=str(error))
    except Exception:  # noqa: BLE001 - a broken method is found by its missing values, beside all others
        measurement = Measurement(failure=traceback.format_exc())
    return replace(measurement, seconds=time.monotonic() - started)


def measure_units(
    units: Sequence[Unit], processes: int, circumstances: Circumstances = HERE
) -> dict[str, Measurement]:
    """The values of every unit by its name, over several processes; a failure is reported."""
    from bench.system.process_pool import make_scratch_folder, start_workers

    measured: dict[str, Measurement] = {}

    def report(unit: Unit, measurement: Measurement) -> None:
        measured[unit.name] = measurement
        duration = progress.format_duration(measurement.seconds)
        progress.print_message(f"[{len(measured)}/{len(units)}] {unit.name} {duration}")
        if measurement.failure:
            progress.print_message(
                f"bench: {unit.name} failed: {measurement.failure.rstrip()}", important=True
            )

    with make_scratch_folder("check") as folder:
        if processes < 2:
            for unit in units:
                report(unit, try_measuring(unit, folder, circumstances))
        else:
            with start_workers(min(processes, len(units) or 1)) as pool:
                futures = {pool.submit(try_measuring, unit, folder, circumstances): unit for unit in units}
                for future in as_completed(futures):
                    report(futures[future], future.result())
    return {unit.name: measured[unit.name] for unit in units}


# --- in a process of its own


@dataclass(frozen=True)
class SeparateMeasurement:
    """What was measured in a process of its own, and the versions of the packages there."""

    measured: Mapping[str, Measurement]
    packages: Mapping[str, str | None]


def measure_apart(units: Sequence[Unit], processes: int, circumstances: Circumstances) -> SeparateMeasurement:
    """``measure_units`` in a new interpreter: torch reads some of its environment once, when it is imported."""
    path = [str(circumstances.packages)] if circumstances.packages else []
    path += [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(circumstances.threads),
        **circumstances.environment,
        "PYTHONPATH": os.pathsep.join(path),
    }
    request = {
        "cases": [encode_case(unit) for unit in units if isinstance(unit, Case)],
        "probes": [encode_case(unit) for unit in units if isinstance(unit, Probe)],
        "processes": processes,
        "threads": circumstances.threads,
        "onednn": circumstances.onednn,
    }
    with open_temporary_folder("check") as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "bench.regression.measuring", str(answer)]
        done = subprocess.run(  # noqa: S603 - this program itself
            command, input=json.dumps(request), text=True, env=environment, check=False
        )
        if done.returncode != 0 or not answer.is_file():
            raise UserError(f"measuring with {circumstances.name} ended with exit code {done.returncode}")
        document = read_json(answer)
    measured = {name: read_measurement(entry) for name, entry in document["measured"].items()}
    return SeparateMeasurement(measured, document["packages"])


def encode_case(unit: Unit) -> dict[str, Any]:
    """A case or probe as plain data."""
    fields = asdict(unit)
    return {**fields, "data_dir": None if unit.data_dir is None else str(unit.data_dir)}


def decode_paths(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``encode_case``, but for the class."""
    return {**fields, "data_dir": None if fields["data_dir"] is None else Path(fields["data_dir"])}


def end_with_parent(parent: int) -> None:
    """End this process when the one that started it is gone: nobody would read the answer."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def main() -> None:
    """Read a request from standard input, measure, and write the answer to the file that is named."""
    threading.Thread(target=end_with_parent, args=[os.getppid()], daemon=True).start()
    request = json.load(sys.stdin)
    units: list[Unit] = [Probe(**decode_paths(entry)) for entry in request["probes"]]
    units += [Case(**decode_paths(entry)) for entry in request["cases"]]
    circumstances = Circumstances(threads=request["threads"], onednn=request["onednn"])
    measured = measure_units(units, request["processes"], circumstances)
    answer = {
        "measured": {name: measurement.to_json() for name, measurement in measured.items()},
        "packages": provenance.list_package_versions(),
    }
    write_json_atomic(Path(sys.argv[1]), answer)


if __name__ == "__main__":
    main()
