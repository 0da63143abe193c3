"""Hundreds of jobs on one shared directory: what was acknowledged is there, whole, whoever is killed when.

Writers do what jobs do: claim a run, write its products and its record, release; they are killed at random
moments and started again. Each acknowledges a record only after the store has; the readers look all the time.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path

import pytest
from least_record import least
from waiting import kill, release, start_writer

from bench.store.store import Store

WRITERS, RUNS = 64, 24
SECONDS, KILLS = 30.0, 10  # at least both; and as many acknowledged records as writers

WRITER = (
    f"""
CANCELLED, DONE = {least("cancelled")!r}, {least()!r}
"""
    + """
import os, random, sys
from bench.store import Store
from bench.store.lease import LeaseHeldError
root, me, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
draw = random.Random(seed)
acknowledged = os.open(f"{root}/../{me}.acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print("ready", flush=True)
sys.stdin.readline()
for serial in range(1_000_000):
    run = Store(root).run(f"shared-{draw.randrange(int(sys.argv[4]))}")
    text = f"{me}-{seed}-{serial} " * draw.randrange(1, 400)
    if draw.random() < 0.5:  # a record alone, as an observer writes one for a dead job
        path = run.write_record(CANCELLED | {"text": text})
    else:
        try:
            with run.claim():
                run.write_generations({"id": str(i), "output": text} for i in range(5))
                run.finish_stage("decode", f"{me}-{serial}")
                path = run.write_record(DONE | {"text": text})
        except LeaseHeldError:
            continue
    os.write(acknowledged, f"{path} {me}-{seed}-{serial} {len(text)}\\n".encode())
"""
)


@pytest.mark.slow
def test_sixty_four_writers_and_random_kills_lose_and_tear_nothing(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    draw = random.Random(0)
    names = [f"w{i}" for i in range(WRITERS)]

    def start(name: str, seed: int) -> subprocess.Popen[str]:
        return start_writer(WRITER, str(root), name, str(seed), str(RUNS))

    def acknowledged() -> list[str]:
        return [
            line for name in names for line in (tmp_path / f"{name}.acknowledged").read_text().splitlines()
        ]

    writers = {name: start(name, 0) for name in names}
    kills = 0
    try:
        for writer in writers.values():
            release(writer)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until or kills < KILLS or len(acknowledged()) < WRITERS:
            time.sleep(draw.uniform(0.05, 0.4))
            name = draw.choice(names)
            kill(writers[name])
            kills += 1
            writers[name] = start(name, kills)
            release(writers[name])
            reader = Store(root)
            reader.records()
            assert reader.damaged == []
    finally:
        for writer in writers.values():
            kill(writer)
    told = [line.split() for line in acknowledged()]
    assert len(told) >= WRITERS
    lost = [path for path, text, _ in told if not Path(path).exists()]
    torn = []
    for path, text, size in told:
        record = json.loads(Path(path).read_bytes())
        if not record["text"].startswith(f"{text} ") or len(record["text"]) != int(size):
            torn.append(path)
    print({"kills": kills, "acknowledged": len(told), "lost": len(lost), "torn": len(torn)})
    assert (lost, torn) == ([], [])
    assert len({path for path, _, _ in told}) == len(told)  # nobody took another's number
    reader = Store(root)
    every = reader.records(latest=False)
    assert reader.damaged == []
    assert len(every) >= len(told)  # a writer can be killed between the record and its acknowledgement
    for run in reader.runs():
        numbers = [record["attempt"] for record in run.records()]
        assert numbers == list(range(1, len(numbers) + 1))
        if (note := run.product_sha256("decode")) is not None:
            assert note
        with run.claim() as claim:  # nobody dead keeps it
            claim.beat()
