"""Work spread over processes: the same results in the same order."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE

from bench.system import process_pool


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_rows_order(processes: int) -> None:
    rows = [float(number % 37) for number in range(200)]
    assert process_pool.map_rows(math.sqrt, rows, at_least=100, processes=processes) == [
        math.sqrt(row) for row in rows
    ]


def test_few_rows_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "ProcessPoolExecutor", None)
    assert process_pool.map_rows(math.sqrt, [4.0] * 99, at_least=100, processes=2) == [2.0] * 99
    assert process_pool.map_rows(math.sqrt, []) == []


ENDLESS = """
import os, signal, time
from bench.system.process_pool import make_scratch_folder, start_workers

def work(number):
    os.write(1, b"begun\\n")  # in one piece, beside the other worker's
    time.sleep(600)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    with make_scratch_folder("pool-") as folder, start_workers(2) as pool:
        print(folder, flush=True)
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_interrupted_work(number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    places = {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | places,
        start_new_session=True,
    ) as parent:
        try:
            assert parent.stdout is not None
            folder = Path(parent.stdout.readline().strip())
            assert folder.is_dir()
            assert [parent.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
            parent.send_signal(number)
            # The workers hold these pipes open: they are read to their end only once all are gone.
            parent.communicate(timeout=PATIENCE)
        finally:
            if parent.returncode is None:
                os.killpg(parent.pid, signal.SIGKILL)
    assert parent.returncode != 0
    if number != signal.SIGKILL:
        assert not folder.exists()


def test_an_error_ends_the_others_work(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="math domain"):
        process_pool.map_rows(math.sqrt, [-1.0] * 200, at_least=100, processes=2)
    assert capfd.readouterr().err == ""
