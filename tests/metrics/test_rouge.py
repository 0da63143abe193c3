"""ROUGE: the library's values, the script ROUGE-1.5.5's, the authors' average, and texts that are no summaries."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_outputs import RealOutputs, read
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.scoring import BootstrapAggregator

from bench import registry
from bench.errors import UnavailableError
from bench.metric import Scorer, format_signature
from bench.metrics import rouge
from bench.metrics.rouge import irregular, porter

SCORERS = {
    name: metric.score for name, metric in registry.metrics().items() if metric.name.startswith(rouge.KINDS)
}
LIBRARY = {kind: SCORERS[kind] for kind in rouge.KINDS}
STEMMED = {kind: SCORERS[f"{kind}_155m"] for kind in rouge.KINDS}
UNSTEMMED = {kind: SCORERS[f"{kind}_155"] for kind in rouge.KINDS}
ALL = [*LIBRARY.values(), *STEMMED.values(), *UNSTEMMED.values()]
ROUNDED = 1.2e-5
"""The script rounds precision, recall and their F1 to 5 digits each; one more match makes a hundred times that."""
TEXTS = [
    "The minister said that the flooded bridge was closing for at least two weeks.",
    "A flooded bridge will be closed for two weeks, the minister says!",
    "Two men were held; both had run away from the police station in Leeds.",
    "Police hold two men running away in Leeds.",
    "A 24-year-old won the women's race in 2h 31m, her best time.",
    "",
    "...",
    "Is it a good year? Better than the last, children and teachers agreed.",
]


@pytest.fixture(scope="module")
def xsum(shared: Path) -> RealOutputs:
    """Summaries of a real system with their references."""
    real = read(shared, "xsum-convs2s")
    assert len(real.texts[0]) == 11334
    return real


@pytest.mark.parametrize("kind", rouge.KINDS)
def test_real_summaries_get_the_librarys_values(kind: str, xsum: RealOutputs) -> None:
    value = LIBRARY[kind](*xsum.texts).value
    assert value == pytest.approx(xsum.scores[f"{kind} F (rouge_score use_stemmer=True)"]["value"], abs=1e-12)
    value = UNSTEMMED[kind](*xsum.texts).value
    assert value == pytest.approx(
        xsum.scores[f"{kind} F (rouge_score use_stemmer=False)"]["value"], abs=1e-12
    )


@pytest.mark.parametrize(("scorers", "script"), [(STEMMED, "rouge155-m"), (UNSTEMMED, "rouge155")])
@pytest.mark.parametrize("kind", rouge.KINDS)
def test_every_real_summary_gets_the_scripts_value(
    scorers: dict[str, Scorer], script: str, kind: str, xsum: RealOutputs
) -> None:
    measured = scorers[kind](*xsum.texts)
    name = kind.upper().replace("ROUGE", "ROUGE-")
    official = xsum.segments[f"{name} {script}"]
    differing = [
        index
        for index, (own, known) in enumerate(
            zip(next(iter(measured.segments.values())), official, strict=True)
        )
        if abs(own - known) > ROUNDED
    ]
    assert differing == []
    assert measured.value == pytest.approx(xsum.scores[f"{name} F ({script})"]["value"], abs=2.5e-7)


def test_the_authors_average_of_real_summaries_lies_below_the_mean(xsum: RealOutputs) -> None:
    """A resampled mean of few skewed values has a median below their mean: most for ROUGE-2."""
    found = {kind: rouge.score_original(kind, *xsum.texts, batch_size=10, seed=1) for kind in rouge.KINDS}
    lower = {kind: found[kind].value - LIBRARY[kind](*xsum.texts).value for kind in rouge.KINDS}
    assert -0.0025 < lower["rouge2"] < -0.001
    assert -0.0015 < lower["rouge1"] < -0.0003


def pairs() -> tuple[list[str], list[list[str]]]:
    """Every text against every other."""
    return [a for a in TEXTS for _ in TEXTS], [[b] for _ in TEXTS for b in TEXTS]


@pytest.mark.parametrize("kind", rouge.KINDS)
def test_each_item_gets_the_librarys_f1(kind: str) -> None:
    library = RougeScorer([kind], use_stemmer=True)
    hypotheses, references = pairs()
    expected = [
        library.score(refs[0], text)[kind].fmeasure for text, refs in zip(hypotheses, references, strict=True)
    ]
    measured = LIBRARY[kind](hypotheses, references)
    assert measured.segments == {kind: expected}
    assert measured.value == pytest.approx(sum(expected) / len(expected))
    assert len(set(expected)) >= 4


@pytest.mark.parametrize("kind", rouge.KINDS)
def test_several_references_count_by_the_best_of_each_kind(kind: str) -> None:
    library = RougeScorer(list(rouge.KINDS), use_stemmer=True)
    for text in TEXTS:
        expected = library.score_multi(TEXTS[1:], text)[kind].fmeasure
        measured = LIBRARY[kind]([text], [TEXTS[1:]])
        assert measured.value == expected
        assert "best-f-of-several" in format_signature(measured.signature)
        assert LIBRARY[kind]([text], [["", *TEXTS[1:], " "]]).value == expected


def test_what_was_asked_once_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    original = rouge.ItemScorer.best

    def best(self: rouge.ItemScorer, hypothesis: str, references: Any) -> rouge.Values:
        asked.append(hypothesis)
        return original(self, hypothesis, references)

    monkeypatch.setattr(rouge.ItemScorer, "best", best)
    rouge.score_items.cache_clear()
    for scorer in LIBRARY.values():
        scorer(["one text"], [["a text"]])
    assert asked == ["one text"]
    LIBRARY["rouge1"](["one text"], [["another text"]])
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("said", "wanted", "library", "script"),
    [
        ("held", "hold", 0, 1),  # irregular
        ("children", "child", 0, 1),
        ("best", "good", 0, 1),
        ("comics", "comic", 1, 0),  # WordNet's first base is the strip
        ("commissioner", "commission", 0, 1),  # the script takes two suffixes off
        ("says", "say", 1, 0),  # nltk improves on Porter
        ("closing", "closed", 1, 1),
        ("men", "man", 0, 0),  # too short to be looked up
        ("offer", "offers", 1, 1),  # a form that is its own base stays
    ],
)
def test_the_script_finds_irregular_forms_and_stems_as_porter_did(
    said: str, wanted: str, library: float, script: float
) -> None:
    assert LIBRARY["rouge1"]([said], [[wanted]]).value == library
    assert STEMMED["rouge1"]([said], [[wanted]]).value == script
    assert UNSTEMMED["rouge1"]([said], [[wanted]]).value == 0


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        # Porter's own examples, to the end of all steps.
        *(("caresses", "caress"), ("ponies", "poni"), ("cats", "cat"), ("feed", "feed"), ("agreed", "agre")),
        *(("plastered", "plaster"), ("sing", "sing"), ("conflated", "conflat"), ("sized", "size")),
        *(
            ("hopping", "hop"),
            ("falling", "fall"),
            ("fizzed", "fizz"),
            ("failing", "fail"),
            ("filing", "file"),
        ),
        *(("happy", "happi"), ("sky", "sky"), ("relational", "relat"), ("rational", "ration")),
        *(
            ("vietnamization", "vietnam"),
            ("triplicate", "triplic"),
            ("goodness", "good"),
            ("revival", "reviv"),
        ),
        *(("adoption", "adopt"), ("effective", "effect"), ("rate", "rate"), ("cease", "ceas")),
        *(("controll", "control"), ("roll", "roll"), ("toys", "toi"), ("syzygy", "syzygi")),
        # Porter's later changes.
        *(("is", "is"), ("possibly", "possibl"), ("technology", "technolog")),
        # ROUGE's fourth step.
        *(("commissioner", "commiss"), ("statement", "statem"), ("replacement", "replac")),
        *(
            ("accidental", "accid"),
            ("emotionally", "emot"),
            ("departmental", "depart"),
            ("adjustment", "adjust"),
            ("ion", "ion"),
        ),
    ],
)
def test_stems_of_the_script(word: str, stem: str) -> None:
    assert porter.stem(word) == stem


def test_without_the_lists_the_reason_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for cached in (irregular.read_bases, irregular.read_lists, rouge.score_items):
        cached.cache_clear()
    monkeypatch.setattr("bench.metrics._official.METEOR_JAR", Path("no", "such.jar"))
    with pytest.raises(UnavailableError, match=r"pip install pycocoevalcap==1\.2"):
        STEMMED["rouge1"](["a text held"], [["a text hold"]])
    damaged = tmp_path / "damaged.jar"
    damaged.write_bytes(b"no zip")
    monkeypatch.setattr(irregular, "find_jar", lambda: damaged)
    with pytest.raises(UnavailableError, match=r"damaged\.jar.*install pycocoevalcap 1\.2 again"):
        STEMMED["rouge1"](["a text held"], [["a text hold"]])
    assert UNSTEMMED["rouge1"](["a text held"], [["a text held"]]).value == 1


def test_signatures_name_what_changes_the_value() -> None:
    one = ["a text"], [["a text"]]
    library, stemmed, unstemmed = (
        format_signature(scorers["rougeL"](*one).signature) for scorers in (LIBRARY, STEMMED, UNSTEMMED)
    )
    assert library.startswith("rouge-score|version:")
    assert "stem:nltk-" in library
    assert "as-ROUGE-1.5.5|options:-m|" in stemmed
    assert "sha256:5feb8fcb5b34" in stemmed
    assert "|options:none|" in unstemmed
    assert "stem:none" in unstemmed
    for signature in (library, stemmed, unstemmed):
        assert "other letters dropped" in signature
        assert "nrefs:1" in signature


def test_longest_common_subsequence_is_the_tables() -> None:
    def table(first: str, second: str) -> int:
        rows = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
        for i, x in enumerate(first, 1):
            for j, y in enumerate(second, 1):
                rows[i][j] = rows[i - 1][j - 1] + 1 if x == y else max(rows[i - 1][j], rows[i][j - 1])
        return rows[-1][-1]

    draw = random.Random(7)
    for _ in range(500):
        first, second = ("".join(draw.choices("abcd", k=draw.randrange(12))) for _ in range(2))
        assert rouge.measure_common_subsequence(first, second) == table(first, second)
    assert rouge.measure_common_subsequence("ab" * 70, "b" * 200) == 70


def test_the_authors_average_is_that_of_batches_and_comes_from_the_seed() -> None:
    for kind in rouge.KINDS:
        first = rouge.score_original(kind, *pairs(), batch_size=10, seed=3)
        assert first == rouge.score_original(kind, *pairs(), batch_size=10, seed=3)
        assert "mean:batches-of-10-of-bootstrap-medians(n=1000,seed=3)" in format_signature(first.signature)
        assert not first.segments  # those of the plain score, under their own name there
    third, fourth = (rouge.score_original("rouge1", *pairs(), batch_size=10, seed=seed) for seed in (3, 4))
    assert third.value != fourth.value


def test_scores_are_found_by_name_with_the_authors_batches_and_seed() -> None:
    assert len(SCORERS) == 12
    for name in SCORERS:
        assert registry.find_metric("xsum", name) == registry.metrics()[name]
    for kind in rouge.KINDS:
        found = SCORERS[f"{kind}_original"](*pairs())
        assert found == rouge.score_original(kind, *pairs(), batch_size=10, seed=101)


def test_a_short_last_batch_weighs_as_much_as_a_full_one() -> None:
    """Two of the three are right; alone in its batch, the wrong one is half of all."""
    case = ["a b", "a b", "a b"], [["a b"], ["a b"], ["c d"]]
    assert rouge.score_original("rouge1", *case, batch_size=2, seed=0).value == pytest.approx(0.5)
    assert LIBRARY["rouge1"](*case).value == pytest.approx(2 / 3)


def test_batches_of_one_are_the_items_rounded() -> None:
    assert rouge.average_batches([1 / 3, 2 / 3], 1, np.random.default_rng(0)) == pytest.approx(0.5)
    assert rouge.average_batches([1 / 3], 1, np.random.default_rng(0)) == 0.333333


def test_the_bootstraps_middle_is_the_librarys_up_to_its_draws() -> None:
    hypotheses, references = pairs()
    library, scorer = BootstrapAggregator(), RougeScorer(list(rouge.KINDS), use_stemmer=True)
    for text, refs in zip(hypotheses, references, strict=True):
        library.add_scores(scorer.score(refs[0], text))
    before = np.random.get_state()
    np.random.seed(5)
    expected = library.aggregate()
    np.random.set_state(before)
    for kind in rouge.KINDS:
        found = rouge.score_original(kind, hypotheses, references, batch_size=len(hypotheses), seed=5)
        # The median of 1,000 means of 64 values moves by 0.002 from one seed to the next.
        assert found.value == pytest.approx(expected[kind].mid.fmeasure, abs=0.01)


@pytest.mark.parametrize("scorer", ALL)
@pytest.mark.parametrize("empty", ["", " \t\n", "\r\n\x00", "\u2028\x85", "…—", "こんにちは"])
def test_texts_without_words_score_0(scorer: Scorer, empty: str) -> None:
    assert scorer([empty], [["a real text"]]).value == 0
    assert scorer(["a real text"], [[empty]]).value == 0
    assert scorer([empty], [[empty, ""]]).value == 0
    measured = scorer([empty, "a real text"], [["a real text"], ["", "a real text", " "]])
    assert list(measured.segments.values()) == [[0, 1]]


@pytest.mark.parametrize("scorer", ALL)
@pytest.mark.parametrize("between", ["\r\n", "\n", "\x00", "\x1c", "\x85", "\u2028", "-", "_", "é"])
def test_whatever_is_no_letter_or_digit_separates_words(scorer: Scorer, between: str) -> None:
    assert scorer([f"real{between}text{between}now"], [["Real text now"]]).value == 1


@pytest.mark.parametrize("scorer", ALL)
def test_accents_are_lost(scorer: Scorer) -> None:
    assert scorer(["cafe\u0301 au lait"], [["cafe au lait"]]).value == 1
    assert scorer(["caf\u00e9 au lait"], [["caf au lait"]]).value == 1


@pytest.mark.parametrize("scorers", [LIBRARY, STEMMED, UNSTEMMED])
@pytest.mark.parametrize("text", ["a b " * 250_000, "y" * 1_000_000, " ".join(map(str, range(150_000)))])
def test_an_output_of_a_million_characters_is_scored(scorers: dict[str, Scorer], text: str) -> None:
    references = ["the cat sat on a mat " * 5, "another cat", "b"]
    for kind in rouge.KINDS:
        assert 0 <= scorers[kind]([text], [references]).value < 0.001
