"""MoverScore (Zhao et al., EMNLP 2019) as DART's script calls it: reference 0 only, idf of both sides.

DART imports ``moverscore_v2`` of the authors' repository: single words in the last layer of
distilbert-base-uncased; punctuation and word continuations (``##``) do not count; a word's mass is its
idf among the hypotheses (or references) that are scored. The score is one minus the earth mover's
distance between the two texts' vectors of length 1: at most 1, rarely below 0. That is the version of
April 2020 to January 2021, the time of DART and of Prefix-Tuning; since then it is 1 / (1 + distance),
which is not comparable (0.5 becomes 0.67).

The distance is solved exactly, as a linear programme (scipy's HiGHS; the authors' solver rounds to
about 1e-6, and their distances in single precision see two identical vectors about 3e-4 apart).
Where nothing counts (an empty text, or one of punctuation only) no mass moves, the distance is 0 and
the score 1, as in the authors' code; the signature says for how many items.
"""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bench.metric import MetricResult, PipelineMetric, Requirements, Scorer, Signature
from bench.metrics import _neural, _preprocess
from bench.system import process_pool
from bench.system.hub import PinnedRepository
from bench.system.progress import track_progress

MODEL = "distilbert-base-uncased"
PINNED = PinnedRepository("distilbert/distilbert-base-uncased", "12040accade4e8a0f71eabdb258fecc2e7e948be")
KINDS = ("distilbert", "bert")
PUNCTUATION = frozenset(string.punctuation)
ITEMS_AT_ONCE = 128  # bounds the memory of embeddings

Row = tuple[Sequence[float], Sequence[float], Any]
"""Masses of the reference's words, of the hypothesis's words, and the distances between them."""


def score_dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """DART: the first reference, texts lower-cased and split as its reference files are.

    ``UnavailableError`` where distilbert-base-uncased cannot be had.
    """
    checkpoint = _neural.locate_checkpoint(MODEL, PINNED)
    return score_texts(
        [_preprocess.prepare_dart(text) for text in hypotheses],
        [_preprocess.prepare_dart(refs[0]) for refs in references],
        checkpoint,
        preparation={"lower": None, "split": "nonword", "refs": "first1"},
    )


def score_texts(
    hypotheses: Sequence[str],
    references: Sequence[str],
    checkpoint: _neural.Checkpoint,
    batch: int = 32,
    preparation: Signature | None = None,
) -> MetricResult:
    """Mean of one minus the earth mover's distance between each text and its reference."""
    encoder = _neural.load_encoder(checkpoint, KINDS)
    hypothesis_ids = [encoder.encode(text) for text in hypotheses]
    reference_ids = [encoder.encode(text) for text in references]
    our_idf, their_idf = compute_idf(hypothesis_ids), compute_idf(reference_ids)
    rows: list[Row] = []
    with track_progress(len(hypothesis_ids), "MoverScore", "items") as bar:
        for first in range(0, len(hypothesis_ids), ITEMS_AT_ONCE):
            reference_part = reference_ids[first : first + ITEMS_AT_ONCE]
            hypothesis_part = hypothesis_ids[first : first + ITEMS_AT_ONCE]
            states = encoder.embed([*reference_part, *hypothesis_part], batch)
            for index, (reference, hypothesis) in enumerate(
                zip(reference_part, hypothesis_part, strict=True)
            ):
                a, x = weigh_words(encoder, reference, their_idf, states[index])
                b, y = weigh_words(encoder, hypothesis, our_idf, states[len(reference_part) + index])
                rows.append((a, b, measure_distances(x, y)))
            bar.advance(len(reference_part))
    values = [1.0 - moved for moved in process_pool.map_rows(solve_earth_movers_distance, rows)]
    empty = sum(not a or not b for a, b, _ in rows)
    signature: Signature = {
        "moverscore": None,
        "as": "v2-2020",
        "model": checkpoint.name,
        "layer": "last",
        "ngram": 1,
        "idf": "own-side",
        "subwords": "dropped",
        "punctuation": "dropped",
        "value": "1-emd",
        "max-tokens": f"{encoder.limit},cut",
        **(preparation or {"refs": "1"}),
        "no-words": f"1,{empty}of{len(rows)}",
        **_neural.identify_files(checkpoint.path),
        **_neural.list_versions("torch", "transformers", "tokenizers", "scipy"),
    }
    return MetricResult(sum(values) / len(values), signature, {"moverscore": values})


def compute_idf(documents: Sequence[Sequence[int]]) -> dict[int, float]:
    """Per token: logarithm of (documents + 1) / (documents with it + 1). 0 for what is in all of them."""
    count = Counter(token for document in documents for token in set(document))
    return {token: math.log((len(documents) + 1) / (frequency + 1)) for token, frequency in count.items()}


def weigh_words(
    encoder: _neural.Encoder, ids: Sequence[int], weights: Mapping[int, float], state: Any
) -> tuple[list[float], Any]:
    """Masses (they sum to 1) and unit vectors of the tokens that count."""
    counted = [
        position
        for position, token in enumerate(ids)
        if weights[token] > 0 and is_counted(str(encoder.tokenizer.id_to_token(token)))
    ]
    total = sum(weights[ids[position]] for position in counted)
    vectors = state[counted].double().cpu().numpy()
    vectors /= (vectors**2).sum(-1, keepdims=True) ** 0.5 + 1e-30
    return [weights[ids[position]] / total for position in counted], vectors


def is_counted(token: str) -> bool:
    """Whether a token is a word or its beginning, not its continuation and not an ASCII punctuation mark."""
    return "##" not in token and token not in PUNCTUATION


def measure_distances(first: Any, second: Any) -> Any:
    """Euclidean distances between the rows of two matrices."""
    import numpy as np

    squares = (first**2).sum(-1)[:, None] + (second**2).sum(-1)[None] - 2 * first @ second.T
    return np.sqrt(np.maximum(squares, 0))


def solve_earth_movers_distance(row: Row) -> float:
    """The least work that turns one distribution of mass into the other; 0 where one of them is empty."""
    import numpy as np
    from scipy.optimize import linprog
    from scipy.sparse import csc_array

    supply, demand, cost = row
    if not supply or not demand:
        return 0.0
    n, m = len(supply), len(demand)
    # One unknown for each pair of words: how much moves. It takes part in two sums, of its row and its column.
    sums = np.stack([np.repeat(np.arange(n), m), n + np.tile(np.arange(m), n)], axis=1).ravel()
    solution = linprog(
        np.ravel(cost),
        A_eq=csc_array((np.ones(2 * n * m), sums, np.arange(0, 2 * n * m + 1, 2)), shape=(n + m, n * m)),
        b_eq=[*supply, *demand],
        method="highs-ds",
    )
    if solution.status != 0:
        raise ArithmeticError(f"the transport of {n} to {m} words was not solved: {solution.message}")
    return float(solution.fun)


class MoverScore(PipelineMetric):
    """MoverScore as DART's script calls it."""

    name = "moverscore"
    summary = "MoverScore of 2020 with distilbert-base-uncased: 1 minus the earth mover's distance; at most 1"
    requirements = Requirements(packages=("torch", "transformers", "scipy"), weights=str(PINNED))
    pipelines: ClassVar[Mapping[str, Scorer]] = {"dart": score_dart}
