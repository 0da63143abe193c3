"""The reference is a checked document: its bands follow from what was measured, and nonsense is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import DataError, UserError
from bench.regression import reference as reference_file
from bench.regression.cases import Suite
from bench.regression.reference import (
    LIMITS,
    SAFETY,
    ReferenceValue,
    compute_half_width,
    load_reference,
    read_reference,
)
from bench.regression.values import EXACT, ValueKind

VALUES = {
    "loss 1": {"kind": "loss", "value": 5.0, "moved": 1e-3, "half_width": 3e-3},
    "bleu": {"kind": "score", "value": 50.0, "moved": 1.0, "half_width": 3.0},
    "updates": {"kind": "count", "value": 24.0},
    "prompts": {"kind": "fingerprint", "value": "0123456789abcdef"},
}
DOCUMENT: dict[str, Any] = {
    "format": 2,
    "suite": "embedded",
    "seed": 1,
    "safety": 3.0,
    "packages": {"torch": "2.13.0"},
    "variants": [{"name": "1 thread"}, {"name": "2 threads"}],
    "cases": {
        "e2e prefix": {
            "settings": {"given": {}, "options": "", "protocol": "original"},
            "values": VALUES,
            "outputs": {"tokens": " ".join(["AAAA"] * 25), "texts": "AAAAAAAAAAA"},
        }
    },
}


def write(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "reference.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_the_committed_references_are_valid() -> None:
    for suite in Suite:
        reference = load_reference(suite)
        assert reference.variants
        assert reference.cases


def test_a_whole_document_is_read(tmp_path: Path) -> None:
    reference = read_reference(write(tmp_path, DOCUMENT))
    case = reference.cases["e2e prefix"]
    assert (case.output_count, case.values["bleu"].half_width) == (25, 3.0)
    assert case.values["prompts"].kind is ValueKind.FINGERPRINT


def set_value(name: str, **changes: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["cases"]["e2e prefix"]["values"][name].update(changes)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (set_value("bleu", value=10.0, half_width=30.0), "half_width is 30; by the rule for a score it is 3"),
        (set_value("bleu", value=10.0, moved=10.0, half_width=30.0), "30 is more than 0.25 of the value 10"),
        (set_value("loss 1", half_width=1.0), "half_width is 1; by the rule for a loss it is 0.003"),
        (set_value("loss 1", moved=1.0, half_width=3.0), "more than 0.02 of the value 5"),
        (set_value("updates", half_width=1.0), "by the rule for a count it is 0"),
        (set_value("prompts", half_width=1.0), "by the rule for a fingerprint it is 0"),
        (set_value("bleu", half_width=-3.0), "greater than or equal to 0"),
        (set_value("bleu", value="50"), "a score is a number"),
        (set_value("prompts", value=3.0), "a fingerprint is text"),
        (set_value("bleu", value=None), "values.bleu.value"),
        (set_value("bleu", value=True), "values.bleu"),
        (set_value("bleu", kind="mark"), "values.bleu.kind"),
        (set_value("bleu", spread=3.0), "values.bleu.spread"),
        (lambda document: document["cases"]["e2e prefix"].update(values={}), "values"),
        (lambda document: document["cases"]["e2e prefix"]["outputs"].update(tokens="é"), "tokens"),
        (lambda document: document.update(format=1), "format"),
        (lambda document: document.update(safety=30.0), "safety"),
        (lambda document: document.update(seed=2), "seed"),
        (lambda document: document.update(cases=[]), "cases"),
        (lambda document: document.pop("variants"), "variants"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused(
    change: Callable[[dict[str, Any]], None], problem: str, tmp_path: Path
) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    with pytest.raises(DataError) as caught:
        read_reference(write(tmp_path, document))
    assert problem in str(caught.value)
    assert "`bench check --update` makes a new one" in str(caught.value)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"cases": {}, "cases": {}}'])
def test_what_is_no_document_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read_reference(write(tmp_path, text))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number: str, tmp_path: Path) -> None:
    text = json.dumps(DOCUMENT).replace("50.0", number)
    with pytest.raises(DataError):
        read_reference(write(tmp_path, text))


def test_a_name_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    text = json.dumps(DOCUMENT).replace('"bleu":', '"loss 1":')
    with pytest.raises(DataError, match="given twice"):
        read_reference(write(tmp_path, text))


def test_a_missing_file_and_the_other_suite_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bench check --update"):
        read_reference(tmp_path / "none.json")
    with pytest.raises(UserError, match="expected those of the real suite"):
        read_reference(write(tmp_path, DOCUMENT), Suite.REAL)


@given(
    kind=st.sampled_from(sorted(set(ValueKind) - EXACT)),
    value=st.floats(1e-3, 1e3),
    moved=st.floats(0, 1e3),
    outputs=st.integers(0, 100),
)
def test_a_band_is_as_wide_as_was_measured_and_no_wider(
    kind: ValueKind, value: float, moved: float, outputs: int
) -> None:
    half_width = compute_half_width(kind, value, moved, outputs)
    assert half_width >= SAFETY * moved
    assert compute_half_width(kind, value, 2 * moved, outputs) >= half_width
    entry = ReferenceValue(kind=kind, value=value, moved=moved, half_width=half_width)
    problem = entry.find_problem(outputs)
    if half_width > max(LIMITS[kind], 1 / outputs if outputs else 0) * value * 1.001:
        assert problem is not None
        assert "is more than" in problem
    if half_width < LIMITS[kind] * value * 0.999:
        assert problem is None
    wider = entry.model_copy(update={"half_width": half_width * 1.01 + 1e-9})
    assert wider.find_problem(outputs) is not None


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with an entry point and room for a reference; where its file belongs."""
    package = tmp_path / f"biases_of_{tmp_path.name}"  # a name of its own: imported packages stay
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    point = SimpleNamespace(module=f"{package.name}.method")
    monkeypatch.setattr(
        reference_file, "entry_points", lambda group: [point] if group == "bench.methods" else []
    )
    return package / "bench_check.json"


def test_a_plugin_brings_the_references_of_its_own_cases(plugin: Path) -> None:
    assert "e2e bias" not in load_reference().cases
    document = copy.deepcopy(DOCUMENT)
    document["cases"] = {"e2e bias": document["cases"]["e2e prefix"]}
    plugin.write_text(json.dumps(document))
    case = load_reference().cases["e2e bias"]
    assert case.values["bleu"].value == 50.0
    assert case.packages == {"torch": "2.13.0"}


def test_a_plugin_cannot_replace_values_of_others(plugin: Path) -> None:
    plugin.write_text(json.dumps(DOCUMENT))
    with pytest.raises(UserError, match="'e2e prefix', which has reference values elsewhere"):
        load_reference()
