"""Draws of a part of a split: the same everywhere, dependent on nothing but their own names."""

from __future__ import annotations

import pytest
import torch

from bench.data import subsets
from bench.errors import UserError


def test_a_draw_is_a_sorted_set_without_repetition() -> None:
    drawn = subsets.draw_indices(0, "e2e", "train", 500, 42_061)
    assert len(set(drawn)) == 500
    assert drawn == sorted(drawn)
    assert drawn[0] >= 0
    assert drawn[-1] < 42_061


def test_a_draw_is_the_same_on_every_day() -> None:
    # Written down once: another release that draws other rows would make other runs under the old names.
    assert subsets.draw_indices(0, "e2e", "train", 5, 42_061) == [103, 12707, 12790, 13456, 21741]


def test_a_draw_does_not_depend_on_other_draws() -> None:
    alone = subsets.draw_indices(3, "e2e", "train", 50, 1000)
    torch.manual_seed(1)
    torch.rand(17)
    subsets.draw_indices(4, "e2e", "train", 50, 1000)
    assert subsets.draw_indices(3, "e2e", "train", 50, 1000) == alone


def test_seed_task_split_and_size_each_make_another_draw() -> None:
    draws = [
        tuple(subsets.draw_indices(seed, task, split, 50, 1000))
        for seed, task, split in (
            (0, "e2e", "train"),
            (1, "e2e", "train"),
            (0, "xsum", "train"),
            (0, "e2e", "dev"),
        )
    ]
    assert len(set(draws)) == len(draws)
    # Not nested: 100 rows are not 50 rows and 50 more.
    assert not set(draws[0]) <= set(subsets.draw_indices(0, "e2e", "train", 100, 1000))


def test_every_row_can_be_drawn_about_as_often() -> None:
    counts = [0] * 40
    for seed in range(400):
        for index in subsets.draw_indices(seed, "e2e", "train", 10, 40):
            counts[index] += 1
    assert sum(counts) == 4000
    assert 60 < min(counts) <= max(counts) < 140  # 100 expected, standard deviation below 9


def test_all_rows_without_a_size_and_too_many_are_refused() -> None:
    assert subsets.draw("abc", None, 0, "e2e", "train", "--train-subset") == ["a", "b", "c"]
    assert subsets.draw("abc", 3, 0, "e2e", "train", "--train-subset") == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"--train-subset 4: e2e train has 3; expected at most that many"):
        subsets.draw("abc", 4, 0, "e2e", "train", "--train-subset")


def test_a_share_is_rounded_and_never_nothing() -> None:
    assert [subsets.compute_share_size(share, 42_061) for share in (0.1, 0.2, 0.8, 1.0)] == [
        4206,
        8412,
        33_649,
        42_061,
    ]
    assert subsets.compute_share_size(0.1, 3) == 1
