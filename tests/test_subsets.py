"""Draws of a part of a split: the same everywhere, dependent on nothing but their own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench import subsets
from bench.data import load_rows
from bench.errors import UserError
from bench.request import Common, expand, specify
from bench.stages import Attempt
from bench.store import RunDir


def test_a_draw_is_a_sorted_set_without_repetition() -> None:
    drawn = subsets.indices(0, "e2e", "train", 500, 42_061)
    assert len(set(drawn)) == 500
    assert drawn == sorted(drawn)
    assert drawn[0] >= 0
    assert drawn[-1] < 42_061


def test_a_draw_is_the_same_on_every_day() -> None:
    # Written down once: another release that draws other rows would make other runs under the old names.
    assert subsets.indices(0, "e2e", "train", 5, 42_061) == [103, 12707, 12790, 13456, 21741]


def test_a_draw_does_not_depend_on_other_draws() -> None:
    alone = subsets.indices(3, "e2e", "train", 50, 1000)
    torch.manual_seed(1)
    torch.rand(17)
    subsets.indices(4, "e2e", "train", 50, 1000)
    assert subsets.indices(3, "e2e", "train", 50, 1000) == alone


def test_seed_task_split_and_size_each_make_another_draw() -> None:
    draws = [
        tuple(subsets.indices(seed, task, split, 50, 1000))
        for seed, task, split in (
            (0, "e2e", "train"),
            (1, "e2e", "train"),
            (0, "xsum", "train"),
            (0, "e2e", "dev"),
        )
    ]
    assert len(set(draws)) == len(draws)
    # Not nested: 100 rows are not 50 rows and 50 more.
    assert not set(draws[0]) <= set(subsets.indices(0, "e2e", "train", 100, 1000))


def test_every_row_can_be_drawn_about_as_often() -> None:
    counts = [0] * 40
    for seed in range(400):
        for index in subsets.indices(seed, "e2e", "train", 10, 40):
            counts[index] += 1
    assert sum(counts) == 4000
    assert 60 < min(counts) <= max(counts) < 140  # 100 expected, standard deviation below 9


def test_all_rows_without_a_size_and_too_many_are_refused() -> None:
    assert subsets.draw("abc", None, 0, "e2e", "train", "--train-subset") == ["a", "b", "c"]
    assert subsets.draw("abc", 3, 0, "e2e", "train", "--train-subset") == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"--train-subset 4: e2e train has 3; expected at most that many"):
        subsets.draw("abc", 4, 0, "e2e", "train", "--train-subset")


def test_a_share_is_rounded_and_never_nothing() -> None:
    assert [subsets.size_of_share(share, 42_061) for share in (0.1, 0.2, 0.8, 1.0)] == [
        4206,
        8412,
        33_649,
        42_061,
    ]
    assert subsets.size_of_share(0.1, 3) == 1


def attempt(tmp_path: Path, model: Path, seed: int = 1, **given: Any) -> Attempt:
    common = Common(model=str(model), given=given)
    [request] = expand(methods="prefix[length=2]", tasks="e2e", seeds=str(seed), common=common)
    specified = specify(request)
    return Attempt(specified, RunDir(tmp_path, specified.spec.run_id))


def test_a_run_uses_what_is_drawn(tmp_path: Path, tiny_model: Path) -> None:
    low = {"train_subset": 50, "dev_subset": 15, "eval_every": 5, "test_subset": 30, "data_seed": 2}
    one = attempt(tmp_path, tiny_model, **low)
    everything = load_rows(one.specified.data, "train")
    rows = one.train_rows()
    assert len(rows) == 50
    assert rows == [everything[i] for i in subsets.indices(2, "e2e", "train", 50, len(everything))]
    assert len(one.dev_rows()) == 15
    assert len(one.items) == 30
    dev = load_rows(one.specified.data, "dev")
    assert set(one.dev_rows()) <= set(dev)
    assert set(rows) <= set(everything)
    # The training seed changes nothing of it, the data seed everything.
    assert attempt(tmp_path, tiny_model, seed=2, **low).train_rows() == rows
    assert attempt(tmp_path, tiny_model, **{**low, "data_seed": 3}).train_rows() != rows
    # --limit takes of what was drawn.
    assert attempt(tmp_path, tiny_model, **low, limit=4).train_rows() == rows[:4]


def test_shares_of_a_split(tmp_path: Path, tiny_model: Path) -> None:
    whole = attempt(tmp_path, tiny_model)
    total = len(whole.train_rows())
    assert whole.spec["data_seed"] is None
    part = attempt(tmp_path, tiny_model, train_share=0.1)
    assert len(part.train_rows()) == round(total / 10)
    assert part.spec["data_seed"] == 0
    assert part.spec.key != whole.spec.key
    assert len(attempt(tmp_path, tiny_model, train_share=1.0).train_rows()) == total


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train_subset": 698}, r"--train-subset 698: e2e train has 697 rows"),
        ({"test_subset": 121}, r"--test-subset 121: e2e test has 120 items"),
        ({"dev_subset": 161, "eval_every": 5}, r"--dev-subset 161: e2e dev has 160 rows"),
    ],
)
def test_more_than_there_is_is_refused_before_anything_runs(
    given: dict[str, int], message: str, tmp_path: Path, tiny_model: Path
) -> None:
    with pytest.raises(UserError, match=message):
        attempt(tmp_path, tiny_model, **given)
