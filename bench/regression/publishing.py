"""A check's outcome for machines that show it: JUnit's XML, and GitHub's annotations."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.foreign_text import escape_log
from bench.regression.comparison import CheckOutcome, ComparedValue
from bench.regression.values import Plain
from bench.system.files import write_atomic

SHOWN = 10
"""Values that the message of a failed case names."""


def format_plain(value: Plain | None) -> str:
    """A value for people: seven digits, or the text."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.7g}"


def describe_value(value: ComparedValue) -> str:
    """What is wrong with one value, in a line: ``loss 3 is 5.1, expected 4.2 ± 1e-06``."""
    if value.value is None:
        return f"{value.metric} was not computed, expected {format_plain(value.reference)}"
    if value.reference is None:
        return f"{value.metric} is {format_plain(value.value)} and has no reference value"
    half = "" if value.low is None or value.high is None else f" ± {(value.high - value.low) / 2:.2g}"
    return f"{value.metric} is {format_plain(value.value)}, expected {format_plain(value.reference)}{half}"


def group_by_case(outcome: CheckOutcome) -> dict[str, list[ComparedValue]]:
    """The compared values of every case, in their order."""
    groups: dict[str, list[ComparedValue]] = {}
    for value in outcome.values:
        groups.setdefault(value.case, []).append(value)
    return groups


def list_uncompared(outcome: CheckOutcome) -> dict[str, str]:
    """The cases that were not compared, each with its reason."""
    return {
        **dict.fromkeys(outcome.without_reference, "has no reference values for these settings"),
        **dict.fromkeys(outcome.cannot_run, "is in the reference and cannot run any more"),
    }


# --- JUnit


def write_junit(outcome: CheckOutcome, path: Path) -> None:
    """One test case per case of the check; the failure of one names the values outside their bands."""
    suite = ET.Element("testsuite", name="bench check", time=f"{outcome.seconds:.3f}")
    failed = 0
    for case, values in group_by_case(outcome).items():
        element = add_test_case(suite, case, outcome.case_seconds.get(case, 0.0))
        outside = [describe_value(value) for value in values if value.outside]
        if outside:
            failed += 1
            text = "\n".join([*outside, outcome.failures.get(case, "")]).rstrip()
            add_failure(element, f"{len(outside)} of {len(values)} values are outside their bands", text)
    for case, reason in list_uncompared(outcome).items():
        failed += 1
        add_failure(add_test_case(suite, case, 0.0), reason, reason)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failed))
    suite.set("errors", "0")
    document = ET.Element("testsuites", suite.attrib)
    document.append(suite)
    ET.indent(document)
    write_atomic(path, ET.tostring(document, encoding="unicode", xml_declaration=True) + "\n")


def add_test_case(suite: ET.Element, case: str, seconds: float) -> ET.Element:
    """A test case below ``suite``."""
    attributes = {"classname": "bench check", "name": clean_xml(case), "time": f"{seconds:.3f}"}
    return ET.SubElement(suite, "testcase", attributes)


def add_failure(element: ET.Element, message: str, text: str) -> None:
    """Mark a test case as failed."""
    failure = ET.SubElement(element, "failure", type="regression", message=clean_xml(message))
    failure.text = clean_xml(text)


def clean_xml(text: str) -> str:
    """Without the characters that XML has no way to write, and without others that nobody sees."""
    return escape_log(text)


# --- GitHub


def escape_annotation(text: str, attribute: bool = False) -> str:
    """As GitHub's runner reads it back; ``attribute``: between the command and the double colon."""
    escapes: Mapping[str, str] = {"%": "%25", "\r": "%0D", "\n": "%0A"}
    if attribute:
        escapes = {**escapes, ":": "%3A", ",": "%2C"}
    return "".join(escapes.get(character, character) for character in text)


def make_annotations(outcome: CheckOutcome) -> Iterator[str]:
    """An ``::error`` command per case that did not pass."""
    for case, values in group_by_case(outcome).items():
        outside = [describe_value(value) for value in values if value.outside]
        if outside:
            more = [f"and {len(outside) - SHOWN} more"] if len(outside) > SHOWN else []
            yield make_annotation(case, "\n".join([*outside[:SHOWN], *more]))
    for case, reason in list_uncompared(outcome).items():
        yield make_annotation(case, f"{case} {reason}")


def make_annotation(case: str, message: str) -> str:
    """One command."""
    title = escape_annotation(f"bench check: {case}", attribute=True)
    return f"::error title={title}::{escape_annotation(message)}"
