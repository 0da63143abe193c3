"""Whatever of a finished run was damaged, the same command notices it, keeps it aside and makes the run whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from least_record import least
from waiting import PATIENCE, ROOT, wait_until

from bench.cli import main
from bench.config.request import CommonOptions, expand_requests
from bench.runs import runner
from bench.store.run_dir import RunDir
from bench.store.store import Store

QUICK: dict[str, object] = {"limit": 4, "max_steps": 1, "batch_size": 2, "max_new_tokens": 4, "device": "cpu"}


def carry_out(runs: Path, model: Path, seed: str = "1") -> RunDir:
    common = CommonOptions(model=str(model), runs=runs, given=QUICK)
    [request] = expand_requests(
        methods="prefix[length=2,hidden=4]", tasks="webnlg", seeds=seed, common=common
    )
    record = runner.run(request)
    assert record is not None
    return Store(runs).run(record.run_id)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A store with two finished runs."""
    runs = tmp_path_factory.mktemp("finished") / "runs"
    for seed in ("1", "2"):
        carry_out(runs, tiny_model, seed)
    return runs


def flip_digit(path: Path) -> None:
    content = path.read_text()
    at = next(i for i in range(len(content) // 2, len(content)) if content[i].isdigit())
    path.write_text(content[:at] + str((int(content[at]) + 1) % 10) + content[at + 1 :])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def write_foreign(path: Path) -> None:
    path.write_text('{"name": "package", "version": 1}\n')


def swap(path: Path) -> None:
    """The other run's file in its place."""
    [other] = [run for run in path.parents[len(path.relative_to(find_run(path)).parts)].iterdir()
               if run != find_run(path) and run.is_dir()]  # fmt: skip
    shutil.copyfile(other / path.relative_to(find_run(path)), path)


def find_run(path: Path) -> Path:
    return next(parent for parent in path.parents if (parent / "claims").is_dir())


FILES = (
    "spec.json",
    "parameters.safetensors",
    "generations.jsonl",
    "scores.json",
    "records/0001.json",
    "stages/train.json",
    "stages/decode.json",
    "stages/score.json",
)
DAMAGES: tuple[Callable[[Path], None], ...] = (
    flip_digit, empty, fill_with_zeros, cut, make_folder, make_pipe, write_foreign, swap,
)  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    [*DAMAGES[:2], *(pytest.param(damage, marks=pytest.mark.slow) for damage in DAMAGES[2:])],
    ids=[damage.__name__ for damage in DAMAGES],
)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_of_a_finished_run_is_noticed_and_made_again(
    file: str, damage: Callable[[Path], None], finished: Path, tiny_model: Path, tmp_path: Path
) -> None:
    if damage is flip_digit and file == "parameters.safetensors":
        pytest.skip("it is no text; tests/runs/test_runner.py flips its bits")
    runs = tmp_path / "runs"
    shutil.copytree(finished, runs)
    run = min(Store(runs).runs(), key=lambda run: run.run_id)
    seed = run.run_id.split("-s")[1].split("-")[0]
    products = [run.parameters, run.generations, run.scores]
    before = [path.read_bytes() for path in products]
    spec = run.read_spec()
    whole = (run.path / file).read_bytes()
    damage(run.path / file)
    # Two runs may have the same scores; the note of another run is whole, and is replaced by the right one.
    replaced = damage is swap and (file.startswith("stages/") or (run.path / file).read_bytes() == whole)
    assert main(["status", "--json", "--runs", str(runs)]) == 0
    again = carry_out(runs, tiny_model, seed)
    assert again.run_id == run.run_id
    assert [path.read_bytes() for path in products] == before
    assert again.read_spec() == spec
    assert again.done_record() is not None
    store = Store(runs)
    store.read(latest=False)
    assert [*store.damaged, *store.survey()] == []
    assert replaced or list((run.path / file).parent.glob(f"{Path(file).name}.damaged-*")) != []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGHUP, 129),
        (signal.SIGTERM, 143),
        (signal.SIGQUIT, 131),
        (signal.SIGUSR1, 138),
        (signal.SIGINT, 1),
    ],
)
@pytest.mark.slow
def test_every_signal_leaves_a_record(
    number: signal.Signals, code: int, tmp_path: Path, tiny_model: Path
) -> None:
    runs = tmp_path / "runs"
    words = ["run", "--method", "prefix[length=2,hidden=4]", "--task", "webnlg", "--model", str(tiny_model)]
    words += ["--runs", str(runs), "--limit", "40", "--epochs", "50", "--batch-size", "2"]
    words += ["--max-new-tokens", "4", "--checkpoint-seconds", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    wait_until(lambda: process.poll() is not None or any(runs.glob("*/checkpoint.safetensors")), every=0.01)
    process.send_signal(number)
    process.send_signal(number)  # the same wish, sent twice
    _, message = process.communicate(timeout=PATIENCE)
    assert (process.returncode, "Traceback" in message) == (code, False), message
    [run] = Store(runs).runs()
    record = run.latest_record()
    assert record is not None and record.status == "cancelled"
    assert run.worker() is None


@pytest.mark.parametrize(
    ("with_checksum", "reason"),
    [
        (True, "its content does not have its checksum"),
        (False, "its scores are not those that the run's scoring left"),
    ],
)
def test_an_edited_record_is_named_and_not_believed(
    with_checksum: bool, reason: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record of an earlier version has no checksum: its scores are compared with what the scoring left."""
    runs = tmp_path / "runs"
    shutil.copytree(finished, runs)
    run = Store(runs).runs()[0]
    path = run.path / "records" / "0001.json"
    record: dict[str, Any] = json.loads(path.read_text())
    record["scores"]["all"]["bleu"]["value"] = 99.0
    if not with_checksum:
        del record["checksum"]
    path.write_text(json.dumps(record))
    assert run.done_record() is None
    for words in (["status"], ["list", "runs"], ["report", "table2", "--format", "md"], ["plan", "table5"]):
        assert main([*words, "--runs", str(runs)]) == 0
        shown = capsys.readouterr()
        assert reason in shown.out + shown.err
        assert "99.0" not in shown.out


def test_half_of_many_records_are_counted_and_a_few_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "runs")
    for number in range(20):
        store.run(f"whole-{number:02}").write_record(least())
        (store.run(f"odd-{number:02}").write_record(least())).write_text("\x1b[31m garbage")
    (tmp_path / "runs" / "notes").mkdir()
    for words in (["status"], ["list", "runs"], ["plan", "table5"], ["report", "table2", "--format", "md"]):
        assert main([*words, "--runs", str(store.root)]) == 0
        shown = capsys.readouterr()
        text = shown.out + shown.err
        assert (
            "20 records are damaged and left out: odd-00/0001.json, odd-01/0001.json, odd-02/0001.json and 17 more"
            in text
        )
        assert "\x1b" not in text and "interrupted" not in text.replace("0 interrupted", "")
    assert main(["status", "--json", "--runs", str(store.root)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"done": 20, "unreadable": 20}
    assert document["damaged"]["kinds"] == {"damaged-record": 20, "foreign-folder": 1}
    assert len(document["damaged"]["files"]) == document["damaged"]["count"] == 21
    assert main(["plan", "table5", "--json", "--runs", str(store.root)]) == 0
    assert json.loads(capsys.readouterr().out)["damaged"]["count"] == 21
    assert main(["list", "runs", "--json", "--runs", str(store.root)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows].count("unreadable") == 20 and len(rows) == 40
