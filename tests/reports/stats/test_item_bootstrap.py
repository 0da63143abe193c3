"""Over test items: scores from counts equal the scorers', and the tests decide as they should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import registry
from bench.scoring.score import Score, ScoreStatus
from reports.stats.intervals import IntervalOver, make_generator
from reports.stats.item_bootstrap import (
    CombineRule,
    MismatchError,
    ScoredItems,
    compute_item_interval,
    make_items,
    paired_bootstrap,
    randomise_items,
    score_generations,
    sum_drawn_counts,
)

WORDS = ["a", "river", "runs", "through", "the", "old", "town", "of", "stone", "and", "wood", "near", "hills"]


def rows(seed: int, n: int = 60, noise: float = 0.2) -> list[dict[str, Any]]:
    """Made-up generations: references, and outputs that differ from the first in some words."""
    rng = np.random.default_rng(seed)
    texts = np.random.default_rng(99)
    made = []
    for number in range(n):
        references = [" ".join(texts.choice(WORDS, size=9)) + " ." for _ in range(int(texts.integers(1, 4)))]
        words = [str(rng.choice(WORDS)) if rng.random() < noise else word for word in references[0].split()]
        group = "seen" if number % 3 else "unseen"
        made.append(
            {
                "id": str(number),
                "output": " ".join(words),
                "references": references,
                "groups": ["all", group],
            }
        )
    return made


@pytest.mark.parametrize("task", ["e2e", "webnlg", "dart"])
def test_bleu_of_the_counts_is_the_scorers(task: str) -> None:
    made = rows(1)
    scorer = registry.find_metric(task, "bleu")
    assert scorer is not None
    measured = scorer.score([row["output"] for row in made], [row["references"] for row in made])
    items = score_generations(task, "bleu", made)
    assert items.value == pytest.approx(measured.value, abs=1e-9) and not items.note
    part = [row for row in made if "unseen" in row["groups"]]
    alone = scorer.score([row["output"] for row in part], [row["references"] for row in part])
    assert score_generations(task, "bleu", made, "unseen").value == pytest.approx(alone.value, abs=1e-9)


@pytest.mark.parametrize("task", ["e2e", "webnlg"])
@pytest.mark.parametrize(
    "output",
    ["", "old", "old town", "nothing here matches", "a river near wood of", "town town town a b c d e"],
)
def test_smoothing_and_lengths_are_sacrebleus(task: str, output: str) -> None:
    scorer = registry.find_metric(task, "bleu")
    assert scorer is not None
    references = ["a river runs through the old town"]
    measured = scorer.score([output], [references])
    made = [{"id": "1", "output": output, "references": references, "groups": ["all"]}]
    assert score_generations(task, "bleu", made).value == pytest.approx(measured.value, abs=1e-9)


def test_ratios_and_means_of_segments() -> None:
    ter = Score(ScoreStatus.COMPUTED, 0.5, "s", segments={"ter_edits": [1, 3], "ter_reflen": [4, 4]})
    assert make_items("ter", ["1", "2"], ter).value == 0.5
    meteor = Score(ScoreStatus.COMPUTED, 0.41, "s", segments={"meteor": [0.3, 0.5]})
    found = make_items("meteor", ["1", "2"], meteor)
    assert found.value == pytest.approx(0.4) and "0.41" in found.note
    with pytest.raises(ValueError, match="no values per item"):
        make_items("nist", ["1"], Score(ScoreStatus.COMPUTED, 8.0, "s"))
    with pytest.raises(ValueError, match="reference"):
        score_generations("webnlg", "bleu", [{**rows(1, 1)[0], "references": []}])


def means(values: NDArray[Any], name: str = "m") -> ScoredItems:
    counts = np.stack([values, np.ones_like(values)], axis=1)
    return ScoredItems(name, "s", tuple(str(i) for i in range(len(values))), counts, CombineRule.MEAN)


def test_interval_over_items_is_named_and_repeatable() -> None:
    items = score_generations("webnlg", "bleu", rows(1))
    found = compute_item_interval(items, make_generator(3, "webnlg/bleu"))
    assert found == compute_item_interval(items, make_generator(3, "webnlg/bleu"))
    assert found.over == IntervalOver.ITEMS and found.n == 60 and items.value in found
    assert compute_item_interval(items, make_generator(4, "webnlg/bleu")) != found


def test_interval_over_items_holds_the_truth() -> None:
    truth = np.random.default_rng(1)
    held = 0
    rng = make_generator(2, "coverage")
    for _ in range(300):
        found = compute_item_interval(means(truth.exponential(size=60)), rng, resamples=400)
        held += 1.0 in found
    assert held / 300 == pytest.approx(0.94, abs=0.035)


def test_blocks_do_not_change_the_draws_much(monkeypatch: pytest.MonkeyPatch) -> None:
    items = score_generations("webnlg", "bleu", rows(1))
    whole = compute_item_interval(items, make_generator(3, "x"))
    monkeypatch.setattr("reports.stats.item_bootstrap.BLOCK", 600)
    assert compute_item_interval(items, make_generator(3, "x")) == whole


def test_sums_of_drawn_items_are_those_of_their_counts() -> None:
    counts = np.random.default_rng(1).integers(0, 9, size=(20, 3)).astype(float)
    drawn = np.random.default_rng(2).integers(0, 20, size=(2, 5, 19))
    assert np.array_equal(sum_drawn_counts(counts, drawn), counts[drawn].sum(axis=-2))
    assert np.array_equal(sum_drawn_counts(counts, drawn[0, 0]), counts[drawn[0, 0]].sum(axis=0))


def test_a_single_item_has_no_spread() -> None:
    found = compute_item_interval(means(np.array([3.0])), make_generator(1, "x"))
    assert (found.low, found.high, found.n) == (3.0, 3.0, 1)


def test_a_better_system_is_found_better() -> None:
    good, bad = (
        score_generations("webnlg", "bleu", rows(seed, 150, noise)) for seed, noise in ((1, 0.1), (2, 0.3))
    )
    found = paired_bootstrap(good, bad, make_generator(1, "x"))
    assert found.difference > 5 and found.p < 0.01
    assert found.interval is not None and found.interval.low > 0 and found.interval.over == IntervalOver.ITEMS
    assert randomise_items(good, bad, make_generator(1, "x")).p < 0.01
    turned = paired_bootstrap(bad, good, make_generator(1, "x"))
    assert turned.difference == -found.difference and turned.p == found.p
    assert turned.interval is not None and turned.interval.high == pytest.approx(-found.interval.low)


def test_equal_systems_are_not_told_apart() -> None:
    items = score_generations("webnlg", "bleu", rows(1))
    assert randomise_items(items, items, make_generator(1, "x")).p == 1.0
    found = paired_bootstrap(items, items, make_generator(1, "x"))
    assert found.difference == 0 and found.p == 1.0


def test_randomisation_is_exact_on_few_items() -> None:
    # Five items, all better by 1: of 32 swaps 2 give a difference as large.
    a, b = means(np.arange(5.0) + 1), means(np.arange(5.0))
    found = randomise_items(a, b, make_generator(1, "x"), resamples=20_000)
    assert found.p == pytest.approx(2 / 32, abs=0.005)


@pytest.mark.parametrize("test", [randomise_items, paired_bootstrap])
def test_errors_of_the_first_kind_are_as_rare_as_they_say(test: Any) -> None:
    draws, rng = np.random.default_rng(8), make_generator(9, "null")
    found = []
    for _ in range(400):
        a, b = draws.normal(size=(2, 80))
        found.append(test(means(a), means(b), rng, resamples=200).p)
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=0.045)


def test_only_the_same_items_and_scorer_compare() -> None:
    made = rows(1)
    items = score_generations("webnlg", "bleu", made)
    with pytest.raises(MismatchError, match="items differ"):
        paired_bootstrap(items, score_generations("webnlg", "bleu", made[1:]), make_generator(1, "x"))
    with pytest.raises(MismatchError, match="cannot be compared"):
        randomise_items(items, score_generations("dart", "bleu", made), make_generator(1, "x"))
    with pytest.raises(ValueError, match="at least one"):
        ScoredItems("m", "s", (), np.empty((0, 2)), CombineRule.MEAN)
