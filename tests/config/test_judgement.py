"""What is known of a request before any work: sizes, counts and seeds."""

from __future__ import annotations

import pytest

from bench.config.judgement import check_beams, parse_seed
from bench.config.settings import LARGEST_SEED
from bench.errors import UserError


def test_a_search_needs_two_continuations_for_each_beam_and_none_of_them_the_end() -> None:
    check_beams(3, 7)
    for beams, vocabulary in ((4, 8), (3, 6), (3_000, 2_048)):
        with pytest.raises(
            UserError, match=f"--beams {beams}: .* expected at most {(vocabulary - 1) // 2:,}"
        ):
            check_beams(beams, vocabulary)


@pytest.mark.parametrize("text", ["", "x", "1.5", "-1", "1e3", "٥", str(LARGEST_SEED + 1), 1.5, True, None])
def test_what_is_no_seed(text: object) -> None:
    with pytest.raises(UserError, match="--seed"):
        parse_seed(text)


def test_seeds() -> None:
    assert [parse_seed(text) for text in ("0", "101", LARGEST_SEED)] == [0, 101, LARGEST_SEED]
