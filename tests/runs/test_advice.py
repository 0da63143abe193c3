"""Half the learning rate, in the run's own command."""

from __future__ import annotations

import pytest

from bench.runs.advice import suggest_lower_rate


@pytest.mark.parametrize(
    ("command", "rate", "cluster", "expected"),
    [
        ("bench run --task e2e", 2e-3, None, "bench run --task e2e --lr 0.001"),
        ("bench run --lr 0.5 --task e2e", 0.5, None, "bench run --task e2e --lr 0.25"),
        ("bench run --task e2e --lr=5e-5", 5e-5, None, "bench run --task e2e --lr 2.5e-05"),
        ("bench run --task e2e", 1e30, "local", "bench submit --task e2e --cluster local --lr 5e+29"),
        ("bench run --lr-schedule x", 1.0, None, "bench run --lr-schedule x --lr 0.5"),
    ],
)
def test_half_the_rate(command: str, rate: float, cluster: str | None, expected: str) -> None:
    assert suggest_lower_rate(command, rate, cluster) == expected
