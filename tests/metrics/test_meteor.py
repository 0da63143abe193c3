"""METEOR: its parts by hand, the whole beside the official program, real outputs beside official scores.

Most tests use a paraphrase table of a few lines; those with the real one (a minute to start Java and to
index the table) are marked slow.
"""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from real_outputs import DART, E2E, WEBNLG, read, read_odd_pairs

from bench.errors import UnavailableError, UserError
from bench.metric import NoReferenceError, Scorer, format_signature
from bench.metrics import meteor
from bench.metrics._official import METEOR_JAR, has_java
from bench.metrics.meteor import alignment, java, matching, resources
from bench.metrics.meteor.stemmer import stem
from bench.metrics.meteor.text import hash_like_java, tokenize_text

TABLE = [
    ("in the middle of", "amid"),
    ("a lot of", "many"),
    ("a lot of", "lots of"),
    ("many", "a lot of"),
    ("not far from", "close to"),
    ("not far from", "near"),
    ("close to", "near"),
    ("near", "not far from"),
    ("old house", "ancient building"),
    ("the old house by the river", "the ancient building"),
    ("she", "the woman"),
    ("one of the", "the"),
]
SENTENCES = [
    "The old house by the river is not far from the bakery.",
    "Near the river, an ancient building stands close to a bakery!",
    "She'd bought a lot of apples, pears and 1,000 plums -- in the middle of May...",
    "Many plums were bought by the woman amid the fair (it didn't rain).",
    "Mr. Dove's dogs ran, the dogs' owner was running; dogs run and run and run.",
    "The U.S. team scored 3.5 points at 5 p.m. in St. Anne, No. 7 Mill Lane.",
    "Zoë's café – “naïve” décor – costs £20-25; it's well-known & kid-friendly.",
    "the the a the of a the of the a",
    "It is the one of the ones that the one by the one of the river is.",
    "Automobiles and cars are vehicles; a car is an automobile, autos are cars.",
    "He quickly answered the emergency; the biologist added evening classes.",
    "rock 'n' roll in the 1990's, o'clock, d'Arc, 'quoted' words and it's the dogs'",
]


@pytest.fixture(scope="module")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "paraphrases.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"0.5\n{phrase}\n{other}\n" for phrase, other in TABLE)
    return path


@pytest.fixture
def small(table_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small table instead of the real one."""
    table = resources.parse_index(resources.build_index(table_file))
    monkeypatch.setattr(resources, "load_paraphrases", lambda: table)
    monkeypatch.delenv("BENCH_JAVA", raising=False)


@pytest.fixture(scope="session")
def real_table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The real table, indexed once for all tests that use it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", os.environ.get("BENCH_CACHE") or str(tmp_path_factory.mktemp("cache")))
        resources.load_paraphrases()
        yield


def needs_java() -> None:
    if not has_java():
        pytest.skip("no `java` here: the official METEOR, the truth of this test, is a Java program")


# --- words


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("emergency", "emerg"), ("added", "ad"), ("evening", "even"), ("biologist", "biologist"),
        ("generously", "generous"), ("communities", "communiti"), ("dying", "die"), ("news", "news"),
        ("hopping", "hop"), ("hoping", "hope"), ("agreed", "agre"), ("feed", "feed"), ("ties", "tie"),
        ("cries", "cri"), ("gas", "gas"), ("kiwis", "kiwi"), ("sayings", "say"), ("rationally", "ration"),
        ("yes", "yes"), ("boys'", "boy"), ("by", "by"), ("relational", "relat"), ("controll", "control"),
        ("bee's", "bee"), ("adoption", "adopt"), ("opinion", "opinion"), ("formative", "format"),
        ("'tis", "tis"), ("it", "it"), ("apologies", "apolog"), ("sensitivities", "sensit"),
    ],
)  # fmt: skip
def test_stems_are_those_of_the_stemmer_of_2015(word: str, expected: str) -> None:
    assert stem(word) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World.", "hello , world ."),
        ("Mr. Smith's dog", "mr. smith 's dog"),
        ("the U.S. and e.g. this", "the us and eg this"),
        ("No. 5 costs 1,000.50", "no. 5 costs 1,000.50"),
        ("No. Really", "no . really"),
        ("Wait... what..", "wait ... what .."),
        ("kid-friendly -- £20-25", "kid friendly - £ 20 25"),
        ("“It’s” `so`", "\" it 's \" ' so '"),
        ("the 1990's, dogs' o'clock", "the 1990 's , dogs ' o 'clock"),
        ("see fig. below", "see fig. below"),
        ("a\u00a0b\u2003c\u2028d", "a b c \u2028 d"),
        ("ΑΣ İ", "α σ i̇"),
        ("DOTMULTI. x", ".. x"),
        ("", ""),
    ],
)
def test_texts_are_read_as_the_official_program_reads_them(text: str, expected: str) -> None:
    assert " ".join(tokenize_text(text, resources.read_words().abbreviations)) == expected


def test_words_are_compared_by_javas_hash() -> None:
    assert hash_like_java("Aa") == hash_like_java("BB") == 2112
    assert hash_like_java("😀") == 1772899


def test_synonyms_count_for_base_forms_too() -> None:
    words = resources.read_words()
    for one, other in (("cars", "automobile"), ("oxen", "ox"), ("women", "woman"), ("bigger", "large")):
        assert words.meanings(one) & words.meanings(other)
    assert words.base_forms("boxes") == ["box"]
    assert words.base_forms("handsful") == words.base_forms("us") == words.base_forms("glass") == []


# --- scores by hand


@pytest.mark.parametrize(
    ("hypothesis", "reference", "score"),
    [
        ("cat", "cat", 1.0),
        ("", "cat", 0.0),
        # precision 1, recall 1/2, one chunk of one word: 1 / (0.15 / 1 + 0.85 / 0.5) * (1 - 0.6)
        ("cat", "cat dog", 0.4 / 1.85),
        # function words weigh a third of the others: precision 0.75 / 1, recall 1
        ("the cat", "cat", (1 - 0.6) / (0.15 / 0.75 + 0.85)),
        # two chunks of one word each
        ("cat dog", "dog cat", 0.4),
        # a stem match beside an exact one, everything matched in one piece: no penalty
        ("wombat cats", "wombat cat", 0.8),
        # alone it counts nothing in the search, and two matchers see it: no alignment has it
        ("running", "run", 0.0),
        ("old house", "ancient building", 0.6),
    ],
)
@pytest.mark.usefixtures("small")
def test_scores_by_hand(hypothesis: str, reference: str, score: float) -> None:
    measured = meteor.score_plain([hypothesis], [[reference]])
    assert measured.segments["meteor"] == pytest.approx([score], abs=1e-12)


@pytest.mark.usefixtures("small")
def test_the_corpus_score_is_that_of_the_sums_without_whole_matches_chunks() -> None:
    # 2 + 2 of 2 + 3 words match each way; the chunk of the first pair, which matches whole, is left out
    measured = meteor.score_plain(["cat dog", "cat dog"], [["cat dog"], ["cat dog wombat"]])
    assert measured.value == pytest.approx((1 - 0.6 * (1 / 4) ** 0.2) / (0.15 + 0.85 / 0.8), abs=1e-12)


@pytest.mark.usefixtures("small")
def test_the_best_reference_counts_and_the_first_of_equals() -> None:
    both = meteor.score_plain(["cat dog", "x"], [["bird", "cat dog wombat"], ["y z", "y"]])
    assert both.segments["meteor"][0] == meteor.score_plain(["cat dog"], [["cat dog wombat"]]).value
    assert both.value == meteor.score_plain(["cat dog", "x"], [["cat dog wombat"], ["y z"]]).value
    assert both.value != meteor.score_plain(["cat dog", "x"], [["cat dog wombat"], ["y"]]).value


@pytest.mark.usefixtures("small")
def test_blank_references_and_odd_characters_change_nothing() -> None:
    clean = meteor.score_plain(["a cat sat"], [["the cat sat down"]])
    odd = meteor.score_plain(["a\r\ncat\fsat"], [["", " \n", "the\ncat \r\n sat down", "\t"]])
    assert odd == clean
    lines = meteor.score_plain(
        ["cat\0\u2028\x85\ud800", "", "a\u0301"], [["cat\0 x"], ["x"], ["", "a\u0301"]]
    )
    assert len(lines.segments["meteor"]) == 3
    assert lines.segments["meteor"][1:] == [0.0, 1.0]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "scorer", [meteor.score_plain, meteor.score_webnlg, meteor.score_dart, meteor.score_e2e]
)
@pytest.mark.parametrize("blanks", [[], [""], ["  ", "\t"]])
def test_an_item_with_blank_references_alone_has_none(scorer: Scorer, blanks: list[str]) -> None:
    with pytest.raises(NoReferenceError) as caught:
        scorer(["a", "b", "c"], [["a"], blanks, blanks])
    assert caught.value.items == (2, 3)


@pytest.mark.usefixtures("small")
def test_tasks_prepare_their_texts() -> None:
    outputs, truths = ["Zoë's cat"], [["", "zoe ' s cat", "x", "Zoë's cat"]]
    assert meteor.score_webnlg(outputs, truths).value == 1
    assert (
        meteor.score_dart(outputs, truths).value < 1
    )  # not transliterated; the fourth reference is not used
    assert meteor.score_e2e(["A pub: near-by!"], [["a PUB near-by ."]]).value == 1
    for scorer, note in (
        (meteor.score_webnlg, "refs:first3"),
        (meteor.score_e2e, "tok:ptb-corenlp-3.4.1-nopunct|ptb:bench-1|refs:all"),
    ):
        assert note in format_signature(scorer(outputs, truths).signature)
        assert "impl:bench|data:" in format_signature(scorer(outputs, truths).signature)


@pytest.mark.parametrize("unit", ["the ", "a-", "\u0301"])
@pytest.mark.usefixtures("small")
def test_a_million_characters(unit: str) -> None:
    text = (unit * (1_000_000 // len(unit)))[: 200_000 if unit == "\u0301" else None]
    measured = meteor.score_plain([text], [[SENTENCES[0], SENTENCES[3]]])
    assert 0 <= measured.value < 0.01


# --- the search


def test_many_places_and_early_pruning_change_nothing(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, truths = perturbed(60, seed=3)
    expected = meteor.score_plain(outputs, truths)
    monkeypatch.setattr(alignment, "MANY", -1)
    assert meteor.score_plain(outputs, truths) == expected
    monkeypatch.setattr(alignment, "CUT", 1 << 60)
    assert meteor.score_plain(outputs, truths) == expected
    monkeypatch.setattr(matching, "BLOCK", 3)
    matching.list_spans.cache_clear()
    assert meteor.score_plain(outputs, truths) == expected
    matching.list_spans.cache_clear()


def perturbed(count: int, seed: int) -> tuple[list[str], list[list[str]]]:
    """Outputs and references from the sentences above: shuffled, cut, joined, repeated, with noise."""
    chance = random.Random(seed)
    pool = " ".join(SENTENCES).split()

    def one() -> str:
        words = chance.choice(SENTENCES).split()
        kind = chance.randrange(7)
        if kind == 0:
            chance.shuffle(words)
        elif kind == 1:
            words = [word for word in words for _ in range(chance.choice((1, 1, 2, 3)))]
        elif kind == 2:
            words = words[: chance.randrange(len(words))] + chance.choice(SENTENCES).split()
        elif kind == 3:
            words = [chance.choice(pool) if chance.random() < 0.3 else word for word in words]
        elif kind == 4:
            words = [word.upper() if chance.random() < 0.3 else word for word in words]
        elif kind == 5:
            words = chance.choices(pool, k=chance.randrange(40))
        return " ".join(words)

    return [one() for _ in range(count)], [
        [one() or "x" for _ in range(chance.choice((1, 1, 2, 3)))] for _ in range(count)
    ]


@pytest.mark.usefixtures("small")
def test_every_item_equals_the_official_program(table_file: Path) -> None:
    needs_java()
    outputs, truths = perturbed(700, seed=1)
    value, segments = meteor.score_without_java(outputs, truths)
    official_value, official = java.run_meteor_jar(outputs, truths, table_file)
    assert segments == pytest.approx(official, abs=1e-12)
    assert value == pytest.approx(official_value, abs=1e-12)
    assert len(set(segments)) > 500


@pytest.mark.slow
@pytest.mark.usefixtures("real_table")
def test_every_item_equals_the_official_program_with_the_real_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs_java()
    outputs, truths = perturbed(1500, seed=2)
    here = meteor.score_plain(outputs, truths)
    monkeypatch.setenv("BENCH_JAVA", "1")
    official = meteor.score_plain(outputs, truths)
    assert here.segments["meteor"] == pytest.approx(official.segments["meteor"], abs=1e-12)
    assert here.value == pytest.approx(official.value, abs=1e-12)
    assert "impl:jar" in format_signature(official.signature)


@pytest.mark.slow
@pytest.mark.usefixtures("real_table")
@pytest.mark.parametrize(
    ("case", "scorer"),
    [
        *((case, meteor.score_webnlg) for case in WEBNLG if case.endswith("/all-cat")),
        *((case, meteor.score_dart) for case in DART),
        *((case, meteor.score_e2e) for case in E2E),
    ],
)
def test_real_outputs_have_the_official_scores(case: str, scorer: Scorer, shared: Path) -> None:
    real = read(shared, case)
    measured = scorer(*real.texts)
    assert measured.segments["meteor"] == pytest.approx(real.segments["METEOR"], abs=1e-12)
    assert measured.value == pytest.approx(real.scores["METEOR"]["value"], abs=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("real_table")
@pytest.mark.parametrize("scorer", [meteor.score_plain, meteor.score_webnlg, meteor.score_dart])
def test_odd_texts_have_the_official_scores(
    scorer: Scorer, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_java()
    outputs, truths = read_odd_pairs(shared)
    here = scorer(outputs, truths)
    monkeypatch.setenv("BENCH_JAVA", "1")
    official = scorer(outputs, truths)
    assert here.segments["meteor"] == pytest.approx(official.segments["meteor"], abs=1e-12)
    assert here.value == pytest.approx(official.value, abs=1e-12)


# --- data and settings


def test_the_index_finds_what_the_table_says(table_file: Path) -> None:
    table = resources.parse_index(resources.build_index(table_file))
    assert list(table.rows) == list(dict.fromkeys(phrase for phrase, _ in TABLE))
    assert table.of("a lot of") == ["many", "lots of"]
    assert table.of("one of the") == ["the"]


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-1], lambda c: c[:40], lambda c: b"", lambda c: c[:-3] + b"xyz"]
)
def test_a_damaged_index_is_built_again(
    damage: object, table_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(resources, "find_package_file", lambda name: table_file)
    monkeypatch.setattr(resources, "hash_table", lambda: "0" * 64)
    load = resources.load_paraphrases.__wrapped__
    whole = load()
    (path,) = (tmp_path / "meteor").iterdir()
    good = path.read_bytes()
    assert callable(damage)
    path.unlink()
    path.write_bytes(damage(good))
    assert load().rows == whole.rows
    assert path.read_bytes() == good
    monkeypatch.setattr(resources, "hash_table", lambda: "1" * 64)
    assert load().rows == whole.rows
    assert len(list(path.parent.iterdir())) == 2


def test_builders_at_the_same_time_and_a_folder_that_cannot_be_written(
    table_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "new"))
    monkeypatch.setattr(resources, "find_package_file", lambda name: table_file)
    monkeypatch.setattr(resources, "hash_table", lambda: "0" * 64)
    load = resources.load_paraphrases.__wrapped__
    with ThreadPoolExecutor(8) as pool:
        tables = list(pool.map(lambda _: load(), range(8)))
    assert {table.of("she")[0] for table in tables} == {"the woman"}
    assert len(list((tmp_path / "new" / "meteor").iterdir())) == 1
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    assert load().of("she") == ["the woman"]


def test_without_the_package_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="pip install pycocoevalcap"):
        resources.find_package_file(METEOR_JAR)


@pytest.mark.usefixtures("small")
def test_what_bench_java_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_JAVA", "yes")
    with pytest.raises(UserError, match="BENCH_JAVA=yes"):
        meteor.score_plain(["a"], [["a"]])
    monkeypatch.setenv("BENCH_JAVA", "1")
    monkeypatch.setattr(java, "has_java", lambda: False)
    with pytest.raises(UnavailableError, match="needs Java"):
        meteor.score_plain(["a"], [["a"]])
    monkeypatch.setenv("BENCH_JAVA", "0")
    assert meteor.score_plain(["a"], [["a"]]).value == 1
