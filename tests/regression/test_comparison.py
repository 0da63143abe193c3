"""The comparison: same seed against same seed, what left its band, and what was not compared."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import registry
from bench.cli import main
from bench.models.decoder_only import AdaptedDecoder
from bench.regression import measuring, observing
from bench.regression.cases import Case
from bench.regression.comparison import compare_case
from bench.regression.measuring import Circumstances, Unit
from bench.regression.reference import CaseReference, ReferenceOutputs, ReferenceValue, load_reference
from bench.regression.values import MeasuredValue, Measurement, ValueKind, fingerprint_outputs
from bench.system import progress
from bench.training import loop

OUTPUTS = fingerprint_outputs([[1, 2], [3]], ["a", "b"])
KNOWN = CaseReference(
    settings={},
    values={
        "loss 1": ReferenceValue(kind=ValueKind.LOSS, value=5.0, moved=0.01, half_width=0.03),
        "prompts": ReferenceValue(kind=ValueKind.FINGERPRINT, value="ab"),
        "identical output tokens": ReferenceValue(kind=ValueKind.OUTPUT_SHARE, value=1.0, half_width=0.5),
    },
    outputs=ReferenceOutputs(tokens=OUTPUTS.tokens, texts=OUTPUTS.texts),
)


def measure(loss: float = 5.0, prompts: str = "ab", third: int = 3, **more: float) -> Measurement:
    values = {
        "loss 1": MeasuredValue(ValueKind.LOSS, loss),
        "prompts": MeasuredValue(ValueKind.FINGERPRINT, prompts),
        **{name: MeasuredValue(ValueKind.SCORE, value) for name, value in more.items()},
    }
    return Measurement(values, fingerprint_outputs([[1, 2], [third]], ["a", "b"]))


@pytest.mark.parametrize(
    ("measured", "outside"),
    [
        (measure(), {"identical output texts"}),  # the reference above lacks it
        (measure(loss=5.0299), {"identical output texts"}),
        (measure(loss=5.031), {"loss 1", "identical output texts"}),
        (measure(loss=4.969), {"loss 1", "identical output texts"}),
        (measure(prompts="ac"), {"prompts", "identical output texts"}),
        (measure(third=4), {"identical output texts"}),
        (measure(bleu=3.0), {"bleu", "identical output texts"}),
        (
            Measurement(failure="broken"),
            {"loss 1", "prompts", "identical output tokens", "identical output texts"},
        ),
    ],
)
def test_what_left_its_band_is_missing_or_is_new_does_not_pass(
    measured: Measurement, outside: set[str]
) -> None:
    compared = compare_case("e2e prefix", KNOWN, measured)
    assert {value.metric for value in compared if value.outside} == outside


def test_every_value_is_listed_with_its_band(
    as_before: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--only", "webnlg prefix", "--processes", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"]
    assert document["compared"] == len(document["values"]) > 100
    assert {"case", "metric", "kind", "value", "reference", "band", "outside"} == set(document["values"][0])
    rows = {(row["case"], row["metric"]): row for row in document["values"]}
    loss = rows["webnlg prefix", "loss 1"]
    assert loss["kind"] == "loss"
    assert loss["band"][0] < loss["value"] < loss["band"][1]
    assert loss["band"][1] - loss["band"][0] < 1e-3 * loss["value"]
    assert rows["webnlg prefix", "prompts"]["band"] is None
    parts = {"search", "webnlg data", "webnlg scorers", "webnlg settings"}
    assert set(as_before) == {"webnlg prefix", "webnlg prefix long", "webnlg prefix words", *parts}


@pytest.mark.usefixtures("guides")
def test_a_method_without_reference_values_is_said_first_and_the_rest_is_checked(
    as_before: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--processes", "1"]) == 1
    assert sorted(as_before) == sorted(load_reference().cases)
    output = capsys.readouterr()
    sentence = "3 cases without reference values for these settings yet: dart bias, e2e bias, webnlg bias"
    assert f"{sentence}; `bench check --update --only …` makes them" in output.err
    assert output.err.index(sentence) < output.err.index(f"[1/{len(as_before)}]")
    assert "runs and parts are within their bands" in output.out
    assert "not compared, without reference values: dart bias" in output.out
    assert main(["check", "--only", "webnlg bias", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["passed"], document["without_reference"]) == (False, ["webnlg bias"])


def test_a_case_with_other_settings_than_its_reference_is_not_compared(
    as_before: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = Case.list_settings
    monkeypatch.setattr(Case, "list_settings", lambda case: {**honest(case), "max_steps": 5})
    assert main(["check", "--only", "webnlg prompt", "--processes", "1"]) == 1
    assert "webnlg prompt" not in as_before
    assert "not compared, without reference values: webnlg prompt" in capsys.readouterr().out


def test_a_case_of_the_reference_that_cannot_run_any_more_does_not_pass(
    as_before: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = {name: method for name, method in registry.methods().items() if name != "prompt"}
    broken = [("baselines/prompt.py", "SyntaxError: line 3")]
    monkeypatch.setattr(registry, "_methods", lambda: registry.Discovery(left, broken))
    assert main(["check", "--only", "webnlg", "--processes", "1"]) == 1
    assert "webnlg prompt" not in as_before
    output = capsys.readouterr()
    assert "2 cases of the reference cannot run any more: webnlg prompt, webnlg prompt search" in output.err
    assert "SyntaxError: line 3" in output.err
    assert "not compared, that cannot run any more: webnlg prompt" in output.out


def test_a_run_that_fails_has_no_values_and_the_others_go_on(
    as_before: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest: Callable[..., Measurement] = measuring.measure_unit

    def fail(unit: Unit, runs: Path, circumstances: Circumstances) -> Measurement:
        if unit.name == "webnlg infix":
            raise ZeroDivisionError("a bug")
        return honest(unit, runs, circumstances)

    monkeypatch.setattr(measuring, "measure_unit", fail)
    assert main(["check", "--only", "webnlg infix,webnlg prompt", "--processes", "1", "--json"]) == 1
    output = capsys.readouterr()
    assert {row["case"] for row in json.loads(output.out)["outside"]} == {"webnlg infix"}
    assert "webnlg infix failed: Traceback" in output.err
    assert "ZeroDivisionError: a bug" in output.err


def test_every_finished_run_is_said_unless_quiet(
    as_before: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--only", "dart prefix", "--processes", "1"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[1/5] dart scorers 0 s"
    assert lines[-1] == "[5/5] dart prefix 0 s"
    assert main(["-q", "check", "--only", "dart prefix", "--processes", "1"]) == 0
    assert capsys.readouterr().err == ""


def test_a_failure_is_annotated_for_github_and_written_as_junit(
    as_before: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    honest: Callable[..., Measurement] = measuring.measure_unit

    def change(unit: Unit, runs: Path, circumstances: Circumstances) -> Measurement:
        measured = honest(unit, runs, circumstances)
        values = {name: value for name, value in measured.values.items() if name != "loss 2"}
        return Measurement(values, measured.outputs)

    monkeypatch.setattr(measuring, "measure_unit", change)
    path = tmp_path / "check.xml"
    command = ["check", "--only", "dart prefix", "--processes", "1", "--junit", str(path)]
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert main(command) == 1
    assert "::error" not in capsys.readouterr().err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main([*command, "--json"]) == 1
    output = capsys.readouterr()
    [line] = [line for line in output.err.splitlines() if line.startswith("::error")]
    assert line.startswith("::error title=bench check%3A dart prefix::loss 2 was not computed, expected ")
    assert json.loads(output.out)["outside"][0]["metric"] == "loss 2"
    assert "loss 2 was not computed" in path.read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--junit", "none/check.xml"], "--junit none/check.xml: no such folder"),
        (["--junit", "check.xml", "--update"], "--junit is of a comparison"),
        (["--reference", "file.json"], "--reference goes with --update"),
        (["--with-packages", "."], "--with-packages goes with --update"),
        (["--update", "--with-packages", "none"], "--with-packages none: no such folder"),
        (["--update", "--with-packages", "."], "--with-packages .: has none of"),
    ],
)
def test_flags_that_nothing_would_look_at_are_refused_before_anything_runs(
    flags: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--only", "webnlg prompt", *flags]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_check_names_no_run_to_continue(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []

    def stop(unit: Unit, runs: Path, circumstances: Circumstances) -> Measurement:
        folders.append(runs)
        (runs / "something").touch()
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGTERM)  # `timeout` sends a second one, which changes nothing
            raise KeyboardInterrupt(f"stopped; the same command continues: bench run --runs {runs}") from None
        raise AssertionError("SIGTERM was not heard")

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(measuring, "measure_unit", stop)
    assert main(["check", "--only", "webnlg prompt", "--processes", "1"]) == 1
    error = capsys.readouterr().err
    assert "interrupted. Nothing was written; the same command starts anew." in error
    assert "bench run" not in error
    assert [folder.exists() for folder in folders] == [False]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_real_files_of_the_user_are_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    with observing.hide_data_directory():
        assert "BENCH_DATA" not in os.environ
    assert os.environ["BENCH_DATA"] == str(tmp_path)


# --- real runs against the committed bands


def list_outside(only: str, capsys: pytest.CaptureFixture[str], code: int = 1) -> set[tuple[str, str]]:
    """(case, metric) of what `bench check` calls outside, with whatever was planted."""
    assert main(["-q", "check", "--only", only, "--processes", "1", "--json"]) == code
    document: Any = json.loads(capsys.readouterr().out)
    return {(row["case"], row["metric"]) for row in document["outside"]}


def test_unchanged_code_stays_within_the_committed_bands(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_outside("webnlg prefix words,xsum prompt", capsys, code=0) == set()
    assert not progress.settings.quiet  # what runs after it in this process speaks again


def test_a_lower_learning_rate_is_seen_in_the_losses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = loop.compute_lr_factor
    monkeypatch.setattr(loop, "compute_lr_factor", lambda *given: 0.6 * honest(*given))
    outside = list_outside("webnlg prefix words", capsys)
    assert ("webnlg prefix words", "loss 1") not in outside  # the warm-up begins at 0
    assert {("webnlg prefix words", f"loss {update}") for update in range(3, 11)} <= outside


@pytest.mark.slow
def test_an_off_by_one_in_position_ids_is_caught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = AdaptedDecoder._positions
    monkeypatch.setattr(AdaptedDecoder, "_positions", lambda *given: honest(*given) + 1)
    assert ("webnlg prefix", "loss 1") in list_outside("webnlg prefix", capsys)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["webnlg prefix words", "webnlg ft-full decay"])
def test_a_schedule_that_is_one_update_ahead_is_caught(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = loop.compute_lr_factor
    monkeypatch.setattr(loop, "compute_lr_factor", lambda step, *given: honest(step + 1, *given))
    assert (case, "loss 3") in list_outside(case, capsys)
