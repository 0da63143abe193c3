"""The Penn Treebank tokeniser of E2E's scores: equal to the official program, and safe on any text."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from csv import DictReader
from pathlib import Path

import pytest
from real_outputs import read_odd_pairs

from bench.errors import UnavailableError
from bench.metric import format_signature
from bench.metrics import _official, _ptb
from bench.metrics._ptb import lexer, tables

needs_java = pytest.mark.skipif(
    shutil.which("java") is None,
    reason="no `java` here: the official tokeniser, the truth of these tests, is a Java program",
)

# What the official program gave; `test_the_table_is_the_official_programs` asks it again.
OFFICIAL = [
    ("The Blue Fig is a pub.", "the blue fig is a pub"),
    ("It isn't family-friendly (and can't be).", "it is n't family-friendly -lrb- and ca n't be -rrb-"),
    (
        "She cannot say she's gonna go, 'tis late; they've left.",
        "she can not say she 's gon na go 't is late they 've left",
    ),
    ("Rock 'n' roll at nine o'clock, y'all!", "rock 'n' roll at nine o'clock y' all"),
    (
        "Mr. Ames of St. Ives met Dr. Roe, Inc., in the U.S. Then he left.",
        "mr. ames of st. ives met dr. roe inc. in the u.s. then he left",
    ),
    ("See fig. 5 and no. 7, but no. Not ca. now.", "see fig. 5 and no. 7 but no not ca now"),
    ("Prices: £20-25, $5.50, €7, US$3, 5% or 20p.", "prices # 20-25 $ 5.50 $ 7 us$ 3 5 % or 20p"),
    (
        "1,000.50 at 10:30pm on 12/03/2004; 3/4 and 1 1/2 cups.",
        "1,000.50 at 10:30 pm on 12/03/2004 3/4 and 1\xa01/2 cups",
    ),
    (
        "Ring 01223 123456 or (020) 7946 0958 or 555-1234.",
        "ring 01223 123456 or -lrb-020-rrb-\xa07946\xa00958 or 555-1234",
    ),
    ("\"Quoted\", ``so'', 'and so', “this” and ‘that’.", "quoted so and so this and that"),
    ('He said:"No!" - well -- no... or no… (no?)', "he said no well no or no -lrb- no -rrb-"),
    ("[square] {curly} (round)", "-lsb- square -rsb- -lcb- curly -rcb- -lrb- round -rrb-"),
    (
        "Write to me@example.org, see http://example.org/a?b=c&d=e.",
        "write to me@example.org, see http://example.org/a?b=c&d=e",
    ),
    (
        "Visit www.example.co.uk or example.com/menu, then index.html.",
        "visit www.example.co.uk or example.com/menu then index.html",
    ),
    ("R&D at AT&amp;T &lt;b&gt; &quot;x&quot; a&nbsp;b", "r&d at at&t < b > x a b"),
    (
        '<b>Bold</b> and <a href="x y">a link</a> 2 < 3 > 1',
        '<b> bold </b> and <a\xa0href="x\xa0y"> a link </a> 2 < 3 > 1',
    ),
    (":) ;-) :-( ^_^ C# C++ #menu @cook ", ":-rrb- ;--rrb- :--lrb- ^_^ c# c++ #menu @cook"),
    (
        "and/or he/she 24/7 w/o km/h front-wheel/all-wheel",
        "and/or he/she 24/7 w/o km/h front-wheel/all-wheel",
    ),
    ("café naïve Ångström cafe\u0301 Łódź 日本 語", "café naïve ångström cafe\u0301 łódź 日本 語"),
    (
        "a_b non-U.S. 5-star 80s '80s ’90s H₂O m² ½ 2½",
        "a_b non-u.s. 5-star 80s '80s ’90s h ₂ o m ² 1/2 2 1/2",
    ),
    (
        "O'Neil d’Or ma'am Hawai'i Dunkin' c'mon somethin' ol' boys' toys",
        "o'neil d’or ma'am hawai'i dunkin' c'mon somethin' ol' boys toys",
    ),
    ("gotta wanna lemme GIMME", "got ta wan na lem me gim me"),
    ("The end.It was x.y and 3.Five", "the end.it was x.y and 3 five"),
    ("wait!!! what?! no-- a--b a - b", "wait !!! what ?! no a b a b"),
    ("I’d say it’s 5’ 6” tall, James’ dog’s.", "i 'd say it 's 5 6 tall james dog 's"),
    (
        "e.g. this, i.e. that, etc. a.m. p.m. Ph.D. vs. J. K. Smith",
        "e.g. this i.e. that etc. a.m. p.m. ph.d. vs. j. k. smith",
    ),
    ("tomato,basil;salt:pepper word., word.; 5.,", "tomato basil salt pepper word. word. 5."),
    ("* ** *** _ __ ~ ^ | \\ / = + % #", "* ** *** _ __ ~ ^ | \\ / = + % #"),
    ("it's-a-me 1-2-3 -5 +5 .5 5. ,5", "it 's a-me 1-2-3 -5 +5 .5 5 ,5"),
    ("\xadsoft\xadhyphen\xad zero\u200bwidth \U0001f600smile", "softhyphen zero width smile"),
    ("“‘nested’” »x« „low“ ‹a›", "``` nested ''' x „ low a"),
]
FRAGMENTS = (
    "the The cat A I B x no No. fig. Mr. Mr St. U.S. e.g. etc. p.m. Inc. Jan. Ph.D. don't can't cannot gonna it's "
    "It’s I’ll 'tis 'em rock 'n' o'clock O'Neil d'Or y'all café é cafe\u0301 日本 £20 £20-25 $5 US$ € 20 5 12 123 "
    "1234 1,000 1.5 .5 -5 +44 1/2 3/4 50% 5pm 10:30 12/03/2004 '80s 1st http://a.com/b www.foo.com foo.com x@y.com "
    "@me #tag &amp; &lt; &quot; & AT&T A+B and/or a_b well-known 5-star - -- --- – — … ... . , ; : ! ? ?! ( ) [ ] "
    "{ } < > << <b> </b> \" ' ` `` '' “ ” ‘ ’ « * ** / \\ | ~ ^ = + % ° ² ½ © :) ;-) ^_^ _ C# x.txt index.html "
    "\xa0 \u2009 \xad \u200b \U0001f600 ١٢ ж Ω ß İ (123) 456-7890"
)


def mixtures(seed: int, number: int) -> list[str]:
    draw, fragments = random.Random(seed), FRAGMENTS.split(" ")
    glue = (" ", " ", " ", "", "", ".", ",", "-", "'")
    return [
        "".join(draw.choice(fragments) + draw.choice(glue) for _ in range(draw.randint(1, 8))).strip()
        for _ in range(number)
    ]


@pytest.mark.parametrize(("text", "expected"), OFFICIAL)
def test_tokens(text: str, expected: str) -> None:
    assert _ptb.tokenize(text) == expected


@needs_java
def test_the_table_is_the_official_programs() -> None:
    texts, expected = zip(*OFFICIAL, strict=True)
    assert _ptb.tokenize_java(texts) == list(expected)


@needs_java
def test_mixtures_of_everything_are_tokenised_as_by_the_official_program() -> None:
    texts = mixtures(seed=1, number=4000)
    ours, theirs = _ptb.tokenize_all(texts), _ptb.tokenize_java(texts)
    different = [(text, a, b) for text, a, b in zip(texts, ours, theirs, strict=True) if a != b]
    assert not different, different[:5]


def test_pieces_are_tokenised_as_in_their_text() -> None:
    """A text is cut into pieces that are remembered; that must not change what comes out."""
    for text in [*mixtures(seed=2, number=1000), *(text for text, _ in OFFICIAL)]:
        whole = " ".join(token.lower() for token in lexer.list_tokens(text))
        assert _ptb.tokenize(text) == whole, text


@pytest.mark.parametrize(
    ("text", "following", "expected"),
    [
        ("Serie B.", None, "serie b."),
        ("Serie B.", "The team", "serie b"),
        ("Serie B.", "Team", "serie b."),
        ("Order no.", None, "order no"),
        ("Order no.", "5 is late", "order no."),
        ("Order no.", "Five is late", "order no"),
    ],
)
def test_the_next_line_decides_over_a_last_full_stop(text: str, following: str | None, expected: str) -> None:
    assert _ptb.tokenize(text, following) == expected
    lines = [text] if following is None else [text, following]
    assert _ptb.tokenize_all([*lines])[0] == expected


def test_blank_lines_do_not_hide_the_next_one() -> None:
    assert _ptb.tokenize_all(["Serie B.", "", "The team", ""]) == ["serie b", "", "the team", ""]


AWKWARD = [
    "",
    "   ",
    "\n",
    "one\r\ntwo\nthree",
    "one\x85two\u2028three\u2029four\x0bfive\x0csix",
    "nul\x00byte",
    "half\ud800surrogate",
    "cafe\u0301 \u0301\u0301",
    "tab\there",
    "a" * 5000,
]
TOKENISED = [
    "",
    "",
    "",
    "one two three",
    "one two three four five six",
    "nul byte",
    "half surrogate",
    "cafe\u0301 \u0301\u0301",
    "tab here",
    "a" * 5000,
]


def test_no_text_can_shift_the_others() -> None:
    assert _ptb.tokenize_all(AWKWARD) == TOKENISED
    assert _ptb.tokenize_all([]) == []


@needs_java
def test_no_text_can_shift_the_official_programs_lines() -> None:
    assert _ptb.tokenize_java(AWKWARD) == TOKENISED
    assert _ptb.tokenize_java([]) == []


@pytest.mark.parametrize("unit", ["a", "a,", "é´.", "<!a", "\U0001f600"])
def test_long_texts_come_to_an_end(unit: str) -> None:
    # About a second; minutes, if every place were searched to the end of the text.
    assert len(_ptb.tokenize(unit * (50_000 // len(unit))).split()) <= 50_000


def test_java_is_used_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BENCH_JAVA", raising=False)
    monkeypatch.setattr(_ptb, "tokenize_java", lambda texts: ["from java"] * len(texts))
    assert _ptb.tokenize_all(["only here"]) == ["only here"]
    assert "ptb:bench" in format_signature(_ptb.make_signature())
    monkeypatch.setenv("BENCH_JAVA", "1")
    assert _ptb.tokenize_all(["only here"]) == ["from java"]
    assert "ptb:jar-2fcb91bb" in format_signature(_ptb.make_signature())


def test_without_java_the_reason_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_ptb, "find_jar", lambda: tmp_path / _ptb.JAR)
    with pytest.raises(UnavailableError, match=r"BENCH_JAVA=1 .* no `java`"):
        _ptb.tokenize_java(["x"])


@needs_java
def test_a_failing_program_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_ptb, "find_jar", lambda: tmp_path / "empty.jar")
    with pytest.raises(UnavailableError, match=r"the official tokeniser failed: .*PTBTokenizer"):
        _ptb.tokenize_java(["x"])


def test_without_the_jar_the_reason_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_official, "list_package_folders", lambda: [tmp_path])
    with pytest.raises(UnavailableError, match=rf"BENCH_JAVA=1 needs {tmp_path}.*/{_ptb.JAR}, which this"):
        _ptb.find_jar()
    monkeypatch.setattr(_official, "list_package_folders", list)
    with pytest.raises(UnavailableError, match=rf"BENCH_JAVA=1 needs {_ptb.JAR}: pip install pycocoevalcap"):
        _ptb.find_jar()


def test_the_jar_is_the_one_that_was_compared() -> None:
    import hashlib

    assert hashlib.sha256(_ptb.find_jar().read_bytes()).hexdigest() == _ptb.SHA256


def test_character_classes() -> None:
    assert tables.chars("61-63 7a") == set("abcz")
    assert tables.inside(set("abcz")) == r"\u0061-\u0063\u007a-\u007a"


@needs_java
@pytest.mark.slow
def test_real_texts_are_tokenised_as_by_the_official_program(shared: Path) -> None:
    texts: dict[str, None] = {}
    for name in ("trainset.csv", "devset.csv", "testset_w_refs.csv"):
        with (shared / "data" / "e2e" / name).open(encoding="utf-8-sig", newline="") as rows:
            texts.update(dict.fromkeys(row["ref"] for row in DictReader(rows)))
    for path in sorted((shared / "metric_cases" / "cases").glob("*.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                texts.update(dict.fromkeys([row["hyp"], *row["refs"]]))
    listed = list(texts)
    assert len(listed) > 50_000
    ours, theirs = _ptb.tokenize_all(listed), _ptb.tokenize_java(listed)
    different = [(text, a, b) for text, a, b in zip(listed, ours, theirs, strict=True) if a != b]
    assert not different, different[:5]


@needs_java
@pytest.mark.slow
def test_odd_texts_are_tokenised_as_by_the_official_program(shared: Path) -> None:
    outputs, truths = read_odd_pairs(shared)
    texts = [*outputs, *(text for refs in truths for text in refs)]
    assert _ptb.tokenize_all(texts) == _ptb.tokenize_java(texts)
