"""The newspaper: what a summary says is in its article, and sport speaks in other words than the news."""

import re
from collections import Counter

import pytest

from bench.mini.news import SECTIONS, SHORTEST, Article, find_section, make_article, make_brief
from bench.mini.world import Dice, read_table
from bench.mini.write import XSUM_SOURCES, make_xsum_articles
from tasks._xsum_topics import TRAINED_NEWS, topic_of

EVENTS = [event for events in SECTIONS.values() for event in events]


def made(event: str, count: int, held: bool = False) -> list[Article]:
    return [make_article(Dice("test news", event, n), event, 40_000_000 + n, held) for n in range(count)]


def test_sections_and_events_are_one_list() -> None:
    assert sorted(EVENTS) == sorted(read_table("news")["event"])
    assert set(SECTIONS) == set(read_table("news")["filler"])
    assert all(set(sizes) == set(SECTIONS) for sizes in XSUM_SOURCES.values())


@pytest.mark.parametrize("event", EVENTS)
def test_summaries_follow_from_articles(event: str) -> None:
    section = find_section(event)
    for one in made(event, 40):
        text = " ".join(one.paragraphs)
        assert SHORTEST <= len(text.split()) <= 200
        assert 6 <= len(one.summary.split()) <= 30
        assert one.summary not in text, "no sentence of the article is the summary"
        assert "{" not in text + one.summary + one.url and "  " not in text
        # Names and numbers; "Grand Prix" and the like are words of the trade.
        said = re.findall(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+)+|\d[\d-]*\d|\d", one.summary[1:])
        for value in said:
            plain = re.sub(r"-year$|-$| Grand Prix$", "", value)
            assert plain in text, f"{plain!r} of {one.summary!r} is not in the article"
        topic = topic_of(one.url)
        assert (topic in TRAINED_NEWS) == (section in ("uk", "business", "world"))
        assert (topic[0] in ("sport", "0")) == (section == "sport")


def test_the_first_sentence_is_not_enough() -> None:
    """A lead baseline must miss something: values of the summary stand further down."""
    missed = 0
    articles = [one for event in EVENTS for one in made(event, 10)]
    for one in articles:
        first = re.split(r"(?<=[.\"]) ", one.paragraphs[0])[0]
        values = set(re.findall(r"\b[A-Z][a-z]{3,}|\d+", one.summary[1:]))
        missed += not values <= set(re.findall(r"\b[A-Z][a-z]{3,}|\d+", first))
    assert missed > 0.7 * len(articles)


def test_sport_speaks_in_other_words() -> None:
    words: dict[str, Counter[str]] = {}
    for section, events in SECTIONS.items():
        texts = [" ".join(one.paragraphs) for event in events for one in made(event, 40)]
        words[section] = Counter(re.findall(r"\b[a-z]{4,}\b", " ".join(texts)))
    news = sum((words[section] for section in ("uk", "business", "world", "other")), Counter[str]())
    unseen = sum(count for word, count in words["sport"].items() if word not in news)
    other = sum((words[section] for section in ("uk", "business", "world", "sport")), Counter[str]())
    within = sum(count for word, count in words["other"].items() if word not in other)
    assert unseen / words["sport"].total() > 0.45
    assert unseen / words["sport"].total() > within / words["other"].total(), "the larger step of the two"


def test_same_name_same_article() -> None:
    assert made("crash", 3) == made("crash", 3)
    assert made("crash", 3) != made("crash", 3, held=True)
    assert make_brief(Dice("a")) == make_brief(Dice("a"))
    assert [number for number, _ in make_xsum_articles("test")][:1] == ["32000000"]


def test_english_details() -> None:
    texts = " ".join(
        text for event in EVENTS for one in made(event, 60) for text in (*one.paragraphs, one.summary)
    )
    texts += " ".join(make_brief(Dice("b", n)) for n in range(300))
    assert not re.findall(r"\b[Aa] (?:[aeiou](?!ne\b|ne-|ni)\w*|8\d*|11|18)\b", texts)
    assert not re.findall(r"\b[Aa]n (?:[^aeiou81\W]\w*|one\b|union)", texts)
    assert not re.findall(r"[.!?]\s+[a-z]", re.sub(r"\b[A-Z]\. ", "", texts))
