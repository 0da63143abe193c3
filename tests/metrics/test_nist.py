"""NIST: equal to the official scripts, to a plain count of the definition, and safe on any text."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from real_outputs import E2E, read

from bench.metric import format_signature
from bench.metrics import nist

OUTPUTS = [
    "the cat sat on the mat .",
    "The Dog ran to the park, didn't it?",
    "0 0 5 of 10 cats",
    "a",
    "cats and dogs",
]
REFERENCES = [
    ["the cat sat on a mat .", "a cat sat on the mat ."],
    ["the dog ran to the park today .", "To the park ran the dog, didn't it?", "dogs run"],
    ["0 5 of 10 cats", "0 0 of 10 dogs"],
    ["a cat", "the dog"],
    ["dogs and cats and mice"],
]

MTEVAL, PYMTEVAL = 5.850217521285799, 5.497205305660041
"""What mteval-v13a-sig.pl and e2e-metrics' Python mteval gave for these."""


def plain(outputs: Sequence[list[str]], references: Sequence[Sequence[list[str]]], penalty: float) -> float:
    """NIST as its definition reads, without any of the scripts' habits; totals of at least 1."""
    known: Counter[tuple[str, ...]] = Counter()
    words = 0
    for text in (text for refs in references for text in refs):
        words += len(text)
        known.update(tuple(text[i : i + n]) for n in range(1, 6) for i in range(len(text) - n + 1))
    value = 0.0
    for n in range(1, 6):
        gained, total = 0.0, 0
        for output, refs in zip(outputs, references, strict=True):
            said = Counter(tuple(output[i : i + n]) for i in range(len(output) - n + 1))
            total += sum(said.values())
            for gram, often in said.items():
                most = max(
                    (sum(tuple(ref[i : i + n]) == gram for i in range(len(ref))) for ref in refs), default=0
                )
                if hits := min(often, most):
                    gained += hits * math.log2((known[gram[:-1]] if n > 1 else words) / known[gram])
        value += gained / max(1, total)
    return value * penalty


def short(words: float, wanted: float) -> float:
    ratio = words / wanted
    return 1 if ratio >= 1 else math.exp(math.log(0.5) / math.log(1.5) ** 2 * math.log(ratio) ** 2)


def made_up(seed: int) -> tuple[list[str], list[list[str]]]:
    """Long enough that no total is taken away from, and without the word 0."""
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(12)]

    def text(low: int, high: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(low, high)))

    return [text(6, 12) for _ in range(20)], [
        [text(5, 20) for _ in range(draw.randint(1, 4))] for _ in range(20)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_both_count_what_the_definition_says(seed: int) -> None:
    hypotheses, references = made_up(seed)
    outputs = [text.split() for text in hypotheses]
    wanted = [[text.split() for text in refs] for refs in references]
    words = sum(map(len, outputs))
    lengths = [[len(text) for text in refs] for refs in wanted]
    per_item = short(words, sum(sum(each) / len(each) for each in lengths))
    overall = short(words, sum(map(sum, lengths)) / (sum(map(len, lengths)) / len(lengths)))
    assert per_item < 1
    assert per_item != overall
    value = nist.score_pymteval(hypotheses, references).value
    assert value == pytest.approx(plain(outputs, wanted, per_item), abs=1e-12)
    value = nist.score_mteval(hypotheses, references).value
    assert value == pytest.approx(plain(outputs, wanted, overall), abs=1e-12)


def test_the_official_scripts_values() -> None:
    assert nist.score_mteval(OUTPUTS, REFERENCES).value == pytest.approx(MTEVAL, abs=1e-12)
    assert nist.score_pymteval(OUTPUTS, REFERENCES).value == pytest.approx(PYMTEVAL, abs=1e-12)


def test_perl_takes_a_leading_zero_for_no_word() -> None:
    zeros = [["0 b c d"], ["b 0 b d"]]
    ones = [["1 b c d"], ["b 1 b d"]]
    perl = [nist.score_mteval([refs[0] for refs in texts], texts).value for texts in (zeros, ones)]
    python = [nist.score_pymteval([refs[0] for refs in texts], texts).value for texts in (zeros, ones)]
    assert perl[0] > perl[1] + 0.1
    assert python[0] == pytest.approx(python[1], abs=1e-12)


def test_only_the_python_script_lowers_more_than_ascii() -> None:
    lower, upper = ["ein café war da heute"], ["EIN CAFÉ WAR DA HEUTE"]
    assert nist.score_pymteval(upper, [lower]).value == pytest.approx(
        nist.score_pymteval(lower, [lower]).value
    )
    assert nist.score_mteval(upper, [lower]).value < nist.score_mteval(lower, [lower]).value


def test_blank_references_change_nothing() -> None:
    blank = [[*refs, "", "  \n"] for refs in REFERENCES]
    for scorer in (nist.score_pymteval, nist.score_mteval):
        assert scorer(OUTPUTS, blank).value == scorer(OUTPUTS, REFERENCES).value


@pytest.mark.parametrize("scorer", [nist.score_pymteval, nist.score_mteval])
def test_odd_texts_are_scored(scorer: object) -> None:
    assert callable(scorer)
    odd = ["", "\r\n", "nul\x00 half\ud800 cafe\u0301\u2028x", "0", "x" * 1000]
    references = [["a b c"], ["", " "], ["nul\x00 half\ud800 cafe\u0301\u2028x"], ["0"], ["y\r\nz", ""]]
    assert scorer(odd, references).value >= 0
    assert scorer([""] * 3, [["a b"]] * 3).value == 0
    assert scorer(["a b"], [[""]]).value == 0
    assert scorer([""], [[]]).value == 0
    assert scorer(["one"], [["one"]]).value == 0  # no word says more than the others
    assert scorer(["word " * 200_000, "a b"], [["a word"], ["a b c"]]).value >= 0
    assert scorer(["x" * 1_000_000, "a b"], [["a word"], ["a b c"]]).value >= 0


def test_signatures_tell_them_apart() -> None:
    one, other = (
        format_signature(scorer(OUTPUTS, REFERENCES).signature)
        for scorer in (nist.score_pymteval, nist.score_mteval)
    )
    assert one != other
    assert "like:pymteval|n:5|case:lc|tok:13a|refs:nonblank" in one
    assert "like:mteval-v13a|n:5|case:ascii-lc|tok:13a|refs:nonblank" in other


@pytest.mark.parametrize("case", E2E)
def test_real_outputs(case: str, shared: Path) -> None:
    real = read(shared, case)
    for scorer, name in ((nist.score_pymteval, "NIST_pymteval"), (nist.score_mteval, "NIST")):
        value = scorer(*real.texts).value
        assert value == pytest.approx(real.scores[name]["value"], abs=1e-12)
