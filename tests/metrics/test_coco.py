"""ROUGE-L and CIDEr: equal to pycocoevalcap's classes on the same tokens, and to the official scores."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from real_outputs import E2E, read, read_odd_pairs

from bench.metric import MetricResult, format_signature
from bench.metrics import _ptb, coco

HYPOTHESES = [
    "The Crooked Kettle is a cheap tea house by the harbour.",
    "Mill & Moon isn't family-friendly (£20-25)!",
    "",
    "...",
    "a 1 1/2 pint pub pub pub",
]
REFERENCES = [
    ["The Crooked Kettle is a tea house near the harbour.", "By the harbour you find a cheap tea house."],
    ["Mill & Moon is not for families; dishes cost £20-25.", "It isn't family-friendly.", "Mill & Moon"],
    ["A pub.", "!"],
    ["A cheap pub.", "?!"],
    ["a 1 1/2 pint pub", "the pub"],
]


def library(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[tuple[float, list[float]], tuple[float, list[float]]]:
    """(value, per item) of ROUGE-L and of CIDEr, by pycocoevalcap on our tokens."""
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    flat = iter(_ptb.tokenize_all([text for refs in references for text in refs]))
    wanted = {i: [next(flat) for _ in refs] for i, refs in enumerate(references)}
    said = {i: [text] for i, text in enumerate(_ptb.tokenize_all(hypotheses))}
    rouge, rouges = Rouge().compute_score(wanted, said)
    cider, ciders = Cider().compute_score(wanted, said)
    return (float(rouge), list(map(float, rouges))), (float(cider), list(map(float, ciders)))


def assert_same(measured: MetricResult, name: str, official: tuple[float, list[float]]) -> None:
    value, values = official
    assert measured.value == pytest.approx(value, abs=1e-12)
    assert measured.segments[name] == pytest.approx(values, abs=1e-12)


def test_odd_texts_equal_the_library(shared: Path) -> None:
    outputs, truths = read_odd_pairs(shared)
    # In the official script's file a blank line ends an item: a blank reference cannot be given to it.
    rouge, cider = library(outputs, [[text for text in refs if text.strip()] for refs in truths])
    assert_same(coco.score_rouge_l(outputs, truths), "rouge_l", rouge)
    assert_same(coco.score_cider(outputs, truths), "cider", cider)


def made_up(seed: int, items: int = 30) -> tuple[list[str], list[list[str]]]:
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(25)] + ["-", "it's", "no...", "(b)", "<b>", "1 1/2", "“c”"]

    def text(longest: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(0, longest)))

    return [text(20) for _ in range(items)], [
        [text(15) or "x" for _ in range(draw.randint(1, 6))] for _ in range(items)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_made_up_texts(seed: int) -> None:
    hypotheses, references = made_up(seed)
    rouge, cider = library(hypotheses, references)
    assert 0 < rouge[0] < 1
    assert 0 < cider[0] < 10
    assert_same(coco.score_rouge_l(hypotheses, references), "rouge_l", rouge)
    assert_same(coco.score_cider(hypotheses, references), "cider", cider)


def test_empty_outputs_and_references_of_punctuation() -> None:
    """A text without words is one empty word to the original's ROUGE-L: it matches another such."""
    rouge, cider = library(HYPOTHESES, REFERENCES)
    assert_same(coco.score_rouge_l(HYPOTHESES, REFERENCES), "rouge_l", rouge)
    assert_same(coco.score_cider(HYPOTHESES, REFERENCES), "cider", cider)
    assert rouge[1][2] == 1  # "" and "!"
    assert rouge[1][3] == 0  # "..." is no word, "?!" is one
    assert cider[1][2] == 0


def test_known_values() -> None:
    """A common subsequence of 2 of 3 and of 2 of 4 words; the reference itself."""
    precision, recall = 2 / 3, 2 / 4
    expected = (1 + 1.2**2) * precision * recall / (recall + 1.2**2 * precision)
    measured = coco.score_rouge_l(["a b c", "x y"], [["a d b e"], ["x y"]])
    assert measured.segments["rouge_l"] == pytest.approx([expected, 1])
    assert measured.value == pytest.approx((expected + 1) / 2)
    texts = ["one two three four five", "six seven eight nine ten"]
    assert coco.score_cider(texts, [[text] for text in texts]).value == pytest.approx(10)
    assert coco.score_cider(texts, [[text] for text in reversed(texts)]).value == 0


def test_rouge_takes_the_best_precision_and_the_best_recall_apart() -> None:
    measured = coco.score_rouge_l(["a b"], [["a b c d e f g h", "a"]])
    assert measured.value == pytest.approx(1)  # precision of the first, recall of the second


def test_one_item_has_no_cider() -> None:
    assert coco.score_cider(["a b c d"], [["a b c d"]]).value == 0


def test_blank_references_are_left_out() -> None:
    blank = [[*refs, "", " \n"] for refs in REFERENCES]
    for scorer in (coco.score_rouge_l, coco.score_cider):
        assert scorer(HYPOTHESES, blank).segments == scorer(HYPOTHESES, REFERENCES).segments


def test_odd_texts_are_scored() -> None:
    odd = ["", "\r\n", "nul\x00 half\ud800 cafe\u0301\u2028x", "😀", "ok"]
    references = [["a b c"], ["", " "], ["nul\x00 half\ud800 cafe\u0301\u2028x"], ["."], ["y\r\nz", "ok"]]
    for scorer in (coco.score_rouge_l, coco.score_cider):
        values = next(iter(scorer(odd, references).segments.values()))
        assert len(values) == 5
        assert values[2] == max(values) > 0
        assert next(iter(scorer([""] * 3, [[""], [], ["."]]).segments.values()))[0] in (0, 1)
        assert scorer([], []).value == 0


@pytest.mark.parametrize("unit", ["word ", "x", "a b c, "])
def test_a_million_characters(unit: str) -> None:
    hypotheses = [unit * (1_000_000 // len(unit)), "a b"]
    references = [["a word or two", "the word"], ["a b c", "a"]]
    assert 0 <= coco.score_rouge_l(hypotheses, references).value <= 1
    assert coco.score_cider(hypotheses, references).value >= 0


def test_signatures_name_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_JAVA", raising=False)
    rouge, cider = (
        format_signature(scorer(HYPOTHESES, REFERENCES).signature)
        for scorer in (coco.score_rouge_l, coco.score_cider)
    )
    for signature in (rouge, cider):
        assert "|case:lc|tok:ptb-corenlp-3.4.1-nopunct|ptb:bench-1|" in signature
    assert "beta:1.2" in rouge
    assert "order:4|sigma:6" in cider


@pytest.mark.parametrize("case", E2E)
def test_real_outputs(case: str, shared: Path) -> None:
    real = read(shared, case)
    for scorer, name in ((coco.score_rouge_l, "ROUGE_L"), (coco.score_cider, "CIDEr")):
        official = (real.scores[name]["value"], real.segments[name])
        assert_same(scorer(*real.texts), name.lower(), official)
