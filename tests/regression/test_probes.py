"""The parts on fixed inputs: exact, quick, and moved by faults that training would hide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.decoding.beam_search import SourceSearch
from bench.metrics import _preprocess
from bench.regression.comparison import ComparedValue, compare_case
from bench.regression.measuring import try_measuring
from bench.regression.probes import SEARCH, Probe, list_probes, measure_search, read_fixed_texts
from bench.regression.reference import load_reference
from bench.regression.values import ValueKind
from bench.scoring import golden


def list_moved(probe: Probe, tmp_path: Path) -> list[ComparedValue]:
    """The values of a probe that are outside the committed bands now."""
    golden.check_scorer.cache_clear()
    measurement = try_measuring(probe, tmp_path)
    return [
        value
        for value in compare_case(probe.name, load_reference().cases[probe.name], measurement)
        if value.outside
    ]


@pytest.mark.parametrize(
    "probe", list_probes(["e2e", "webnlg", "dart", "xsum"]), ids=lambda probe: probe.name
)
def test_unchanged_code_gives_the_committed_values(probe: Probe, tmp_path: Path) -> None:
    assert list_moved(probe, tmp_path) == []


def test_the_fixed_texts_have_what_scorers_stumble_over() -> None:
    outputs, references = read_fixed_texts()
    text = " ".join(outputs)
    assert len(outputs) == len(references) >= 20
    assert "" in outputs
    assert text != text.lower()
    assert not text.isascii()
    assert all(mark in text for mark in "'-.,()\n")
    assert {len(group) for group in references} >= {1, 2, 3, 4}


def test_a_scorer_that_stops_lower_casing_fails_its_golden_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_preprocess, "prepare_webnlg_hypothesis", _preprocess.split_words)
    moved = {value.metric: value for value in list_moved(Probe("scorers", "webnlg"), tmp_path)}
    assert {"bleu golden", "bleu"} <= set(moved)
    assert moved["bleu golden"].kind is ValueKind.GOLDEN
    assert str(moved["bleu golden"].value).startswith("failed: ")


def test_a_scorer_that_breaks_loses_its_values(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*texts: str) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(_preprocess, "prepare_webnlg_hypothesis", fail)
    assert {value.value for value in list_moved(Probe("scorers", "webnlg"), tmp_path)} == {None}


def select_earlier(search: SourceSearch) -> list[int]:
    return list(max(search.finished, key=lambda hypothesis: hypothesis.score).tokens)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("select_best", select_earlier),
        ("_length", lambda search, generated: generated),
        ("_normalised", lambda search, score, length: score),
        ("list_barred_tokens", lambda search, hypothesis: []),
        ("_cannot_improve", lambda search, best: len(search.finished) == search.rules.beams),
    ],
)
def test_a_change_of_the_search_shows(
    name: str, changed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(SourceSearch, name, changed)
    assert list_moved(Probe(SEARCH), tmp_path)


def test_the_variations_of_the_search_differ() -> None:
    values = measure_search()
    assert len({value.value for value in values.values()}) == len(values)


def test_a_changed_default_of_the_paper_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bench.config import settings

    definitions = tuple(
        replace(entry, default=4) if entry.name == "beams" else entry for entry in settings.DEFINITIONS
    )
    monkeypatch.setattr(settings, "DEFINITIONS", definitions)
    moved = {value.metric for value in list_moved(Probe("settings", "e2e"), tmp_path)}
    assert {"prefix paper", "ft-full paper"} <= moved


def test_another_separator_between_facts_shows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tasks import webnlg

    honest = webnlg.linearise
    monkeypatch.setattr(
        webnlg, "linearise", lambda *given, **named: honest(*given, **named).replace(" | ", " , ")
    )
    assert list_moved(Probe("data", "webnlg"), tmp_path)
