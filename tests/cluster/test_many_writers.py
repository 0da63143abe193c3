"""Hundreds of jobs on one shared directory: what was acknowledged is there, whole, whoever is killed when.

Writers do what jobs do: claim a run, write its products and its record, release; they are killed at random
moments and started again. Each acknowledges a record only after the store has; the readers look all the time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.store import Store

ROOT = Path(__file__).resolve().parents[2]
WRITERS, RUNS, SECONDS, KILLS = 64, 24, 20.0, 10  # at least: a busy machine may need longer

WRITER = """
import os, random, sys
from bench.store import Store
from bench.worker import Busy
root, me, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
draw = random.Random(seed)
acknowledged = os.open(f"{root}/../{me}.acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print("ready", flush=True)
sys.stdin.readline()
for serial in range(1_000_000):
    run = Store(root).run(f"shared-{draw.randrange(int(sys.argv[4]))}")
    text = f"{me}-{seed}-{serial} " * draw.randrange(1, 400)
    if draw.random() < 0.5:  # a record alone, as an observer writes one for a dead job
        path = run.write_record({"status": "cancelled", "text": text})
    else:
        try:
            with run.claim():
                run.write_generations({"id": str(i), "output": text} for i in range(5))
                run.finish_stage("decode", f"{me}-{serial}")
                path = run.write_record({"status": "done", "text": text})
        except Busy:
            continue
    os.write(acknowledged, f"{path} {me}-{seed}-{serial} {len(text)}\\n".encode())
"""


def start(root: Path, name: str, seed: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), name, str(seed), str(RUNS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def go(writer: subprocess.Popen[str]) -> None:
    assert writer.stdout is not None
    assert writer.stdin is not None
    assert writer.stdout.readline() == "ready\n"
    writer.stdin.write("go\n")
    writer.stdin.flush()


def kill(writer: subprocess.Popen[str]) -> None:
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    for pipe in (writer.stdin, writer.stdout):
        if pipe is not None:
            pipe.close()


@pytest.mark.slow
def test_sixty_four_writers_and_random_kills_lose_and_tear_nothing(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    draw = random.Random(0)
    names = [f"w{i}" for i in range(WRITERS)]
    writers = {name: start(root, name, 0) for name in names}
    kills = 0
    try:
        for writer in writers.values():
            go(writer)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until or kills < KILLS:
            time.sleep(draw.uniform(0.05, 0.4))
            name = draw.choice(names)
            kill(writers[name])
            kills += 1
            writers[name] = start(root, name, kills)
            go(writers[name])
            reader = Store(root)
            reader.records()
            assert reader.damaged == []
    finally:
        for writer in writers.values():
            kill(writer)
    acknowledged = [
        line.split()
        for name in names
        for line in (tmp_path / f"{name}.acknowledged").read_text().splitlines()
    ]
    assert len(acknowledged) >= WRITERS
    lost = [path for path, text, _ in acknowledged if not Path(path).exists()]
    torn = []
    for path, text, size in acknowledged:
        record = json.loads(Path(path).read_bytes())
        if not record["text"].startswith(f"{text} ") or len(record["text"]) != int(size):
            torn.append(path)
    assert (lost, torn) == ([], [])
    assert len({path for path, _, _ in acknowledged}) == len(acknowledged)  # nobody took another's number
    reader = Store(root)
    every = reader.records(latest=False)
    assert reader.damaged == []
    assert len(every) >= len(
        acknowledged
    )  # a writer can be killed between the record and its acknowledgement
    for run in reader.runs():
        numbers = [record["attempt"] for record in run.records()]
        assert numbers == list(range(1, len(numbers) + 1))
        if (note := run.product_sha256("decode")) is not None:
            assert note
        with run.claim() as claim:  # nobody dead keeps it
            claim.beat()
