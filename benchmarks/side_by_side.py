"""Time several ways of doing the same work, in turn, and print each as a ratio to the first.

One after another within each round, so that a machine whose speed drifts slows all of them; the median
of the per-round ratios is what to quote. Absolute times are printed for orientation only.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def compare(ways: dict[str, Callable[[], object]], rounds: int = 7, warmup: int = 1) -> dict[str, float]:
    """Median ratio of every way to the first one; printed and returned."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warmup + rounds):
        for name, work in ways.items():
            started = time.perf_counter()
            work()
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - started)
    first = next(iter(ways))
    ratios = {}
    for name, times in seconds.items():
        relative = [seconds_here / base for seconds_here, base in zip(times, seconds[first], strict=True)]
        ratios[name] = statistics.median(relative)
        spread = f"{min(relative):.2f} to {max(relative):.2f}"
        print(f"  {ratios[name]:5.2f} ({spread})  {statistics.median(times) * 1000:8.1f} ms  {name}")
    return ratios
