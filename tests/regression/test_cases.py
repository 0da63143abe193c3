"""Which runs the check makes: every method on every task, and runs in which every mechanism acts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.cli import main
from bench.regression import cases
from bench.regression.cases import Case, list_cases, list_registered_cases, parse_case
from bench.regression.measuring import Unit
from bench.regression.probes import list_probes
from bench.regression.reference import load_reference

ROOT = Path(__file__).resolve().parents[2]
TASKS = {"dart", "e2e", "webnlg", "xsum", "xsum-news-to-sports", "xsum-within-news"}
METHODS = {"adapter", "embedding", "ft-full", "ft-top2", "infix", "prefix", "prompt"}


def list_shipped(plugins: dict[str, Any]) -> set[str]:
    """Those whose file is part of the project: git knows it. All, where git cannot be asked."""
    answer = subprocess.run(
        ["git", "ls-files", "baselines", "tasks"], cwd=ROOT, capture_output=True, text=True
    )
    files = set(answer.stdout.split()) if answer.returncode == 0 else set()
    modules = {name: type(plugin).__module__.replace(".", "/") for name, plugin in plugins.items()}
    return {
        name
        for name, module in modules.items()
        if not files or files & {f"{module}.py", f"{module}/__init__.py"}
    }


def test_every_task_and_method_has_reference_values_for_the_settings_of_today() -> None:
    reference = load_reference().cases
    tasks, methods = list_shipped(registry.tasks()), list_shipped(registry.methods())
    assert tasks >= TASKS
    assert methods >= METHODS
    runs: list[Case] = [case for case in list_cases() if case.task in tasks and case.method in methods]
    units: list[Unit] = [*runs, *list_probes([case.task for case in runs])]
    assert sorted(reference) == sorted(unit.name for unit in units), (
        "what is committed has reference values: `bench check --update --only NAME` makes them"
    )
    assert {(case.task, case.method) for case in runs} == {
        (task, method) for task in tasks for method in methods
    }
    for case in runs:
        assert reference[case.name].settings == case.describe(), f"bench check --update --only '{case.name}'"
        values = reference[case.name].values
        if registry.get_method(case.method).trains:
            assert {"loss 1", "loss 5", "training targets", "tensors of the backbone that changed"} <= set(
                values
            )
            known = {*values, *reference[case.name].unstable}
            assert any(name.startswith("dev loss") for name in known)
        assert {"prompts", "references", "rules of decoding"} <= set(values)
        assert "identical output tokens" in {*values, *reference[case.name].unstable}


def test_in_the_special_cases_acts_what_they_are_for() -> None:
    reference = load_reference().cases

    def get(name: str, value: str) -> Any:
        return reference[name].values[value].value

    clip_norm = cases.SPECIAL["webnlg", "ft-full", "decay"].given["clip_norm"]
    assert get("webnlg ft-full decay", "gradient norm 5") > clip_norm
    assert get("e2e prefix best", "best update") < get("e2e prefix best", "updates")
    assert get("e2e prefix best", "updates") < get("e2e prefix best", "planned updates")
    assert get("xsum prefix cut", "truncated rows") == get("xsum prefix cut", "rows")
    assert get("xsum prefix cut", "references") != get("xsum prefix", "references")
    assert get("webnlg prompt search", "rules of decoding") != get("webnlg prompt", "rules of decoding")
    assert get("webnlg ft-full plain", "rules of decoding") != get("webnlg ft-full", "rules of decoding")
    assert get("e2e prefix draws", "rows") == cases.SPECIAL["e2e", "prefix", "draws"].given["train_subset"]
    losses = {get(name, "loss 4") for name in ("webnlg prefix", "webnlg prefix words")}
    assert len(losses) == 2


def test_a_case_goes_by_its_name() -> None:
    for case in list_registered_cases():
        assert parse_case(case.name) == case
        assert case.matches(case.task)
        assert case.matches(case.method)
        assert case.matches(f"{case.task} {case.method}")
    assert not Case("e2e", "prefix").matches("e2e prefix best")
    assert Case("e2e", "prefix", "best").matches("e2e prefix best")


@pytest.mark.parametrize(
    ("only", "near"),
    [
        ("prefx", "'prefix'"),
        ("webnlg prompt,prefx", "'prefix'"),
        ("webnlgg,prefix", "'webnlg'"),
        ("webnlg prefx", "'prefix'"),
        ("wbnlg prefix", "'webnlg'"),
        ("e2e prefix bst", "'best'"),
        ("e2e adapter best", "unknown variant 'best'"),
    ],
)
def test_every_name_must_fit_something(only: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--only", only]) == 2
    assert near in capsys.readouterr().err


@pytest.mark.parametrize("only", ["", " ", ",", "webnlg prefix,"])
def test_an_empty_selector_is_refused(only: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--only", only]) == 2
    assert "--only" in capsys.readouterr().err


@pytest.mark.usefixtures("guides")
def test_what_cannot_run_at_scale_mini_is_no_case(capsys: pytest.CaptureFixture[str]) -> None:
    names = [case.name for case in list_cases()]
    assert [name for name in names if "bias" in name] == ["dart bias", "e2e bias", "webnlg bias"]
    assert not [name for name in names if "colours" in name]
    [line] = capsys.readouterr().err.splitlines()
    assert "colours bias" in line
    assert "no files in the embedded mini suite" in line
    assert "bias is for decoder-only models" in line
    for only in ("colours", "xsum bias", "webnlg prompt,colours"):  # nothing of it can be checked: no pass
        assert main(["-q", "check", "--only", only]) == 2
        assert "nothing to run: " in capsys.readouterr().err


def test_published_data_is_checked_where_its_files_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--data-dir", str(tmp_path / "none")]) == 2
    assert "no such directory" in capsys.readouterr().err
    assert main(["-q", "check", "--data-dir", str(tmp_path)]) == 2
    assert "no files of e2e" in capsys.readouterr().err
    assert {case.method for case in list_registered_cases(tmp_path)} == set(cases.REAL_METHODS)
