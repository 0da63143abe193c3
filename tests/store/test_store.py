"""No attempt's record is ever lost, torn or overwritten, however many write at once."""

from __future__ import annotations

import errno
import json
import os
import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from least_record import least
from waiting import kill, release, start_writer

from bench.errors import UserError
from bench.store.record import STATUSES
from bench.store.store import Store
from bench.system import files

RUN = "webnlg-prefix-mini-gpt2-s101-1a2b3c4d5e6f"


@pytest.fixture
def runs(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def test_attempts_are_kept_and_the_latest_counts(runs: Store) -> None:
    run = runs.run(RUN)
    assert run.latest_record() is run.done_record() is None
    run.write_record(least("failed"))
    assert run.done_record() is None
    run.write_record(least(score=1))
    run.write_record(least("cancelled"))
    assert [record["status"] for record in runs.records()] == ["cancelled"]
    assert [r["status"] for r in runs.records(latest=False)] == ["failed", "done", "cancelled"]
    assert [record["score"] for record in runs.done_records()] == [1]
    latest = run.latest_record()
    assert latest is not None
    assert latest["attempt"] == 3


def test_what_cannot_be_read_is_left_out_and_told(runs: Store) -> None:
    run = runs.run(RUN)
    run.write_record(least(score=1))
    for content in ("", '{"status": "do', "[]", '{"status": "finished"}'):
        number = len(list((run.path / "records").iterdir())) + 1
        (run.path / "records" / f"{number:04d}.json").write_text(content)
    (run.path / "records" / "notes.txt").write_text("a stranger")
    (run.path / "records" / ".0009.json.host.00000000-1-00000000.tmp").write_text("half")
    runs.run("other").write_record(least(score=2))
    assert [record["score"] for record in runs.records()] == [2, 1]
    assert [damage.path.name for damage in runs.damaged] == [f"{n:04d}.json" for n in (5, 4, 3, 2)]
    assert "empty" in runs.damaged[3].reason and runs.damaged[2].reason.startswith("damaged; expected one")
    assert str(runs.damaged[1]) == f"not readable: {run.path}/records/0004.json: {runs.damaged[1].reason}"
    assert "its status" not in runs.damaged[1].reason and "its format is null" in runs.damaged[0].reason
    assert run.write_record(least()).name == "0006.json"
    assert len(runs.select({"run_id": "other"})) == 1
    assert runs.damaged == []  # the newest attempt is whole again


def test_selection(runs: Store) -> None:
    for task in ("e2e", "webnlg", "dart"):
        runs.run(f"{task}-1").write_record(least(spec={"task": task}))
    runs.run("failed-1").write_record(least("failed", spec={"task": "e2e"}))
    assert {r["run_id"] for r in runs.select({"spec.task": "e2e"})} == {"e2e-1", "failed-1"}
    chosen = runs.select({"spec.task": ["e2e", "dart"], "status": "done"})
    assert {r["run_id"] for r in chosen} == {"e2e-1", "dart-1"}
    assert len(runs.select(lambda record: "error" in record)) == 1
    assert runs.select({"spec.task.name": "e2e"}) == runs.select({"nothing": 1}) == []


def test_runs_are_found_by_a_part_of_their_name(runs: Store) -> None:
    for name in ("e2e-prefix-aa11", "e2e-adapter-bb22"):
        runs.run(name).write_record(least())
    assert runs.find("e2e-prefix-aa11").run_id == runs.find("aa11").run_id == "e2e-prefix-aa11"
    assert runs.find("e2e-a").run_id == "e2e-adapter-bb22"
    with pytest.raises(UserError, match="fits 2 runs: e2e-adapter-bb22, e2e-prefix-aa11"):
        runs.find("e2e")
    with pytest.raises(UserError, match="did you mean 'e2e-prefix-aa11'"):
        runs.find("e2e-prefix-aa12")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b", "a\n", "x" * 201, "-a"])
def test_names_that_would_leave_the_store(runs: Store, name: str) -> None:
    with pytest.raises(UserError, match="cannot name a run"):
        runs.run(name)


def test_where_runs_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path / "there"))
    assert Store().root == tmp_path / "there"
    assert Store("here").root == Path("here")
    monkeypatch.delenv("BENCH_RUNS")
    assert Store().root == Path("runs")
    assert Store(tmp_path / "missing").records() == []


def test_reading_creates_nothing(runs: Store) -> None:
    run = runs.run(RUN)
    assert run.records() == run.read_log() == []
    assert run.worker() is None
    assert not run.stage_done("train", "k")
    assert not runs.root.exists()


def test_pandas_reads_records_in_one_line(runs: Store) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: it reads the records here")
    for seed in (1, 2):
        runs.run(f"a-{seed}").write_record(
            least(spec={"seed": seed}, scores={"all": {"bleu": {"value": 40.0 + seed}}})
        )
    ours = pandas.json_normalize(Store(runs.root).records())
    paths = sorted(runs.root.glob("*/records/*.json"))
    theirs = pandas.json_normalize([json.loads(p.read_text("utf-8")) for p in paths])
    pandas.testing.assert_frame_equal(ours, theirs)
    assert ours["scores.all.bleu.value"].mean() == 41.5


# --- random histories from several handles


class History(RuleBasedStateMachine):
    """Writes, failures, kills and clean-ups in any order, against a plain list of what was committed."""

    places: Path
    count = 0
    names = st.sampled_from(["a", "b", "c"])
    statuses = st.sampled_from(STATUSES)

    @initialize()
    def begin(self) -> None:
        type(self).count += 1
        root = self.places / str(self.count)
        self.handles = [Store(root), Store(root), Store(str(root))]
        self.expected: dict[str, list[tuple[str, int]]] = {}
        self.serial = 0
        self.claims = ExitStack()
        self.held: set[str] = set()

    @rule(handle=st.integers(0, 2), name=names, status=statuses)
    def write(self, handle: int, name: str, status: str) -> None:
        self.serial += 1
        record = least(status, serial=self.serial)
        self.handles[handle].run(name).write_record(record)
        self.expected.setdefault(name, []).append((status, self.serial))

    @rule(name=names, code=st.sampled_from([errno.ENOSPC, errno.EIO]), step=st.integers(0, 2))
    def fail_to_write(self, name: str, code: int, step: int) -> None:
        def failing(*_: Any, **__: Any) -> None:
            raise OSError(code, os.strerror(code))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, ("write", "fsync", "link")[step], failing)
            with pytest.raises((UserError, OSError)):
                self.handles[0].run(name).write_record(least(serial=-1))

    @rule(name=names, cut=st.integers(0, 20))
    def be_killed_while_writing(self, name: str, cut: int) -> None:
        directory = self.handles[0].run(name).path / "records"
        directory.mkdir(parents=True, exist_ok=True)
        leftover = files.make_temporary_name(directory / "0001.json")
        dead = leftover.name.replace(f"-{os.getpid()}-", "-4194305-")  # beyond the largest pid
        leftover.with_name(dead).write_text('{"status": "done", "serial": -1'[:cut])

    @rule(name=names)
    def clean_up(self, name: str) -> None:
        directory = self.handles[0].run(name).path / "records"
        files.remove_leftovers(directory)
        assert not directory.exists() or not list(directory.glob(".*"))

    @rule(name=names, handle=st.integers(0, 2))
    def claim(self, name: str, handle: int) -> None:
        attempt = self.handles[handle].run(name).claim(beat_every=None)
        if name in self.held:
            with pytest.raises(UserError, match="being worked on"):
                self.claims.enter_context(attempt)
        else:
            self.claims.enter_context(attempt).beat()
            self.held.add(name)

    @rule()
    def release_all(self) -> None:
        self.claims.close()
        self.held.clear()

    @invariant()
    def all_is_there(self) -> None:
        if not hasattr(self, "handles"):
            return
        reader = self.handles[-1]
        every = reader.records(latest=False)
        assert reader.damaged == []
        found: dict[str, list[tuple[str, int]]] = {}
        for record in every:
            found.setdefault(record["run_id"], []).append((record["status"], record["serial"]))
        assert found == self.expected
        assert [(r["status"], r["serial"]) for r in reader.records()] == [
            found[name][-1] for name in sorted(found)
        ]
        finished = {name: [s for s in found[name] if s[0] == "done"] for name in sorted(found)}
        assert [r["serial"] for r in reader.done_records()] == [
            of_run[-1][1] for of_run in finished.values() if of_run
        ]
        for name in found:
            times = [record["recorded"] for record in every if record["run_id"] == name]
            assert times == sorted(times)

    def teardown(self) -> None:
        if hasattr(self, "claims"):
            self.claims.close()


def test_random_histories(tmp_path: Path) -> None:
    machine: Any = type("HistoryHere", (History,), {"places": tmp_path})
    machine.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
    machine.TestCase().runTest()


# --- many processes, some of them killed

WRITER = (
    f"""
RECORD = {least()!r}
"""
    + """
import os, sys
from bench.store import Store
root, me = sys.argv[1], sys.argv[2]
acknowledged = os.open(f"{root}/../{me}.acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for serial in range(1_000_000):
    if serial == 1:
        print("ready", flush=True)
        sys.stdin.readline()
    run = ("shared-1", "shared-2", f"own-{me}")[serial % 3]
    text = f"{me}-{serial} " * 200
    path = Store(root).run(run).write_record(RECORD | {"text": text})
    os.write(acknowledged, f"{path} {me}-{serial}\\n".encode())
"""
)


def test_killed_writers_lose_and_tear_nothing(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    names = [f"w{i}" for i in range(16)]
    writers = [start_writer(WRITER, str(root), name) for name in names]
    try:
        release(*writers)
        for writer in random.Random(0).sample(writers, len(writers)):
            time.sleep(0.1)
            kill(writer)
    finally:
        for writer in writers:
            if writer.poll() is None:
                kill(writer)

    reader = Store(root)
    every = reader.records(latest=False)
    assert reader.damaged == []
    committed = {}
    for record in every:
        words = set(record["text"].split())
        assert len(words) == 1
        assert len(record["text"].split()) == 200
        committed[record["run_id"], record["attempt"]] = words.pop()
    assert len(set(committed.values())) == len(every)  # none twice
    acknowledged = 0
    for name in names:
        lines = (tmp_path / f"{name}.acknowledged").read_text().splitlines()
        assert lines, f"writer {name} never wrote"
        for line in lines:
            path, serial = line.split()
            assert committed[Path(path).parents[1].name, int(Path(path).stem)] == serial
            acknowledged += 1
    # A kill can fall between the commit and its acknowledgement: at most one each.
    assert acknowledged <= len(every) <= acknowledged + len(names)
    for run in reader.runs():
        records = run.records()
        assert [record["attempt"] for record in records] == list(range(1, len(records) + 1))
        times = [record["recorded"] for record in records]
        assert times == sorted(times)
        files.remove_leftovers(run.path / "records")
        assert not list((run.path / "records").glob(".*"))
