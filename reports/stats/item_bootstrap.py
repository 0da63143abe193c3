"""Over test items: intervals of one run's score, and comparisons of two systems on the same items.

A corpus score is a function of sums over items (BLEU: n-gram counts; TER: edits and reference lengths;
a mean: values and a 1), so resampling items is one matrix product and no text is scored again. What
varies here are the test items; training seeds do not, and ``reports.stats.intervals`` keeps the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.metrics.bleu.counting import COUNTS
from reports.stats.intervals import ITEMS, LEVEL, RESAMPLES, Interval, bootstrap_limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.metrics import Score

BLOCK = 500_000
"""Most weights (resamples x items) held at a time: 4 MB."""


class MismatchError(ValueError):
    """Two systems that were not scored by the same metric on the same items."""


@dataclass(frozen=True)
class Items:
    """A system's items: ids, and counts [items, k] whose sums make the score as ``combine`` says."""

    metric: str
    signature: str
    ids: tuple[str, ...]
    counts: NDArray[Any]
    combine: str
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.counts) or not self.ids:
            raise ValueError(
                f"{len(self.ids)} ids for {len(self.counts)} items; expected one each, at least one"
            )

    def score(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Scores [...] of sums of counts [..., k]."""
        return bleu_of(sums, self.combine) if self.combine.startswith("bleu") else sums[..., 0] / sums[..., 1]

    @property
    def value(self) -> float:
        """The score of all items."""
        return float(self.score(self.counts.sum(axis=0)))


def from_score(metric: str, ids: Sequence[str], score: Score) -> Items:
    """The items of one scored system, from a ``bench.metrics.Score`` with its segments.

    ``ValueError`` if the metric leaves nothing per item. Where the mean of the segments is not the
    corpus score (METEOR), ``note`` gives both.
    """
    import numpy as np

    segments: Mapping[str, Sequence[float]] = score.segments
    signature = score.signature or ""
    names, combine = columns_of(metric, segments, signature)
    counts = np.array([segments[name] for name in names], dtype=float).T if names else np.empty((0, 0))
    if combine == "mean":
        counts = np.concatenate([counts, np.ones_like(counts)], axis=1)
    items = Items(metric, signature, tuple(ids), counts, combine)
    if score.value is None or abs(items.value - score.value) <= 1e-6 * max(1.0, abs(score.value)):
        return items
    note = f"from the mean of the items' values, {items.value:.4g}; the corpus score is {score.value:.4g}"
    return Items(metric, signature, tuple(ids), counts, combine, note)


def from_generations(task: str, metric: str, rows: Sequence[Mapping[str, Any]], group: str = "all") -> Items:
    """The items of one run from its stored generations (``RunDir.read_generations``), scored now.

    ``ValueError`` if the metric cannot be computed here; says why.
    """
    from bench.scoring import evaluation

    chosen = [row for row in rows if group in row["groups"]]
    outputs, references = [row["output"] for row in chosen], [row["references"] for row in chosen]
    score = evaluation.one(task, metric, outputs, references)
    if score.value is None:
        raise ValueError(f"{metric} of {task}, {group}: {score.reason}")
    return from_score(metric, [str(row["id"]) for row in chosen], score)


def columns_of(
    metric: str, segments: Mapping[str, Sequence[float]], signature: str
) -> tuple[tuple[str, ...], str]:
    """Which named values per item make the score's sums, and how they combine."""
    if all(name in segments for name in COUNTS):
        return COUNTS, "bleu-exp" if "smooth:exp" in signature else "bleu"
    if {f"{metric}_edits", f"{metric}_reflen"} <= segments.keys():
        return (f"{metric}_edits", f"{metric}_reflen"), "ratio"
    if metric in segments:
        return (metric,), "mean"
    raise ValueError(f"{metric} has no values per item; its segments are: {', '.join(segments) or 'none'}")


def bleu_of(sums: NDArray[Any], combine: str) -> NDArray[Any]:
    """Corpus BLEU, 0 to 100, of summed counts [..., 10] in the order of ``COUNTS``.

    ``bleu-exp``: sacrebleu's exponential smoothing of orders without a match; ``bleu``: none, so 0.
    """
    import numpy as np

    length, reference = sums[..., 0], sums[..., 1]
    correct, total = sums[..., 2:6], sums[..., 6:10]
    missing = correct == 0
    halvings = np.cumsum(missing, axis=-1) if combine == "bleu-exp" else np.zeros_like(correct)
    counted = np.where(missing, 0.5**halvings, correct) if combine == "bleu-exp" else correct
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(total > 0, counted / np.maximum(total, 1), 0.0)
        logs = np.log(precision).mean(axis=-1)
        brevity = np.where(length < reference, np.exp(1 - reference / length), 1.0)
        score = 100 * brevity * np.exp(logs)
    return np.where((correct.sum(axis=-1) == 0) | (length == 0), 0.0, score)


@dataclass(frozen=True)
class Comparison:
    """System a minus system b on the same test items."""

    metric: str
    difference: float
    p: float
    """Two-sided: how often chance alone, between equal systems, makes a difference as large."""
    interval: Interval | None
    over: str
    method: str
    n: int
    note: str = ""


def blocks(resamples: int, n: int) -> Iterator[int]:
    """How many resamples to draw at a time, so that memory stays small whatever the number of items."""
    step = max(1, BLOCK // n)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def resampled_sums(
    counts: Sequence[NDArray[Any]], rng: np.random.Generator, resamples: int
) -> list[NDArray[Any]]:
    """Sums [resamples, k] of each system's counts over items drawn with replacement, alike for all."""
    import numpy as np

    n = len(counts[0])
    sums: list[list[NDArray[Any]]] = [[] for _ in counts]
    for size in blocks(resamples, n):
        drawn = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(float)
        for kept, one in zip(sums, counts, strict=True):
            kept.append(weights @ one)
    return [np.concatenate(kept) for kept in sums]


def interval(
    items: Items,
    rng: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    kind: str = "bca",
) -> Interval:
    """Bootstrap interval over the test items of one run; says nothing about other seeds."""
    (sums,) = resampled_sums([items.counts], rng, resamples)
    jackknife = items.score(items.counts.sum(axis=0) - items.counts) if kind == "bca" else None
    low, high = bootstrap_limits(items.score(sums), items.value, jackknife, level)
    name = "BCa bootstrap" if kind == "bca" else "percentile bootstrap"
    return Interval(low, high, ITEMS, f"{name}, {resamples:,} resamples", len(items.ids), level)


def paired_bootstrap(
    a: Items,
    b: Items,
    rng: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Comparison:
    """a - b with a percentile interval over items drawn for both alike (Koehn 2004).

    ``MismatchError`` unless both were scored by the same metric on the same items.
    """
    check_same_items(a, b)
    sums_a, sums_b = resampled_sums([a.counts, b.counts], rng, resamples)
    draws = a.score(sums_a) - b.score(sums_b)
    low, high = bootstrap_limits(draws, a.value - b.value, None, level)
    one_side = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    p = min(1.0, 2 * (one_side + 1) / (resamples + 1))
    method = f"paired bootstrap, {resamples:,} resamples"
    n = len(a.ids)
    found = Interval(low, high, ITEMS, method, n, level)
    return Comparison(a.metric, a.value - b.value, p, found, ITEMS, method, n, a.note or b.note)


def randomisation(a: Items, b: Items, rng: np.random.Generator, resamples: int = RESAMPLES) -> Comparison:
    """Approximate randomisation (Riezler and Maxwell 2005): each item's two outputs swap or do not.

    p is the share of swaps, the observed one included, with a difference at least as large.
    """
    import numpy as np

    check_same_items(a, b)
    n, gap = len(a.ids), b.counts - a.counts
    total_a, total_b = a.counts.sum(axis=0), b.counts.sum(axis=0)
    observed = a.value - b.value
    # Guards against a swap that changes nothing being counted as smaller by rounding.
    threshold = abs(observed) * (1 - 1e-9)
    extreme = 0
    for size in blocks(resamples, n):
        moved = rng.integers(0, 2, size=(size, n)).astype(float) @ gap
        draws = a.score(total_a + moved) - b.score(total_b - moved)
        extreme += int((np.abs(draws) >= threshold).sum())
    p = (extreme + 1) / (resamples + 1)
    method = f"approximate randomisation, {resamples:,} swaps"
    return Comparison(a.metric, observed, p, None, ITEMS, method, n, a.note or b.note)


def check_same_items(a: Items, b: Items) -> None:
    """``MismatchError`` unless both were scored by the same metric, the same way, on the same items."""
    if (a.metric, a.signature, a.combine) != (b.metric, b.signature, b.combine):
        raise MismatchError(f"{a.metric} ({a.signature}) cannot be compared with {b.metric} ({b.signature})")
    if a.ids != b.ids:
        raise MismatchError(f"the systems' items differ: {len(a.ids)} and {len(b.ids)}, or in another order")
