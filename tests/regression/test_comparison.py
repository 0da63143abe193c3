"""The regression check: its bands come from seeds, it sees planted regressions, and it says what moved."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.cli import main
from bench.config import settings
from bench.errors import UserError
from bench.method import Method
from bench.metrics import _preprocess
from bench.regression import comparison, references
from bench.scoring import golden
from bench.system import progress, provenance
from bench.task import Task

ROOT = Path(__file__).resolve().parents[2]
TASKS = {"dart", "e2e", "webnlg", "xsum", "xsum-news-to-sports", "xsum-within-news"}
METHODS = {"adapter", "embedding", "ft-full", "ft-top2", "infix", "prefix", "prompt"}


def shipped(found: dict[str, Any]) -> set[str]:
    """Those whose file is part of the project: git knows it. All, where git cannot be asked."""
    asked = subprocess.run(
        ["git", "ls-files", "baselines", "tasks"], cwd=ROOT, capture_output=True, text=True
    )
    files = set(asked.stdout.split()) if asked.returncode == 0 else set()
    module = {name: type(one).__module__ for name, one in found.items()}
    places = {name: module[name].replace(".", "/") for name in found}
    return {
        name for name, place in places.items() if not files or files & {f"{place}.py", f"{place}/__init__.py"}
    }


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    golden.check_scorer.cache_clear()


def test_every_task_and_method_is_checked_and_has_values_of_ten_seeds() -> None:
    reference = comparison.load_reference()["cases"]
    tasks, methods = shipped(registry.tasks()), shipped(registry.methods())
    assert tasks >= TASKS
    assert methods >= METHODS
    cases = [case for case in comparison.list_cases() if case.task in tasks and case.method in methods]
    assert sorted(reference) == sorted(case.name for case in cases), (
        "what is committed has reference values: `bench check --update --only NAME` makes them"
    )
    assert {case.task for case in cases} >= TASKS
    assert {case.method for case in cases} == methods
    for name, one in reference.items():
        assert one["values"], name
        for metric, value in one["values"].items():
            seeds = one["seeds"][metric]
            assert len(seeds) >= 10
            assert seeds[0] == value  # the reference is the value of the checked seed
            assert one["half_width"][metric] == pytest.approx(references.compute_half_width(metric, seeds))


def test_bands_come_from_the_spread_between_seeds() -> None:
    assert references.compute_half_width("bleu", [1.0, 2.0, 3.0]) == comparison.WIDTH
    assert references.compute_half_width("meteor", [0.5, 0.5]) == comparison.FINEST
    assert references.compute_half_width("stored parameters", [5.0, 5.0]) == 0


def test_what_left_its_band_is_found_on_both_sides_and_when_it_is_gone() -> None:
    known = {"values": {"bleu": 50.0, "ter": 0.5}, "half_width": {"bleu": 2.0, "ter": 0.1}}
    reference = {"cases": {"e2e prefix": known}}
    for value, outside in ((48.1, False), (47.9, True), (52.1, True), (50.0, False)):
        [bleu, ter] = comparison.compare_values(reference, {"e2e prefix": {"bleu": value, "ter": 0.55}})
        assert (bleu.outside, ter.outside) == (outside, False)
    [_, ter] = comparison.compare_values(reference, {"e2e prefix": {"bleu": 50.0}})
    assert ter.outside
    assert ter.value is None
    with pytest.raises(UserError, match="has no reference values"):
        comparison.compare_values(reference, {"e2e infix": {}})


@pytest.mark.parametrize(
    ("only", "near"),
    [
        ("prefx", "'prefix'"),
        ("webnlg prompt,prefx", "'prefix'"),
        ("webnlgg,prefix", "'webnlg'"),
        ("webnlg prefx", "'prefix'"),
        ("wbnlg prefix", "'webnlg'"),
    ],
)
def test_every_name_must_fit_something(only: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--only", only]) == 2
    assert f"did you mean {near}" in capsys.readouterr().err


def test_update_shows_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([{"bleu": 1.0}] * 10 + [{"bleu": 4.0}] * 10)
    monkeypatch.setattr(comparison, "measure_cases", lambda wanted, processes: [next(values) for _ in wanted])
    path = tmp_path / "reference.json"
    assert references.update_reference(["webnlg prefix"], 1, path) == (
        ["webnlg prefix: bleu is new: 1 ± 0.01"],
        [],
    )
    assert references.update_reference(["webnlg prefix"], 1, path) == (
        ["webnlg prefix: bleu 1 -> 4 (band was ± 0.01)"],
        [],
    )
    assert json.loads(path.read_text())["cases"]["webnlg prefix"]["seeds"]["bleu"] == [4.0] * 10


@pytest.fixture
def guides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The method and the task of the guides, as if their files were in place."""
    blocks = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```python\n")[1:]
    space: dict[str, Any] = {"__name__": "guide"}
    for block in blocks:
        lines = block.split("```")[0].splitlines()
        exec("\n".join(line.removeprefix("   ") for line in lines), space)
    methods: dict[str, Method] = {**registry.methods(), "bias": space["Bias"]()}
    tasks: dict[str, Task] = {"colours": space["Colours"](), **registry.tasks()}
    monkeypatch.setattr(registry, "_methods", lambda: registry.Discovery(methods))
    monkeypatch.setattr(registry, "_tasks", lambda: registry.Discovery(tasks))


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No run is run: each gives the values of the reference. The names of those that were asked for."""
    cases, asked = comparison.load_reference()["cases"], []

    def measure(case: comparison.Case, seed: int, runs: Path) -> comparison.CaseValues:
        asked.append(case.name)
        return dict(cases[case.name]["values"])

    monkeypatch.setattr(comparison, "measure_case", measure)
    return asked


@pytest.mark.usefixtures("guides")
def test_what_cannot_run_at_scale_mini_is_no_case(capsys: pytest.CaptureFixture[str]) -> None:
    names = [case.name for case in comparison.list_cases()]
    assert [name for name in names if "bias" in name] == ["dart bias", "e2e bias", "webnlg bias"]
    assert not [name for name in names if "colours" in name]
    [said] = capsys.readouterr().err.splitlines()
    assert "colours bias" in said
    assert "no files in the embedded mini suite" in said
    assert "bias is for decoder-only models" in said
    for only in (
        "colours",
        "xsum bias",
        "webnlg prompt,colours",
    ):  # nothing of it can be checked: that must not pass
        assert main(["-q", "check", "--only", only]) == 2
        assert "nothing to run: " in capsys.readouterr().err


@pytest.mark.usefixtures("guides")
def test_a_method_without_reference_values_is_said_first_and_the_rest_is_checked(
    as_before: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--processes", "1"]) == 1
    assert sorted(as_before) == sorted(comparison.load_reference()["cases"])
    shown = capsys.readouterr()
    said = "3 cases without reference values yet: dart bias, e2e bias, webnlg bias"
    assert f"{said}; `bench check --update --only …` makes them" in shown.err
    assert shown.err.index(said) < shown.err.index("[1/42]")
    assert "of 42 runs are within their bands" in shown.out
    assert "not compared, without reference values: dart bias" in shown.out
    assert main(["check", "--only", "webnlg bias", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["passed"], document["without_reference"]) == (False, ["webnlg bias"])


def test_a_case_of_the_reference_that_cannot_run_any_more_does_not_pass(
    as_before: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = {name: one for name, one in registry.methods().items() if name != "prefix"}
    broken = [("baselines/prefix.py", "SyntaxError: line 3")]
    monkeypatch.setattr(registry, "_methods", lambda: registry.Discovery(left, broken))
    assert main(["check", "--only", "webnlg", "--processes", "1"]) == 1
    assert len(as_before) == 6
    shown = capsys.readouterr()
    assert "1 case of the reference cannot run any more: webnlg prefix (method 'prefix'" in shown.err
    assert "SyntaxError: line 3" in shown.err
    assert "not compared, that cannot run any more: webnlg prefix" in shown.out


def test_a_run_that_fails_has_no_values_and_the_others_go_on(
    as_before: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest: Callable[..., comparison.CaseValues] = comparison.measure_case

    def measure(case: comparison.Case, seed: int, runs: Path) -> comparison.CaseValues:
        if case.method == "infix":
            raise ZeroDivisionError("a bug")
        return honest(case, seed, runs)

    monkeypatch.setattr(comparison, "measure_case", measure)
    assert main(["check", "--only", "webnlg infix,webnlg prompt", "--processes", "1", "--json"]) == 1
    shown = capsys.readouterr()
    assert {one["case"] for one in json.loads(shown.out)["outside"]} == {"webnlg infix"}
    assert "webnlg infix, seed 1, failed: Traceback" in shown.err
    assert "ZeroDivisionError: a bug" in shown.err


def test_every_finished_run_is_said_unless_quiet(
    as_before: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--only", "webnlg prefix,e2e prefix", "--processes", "1"]) == 0
    assert capsys.readouterr().err.splitlines() == ["[1/2] e2e prefix 0 s", "[2/2] webnlg prefix 0 s"]
    assert main(["-q", "check", "--only", "webnlg prefix", "--processes", "1"]) == 0
    assert capsys.readouterr().err == ""


def test_an_interrupted_check_names_no_run_to_continue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []

    def measure(case: comparison.Case, seed: int, runs: Path) -> comparison.CaseValues:
        folders.append(runs)
        (runs / "something").touch()
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGTERM)  # `timeout` sends a second one, which changes nothing
            raise KeyboardInterrupt(f"stopped; the same command continues: bench run --runs {runs}") from None
        raise AssertionError("SIGTERM was not heard")

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(comparison, "measure_case", measure)
    assert main(["check", "--only", "webnlg prompt", "--processes", "1"]) == 1
    error = capsys.readouterr().err
    assert "interrupted. Nothing was written; the same command starts anew." in error
    assert "bench run" not in error
    assert [folder.exists() for folder in folders] == [False]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_what_was_measured_earlier_keeps_its_versions_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        comparison, "measure_cases", lambda wanted, processes: [{"bleu": 1.0} for _ in wanted]
    )
    monkeypatch.setattr(provenance, "list_package_versions", lambda: {"torch": "1"})
    path = tmp_path / "reference.json"
    references.update_reference(["e2e prefix", "e2e prompt"], 1, path)
    monkeypatch.setattr(provenance, "list_package_versions", lambda: {"torch": "2"})
    references.update_reference(["e2e prefix"], 1, path)
    document = json.loads(path.read_text())

    def versions(name: str) -> object:
        return document["cases"][name].get("packages", document["packages"])

    assert versions("e2e prefix") == {"torch": "2"}
    assert versions("e2e prompt") == {"torch": "1"}
    assert "given" not in document["cases"]["e2e prefix"]  # the same as all others'
    references.update_reference([], 1, path)
    document = json.loads(path.read_text())
    assert document["packages"] == {"torch": "2"}
    assert list(document["cases"]) == [case.name for case in comparison.list_cases()]
    assert not any("packages" in one for one in document["cases"].values())


def test_a_score_that_a_seed_lacks_is_explained_and_the_other_cases_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(wanted: list[tuple[comparison.Case, int]], processes: int) -> list[comparison.CaseValues]:
        lack = {("infix", 3): {"bleu": 1.0}} | {("prompt", seed): {} for seed in comparison.SEEDS}
        return [lack.get((case.method, seed), {"bleu": 1.0, "ter": 0.5}) for case, seed in wanted]

    path = tmp_path / "reference.json"
    monkeypatch.setattr(comparison, "measure_cases", measured)
    monkeypatch.setattr(references.update_reference, "__defaults__", (path,))
    assert main(["check", "--update", "--only", "e2e infix,e2e prefix,e2e prompt"]) == 1
    error = capsys.readouterr().err
    assert "not written: e2e infix: lacks ter with seed 3; the record of `bench run --method infix" in error
    assert "--seed 3 --limit 60 --max-steps 60" in error
    assert "not written: e2e prompt: lacks any value with seed 1, 2, 3" in error
    assert list(json.loads(path.read_text())["cases"]) == ["e2e prefix"]


def moved(case: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """What `bench check` calls outside, for one case, with whatever was planted."""
    code = main(["check", "--only", case, "--processes", "1", "--json"])
    document: Any = json.loads(capsys.readouterr().out)
    assert document["compared"]
    assert code == (0 if document["passed"] else 1)
    return {value["metric"] for value in document["outside"]}


MEASURED_HERE: dict[str, comparison.CaseValues] = {}
"""Case -> its values on this machine, measured by the first test that needs them."""


@pytest.fixture
def measure_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the reference that of this machine: a case run now, with the narrowest bands.

    The committed bands are wide enough for what other processors' rounding does, amplified by training, and so
    wide that a planted regression may stay inside. On one machine the same code gives the same values.
    """

    def measure(name: str) -> None:
        if name not in MEASURED_HERE:
            case = comparison.Case(*name.split(" "))
            MEASURED_HERE[name] = comparison.measure_case(case, comparison.SEED, tmp_path / "reference-runs")
        values = MEASURED_HERE[name]
        bands = {metric: references.compute_half_width(metric, [value]) for metric, value in values.items()}
        document = {"cases": {name: {"values": values, "half_width": bands}}}
        monkeypatch.setattr(comparison, "load_reference", lambda: document)

    return measure


@pytest.mark.slow
def test_unchanged_code_passes(
    measure_here: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    measure_here("webnlg prefix")
    assert moved("webnlg prefix", capsys) == set()
    assert not progress.settings.quiet  # what runs after it in this process speaks again


@pytest.mark.slow
def test_unchanged_code_stays_within_the_committed_bands(capsys: pytest.CaptureFixture[str]) -> None:
    # Nothing is trained, so that no rounding is amplified: these values are the same on every processor.
    assert moved("webnlg prompt", capsys) == set()


@pytest.mark.slow
def test_an_off_by_one_in_position_ids_is_caught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.models.decoder_only import AdaptedDecoder

    honest = AdaptedDecoder._positions
    monkeypatch.setattr(AdaptedDecoder, "_positions", lambda *given: honest(*given) + 1)
    # Trained methods learn around it within their spread between seeds; nothing is random in prompt.
    assert moved("webnlg prompt", capsys)


@pytest.mark.slow
def test_a_scorer_that_stops_lower_casing_is_caught(
    measure_here: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measure_here("webnlg prefix")
    monkeypatch.setattr(_preprocess, "prepare_webnlg_hypothesis", _preprocess.split_words)
    golden.check_scorer.cache_clear()
    assert "bleu" in moved("webnlg prefix", capsys)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["webnlg prefix", "webnlg ft-full"])
def test_a_changed_learning_rate_schedule_is_caught(
    case: str,
    measure_here: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from bench.training import loop

    measure_here(case)
    monkeypatch.setattr(loop, "compute_lr_factor", lambda step, warmup, total: 1.0)
    assert "final loss" in moved(case, capsys)
    assert settings.DEFINITIONS_BY_NAME["lr"].identity


def test_real_files_of_the_user_are_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    seen: list[str | None] = []

    def run(request: Any) -> dict[str, Any]:
        seen.append(os.environ.get("BENCH_DATA"))
        return {
            "scores": {"all": {}},
            "parameters": {"stored": 0},
            "decoding": {"generated_tokens": 0},
            "training": None,
        }

    monkeypatch.setattr("bench.runs.runner.run", run)
    comparison.measure_case(comparison.Case("webnlg", "prompt"), 1, tmp_path)
    assert (seen, os.environ["BENCH_DATA"]) == ([None], str(tmp_path))
