"""How soon the light verbs answer: processor time beyond a bare ``import click``, each in a process of its own.

    python benchmarks/start_up.py [--rounds 7]

`bench --help` is meant to stay within 0.15 s; none of these imports torch, pandas or datasets.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERBS = (["--help"], ["list", "tasks"], ["list", "methods"], ["plan", "table2", "--scale", "paper"])


def measure_processor_time(words: list[str]) -> float:
    """User and system seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - itself
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    commands = {f"bench {' '.join(words)}": ["-m", "bench", *words] for words in VERBS}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        base = measure_processor_time(["-c", "import click"])
        for name, words in commands.items():
            beyond = measure_processor_time(words) - base
            if number:  # the first round fills caches
                seconds[name].append(beyond)
    for name, times in seconds.items():
        print(f"{statistics.median(times):6.3f} s ({min(times):.3f} to {max(times):.3f})  {name}")


if __name__ == "__main__":
    main()
