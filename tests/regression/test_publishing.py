"""The outcome as JUnit's XML and as GitHub's annotations."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bench.regression import publishing
from bench.regression.comparison import CheckOutcome, ComparedValue
from bench.regression.values import ValueKind

GOOD = ComparedValue("e2e prefix", "loss 1", ValueKind.LOSS, 5.0, 5.0, 4.9, 5.1)
FAR = ComparedValue("e2e prefix", "loss 2", ValueKind.LOSS, 6.0, 5.0, 4.9, 5.1)
GONE = ComparedValue("e2e prefix", "bleu", ValueKind.SCORE, None, 50.0, 49.0, 51.0)
OTHER = ComparedValue("e2e scorers", "bleu golden", ValueKind.GOLDEN, "failed: a,b: 50 %\nis", "passed")
NEW = ComparedValue("webnlg prefix", "ter", ValueKind.SCORE, 0.5, None)


def make_outcome(*values: ComparedValue) -> CheckOutcome:
    return CheckOutcome(
        list(values), ["dart bias"], ["dart gone"], 12.5, {"e2e prefix": 2.0}, {"e2e prefix": "Traceback\x1b"}
    )


def test_every_case_is_a_test_case_and_a_failure_names_the_values(tmp_path: Path) -> None:
    path = tmp_path / "check.xml"
    publishing.write_junit(make_outcome(GOOD, FAR, GONE, OTHER, NEW), path)
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    [suite] = root
    assert (root.tag, suite.get("tests"), suite.get("failures")) == ("testsuites", "5", "5")
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == ["e2e prefix", "e2e scorers", "webnlg prefix", "dart bias", "dart gone"]
    assert cases["e2e prefix"].get("time") == "2.000"
    failure = cases["e2e prefix"].find("failure")
    assert failure is not None
    assert failure.get("message") == "2 of 3 values are outside their bands"
    assert (failure.text or "").splitlines() == [
        "loss 2 is 6, expected 5 ± 0.1",
        "bleu was not computed, expected 50",
        r"Traceback\x1b",
    ]


def test_a_case_that_passed_has_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "check.xml"
    publishing.write_junit(CheckOutcome([GOOD], [], [], 1.0), path)
    [suite] = ET.fromstring(path.read_text(encoding="utf-8"))
    assert (suite.get("tests"), suite.get("failures"), len(suite[0])) == ("1", "0", 0)


def test_annotations_are_one_line_each_and_escaped() -> None:
    lines = list(publishing.make_annotations(make_outcome(GOOD, FAR, GONE, OTHER)))
    assert lines == [
        "::error title=bench check%3A e2e prefix::loss 2 is 6, expected 5 ± 0.1%0Ableu was not computed, expected 50",
        "::error title=bench check%3A e2e scorers::bleu golden is failed: a,b: 50 %25%0Ais, expected passed",
        "::error title=bench check%3A dart bias::dart bias has no reference values for these settings",
        "::error title=bench check%3A dart gone::dart gone is in the reference and cannot run any more",
    ]
    assert list(publishing.make_annotations(CheckOutcome([GOOD], [], [], 1.0))) == []


@given(st.text())
def test_an_annotation_reads_back_as_it_was(text: str) -> None:
    escaped = publishing.escape_annotation(text)
    assert "\n" not in escaped
    assert "\r" not in escaped
    assert escaped.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%") == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_can_be_written_as_xml(text: str) -> None:
    element = ET.Element("failure")
    element.text = publishing.clean_xml(text)
    assert ET.fromstring(ET.tostring(element, encoding="unicode")) is not None
