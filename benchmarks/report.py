"""A report on 10,000 records, read from disk and rendered: seconds and peak memory of each step.

    python benchmarks/report.py [--records 10000] [--formats html,md,tex,csv,json] [--folder DIR]

The records are made up (Table 2's systems with many seeds, low data, mini runs, failures) and written
below a temporary folder first, which is not timed. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests" / "reports"


def generate(folder: Path, count: int) -> int:
    """Write about ``count`` records as the store keeps them (without flushing each to the disk)."""
    sys.path.insert(0, str(TESTS))
    from made_up import many

    records = many(count)
    for record in records:
        path = folder / record["run_id"] / "records" / "0001.json"
        path.parent.mkdir(parents=True)
        path.write_text(
            json.dumps({"format": 1, "attempt": 1, "recorded": record["ended"], **record}, indent=2)
        )
    return len(records)


def measure(folder: Path, form: str) -> dict[str, float]:
    """Seconds of each step and the peak memory of this process, MB."""
    start, cpu = time.perf_counter(), time.process_time()
    from bench.store.store import Store
    from bench.system.garbage import exempt_existing_objects
    from reports.document.builder import build_report
    from reports.render import output_files

    records = Store(folder).read(latest=False)
    exempt_existing_objects()
    read = time.perf_counter()
    report = build_report(records, ["all"])
    built = time.perf_counter()
    made = output_files.render_files(report, form)
    with tempfile.TemporaryDirectory() as out:
        output_files.write_files(Path(out) / "report", made)
    end = time.perf_counter()
    return {
        "read": read - start,
        "build": built - read,
        "render": end - built,
        "seconds": end - start,
        "processor": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "megabytes": sum(map(len, made.values())) / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--formats", default="html,md,tex,csv,json")
    parser.add_argument("--folder", type=Path, help="Where the records are, or are to be kept.")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.folder, chosen.one)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary) / "runs"
        count = sum(1 for _ in folder.iterdir()) if folder.is_dir() else generate(folder, chosen.records)
        print(f"{count:,} records; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        print("format    read   build  render    all   processor   peak MB   output MB")
        for form in chosen.formats.split(","):
            command = [sys.executable, __file__, "--folder", str(folder), "--one", form]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - itself
            result = json.loads(done.stdout)
            steps = "".join(f"{result[name]:8.1f}" for name in ("read", "build", "render", "seconds"))
            print(
                f"{form:6}{steps}  {result['processor']:8.1f}  {result['peak']:8.0f}    {result['megabytes']:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
