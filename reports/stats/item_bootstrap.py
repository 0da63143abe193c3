"""Over test items: intervals of one run's score, and comparisons of two systems on the same items.

A corpus score is a function of sums over items (BLEU: n-gram counts; TER: edits and reference lengths;
a mean: values and a 1), so resampling items is one matrix product and no text is scored again.
``scipy.stats.bootstrap`` draws the items and makes the intervals; its statistic is that product. What
varies here are the test items; training seeds do not, and ``reports.stats.intervals`` keeps the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bench.metrics.bleu.counting import COUNTS
from reports.stats.intervals import LEVEL, RESAMPLES, Interval, IntervalOver, bootstrap_limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.scoring.score import Score

BLOCK = 500_000
"""Most weights (resamples x items) held at a time: 4 MB."""


class CombineRule(StrEnum):
    """How the sums of counts over items make a corpus score."""

    BLEU = "bleu"
    BLEU_SMOOTHED = "bleu-exp"
    """sacrebleu's exponential smoothing of orders without a match."""
    RATIO = "ratio"
    MEAN = "mean"


class MismatchError(ValueError):
    """Two systems that were not scored by the same metric on the same items."""


@dataclass(frozen=True)
class ScoredItems:
    """A system's items: ids, and counts [items, k] whose sums make the score as ``combine`` says."""

    metric: str
    signature: str
    ids: tuple[str, ...]
    counts: NDArray[Any]
    combine: CombineRule
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.counts) or not self.ids:
            raise ValueError(
                f"{len(self.ids)} ids for {len(self.counts)} items; expected one each, at least one"
            )

    def score_sums(self, sums: NDArray[Any]) -> NDArray[Any]:
        """Scores [...] of sums of counts [..., k]."""
        if self.combine in (CombineRule.BLEU, CombineRule.BLEU_SMOOTHED):
            return compute_bleu(sums, smoothed=self.combine is CombineRule.BLEU_SMOOTHED)
        ratios: NDArray[Any] = sums[..., 0] / sums[..., 1]
        return ratios

    @property
    def value(self) -> float:
        """The score of all items."""
        return float(self.score_sums(self.counts.sum(axis=0)))


def make_items(metric: str, ids: Sequence[str], score: Score) -> ScoredItems:
    """The items of one scored system, from a ``bench.scoring.score.Score`` with its segments.

    ``ValueError`` if the metric leaves nothing per item. Where the mean of the segments is not the
    corpus score (METEOR), ``note`` gives both.
    """
    import numpy as np

    segments: Mapping[str, Sequence[float]] = score.segments
    signature = score.signature or ""
    names, combine = find_columns(metric, segments, signature)
    counts = np.array([segments[name] for name in names], dtype=float).T if names else np.empty((0, 0))
    if combine is CombineRule.MEAN:
        counts = np.concatenate([counts, np.ones_like(counts)], axis=1)
    items = ScoredItems(metric, signature, tuple(ids), counts, combine)
    if score.value is None or abs(items.value - score.value) <= 1e-6 * max(1.0, abs(score.value)):
        return items
    note = f"from the mean of the items' values, {items.value:.4g}; the corpus score is {score.value:.4g}"
    return ScoredItems(metric, signature, tuple(ids), counts, combine, note)


def score_generations(
    task: str, metric: str, rows: Sequence[Mapping[str, Any]], group: str = "all"
) -> ScoredItems:
    """The items of one run from its stored generations (``RunDir.read_generations``), scored now.

    ``ValueError`` if the metric cannot be computed here; says why.
    """
    from bench.scoring import evaluation

    chosen = [row for row in rows if group in row["groups"]]
    outputs, references = [row["output"] for row in chosen], [row["references"] for row in chosen]
    score = evaluation.score_metric(task, metric, outputs, references)
    if score.value is None:
        raise ValueError(f"{metric} of {task}, {group}: {score.reason}")
    return make_items(metric, [str(row["id"]) for row in chosen], score)


def find_columns(
    metric: str, segments: Mapping[str, Sequence[float]], signature: str
) -> tuple[tuple[str, ...], CombineRule]:
    """Which named values per item make the score's sums, and how they combine."""
    if all(name in segments for name in COUNTS):
        return COUNTS, CombineRule.BLEU_SMOOTHED if "smooth:exp" in signature else CombineRule.BLEU
    if {f"{metric}_edits", f"{metric}_reflen"} <= segments.keys():
        return (f"{metric}_edits", f"{metric}_reflen"), CombineRule.RATIO
    if metric in segments:
        return (metric,), CombineRule.MEAN
    raise ValueError(f"{metric} has no values per item; its segments are: {', '.join(segments) or 'none'}")


def compute_bleu(sums: NDArray[Any], *, smoothed: bool) -> NDArray[Any]:
    """Corpus BLEU, 0 to 100, of summed counts [..., 10] in the order of ``COUNTS``.

    ``smoothed``: sacrebleu's exponential smoothing of orders without a match; otherwise these make it 0.
    """
    import numpy as np

    length, reference = sums[..., 0], sums[..., 1]
    correct, total = sums[..., 2:6], sums[..., 6:10]
    missing = correct == 0
    halvings = np.cumsum(missing, axis=-1) if smoothed else np.zeros_like(correct)
    matched = np.where(missing, 0.5**halvings, correct) if smoothed else correct
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(total > 0, matched / np.maximum(total, 1), 0.0)
        logs = np.log(precision).mean(axis=-1)
        brevity = np.where(length < reference, np.exp(1 - reference / length), 1.0)
        score = 100 * brevity * np.exp(logs)
    return np.where((correct.sum(axis=-1) == 0) | (length == 0), 0.0, score)


@dataclass(frozen=True)
class ItemComparison:
    """System a minus system b on the same test items."""

    metric: str
    difference: float
    p: float
    """Two-sided: how often chance alone, between equal systems, makes a difference as large."""
    interval: Interval | None
    over: IntervalOver
    method: str
    n: int
    note: str = ""


def _batch_size(item_count: int) -> int:
    """How many resamples to hold at a time, so that memory stays small whatever the number of items."""
    return max(1, BLOCK // item_count)


def sum_drawn_counts(counts: NDArray[Any], drawn: NDArray[Any]) -> NDArray[Any]:
    """Sums [..., k] of the counts [n, k] of drawn items [..., any number], each as often as it was drawn.

    How often is counted first: a matrix product then costs a tenth of gathering the counts of every draw.
    """
    import numpy as np

    n = len(counts)
    rows = drawn.reshape(-1, drawn.shape[-1])
    shifted = rows + n * np.arange(len(rows))[:, None]
    weights = np.bincount(shifted.ravel(), minlength=len(rows) * n).reshape(len(rows), n).astype(float)
    sums: NDArray[Any] = (weights @ counts).reshape(*drawn.shape[:-1], counts.shape[1])
    return sums


def compute_item_interval(
    items: ScoredItems,
    rng: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    kind: str = "bca",
) -> Interval:
    """Bootstrap interval over the test items of one run; says nothing about other seeds."""
    import numpy as np

    n = len(items.ids)

    def score_drawn(drawn: NDArray[Any]) -> NDArray[Any]:
        return items.score_sums(sum_drawn_counts(items.counts, drawn))

    limits = bootstrap_limits(np.arange(n), score_drawn, rng, level, resamples, kind, _batch_size(n))
    return Interval(limits.low, limits.high, IntervalOver.ITEMS, limits.method, n, level)


def paired_bootstrap(
    a: ScoredItems,
    b: ScoredItems,
    rng: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> ItemComparison:
    """a - b with a percentile interval over items drawn for both alike (Koehn 2004).

    ``MismatchError`` unless both were scored by the same metric on the same items.
    """
    import numpy as np

    require_same_items(a, b)
    n = len(a.ids)

    def subtract_drawn(drawn: NDArray[Any]) -> NDArray[Any]:
        sums_a, sums_b = (sum_drawn_counts(items.counts, drawn) for items in (a, b))
        differences: NDArray[Any] = a.score_sums(sums_a) - b.score_sums(sums_b)
        return differences

    limits = bootstrap_limits(
        np.arange(n), subtract_drawn, rng, level, resamples, "percentile", _batch_size(n)
    )
    one_side = min(int((limits.draws <= 0).sum()), int((limits.draws >= 0).sum()))
    p = min(1.0, 2 * (one_side + 1) / (resamples + 1))
    method = f"paired bootstrap, {resamples:,} resamples"
    interval = Interval(limits.low, limits.high, IntervalOver.ITEMS, method, n, level)
    difference, note = a.value - b.value, a.note or b.note
    return ItemComparison(a.metric, difference, p, interval, IntervalOver.ITEMS, method, n, note)


def randomise_items(
    a: ScoredItems, b: ScoredItems, rng: np.random.Generator, resamples: int = RESAMPLES
) -> ItemComparison:
    """Approximate randomisation (Riezler and Maxwell 2005): each item's two outputs swap or do not.

    p is the share of swaps, the observed one included, with a difference at least as large.
    ``scipy.stats.permutation_test`` would recompute the statistic from every item of every swap; here a swap
    is one row of a matrix product on the items' counts.
    """
    import numpy as np

    require_same_items(a, b)
    n, gap = len(a.ids), b.counts - a.counts
    total_a, total_b = a.counts.sum(axis=0), b.counts.sum(axis=0)
    observed = a.value - b.value
    # Guards against a swap that changes nothing being counted as smaller by rounding.
    threshold = abs(observed) * (1 - 1e-9)
    extreme = 0
    step = _batch_size(n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        moved = rng.integers(0, 2, size=(size, n)).astype(float) @ gap
        draws = a.score_sums(total_a + moved) - b.score_sums(total_b - moved)
        extreme += int((np.abs(draws) >= threshold).sum())
    p = (extreme + 1) / (resamples + 1)
    method = f"approximate randomisation, {resamples:,} swaps"
    return ItemComparison(a.metric, observed, p, None, IntervalOver.ITEMS, method, n, a.note or b.note)


def require_same_items(a: ScoredItems, b: ScoredItems) -> None:
    """``MismatchError`` unless both were scored by the same metric, the same way, on the same items."""
    if (a.metric, a.signature, a.combine) != (b.metric, b.signature, b.combine):
        raise MismatchError(f"{a.metric} ({a.signature}) cannot be compared with {b.metric} ({b.signature})")
    if a.ids != b.ids:
        raise MismatchError(f"the systems' items differ: {len(a.ids)} and {len(b.ids)}, or in another order")
