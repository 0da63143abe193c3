"""Over test items: scores from counts equal the scorers', and the tests decide as they should."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.metrics import Score, find
from reports.stats.intervals import ITEMS, generator
from reports.stats.item_bootstrap import (
    Items,
    MismatchError,
    from_generations,
    from_score,
    interval,
    paired_bootstrap,
    randomisation,
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
    scorer = find(task, "bleu")
    assert scorer is not None
    measured = scorer([row["output"] for row in made], [row["references"] for row in made])
    items = from_generations(task, "bleu", made)
    assert items.value == pytest.approx(measured.value, abs=1e-9) and not items.note
    part = [row for row in made if "unseen" in row["groups"]]
    alone = scorer([row["output"] for row in part], [row["references"] for row in part])
    assert from_generations(task, "bleu", made, "unseen").value == pytest.approx(alone.value, abs=1e-9)


@pytest.mark.parametrize("task", ["e2e", "webnlg"])
@pytest.mark.parametrize(
    "output",
    ["", "old", "old town", "nothing here matches", "a river near wood of", "town town town a b c d e"],
)
def test_smoothing_and_lengths_are_sacrebleus(task: str, output: str) -> None:
    scorer = find(task, "bleu")
    assert scorer is not None
    references = ["a river runs through the old town"]
    measured = scorer([output], [references])
    made = [{"id": "1", "output": output, "references": references, "groups": ["all"]}]
    assert from_generations(task, "bleu", made).value == pytest.approx(measured.value, abs=1e-9)


def test_ratios_and_means_of_segments() -> None:
    ter = Score(0.5, "s", segments={"ter_edits": [1, 3], "ter_reflen": [4, 4]})
    assert from_score("ter", ["1", "2"], ter).value == 0.5
    meteor = Score(0.41, "s", segments={"meteor": [0.3, 0.5]})
    found = from_score("meteor", ["1", "2"], meteor)
    assert found.value == pytest.approx(0.4) and "0.41" in found.note
    with pytest.raises(ValueError, match="no values per item"):
        from_score("nist", ["1"], Score(8.0, "s"))
    with pytest.raises(ValueError, match="reference"):
        from_generations("webnlg", "bleu", [{**rows(1, 1)[0], "references": []}])


def means(values: NDArray[Any], name: str = "m") -> Items:
    counts = np.stack([values, np.ones_like(values)], axis=1)
    return Items(name, "s", tuple(str(i) for i in range(len(values))), counts, "mean")


def test_interval_over_items_is_named_and_repeatable() -> None:
    items = from_generations("webnlg", "bleu", rows(1))
    found = interval(items, generator(3, "webnlg/bleu"))
    assert found == interval(items, generator(3, "webnlg/bleu"))
    assert found.over == ITEMS and found.n == 60 and items.value in found
    assert interval(items, generator(4, "webnlg/bleu")) != found


def test_interval_over_items_holds_the_truth() -> None:
    truth = np.random.default_rng(1)
    held = 0
    rng = generator(2, "coverage")
    for _ in range(300):
        found = interval(means(truth.exponential(size=60)), rng, resamples=400)
        held += 1.0 in found
    assert held / 300 == pytest.approx(0.94, abs=0.035)


def test_blocks_do_not_change_the_draws_much(monkeypatch: pytest.MonkeyPatch) -> None:
    items = from_generations("webnlg", "bleu", rows(1))
    whole = interval(items, generator(3, "x"))
    monkeypatch.setattr("reports.stats.item_bootstrap.BLOCK", 600)
    assert interval(items, generator(3, "x")) == whole


def test_a_better_system_is_found_better() -> None:
    good, bad = (
        from_generations("webnlg", "bleu", rows(seed, 150, noise)) for seed, noise in ((1, 0.1), (2, 0.3))
    )
    found = paired_bootstrap(good, bad, generator(1, "x"))
    assert found.difference > 5 and found.p < 0.01
    assert found.interval is not None and found.interval.low > 0 and found.interval.over == ITEMS
    assert randomisation(good, bad, generator(1, "x")).p < 0.01
    turned = paired_bootstrap(bad, good, generator(1, "x"))
    assert turned.difference == -found.difference and turned.p == found.p
    assert turned.interval is not None and turned.interval.high == pytest.approx(-found.interval.low)


def test_equal_systems_are_not_told_apart() -> None:
    items = from_generations("webnlg", "bleu", rows(1))
    assert randomisation(items, items, generator(1, "x")).p == 1.0
    found = paired_bootstrap(items, items, generator(1, "x"))
    assert found.difference == 0 and found.p == 1.0


def test_randomisation_is_exact_on_few_items() -> None:
    # Five items, all better by 1: of 32 swaps 2 give a difference as large.
    a, b = means(np.arange(5.0) + 1), means(np.arange(5.0))
    found = randomisation(a, b, generator(1, "x"), resamples=20_000)
    assert found.p == pytest.approx(2 / 32, abs=0.005)


@pytest.mark.parametrize("test", [randomisation, paired_bootstrap])
def test_errors_of_the_first_kind_are_as_rare_as_they_say(test: Any) -> None:
    draws, rng = np.random.default_rng(8), generator(9, "null")
    found = []
    for _ in range(400):
        a, b = draws.normal(size=(2, 80))
        found.append(test(means(a), means(b), rng, resamples=200).p)
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=0.045)


def test_only_the_same_items_and_scorer_compare() -> None:
    made = rows(1)
    items = from_generations("webnlg", "bleu", made)
    with pytest.raises(MismatchError, match="items differ"):
        paired_bootstrap(items, from_generations("webnlg", "bleu", made[1:]), generator(1, "x"))
    with pytest.raises(MismatchError, match="cannot be compared"):
        randomisation(items, from_generations("dart", "bleu", made), generator(1, "x"))
    with pytest.raises(ValueError, match="at least one"):
        Items("m", "s", (), np.empty((0, 2)), "mean")
