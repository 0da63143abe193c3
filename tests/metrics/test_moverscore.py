"""MoverScore against other solvers, closed forms and a plain computation with the model's own states."""

from __future__ import annotations

import itertools
import math
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_encoders import AWKWARD, VOCABULARY, sentences, write_bert, write_distilbert

from bench.errors import UnavailableError
from bench.metric import format_signature
from bench.metrics import _neural, moverscore
from bench.metrics._neural import Checkpoint
from bench.metrics.moverscore import measure_distances, solve_earth_movers_distance

HYPOTHESES = sentences(11)
REFERENCES = sentences(12)[1:]


@pytest.fixture(scope="module")
def distil(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Any]:
    folder = tmp_path_factory.mktemp("models") / "distil"
    return Checkpoint("distil", folder), write_distilbert(folder)


# --- the distance ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_equal_masses_are_the_best_of_all_pairings(n: int) -> None:
    cost = np.random.default_rng(n).random((n, n))
    best = min(sum(cost[i, j] for i, j in enumerate(way)) for way in itertools.permutations(range(n)))
    assert solve_earth_movers_distance(([1 / n] * n, [1 / n] * n, cost)) == pytest.approx(best / n, abs=1e-12)


def test_closed_forms() -> None:
    cost = np.array([[0.3, 0.9, 0.5]])
    assert solve_earth_movers_distance(([1.0], [0.2, 0.3, 0.5], cost)) == pytest.approx(0.06 + 0.27 + 0.25)
    # On a line, the work is the area between the two cumulative distributions.
    rng = np.random.default_rng(0)
    x, y = np.sort(rng.random(5)), np.sort(rng.random(7))
    a, b = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(7))
    ends = np.sort([*x, *y])
    area = sum(
        (right - left) * abs(a[x <= left].sum() - b[y <= left].sum())
        for left, right in itertools.pairwise(ends)
    )
    line = measure_distances(x[:, None], y[:, None])
    assert solve_earth_movers_distance((list(a), list(b), line)) == pytest.approx(area, abs=1e-9)
    assert solve_earth_movers_distance(([], [1.0], np.zeros((0, 1)))) == 0


@pytest.mark.parametrize(("n", "m"), [(3, 5), (20, 17), (60, 8)])
def test_equals_the_network_simplex(n: int, m: int) -> None:
    import ot as solver

    rng = np.random.default_rng(n * m)
    cost, a, b = rng.random((n, m)), rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    assert solve_earth_movers_distance((list(a), list(b), cost)) == pytest.approx(
        solver.emd2(a, b, cost), abs=1e-9
    )


# --- the score ---------------------------------------------------------------------------------------


def reference_value(model: Any, hypotheses: list[str], references: list[str]) -> list[float]:
    """Straight from the description, one text at a time: every test word is one token."""

    def weights(texts: list[str]) -> dict[str, float]:
        words = [{"[CLS]", "[SEP]", *text.split()} for text in texts]
        return {
            word: math.log((len(texts) + 1) / (sum(word in other for other in words) + 1))
            for one in words
            for word in one
        }

    def side(text: str, idf: dict[str, float]) -> tuple[list[float], list[torch.Tensor]]:
        tokens = ["[CLS]", *text.split(), "[SEP]"]
        with torch.no_grad():
            states = model(torch.tensor([[VOCABULARY.index(token) for token in tokens]])).last_hidden_state[0]
        kept = [i for i, token in enumerate(tokens) if idf[token] and token not in string.punctuation]
        mass = sum(idf[tokens[i]] for i in kept)
        return [idf[tokens[i]] / mass for i in kept], [
            states[i].double() / states[i].double().norm() for i in kept
        ]

    import ot as solver

    ours, theirs = weights(hypotheses), weights(references)
    values = []
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        (a, x), (b, y) = side(hypothesis, ours), side(reference, theirs)
        cost = np.array([[float((p - q).norm()) for q in y] for p in x])
        values.append(1 - solver.emd2(np.array(a), np.array(b), cost))
    return values


def test_equals_the_description(distil: tuple[Checkpoint, Any]) -> None:
    checkpoint, model = distil
    measured = moverscore.score_texts(HYPOTHESES, REFERENCES, checkpoint)
    expected = reference_value(model, HYPOTHESES, REFERENCES)
    assert measured.segments["moverscore"] == pytest.approx(expected, abs=1e-6)
    assert measured.value == pytest.approx(sum(expected) / len(expected), abs=1e-6)
    assert max(expected) - min(expected) > 0.05


def test_single_words_have_a_closed_form(distil: tuple[Checkpoint, Any]) -> None:
    checkpoint, model = distil
    hypotheses, references = ["cat", "dog", "mat ."], ["dog", "park !", "a"]
    measured = moverscore.score_texts(hypotheses, references, checkpoint)

    def word(text: str) -> torch.Tensor:
        with torch.no_grad():
            ids = [VOCABULARY.index(token) for token in ["[CLS]", *text.split(), "[SEP]"]]
            state = model(torch.tensor([ids])).last_hidden_state[0, 1].double()
        return state / state.norm()

    expected = [1 - float((word(x) - word(y)).norm()) for x, y in zip(hypotheses, references, strict=True)]
    assert measured.segments["moverscore"] == pytest.approx(expected, abs=1e-6)


def test_identical_texts_score_one(distil: tuple[Checkpoint, Any]) -> None:
    measured = moverscore.score_texts(HYPOTHESES, HYPOTHESES, distil[0])
    assert measured.segments["moverscore"] == pytest.approx([1] * len(HYPOTHESES), abs=1e-6)
    assert moverscore.score_texts(HYPOTHESES, REFERENCES, distil[0]).value < 0.95


def test_idf_of_what_is_everywhere_is_zero() -> None:
    found = moverscore.compute_idf([[2, 5, 5, 3], [2, 6, 3], [2, 5, 3]])
    assert found == pytest.approx({2: 0, 3: 0, 5: math.log(4 / 3), 6: math.log(4 / 2)})


def test_continuations_and_punctuation_do_not_count(distil: tuple[Checkpoint, Any]) -> None:
    encoder = _neural.load_encoder(distil[0], moverscore.KINDS)
    ids = encoder.encode("walking , the - cat")
    assert [encoder.tokenizer.id_to_token(i) for i in ids[1:-1]] == ["walk", "##ing", ",", "the", "-", "cat"]
    state = torch.arange(8.0).repeat(3, 1).T
    masses, vectors = moverscore.weigh_words(
        encoder, ids, dict.fromkeys(ids, 2.0) | {ids[4]: 1.0, 2: 0, 3: 0}, state
    )
    assert masses == pytest.approx([0.4, 0.2, 0.4])  # walk, the, cat
    assert vectors == pytest.approx(np.full((3, 3), 3**-0.5))


def test_texts_without_words_score_one_as_officially_and_are_counted(distil: tuple[Checkpoint, Any]) -> None:
    measured = moverscore.score_texts(
        ["", "the cat", "?!", "a dog"], ["a mat", "the park", "x", ""], distil[0]
    )
    values = measured.segments["moverscore"]
    assert [values[0], values[2], values[3]] == [1, 1, 1] and values[1] < 1
    assert "no-words:1,3of4" in format_signature(measured.signature).split("|")
    alone = moverscore.score_texts(["the cat"], ["a dog"], distil[0])
    assert alone.value == 1 and "no-words:1,1of1" in format_signature(alone.signature)


@pytest.mark.parametrize("kind", ["distilbert", "bert"])
def test_batches_change_nothing_and_runs_repeat(kind: str, tmp_path: Path) -> None:
    (write_distilbert if kind == "distilbert" else write_bert)(tmp_path)
    checkpoint = Checkpoint(kind, tmp_path)
    one, four, again = (
        moverscore.score_texts(HYPOTHESES, REFERENCES, checkpoint, batch=n) for n in (1, 4, 4)
    )
    assert one.segments["moverscore"] == pytest.approx(four.segments["moverscore"], abs=1e-6)
    assert four == again


def test_longer_texts_are_cut_where_the_model_ends(distil: tuple[Checkpoint, Any]) -> None:
    full, cut, shorter = (
        moverscore.score_texts([text, "park"], ["the cat", "a dog"], distil[0])
        for text in ("x y " * 100, "x y " * 31, "x y " * 30)
    )
    assert full.segments == cut.segments != shorter.segments
    assert "max-tokens:64,cut" in format_signature(full.signature)


def test_awkward_texts_and_a_million_characters(distil: tuple[Checkpoint, Any]) -> None:
    texts = [*AWKWARD, "a cat " * 166_667, "z" * 1_000_000, "the dog ran"]
    measured = moverscore.score_texts(
        texts, ["the cat sat on the mat\r\n\x00"] * (len(texts) - 1) + ["a dog"], distil[0]
    )
    assert all(-1.000001 <= value <= 1 for value in measured.segments["moverscore"])


def test_dart_takes_the_first_reference_in_lower_case_and_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_distilbert(tmp_path / "distilbert-base-uncased")
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    hypotheses, references = ["The CAT_sat.", "a dog's mat"], [["the dog", "x"], ["A park's mat"]]
    measured = moverscore.score_dart(hypotheses, references)
    plain = moverscore.score_texts(
        ["the cat_sat .", "a dog ' s mat"],
        ["the dog", "a park ' s mat"],
        Checkpoint("distilbert-base-uncased", tmp_path / "distilbert-base-uncased"),
    )
    assert measured.segments == plain.segments
    for part in ("refs:first1", "value:1-emd", "idf:own-side", "model:distilbert-base-uncased"):
        assert part in format_signature(measured.signature).split("|")


def test_absent_weights_say_so() -> None:
    with pytest.raises(
        UnavailableError, match=r"hub distilbert/distilbert-base-uncased@12040acc.*HF_HUB_OFFLINE"
    ):
        moverscore.score_dart(["x"], [["x"]])
