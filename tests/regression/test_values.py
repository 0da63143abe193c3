"""Outputs are compared token by token without their text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bench.regression.values import (
    MeasuredValue,
    Measurement,
    OutputFingerprints,
    ValueKind,
    compute_fingerprint,
    compute_shares,
    fingerprint_outputs,
    read_measurement,
)

OUTPUTS = st.lists(st.lists(st.integers(0, 50_000), max_size=8), min_size=1, max_size=6).filter(any)


def share(reference: OutputFingerprints, measured: OutputFingerprints) -> tuple[float, float]:
    shares = compute_shares(reference, measured)
    tokens, texts = shares["identical output tokens"].value, shares["identical output texts"].value
    assert isinstance(tokens, float)
    assert isinstance(texts, float)
    return tokens, texts


@given(OUTPUTS)
def test_the_same_outputs_are_identical(outputs: list[list[int]]) -> None:
    texts = [str(tokens) for tokens in outputs]
    fingerprints = fingerprint_outputs(outputs, texts)
    assert share(fingerprints, fingerprint_outputs(outputs, texts)) == (1.0, 1.0)


def test_the_share_counts_positions_of_either() -> None:
    reference = fingerprint_outputs([[1, 2, 3], [4, 5]], ["a", "b"])
    assert share(reference, fingerprint_outputs([[1, 2, 3], [4, 6]], ["a", "c"])) == (0.8, 0.5)
    assert share(reference, fingerprint_outputs([[1, 2, 3], [4, 5, 6]], ["a", "b"])) == (5 / 6, 1.0)
    assert share(reference, fingerprint_outputs([[1, 2, 3], []], ["a", "b"])) == (0.6, 1.0)
    assert share(reference, fingerprint_outputs([[1, 2, 3]], ["a"])) == (0.0, 0.0)
    assert share(reference, OutputFingerprints()) == (0.0, 0.0)


def test_tokens_that_are_shifted_or_in_another_item_differ() -> None:
    reference = fingerprint_outputs([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]], ["", ""])
    assert (
        share(reference, fingerprint_outputs([[2, 3, 4, 5, 6, 1], [7, 8, 9, 10, 11, 12]], ["", ""]))[0] < 0.6
    )
    assert (
        share(reference, fingerprint_outputs([[7, 8, 9, 10, 11, 12], [1, 2, 3, 4, 5, 6]], ["", ""]))[0] < 0.2
    )


def test_no_text_can_be_read_from_a_fingerprint() -> None:
    document = json.dumps(fingerprint_outputs([[5]], ["The Copper Lantern"]).to_json())
    assert "Copper" not in document
    assert compute_fingerprint(["The Copper Lantern"]) != compute_fingerprint(["The copper Lantern"])


def test_a_measurement_goes_from_one_process_to_another() -> None:
    measurement = Measurement(
        {
            "loss 1": MeasuredValue(ValueKind.LOSS, 0.1 + 0.2),
            "prompts": MeasuredValue(ValueKind.FINGERPRINT, "ab"),
        },
        fingerprint_outputs([[1]], ["a"]),
        1.5,
    )
    assert read_measurement(json.loads(json.dumps(measurement.to_json()))) == measurement
