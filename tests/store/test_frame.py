"""Records as a table: a row per run, the same columns and types whatever the store holds."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from least_record import least

from bench.store.frame import BOOLEAN, FLOAT, HEAD_COLUMNS, INTEGER, TEXT, TIME, build_frame, choose_attempts
from bench.store.record import RunStatus, make_record
from bench.store.store import Store
from reports.records.index import RunIndex
from reports.records.matching import make_query

RUN = "webnlg-prefix-mini-gpt2-s101-1a2b3c4d5e6f"
SCORE = {"value": 55.5, "signature": "s", "gate": "passed"}


@pytest.fixture
def runs(tmp_path: Path) -> Store:
    return Store(tmp_path / "runs")


def entry(value: Any, origin: str = "method default") -> dict[str, Any]:
    return {"value": value, "origin": origin}


def test_an_empty_store_has_all_its_columns_with_their_types(runs: Store) -> None:
    table = runs.frame()
    assert table.empty and list(table.columns) == list(HEAD_COLUMNS)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == dict(HEAD_COLUMNS)


def test_a_row_says_what_the_record_says(runs: Store) -> None:
    scores = {"all": {"bleu": SCORE, "ter": {"value": None, "reason": "no java"}}, "seen": {"bleu": SCORE}}
    runs.run(RUN).write_record(
        least(
            scores=scores,
            options={"length": entry(5), "init": entry("table"), "flat": entry(True)},
            settings={"lr": entry(5e-5), "limit": entry(None)},
            parameters={"trained": 25_744_896, "stored": 245_760, "backbone": 354_823_168},
            seconds={"train": 3.5, "attempt": 4.5},
            peak_memory_bytes={"process_bytes": 2**32, "accelerator_bytes": None},
            started="2026-01-01T00:00:00+00:00",
            code={"commit": "c" * 40, "dirty": True},
            packages={"torch": "2.13.0"},
            data_origin="mini",
            not_comparable=["scale mini", "data of an invented world", "backbone: shipped with the package"],
        )
    )
    table = runs.frame()
    assert len(table) == 1
    row = table.iloc[0]
    expected = {
        "run_id": RUN, "task": "webnlg", "seed": 101, "status": "done", "data_origin": "mini", "attempts": 1,
        "score.all.bleu": 55.5, "score.seen.bleu": 55.5, "option.length": 5, "option.init": "table",
        "option.flat": True, "setting.lr": 5e-5, "parameters.stored": 245_760, "seconds.train": 3.5,
        "seconds.all_attempts": 4.5, "memory.process_bytes": 2**32, "code.dirty": True, "comparable": False,
        "not_comparable": "mini", "package.torch": "2.13.0",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    for name in ("score.all.ter", "setting.limit", "memory.accelerator_bytes", "seconds.decode", "failure"):
        assert row[name] is pd.NA, name
    assert row["ended"] == pd.Timestamp("2026-01-01", tz="UTC")
    kinds = {"option.length": INTEGER, "option.init": TEXT, "option.flat": BOOLEAN, "setting.limit": TEXT}
    kinds |= {"score.all.ter": FLOAT, "started": TIME, "package.torch": TEXT}
    assert {name: str(table[name].dtype) for name in kinds} == kinds


def test_the_attempt_that_counts_is_the_latest_that_is_done(runs: Store) -> None:
    run, never_done = runs.run(RUN), runs.run("dart-prefix-mini-gpt2-s1-000000000000")
    run.write_record(least("failed", seconds={"attempt": 2.0}))
    run.write_record(least(scores={"all": {"bleu": SCORE}}, seconds={"attempt": 5.0}))
    run.write_record(
        least(scores={"all": {"bleu": SCORE | {"value": 56.0}}}, seconds={"attempt": 5.0}, scored={"of": 2})
    )
    run.write_record(least("cancelled", seconds={"attempt": 1.0}))
    never_done.write_record(least("failed", task="dart"))
    never_done.write_record(
        least("cancelled", task="dart", error={"kind": "cancelled", "message": "by hand"})
    )
    table = runs.frame().set_index("run_id")
    assert list(table.index) == [never_done.run_id, RUN]  # by task
    done = table.loc[RUN]
    assert (done["status"], done["attempt"], done["attempts"], done["score.all.bleu"]) == ("done", 3, 4, 56.0)
    assert done["seconds.all_attempts"] == 8.0  # scoring again repeats the time of what it scores
    stopped = table.loc[never_done.run_id]
    assert (stopped["status"], stopped["failure"], stopped["message"]) == (
        "cancelled",
        "cancelled",
        "by hand",
    )
    assert stopped["seconds.all_attempts"] is pd.NA and stopped["score.all.bleu"] is pd.NA


def test_flags_that_decide_verdicts(runs: Store) -> None:
    verification = {"status": "verified", "how": "hub-cache"}
    paper = {"scale": "paper", "not_comparable": [], "model_verification": verification}
    gated = {"all": {"bleu": SCORE, "ter": SCORE | {"gate": "failed: 3 of 9 golden outputs"}}}
    runs.run("a").write_record(least(**paper))
    runs.run("b").write_record(least(**paper, scores=gated))
    runs.run("c").write_record(least(**paper, protocol="plain"))
    runs.run("d").write_record(least(**paper, settings={"limit": entry(20, "command line")}))
    runs.run("e").write_record(least("failed", **paper))
    runs.run("f").write_record(least(scale="paper"))
    table = runs.frame().set_index("run_id")
    assert table["comparable"].to_dict() == {"a": True, "b": True} | dict.fromkeys("cdef", False)
    assert table.loc["b", "failed_gates"] == "all.ter"
    assert table.loc["c", "not_comparable"] == "protocol plain"
    assert table.loc["d", "not_comparable"] == "partial data (--limit 20)"
    assert table.loc["e", "not_comparable"] is pd.NA and table.loc["e", "failure"] == "out-of-memory"
    assert "does not say" in table.loc["f", "not_comparable"]


def test_columns_do_not_depend_on_the_order_of_runs_and_mixed_values_are_text(runs: Store) -> None:
    runs.run("b").write_record(least(options={"length": entry(5)}, settings={"z": entry(1), "a": entry(0.5)}))
    runs.run("a").write_record(
        least(options={"size": entry("3%")}, settings={"z": entry("off"), "a": entry(1)})
    )
    runs.run("c").write_record(least(seed=10**30, settings={"z": entry(True)}))
    table = runs.frame()
    assert list(table.columns)[len(HEAD_COLUMNS) :] == [
        "option.length",
        "option.size",
        "setting.a",
        "setting.z",
    ]
    by_run = table.set_index("run_id")
    assert by_run["setting.z"].to_dict() == {"a": "off", "b": "1", "c": "true"}
    assert str(table["setting.a"].dtype) == FLOAT and by_run.loc["c", "seed"] is pd.NA


def test_it_survives_csv_and_parquet(runs: Store, tmp_path: Path) -> None:
    runs.run(RUN).write_record(least(scores={"all": {"bleu": SCORE}}, options={"length": entry(5)}))
    table = runs.frame()
    table.to_parquet(tmp_path / "runs.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "runs.parquet"), table)
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert again.loc[0, "score.all.bleu"] == 55.5 and again.loc[0, "run_id"] == RUN


def test_damaged_records_are_left_out_and_listed(runs: Store) -> None:
    run = runs.run(RUN)
    run.write_record(least())
    (run.path / "records" / "0002.json").write_text("{")
    assert list(runs.frame()["run_id"]) == [RUN] and len(runs.damaged) == 1


def test_half_characters_stop_no_table(runs: Store, tmp_path: Path) -> None:
    odd = {"command": "file \udcff", "packages": {"\ud800": "\ud800"}, "not_comparable": ["\udcff"]}
    runs.run(RUN).write_record(
        least("failed", error={"kind": "error", "message": "\udcff"}, scale="paper", **odd)
    )
    table = runs.frame()
    assert table.loc[0, "command"] == r"file \udcff" and table.loc[0, r"package.\ud800"] == r"\ud800"
    assert table.loc[0, "not_comparable"].startswith(r"\udcff; ") and table.loc[0, "message"] == r"\udcff"
    table.to_parquet(tmp_path / "runs.parquet")
    assert RunIndex(runs.read()).select(make_query({"task": "webnlg", "metric": "bleu"}), "paper").excluded


def test_choosing_among_no_attempts() -> None:
    assert choose_attempts([]).empty


def test_whoever_only_plans_does_not_import_pandas() -> None:
    code = (
        "import sys, bench.store.frame, bench.cli.listing, bench.cli.plan; assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_conditions_of_the_computation_are_columns() -> None:
    conditions = {
        "threads": 2,
        "matmul_precision": "highest",
        "processes": 1,
        "deterministic": False,
        "device": "cpu",
        "cpu_capability": "AVX2",
    }
    execution = {**conditions, "continued_under": [{**conditions, "threads": 1}, None]}
    parsed = make_record(
        dict(least(), format=1, run_id="a", attempt=1, recorded="", execution=execution), RunStatus.DONE
    )
    old = make_record(dict(least(), format=1, run_id="b", attempt=1, recorded=""), RunStatus.DONE)
    table = build_frame([parsed, old]).set_index("run_id")
    assert table.loc["a", "execution.threads"] == 2 and bool(table.loc["a", "execution.continued"])
    assert table.loc["b", ["execution.threads", "execution.continued"]].isna().all()
    assert parsed.execution is not None and old.execution is None
    assert parsed.execution.to_text() == (
        "2 threads, 1 process, cpu, AVX2, matmul highest, continued under these after others"
    )
