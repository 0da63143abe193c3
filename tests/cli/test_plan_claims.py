"""`bench plan CLAIM`, with and without `--power`, and `bench list claims`: for people and for machines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.store.store import Store
from reports.paper import published

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
from made_up import seeds

CLAIMS = [claim.id for claim in published.read_claims()]


def read_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_claim_can_be_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans = read_json(capsys, "plan", *CLAIMS, "--runs", str(tmp_path))
    assert [plan["claim"] for plan in plans] == CLAIMS
    for plan in plans:
        assert plan["scale"] == "paper" and plan["experiments"] == []
        counted = plan["claim"] in ("xsum-4x", "xsum-17x")  # in the published files, without a run
        assert bool(plan["runs"]) != counted
    memory = next(plan for plan in plans if plan["claim"] == "memory")
    assert sorted({run["seed"] for run in memory["runs"]}) == [9, 22, 101]
    assert {run["settings"]["batch_size"]["value"] for run in memory["runs"]} == {1}


def test_a_claims_plan_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "xsum-below", "--runs", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "asks for between -1.94 and 0 ROUGE" in text and "slightly:" in text
    assert text.count("bart-large") == 6 and "6 runs: 6 to do" in text
    assert main(["plan", "xsum-below", "--scale", "mini", "--runs", str(tmp_path)]) == 0
    assert "mini-bart" in capsys.readouterr().out


def test_how_many_seeds_decide_a_claim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "extrapolation-xsum", "--power", "--runs", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "for 80%: 9 seeds" in text and "planned: 3 seeds; chance of 'supported' 2%" in text
    assert "the paper's own numbers" in text and "spread 0.0015" in text
    [found] = read_json(capsys, "plan", "top2", "--power", "--runs", str(tmp_path))
    assert (found["claim"], found["planned"], found["over"]) == ("top2", 3, "seeds")
    assert found["power"] > 0.9 and found["needed"] <= 3 and found["why_none"] is None
    assert found["numbers"][0]["effect"] == 2.2 and found["numbers"][0]["high"] is None
    # More seeds on the command line, more power.
    [more] = read_json(
        capsys,
        "plan",
        "extrapolation-xsum",
        "--power",
        "--seed",
        "1,2,3,4,5,6,7,8,9",
        "--runs",
        str(tmp_path),
    )
    assert more["planned"] == 9 and more["power"] >= 0.8


def test_the_power_of_all_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_json(capsys, "plan", "all", "--power", "--runs", str(tmp_path))
    assert [power["claim"] for power in found] == CLAIMS
    assert all((power["needed"] is None) != (power["why_none"] is None) for power in found)
    assert main(["plan", "all", "--power", "--runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(CLAIMS) and lines[0].split()[0] == "claim"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["top22"], "did you mean 'top2'"),
        (["table2", "--power"], "--power is for claims, table2 is an experiment"),
        (["table2", "top2"], "top2 is a claim and table2 an experiment"),
    ],
)
def test_what_cannot_be_planned(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *words]) == 2
    text = capsys.readouterr().err
    assert message in text and len(text.splitlines()) <= 3


def test_claims_are_listed_with_their_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = read_json(capsys, "list", "claims", "--runs", str(tmp_path))
    assert [row["name"] for row in rows] == CLAIMS and {row["status"] for row in rows} == {"not run"}
    assert next(row["asks for"] for row in rows if row["name"] == "speed").startswith("0.6 to 0.8 of")


def test_the_status_is_that_of_the_runs_in_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [
        one
        for method, values in (("prefix", [70.2, 70.3, 70.4]), ("ft-top2", [68.0, 68.1, 68.2]))
        for task in ("e2e", "webnlg", "dart")
        for one in seeds(values, method=method, task=task)
    ]
    store = Store(tmp_path)
    for record in made:
        store.run(record["run_id"]).write_record(record)
    rows = read_json(capsys, "list", "claims", "--runs", str(tmp_path))
    status = {row["name"]: row["status"] for row in rows}
    assert status["top2"] == "supported" and status["unseen"] == "not run"
    [found] = read_json(capsys, "plan", "top2", "--power", "--runs", str(tmp_path))
    assert found["claim"] == "top2"


@pytest.mark.parametrize("words", [["plan", "top2"], ["list", "claims"]])
def test_they_start_without_heavy_packages(words: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "for heavy in ('torch', 'transformers', 'pandas', 'datasets', 'scipy'):\n"
        "    sys.modules[heavy] = None\n"
        f"from bench.cli import main\nsys.exit(main({[*words, '--runs', str(tmp_path)]!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
