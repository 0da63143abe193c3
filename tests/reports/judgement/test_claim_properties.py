"""What holds of every decision on a claim, whatever the numbers."""

from __future__ import annotations

from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st
from made_up import of_seeds

from reports.judgement.claims import ClaimOutcome, decide_outcome
from reports.paper.limits import Limits
from reports.stats.estimates import ContrastTerm, estimate_contrast, scale_estimate

VALUES = st.lists(st.floats(-3, 3), min_size=2, max_size=6)
ENDS = st.tuples(st.floats(-4, 4), st.floats(0.1, 5))
SOME_LIMITS = st.one_of(
    st.just(Limits(0, None, strict=True)),
    st.just(Limits(None, 0, strict=True)),
    ENDS.map(lambda ends: Limits(ends[0], ends[0] + ends[1])),
)
FLOORS = st.sampled_from([0.0, 0.2])
COUNTS = st.integers(1, 15)


def decide(limits: Limits, a: list[float], b: list[float], floor: float, count: int = 1) -> ClaimOutcome:
    terms = [ContrastTerm(1.0, of_seeds(a), floor), ContrastTerm(-1.0, of_seeds(b), floor)]
    return decide_outcome(limits, estimate_contrast(terms), count)


@given(SOME_LIMITS, VALUES, VALUES, FLOORS, COUNTS, st.floats(1, 20), st.floats(1, 20))
def test_more_scatter_decides_nothing_that_was_undecided(
    limits: Limits, a: list[float], b: list[float], floor: float, count: int, more_a: float, more_b: float
) -> None:
    before = decide(limits, a, b, floor, count)
    scattered = [
        [fmean(values) + factor * (value - fmean(values)) for value in values]
        for values, factor in ((a, more_a), (b, more_b))
    ]
    after = decide(limits, *scattered, floor, count)
    # Rounding moves a mean that sits on an end; equal values have no spread to widen.
    if before is not ClaimOutcome.UNDECIDED or min(max(v) - min(v) for v in (a, b)) < 1e-6:
        return
    assert after is ClaimOutcome.UNDECIDED


@given(SOME_LIMITS, VALUES, VALUES, FLOORS, COUNTS, st.integers(1, 4))
def test_more_of_the_same_evidence_never_loses_what_is_decided(
    limits: Limits, a: list[float], b: list[float], floor: float, count: int, repeats: int
) -> None:
    before = decide(limits, a, b, floor, count)
    if before is ClaimOutcome.UNDECIDED:
        return
    more = decide(limits, [*a, *[fmean(a)] * repeats], b, floor, count)
    both = decide(limits, a * (repeats + 1), b * (repeats + 1), floor, count)
    assert {more, both} == {before}


@given(VALUES, VALUES, FLOORS, COUNTS)
def test_turning_an_ordering_turns_what_is_said(
    a: list[float], b: list[float], floor: float, count: int
) -> None:
    turned = {
        ClaimOutcome.SUPPORTED: ClaimOutcome.CONTRADICTED,
        ClaimOutcome.CONTRADICTED: ClaimOutcome.SUPPORTED,
        ClaimOutcome.UNDECIDED: ClaimOutcome.UNDECIDED,
    }
    above, below = Limits(0, None, strict=True), Limits(None, 0, strict=True)
    terms = [ContrastTerm(1.0, of_seeds(a), floor), ContrastTerm(-1.0, of_seeds(b), floor)]
    estimate = estimate_contrast(terms)
    assert decide_outcome(below, estimate, 1) is turned[decide_outcome(above, estimate, 1)]
    assert decide_outcome(below, scale_estimate(estimate, -1), count) is decide_outcome(
        above, estimate, count
    )


@given(VALUES, VALUES, FLOORS, ENDS)
def test_a_narrower_sentence_is_never_supported_where_a_wider_one_is_not(
    a: list[float], b: list[float], floor: float, ends: tuple[float, float]
) -> None:
    narrow, wide = Limits(ends[0], ends[0] + ends[1]), Limits(ends[0] - 1, ends[0] + ends[1] + 1)
    if decide(narrow, a, b, floor) is ClaimOutcome.SUPPORTED:
        assert decide(wide, a, b, floor) is ClaimOutcome.SUPPORTED
    if decide(wide, a, b, floor) is ClaimOutcome.CONTRADICTED:
        assert decide(narrow, a, b, floor) is ClaimOutcome.CONTRADICTED
