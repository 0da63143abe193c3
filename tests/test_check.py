"""The regression check: its bands come from seeds, it sees planted regressions, and it says what moved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import check, gate, progress, registry, settings
from bench.cli import main
from bench.errors import UserError
from bench.metrics import preprocess


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    gate.outcome.cache_clear()


def test_every_task_and_method_is_checked_and_has_values_of_ten_seeds() -> None:
    reference = check.load()["cases"]
    names = [case.name for case in check.cases()]
    assert sorted(reference) == sorted(names)
    assert {name.split()[0] for name in names} == set(registry.tasks())
    assert {name.split()[1] for name in names} == set(registry.methods())
    for name, one in reference.items():
        assert one["values"], name
        for metric, value in one["values"].items():
            seeds = one["seeds"][metric]
            assert len(seeds) >= 10
            assert seeds[0] == value  # the reference is the value of the checked seed
            assert one["half_width"][metric] == pytest.approx(check.half_width(metric, seeds))


def test_bands_come_from_the_spread_between_seeds() -> None:
    assert check.half_width("bleu", [1.0, 2.0, 3.0]) == check.WIDTH
    assert check.half_width("meteor", [0.5, 0.5]) == check.FINEST
    assert check.half_width("stored parameters", [5.0, 5.0]) == 0


def test_what_left_its_band_is_found_on_both_sides_and_when_it_is_gone() -> None:
    known = {"values": {"bleu": 50.0, "ter": 0.5}, "half_width": {"bleu": 2.0, "ter": 0.1}}
    reference = {"cases": {"e2e prefix": known}}
    for value, outside in ((48.1, False), (47.9, True), (52.1, True), (50.0, False)):
        [bleu, ter] = check.compare(reference, {"e2e prefix": {"bleu": value, "ter": 0.55}})
        assert (bleu.outside, ter.outside) == (outside, False)
    [_, ter] = check.compare(reference, {"e2e prefix": {"bleu": 50.0}})
    assert ter.outside
    assert ter.value is None
    with pytest.raises(UserError, match="has no reference values"):
        check.compare(reference, {"e2e infix": {}})


def test_unknown_names_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--only", "prefx"]) == 2
    assert "did you mean 'prefix'" in capsys.readouterr().err


def test_update_shows_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([{"bleu": 1.0}] * 10 + [{"bleu": 4.0}] * 10)
    monkeypatch.setattr(check, "measured", lambda wanted, processes: [next(values) for _ in wanted])
    path = tmp_path / "reference.json"
    assert check.update(["webnlg prefix"], 1, path) == ["webnlg prefix: bleu is new: 1 ± 0.01"]
    assert check.update(["webnlg prefix"], 1, path) == ["webnlg prefix: bleu 1 -> 4 (band was ± 0.01)"]
    assert json.loads(path.read_text())["cases"]["webnlg prefix"]["seeds"]["bleu"] == [4.0] * 10


def moved(case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """What `bench check` calls outside, for one case, with whatever was planted."""
    code = main(["check", "--only", case, "--processes", "1", "--json"])
    document: Any = json.loads(capsys.readouterr().out)
    assert code == (0 if document["passed"] else 1)
    return {one["metric"] for one in document["outside"]}


@pytest.mark.slow
def test_unchanged_code_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert moved("webnlg prefix", monkeypatch, capsys) == set()
    assert not progress.settings.quiet  # what runs after it in this process speaks again


@pytest.mark.slow
def test_an_off_by_one_in_position_ids_is_caught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.tuned import Tuned

    honest = Tuned._positions
    monkeypatch.setattr(Tuned, "_positions", lambda *given: honest(*given) + 1)
    # Trained methods learn around it within their spread between seeds; nothing is random in prompt.
    assert moved("webnlg prompt", monkeypatch, capsys)


@pytest.mark.slow
def test_a_scorer_that_stops_lower_casing_is_caught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preprocess, "webnlg_hypothesis", preprocess.split_words)
    gate.outcome.cache_clear()
    assert "bleu" in moved("webnlg prefix", monkeypatch, capsys)


@pytest.mark.slow
def test_a_changed_learning_rate_schedule_is_caught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench import train

    monkeypatch.setattr(train, "linear_schedule", lambda step, warmup, total: 1.0)
    assert moved("webnlg prefix", monkeypatch, capsys) | moved("webnlg ft-full", monkeypatch, capsys)
    assert settings.BY_NAME["lr"].identity
