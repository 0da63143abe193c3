"""The command line: exit codes, one JSON document, no traceback for a mistake, no torch for a listing."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import VERBS, main


def call(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(list(words))
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(*([verb] if verb else []), "--help", capsys=capsys)
    assert code == 0
    assert "Example" in out
    assert "bench " in out


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list", "methods"],
        ["list", "tasks", "--json"],
        ["list", "experiments"],
        ["models", "list"],
        ["plan", "all", "--scale", "paper"],
        ["--version"],
    ],
)
def test_light_verbs_do_not_import_torch(words: list[str]) -> None:
    program = (
        "import sys\n"
        "for heavy in ('torch', 'transformers', 'accelerate', 'pandas', 'datasets', 'matplotlib', 'scipy'):\n"
        "    sys.modules[heavy] = None\n"  # importing it would fail, as where it is not installed
        f"from bench.cli import main\nsys.exit(main({words!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "broken" not in done.stdout


SINKS = ["| true", ">&-", *(["> /dev/full"] if Path("/dev/full").exists() else [])]  # Linux has it


@pytest.mark.parametrize("sink", SINKS)
def test_an_output_that_nobody_takes_is_no_traceback(sink: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m bench list methods {sink}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if sink == "> /dev/full":
        assert done.returncode == 1
        assert "the output was lost" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "did you mean 'run'"),
        (["run", "--task", "webnlg"], "Missing option '--method'"),
        (["run", "--method", "prefx", "--task", "webnlg"], "did you mean 'prefix'"),
        (["run", "--method", "prefix", "--task", "webngl"], "did you mean 'webnlg'"),
        (["run", "--method", "prefix[", "--task", "webnlg"], "not closed"),
        (["run", "--method", "prefix", "--task", "webnlg", "--seed", "x"], "--seed x"),
        (["run", "--method", "prefix", "--task", "webnlg", "--scale", "papre"], "did you mean 'paper'"),
        (["run", "--method", "prefix", "--task", "webnlg", "--model", "gpt2-medum"], "gpt2-medium"),
        (["run", "--method", "prefix", "--task", "webnlg", "--lr", "fast"], "--lr fast"),
        (["run", "--method", "prefix", "--task", "webnlg", "--epoch", "3"], "--epochs"),
        (["run", "--method", "prefix", "--task", "e2e", "--data-dir", "/nowhere"], "/nowhere"),
        (["run", "tabel5"], "did you mean 'table5'"),
        (["run", "table5", "--method", "prefx"], "did you mean 'prefix'"),
        (["run", "table5", "--model", "/some/where"], "an experiment names its models"),
        (["plan", "tabel5"], "did you mean 'table5'"),
        (["plan"], "Missing argument"),
        (["list", "taks"], "did you mean 'tasks'"),
        (["export", "nothing", "--out", "x"], "nothing"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(*words, capsys=capsys)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_unreachable_weights_at_paper_scale(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    words = ["run", "--scale", "paper", "--method", "prefix", "--task", "webnlg", "--model", "gpt2-medium"]
    code, _, err = call(*words, "--offline", capsys=capsys)
    assert code == 2
    assert "BENCH_MODELS" in err
    assert "gpt2-medium" in err


def test_run_prints_one_json_document(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--method", "prefix[length=2,hidden=4]", "--task", "webnlg", "--model", str(tiny_model)]
    words += ["--limit", "4", "--max-steps", "2", "--max-new-tokens", "4", "--runs", str(tmp_path / "r")]
    code, out, _ = call(*words, "--seed", "1,2", "--json", capsys=capsys)
    assert code == 0
    assert [record["seed"] for record in json.loads(out)] == [1, 2]
    code, out, _ = call("list", "runs", "--runs", str(tmp_path / "r"), "--json", capsys=capsys)
    assert code == 0
    assert {row["status"] for row in json.loads(out)} == {"done"}
    run = json.loads(out)[0]["run"]
    export = ["export", run, "--runs", str(tmp_path / "r"), "--out", str(tmp_path / "peft"), "--json"]
    code, out, _ = call(*export, capsys=capsys)
    assert code == 0
    assert {Path(name).name for name in json.loads(out)["files"]} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    code, _, err = call(*export, capsys=capsys)
    assert code == 2
    assert "exists already" in err


def test_mini_results_say_that_they_are_not_the_papers(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--method", "prompt", "--task", "webnlg", "--model", str(tiny_model), "--limit", "2"]
    words += ["--max-new-tokens", "4", "--runs", str(tmp_path)]
    code, out, _ = call(*words, capsys=capsys)
    assert code == 0
    assert "No number of the paper can be compared with this: scale mini" in out
    assert "BLEU" in out


def test_dry_run_shows_every_origin_and_writes_nothing(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--method", "prefix[length=1,5]", "--task", "webnlg,e2e", "--model", str(tiny_model)]
    code, out, _ = call(*words, "--dry-run", "--runs", str(tmp_path / "r"), "--json", capsys=capsys)
    assert code == 0
    plans = json.loads(out)
    assert len(plans) == 4
    assert len({plan["run_id"] for plan in plans}) == 4
    for plan in plans:
        assert all(setting["origin"] for setting in plan["settings"].values())
    assert not (tmp_path / "r").exists()


def test_counts_of_gpt2_medium(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call("list", "methods", "--model", "gpt2-medium", "--json", capsys=capsys)
    assert code == 0
    rows = {row["method"]: row for row in json.loads(out)}
    assert rows["prefix[length=5]"]["stored"] == 245_760
    assert rows["prefix[length=10]"]["stored"] == 491_520
    assert rows["ft-top2"]["trainable"] == 25_194_496
    assert rows["ft-full"]["trainable"] == 354_823_168
    assert rows["adapter[size=3%]"]["trainable"] == 11_089_152
    assert rows["adapter[size=0.1%]"]["trainable"] == 368_784
    assert rows["prompt"]["trainable"] == 0
    assert rows["prefix[length=5]"]["paper_share"] == "0.1%"


def test_doctor_knows_that_mini_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call("doctor", "--json", capsys=capsys)
    checks = {check["what"]: check for check in json.loads(out)}
    assert checks["torch"]["ok"]
    assert checks["model mini-gpt2"]["ok"]
    assert code == 0
