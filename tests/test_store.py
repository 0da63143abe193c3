"""No attempt's record is ever lost, torn or overwritten, and no two processes work on one run."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bench import files, store
from bench.errors import DataError, UserError
from bench.store import RunDir, Store
from bench.worker import STALE_AFTER, Busy, Claim

ROOT = Path(__file__).resolve().parents[1]  # scripts started here find the package
RUN = "webnlg-prefix-mini-gpt2-s101-1a2b3c4d5e6f"


@pytest.fixture
def runs(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def done(**more: Any) -> dict[str, Any]:
    return {"status": "done", **more}


# --- records


def test_a_record_comes_back_with_its_origin(runs: Store) -> None:
    path = runs.run(RUN).write_record(done(spec={"task": "webnlg"}, scores={"bleu": 41.0}))
    assert path == runs.root / RUN / "records" / "0001.json"
    (record,) = runs.records()
    recorded = record.pop("recorded")
    assert recorded.endswith("+00:00")
    assert record == {
        "format": 1,
        "run_id": RUN,
        "attempt": 1,
        "status": "done",
        "spec": {"task": "webnlg"},
        "scores": {"bleu": 41.0},
    }


def test_attempts_are_kept_and_the_latest_counts(runs: Store) -> None:
    run = runs.run(RUN)
    assert run.latest_record() is run.done_record() is None
    run.write_record({"status": "failed", "error": "out of memory"})
    assert run.done_record() is None
    run.write_record(done(score=1))
    run.write_record({"status": "cancelled"})
    assert [record["status"] for record in runs.records()] == ["cancelled"]
    assert [r["status"] for r in runs.records(latest=False)] == ["failed", "done", "cancelled"]
    assert [record["score"] for record in runs.done_records()] == [1]
    latest = run.latest_record()
    assert latest is not None
    assert latest["attempt"] == 3


def test_records_cannot_pose_as_another_attempt(runs: Store) -> None:
    runs.run(RUN).write_record(done(attempt=7, run_id="other", format=0, recorded="never"))
    (record,) = runs.records()
    assert (record["attempt"], record["run_id"], record["format"]) == (1, RUN, 1)
    assert record["recorded"] != "never"


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"status": "finished"},
        {"status": "failed"},
        {"status": "failed", "error": ""},
        done(scores={"bleu": float("nan")}),
    ],
)
def test_records_that_say_too_little_or_nonsense_are_refused(runs: Store, record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"status|error|nan at scores\.bleu"):
        runs.run(RUN).write_record(record)
    assert runs.records() == []


def test_no_home_directory_in_a_record(runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    error = {"kind": "ValueError", "trace": ['File "/home/somebody/bench/x.py"']}
    path = runs.run(RUN).write_record({"status": "failed", "error": error})
    assert "somebody" not in path.read_text()


def test_what_cannot_be_read_is_left_out_and_told(runs: Store) -> None:
    run = runs.run(RUN)
    run.write_record(done(score=1))
    for content in ("", '{"status": "do', "[]", '{"status": "finished"}'):
        number = len(list((run.path / "records").iterdir())) + 1
        (run.path / "records" / f"{number:04d}.json").write_text(content)
    (run.path / "records" / "notes.txt").write_text("a stranger")
    (run.path / "records" / ".0009.json.host.00000000-1-00000000.tmp").write_text("half")
    runs.run("other").write_record(done(score=2))
    assert [record["score"] for record in runs.records()] == [2, 1]
    assert [damage.path.name for damage in runs.damaged] == [f"{n:04d}.json" for n in (5, 4, 3, 2)]
    assert "0003.json" in runs.damaged[2].reason
    assert run.write_record(done()).name == "0006.json"
    assert len(runs.select({"run_id": "other"})) == 1
    assert runs.damaged == []  # the newest attempt is whole again


def test_numbers_beyond_four_digits_stay_in_order(runs: Store) -> None:
    run = runs.run(RUN)
    run.write_record(done())
    (run.path / "records" / "0001.json").rename(run.path / "records" / "9999.json")
    assert run.write_record(done()).name == "10000.json"
    latest = run.latest_record()
    assert latest is not None
    assert latest["attempt"] == 10000


def test_selection(runs: Store) -> None:
    for task in ("e2e", "webnlg", "dart"):
        runs.run(f"{task}-1").write_record(done(spec={"task": task}))
    runs.run("failed-1").write_record({"status": "failed", "error": "x", "spec": {"task": "e2e"}})
    assert {r["run_id"] for r in runs.select({"spec.task": "e2e"})} == {"e2e-1", "failed-1"}
    chosen = runs.select({"spec.task": ["e2e", "dart"], "status": "done"})
    assert {r["run_id"] for r in chosen} == {"e2e-1", "dart-1"}
    assert len(runs.select(lambda record: "error" in record)) == 1
    assert runs.select({"spec.task.name": "e2e"}) == runs.select({"nothing": 1}) == []


def test_runs_are_found_by_a_part_of_their_name(runs: Store) -> None:
    for name in ("e2e-prefix-aa11", "e2e-adapter-bb22"):
        runs.run(name).write_record(done())
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
    pandas = pytest.importorskip("pandas")
    for seed in (1, 2):
        runs.run(f"a-{seed}").write_record(done(spec={"seed": seed}, scores={"bleu": 40.0 + seed}))
    ours = pandas.json_normalize(Store(runs.root).records())
    paths = sorted(runs.root.glob("*/records/*.json"))
    theirs = pandas.json_normalize([json.loads(p.read_text("utf-8")) for p in paths])
    pandas.testing.assert_frame_equal(ours, theirs)
    assert ours["scores.bleu"].mean() == 41.5


# --- products and stages


def test_products_come_back(runs: Store) -> None:
    run = runs.run(RUN)
    run.write_spec({"task": {"value": "webnlg", "origin": "command line"}})
    assert run.write_generations({"id": str(i), "text": "Zürich\u2028"} for i in range(3)) == 3
    run.write_scores({"bleu": 41.0})
    assert run.read_spec() == {"task": {"value": "webnlg", "origin": "command line"}}
    assert run.read_generations()[2] == {"id": "2", "text": "Zürich\u2028"}
    assert run.read_scores() == {"bleu": 41.0}
    run.scores.write_text("[1]")
    with pytest.raises(DataError, match=r"scores\.json"):
        run.read_scores()


def test_the_log_of_a_resumed_run_is_that_of_an_undisturbed_one(runs: Store) -> None:
    run = runs.run(RUN)
    for step in range(5):
        run.append_log({"step": step})
    with run.log.open("a") as file:
        file.write('{"step": 5, "los')  # killed
    run.trim_log(lambda line: line["step"] < 3)  # the checkpoint was taken before step 3
    for step in range(3, 7):
        run.append_log({"step": step})
    assert [line["step"] for line in run.read_log()] == list(range(7))


def test_a_stage_is_done_only_with_its_product_and_its_inputs(runs: Store) -> None:
    run = runs.run(RUN)
    assert run.why_not_done("score", "key") == "not finished yet"
    with pytest.raises(FileNotFoundError):
        run.finish_stage("score", "key")
    run.write_scores({"bleu": 1.0})
    assert not run.stage_done("score", "key")  # killed between product and note
    fingerprint = run.finish_stage("score", "key")
    assert fingerprint == run.product_sha256("score") == files.sha256_file(run.scores)
    assert run.stage_done("score", "key")
    assert run.why_not_done("score", "other key") == "its inputs have changed since"
    run.scores.write_text('{"bleu": 2.0}\n'.ljust(run.scores.stat().st_size))
    assert run.why_not_done("score", "key") == "scores.json is not the file that the stage left"
    run.scores.unlink()
    assert run.why_not_done("score", "key") == "scores.json is missing"
    (run.path / "stages" / "score.json").write_text("{")
    assert "damaged" in str(run.why_not_done("score", "key"))
    assert run.product_sha256("score") is None
    assert run.product_sha256("train") is None


# --- a full disk


@pytest.mark.parametrize("step", ["write", "fsync", "link"])
def test_full_disk_loses_no_earlier_record(runs: Store, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    run = runs.run(RUN)
    run.write_record(done(score=1))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(files.StorageError, match=r"records/0002\.json: the disk is full"):
            run.write_record(done(score=2))
    assert sorted(path.name for path in (run.path / "records").iterdir()) == ["0001.json"]
    assert run.write_record(done(score=3)).name == "0002.json"
    assert [record["score"] for record in run.records()] == [1, 3]


def test_full_disk_does_not_keep_a_claim(runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(files.StorageError), runs.run(RUN).claim(), monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        runs.run(RUN).write_scores({})
    with runs.run(RUN).claim():
        pass


# --- random histories from several handles


class History(RuleBasedStateMachine):
    """Writes, failures, kills and clean-ups in any order, against a plain list of what was committed."""

    places: Path
    count = 0
    names = st.sampled_from(["a", "b", "c"])
    statuses = st.sampled_from(store.STATUSES)

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
        record = {"status": status, "error": "why", "serial": self.serial}
        self.handles[handle].run(name).write_record(record)
        self.expected.setdefault(name, []).append((status, self.serial))

    @rule(name=names, code=st.sampled_from([errno.ENOSPC, errno.EIO]), step=st.integers(0, 2))
    def fail_to_write(self, name: str, code: int, step: int) -> None:
        def failing(*_: Any, **__: Any) -> None:
            raise OSError(code, os.strerror(code))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, ("write", "fsync", "link")[step], failing)
            with pytest.raises((UserError, OSError)):
                self.handles[0].run(name).write_record(done(serial=-1))

    @rule(name=names, cut=st.integers(0, 20))
    def be_killed_while_writing(self, name: str, cut: int) -> None:
        directory = self.handles[0].run(name).path / "records"
        directory.mkdir(parents=True, exist_ok=True)
        leftover = files.temporary_name(directory / "0001.json")
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

WRITER = """
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
    path = Store(root).run(run).write_record({"status": "done", "text": text})
    os.write(acknowledged, f"{path} {me}-{serial}\\n".encode())
"""


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def test_killed_writers_lose_and_tear_nothing(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    names = [f"w{i}" for i in range(16)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name in names
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdin is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
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


# --- one worker at a time

HOLDER = """
import sys, time
from bench.store import Store
with Store(sys.argv[1]).run(sys.argv[2]).claim():
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
"""


@pytest.fixture
def holder(runs: Store) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(runs.root), RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    kill(process)


def test_a_living_process_is_not_disturbed(runs: Store, holder: subprocess.Popen[str]) -> None:
    run = runs.run(RUN)
    os.utime(run.path / "claims" / "0001.json", (0, 0))  # silent for long, but alive
    with pytest.raises(UserError) as caught, run.claim():
        pass
    assert f"run {RUN} is being worked on by pid {holder.pid} on " in str(caught.value)
    assert f"remove {run.path / 'claims' / '0001.json'}" in str(caught.value)
    worker = run.worker()
    assert worker is not None
    assert worker["pid"] == holder.pid
    with runs.run("another").claim():  # other runs are free
        pass
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "released\n"
    assert run.worker() is None
    with run.claim() as claim:
        claim.beat()


def test_a_killed_process_is_taken_over(runs: Store, holder: subprocess.Popen[str]) -> None:
    run = runs.run(RUN)
    leftover = files.temporary_name(run.checkpoint)
    leftover = leftover.with_name(leftover.name.replace(f"-{os.getpid()}-", f"-{holder.pid}-"))
    leftover.write_text("half a checkpoint")
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, but its parent is busy
    with run.claim() as claim:
        claim.beat()
        assert not leftover.exists()
        assert [path.name for path in (run.path / "claims").iterdir()] == ["0002.json"]


def write_claim(run: RunDir, **changes: Any) -> Path:
    """A claim that another process is made to have left."""
    with run.claim(beat_every=None) as claim:
        owner = json.loads(claim.content)
    claim.path.write_text(json.dumps(owner | changes))
    return claim.path


def test_a_reused_process_number_is_not_taken_for_the_holder(runs: Store) -> None:
    write_claim(runs.run(RUN), started="12345")
    with runs.run(RUN).claim():
        pass


def test_within_one_process_too(runs: Store) -> None:
    with (
        runs.run(RUN).claim(),
        pytest.raises(UserError, match="being worked on"),
        runs.run(RUN).claim(),
    ):
        pass


@pytest.mark.parametrize("content", [None, "{", "[]", '{"pid": "x"}'])
def test_another_machine_or_a_damaged_claim_is_given_time(runs: Store, content: str | None) -> None:
    run = runs.run(RUN)
    path = write_claim(run, machine="elsewhere", host="far", pid=1)
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match="far" if content is None else "unknown host"), run.claim():
        pass
    long_ago = time.time() - STALE_AFTER - 60
    os.utime(path, (long_ago, long_ago))
    assert run.worker() is None
    with run.claim():
        pass


def test_a_requeued_job_takes_over_from_itself_elsewhere(
    runs: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler ended it on one machine before it began it again on another."""
    run = runs.run(RUN)
    write_claim(run, machine="elsewhere", host="far", pid=1, job="slurm 17_3")
    with pytest.raises(Busy) as caught, run.claim():
        pass
    assert caught.value.holder["host"] == "far"
    monkeypatch.setenv("BENCH_JOB", "slurm 17_4")
    with pytest.raises(Busy), run.claim():
        pass
    monkeypatch.setenv("BENCH_JOB", "slurm 17_3")
    with run.claim() as claim:
        claim.beat()


def test_a_claim_beats_by_itself(runs: Store) -> None:
    with runs.run(RUN).claim(beat_every=0.02) as claim:
        os.utime(claim.path, (0, 0))
        deadline = time.monotonic() + 5
        while claim.path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert claim.path.stat().st_mtime > 0


def test_whoever_lost_a_claim_learns_it_and_leaves_the_next_alone(runs: Store) -> None:
    run = runs.run(RUN)
    with run.claim(beat_every=None) as first:
        first.path.unlink()  # by hand
        with run.claim(beat_every=None) as second:
            assert second.path == first.path  # the number is free again
            with pytest.raises(UserError, match="no longer holds"):
                first.beat()
            first.release()
            second.beat()
    with run.claim(beat_every=0.01) as third:
        write_claim_over(third)
        deadline = time.monotonic() + 5
        while not third.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        assert third.lost


def write_claim_over(claim: Claim) -> None:
    number = int(claim.path.stem) + 1
    claim.path.with_name(f"{number:04d}.json").write_text("")


def test_a_forked_child_does_not_release(runs: Store) -> None:
    with runs.run(RUN).claim(beat_every=None) as claim:
        child = multiprocessing.get_context("fork").Process(target=claim.release)
        child.start()
        child.join()
        claim.beat()


def test_a_number_used_meanwhile_is_given_back(runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """We judge claim 1 stale and fall asleep; claim 2 comes and goes, claim 3 is alive when we wake."""
    run = runs.run(RUN)
    first = write_claim(run, pid=4194305)
    create = files.create_new

    def slow(path: Path, content: str) -> None:
        monkeypatch.setattr(files, "create_new", create)
        owner = json.loads(content) | {"machine": "elsewhere"}
        first.with_name("0003.json").write_text(json.dumps(owner))
        create(path, content)

    monkeypatch.setattr(files, "create_new", slow)
    with pytest.raises(UserError, match="being worked on"), run.claim():
        pass
    assert sorted(path.name for path in first.parent.iterdir()) == ["0001.json", "0003.json"]


WORKER = """
import os, sys, time
from bench.errors import UserError
from bench.store import Store
root, place, me = sys.argv[1:]
run = Store(root).run("run")
while True:
    try:
        with run.claim(beat_every=None):
            try:
                other = int(os.readlink(place))
            except FileNotFoundError:
                other = None
            if other is not None:
                state = "Z"
                try:
                    state = open(f"/proc/{other}/stat").read().rpartition(")")[2].split()[0]
                except OSError:
                    pass
                if state not in "ZX":
                    print("TWO AT ONCE", flush=True)
                os.unlink(place)
            os.symlink(str(os.getpid()), place)
            print("in", flush=True)
            time.sleep(0.002)
            os.unlink(place)
    except UserError as error:
        if "being worked on" not in str(error):
            print(error, flush=True)
"""


def test_never_two_at_once_though_holders_are_killed(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("tells living processes by /proc")
    workers = []
    for name in range(6):
        command = [sys.executable, "-c", WORKER, str(tmp_path / "runs"), str(tmp_path / "in")]
        with (tmp_path / f"{name}.out").open("w") as out:
            worker = subprocess.Popen(
                [*command, str(name)], stdout=out, stderr=subprocess.STDOUT, text=True, cwd=ROOT
            )
        workers.append(worker)
    try:
        deadline = time.monotonic() + 10
        while not any(tmp_path.glob("runs/*/claims/*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        for worker in workers:
            time.sleep(0.4)
            kill(worker)
    finally:
        for worker in workers:
            if worker.poll() is None:
                kill(worker)
    said = [(tmp_path / f"{name}.out").read_text().split("\n") for name in range(6)]
    words = {word for lines in said for word in lines}
    assert words <= {"in", ""}  # no alarm, no traceback
    assert sum(lines.count("in") for lines in said) > 10
    with Store(tmp_path / "runs").run("run").claim():
        pass
