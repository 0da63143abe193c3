"""Work spread over processes: the same results in the same order."""

from __future__ import annotations

import math

import pytest

from bench.metrics import pool


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_rows_order(processes: int) -> None:
    rows = [float(number % 37) for number in range(200)]
    assert pool.each(math.sqrt, rows, at_least=100, processes=processes) == [math.sqrt(row) for row in rows]


def test_few_rows_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ProcessPoolExecutor", None)
    assert pool.each(math.sqrt, [4.0] * 99, at_least=100, processes=2) == [2.0] * 99
    assert pool.each(math.sqrt, []) == []
