"""New reference values: measured under circumstances that may move them, with the bands that follow."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.regression import references
from bench.regression.cases import Case, Suite
from bench.regression.comparison import compare_case
from bench.regression.measuring import Circumstances, SeparateMeasurement, Unit, measure_apart
from bench.regression.probes import Probe
from bench.regression.reference import read_reference
from bench.regression.values import MeasuredValue, Measurement, ValueKind, fingerprint_outputs

Measure = Callable[[str, Circumstances], Measurement]
TORCH = {"torch": "1"}


def make_measurement(
    loss: float = 5.0, prompts: str = "ab", bleu: float = 50.0, token: int = 3
) -> Measurement:
    values = {
        "loss 1": MeasuredValue(ValueKind.LOSS, loss),
        "loss 2": MeasuredValue(ValueKind.LOSS, 4.0),
        "bleu": MeasuredValue(ValueKind.SCORE, bleu),
        "prompts": MeasuredValue(ValueKind.FINGERPRINT, prompts),
    }
    outputs = fingerprint_outputs([[1, 2, 4, token]] * 25, ["a"] * 25)
    return Measurement(values, outputs)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Measure], None]:
    """Makes ``measure(name, circumstances)`` what every measurement gives."""

    def plant(measure: Measure) -> None:
        def measure_all(
            units: Sequence[Unit], processes: int, circumstances: Circumstances
        ) -> SeparateMeasurement:
            return SeparateMeasurement(
                {unit.name: measure(unit.name, circumstances) for unit in units}, TORCH
            )

        monkeypatch.setattr(references, "measure_apart", measure_all)
        monkeypatch.setattr(references, "list_probes", lambda tasks, data_dir: [])

    return plant


def test_a_band_is_three_times_what_the_variants_moved(
    planted: Callable[[Measure], None], tmp_path: Path
) -> None:
    def measure(name: str, circumstances: Circumstances) -> Measurement:
        if circumstances.threads == 2:
            return make_measurement(loss=5.001)
        return make_measurement(bleu=50.0 if circumstances.onednn else 49.0)

    planted(measure)
    path = tmp_path / "reference.json"
    update = references.update_reference(["e2e prefix best"], 1, path=path)
    assert update == references.ReferenceUpdate(["e2e prefix best: new, 6 values"], [])
    reference = read_reference(path)
    values = reference.cases["e2e prefix best"].values
    assert values["loss 1"].half_width == pytest.approx(0.003)
    assert values["loss 2"].half_width == pytest.approx(0.003)  # rounding only grows
    assert values["bleu"].half_width == pytest.approx(3.0)
    assert values["identical output tokens"].half_width == pytest.approx(1 / 25)
    assert values["prompts"].half_width == 0
    assert [variant.name for variant in reference.variants][:2] == ["1 thread", "2 threads"]
    assert len(reference.variants) == 1 + len(references.VARIANTS)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (make_measurement(prompts="ac"), "prompts, a fingerprint, is another one with 2 threads"),
        (make_measurement(loss=6.0), "loss 1 is not reproducible enough to be compared"),
        (
            Measurement(failure="Traceback\nZeroDivisionError: a bug"),
            "failed with 2 threads: ZeroDivisionError: a bug",
        ),
        (Measurement(outputs=make_measurement().outputs), "loss 1 is not computed with 2 threads"),
    ],
)
def test_what_cannot_have_a_band_is_explained_and_the_other_cases_are_written(
    changed: Measurement,
    sentence: str,
    planted: Callable[[Measure], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(name: str, circumstances: Circumstances) -> Measurement:
        odd = name == "e2e infix" and circumstances.threads == 2
        return changed if odd else make_measurement()

    planted(measure)
    path = tmp_path / "reference.json"
    command = ["check", "--update", "--only", "e2e infix,e2e prompt", "--reference", str(path)]
    assert main(command) == 1
    assert f"not written: e2e infix: {sentence}" in capsys.readouterr().err
    assert list(read_reference(path).cases) == ["e2e prompt"]


def test_update_shows_what_changed(planted: Callable[[Measure], None], tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    planted(lambda name, circumstances: make_measurement())
    references.update_reference(["e2e prefix best"], 1, path=path)
    planted(lambda name, circumstances: make_measurement(bleu=40.0, prompts="ac"))
    update = references.update_reference(["e2e prefix best"], 1, path=path)
    assert update.changes == [
        "e2e prefix best: bleu 50 ± 2 -> 40 ± 1.6",
        "e2e prefix best: prompts ab -> ac",
    ]


def test_what_was_measured_earlier_keeps_its_circumstances(
    planted: Callable[[Measure], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reference.json"
    planted(lambda name, circumstances: make_measurement())
    references.update_reference(["e2e prefix", "e2e prompt"], 1, path=path)
    monkeypatch.setitem(TORCH, "torch", "2")
    references.update_reference(["e2e prompt"], 1, path=path)
    reference = read_reference(path)
    assert reference.packages == {"torch": "1"}
    assert reference.cases["e2e prompt"].packages == {"torch": "2"}
    assert reference.cases["e2e prefix"].packages is None
    references.update_reference(["e2e prefix", "e2e prompt"], 1, path=path)
    reference = read_reference(path)
    assert reference.packages == {"torch": "2"}
    assert not any(case.packages for case in reference.cases.values())


def test_a_file_of_before_that_is_no_reference_is_replaced(
    planted: Callable[[Measure], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "reference.json"
    path.write_text(json.dumps({"seed": 1, "cases": {"e2e prefix": {"values": {"bleu": 10}}}}))
    planted(lambda name, circumstances: make_measurement())
    references.update_reference(["e2e prompt"], 1, path=path)
    assert list(read_reference(path).cases) == ["e2e prompt"]
    assert "Nothing of it is kept" in capsys.readouterr().err


def test_other_packages_join_the_variants(tmp_path: Path) -> None:
    folders = []
    for version in ("5.0.0", "5.24.0"):
        folder = tmp_path / version
        information = folder / f"transformers-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: transformers\nVersion: {version}\n"
        )
        folders.append(folder)
    variants = references.list_variants(folders)
    assert len(variants) == len(references.VARIANTS)
    assert [variant.packages for variant in variants] == [None, folders[1], folders[0]]
    assert variants[2].name.endswith("; transformers 5.0.0")
    assert len(references.list_variants([*folders, *folders])) == len(references.VARIANTS) + 2


@pytest.mark.slow
def test_circumstances_are_those_of_the_process_that_measures() -> None:
    units = [Case("webnlg", "prompt", "search")]
    environment = {"ATEN_CPU_CAPABILITY": "default"}
    answer: Any = measure_apart(units, 1, Circumstances("odd", threads=2, environment=environment))
    assert answer.packages["torch"]
    assert answer.measured["webnlg prompt search"].values["prompts"].kind is ValueKind.FINGERPRINT


def test_a_value_that_rounding_moves_far_is_named_and_not_compared(
    planted: Callable[[Measure], None], tmp_path: Path
) -> None:
    def measure(name: str, circumstances: Circumstances) -> Measurement:
        return make_measurement(bleu=50.0 if circumstances.onednn else 40.0)

    planted(measure)
    path = tmp_path / "reference.json"
    assert references.update_reference(["e2e prompt"], 1, path=path).incomplete == []
    known = read_reference(path).cases["e2e prompt"]
    assert known.unstable == {"bleu": 10.0}
    assert "bleu" not in known.values
    compared = compare_case("e2e prompt", known, make_measurement(bleu=3.0))
    assert not [value.metric for value in compared if value.outside]
    planted(lambda name, circumstances: make_measurement())
    references.update_reference(["e2e infix"], 1, path=path)
    before = read_reference(path).cases["e2e infix"]
    assert references.list_changes("e2e infix", before, known) == [
        "e2e infix: bleu is not compared, it moves by 10 without a change of the code"
    ]


def test_published_files_are_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def measure_all(
        units: Sequence[Unit], processes: int, circumstances: Circumstances
    ) -> SeparateMeasurement:
        asked.append([unit.name for unit in units])
        return SeparateMeasurement({unit.name: make_measurement() for unit in units}, TORCH)

    monkeypatch.setattr(references, "measure_apart", measure_all)
    units: list[Unit] = [Probe("data", "e2e", tmp_path), Case("e2e", "prompt", data_dir=tmp_path)]
    reference, incomplete = references.measure_reference(units, 1, [], Suite.REAL)
    assert asked == [["e2e data", "e2e prompt"], *[["e2e prompt"]] * len(references.VARIANTS)]
    assert (sorted(reference.cases), incomplete) == (["e2e data", "e2e prompt"], [])
