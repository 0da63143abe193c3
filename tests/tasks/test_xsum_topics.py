"""From an address to a topic, and from a topic to a side of the extrapolation splits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks._xsum_topics import (
    CAP,
    TRAINED_NEWS,
    draw_capped,
    format_topic,
    news_to_sports,
    topic_of,
    within_news,
)

BBC = "http://web.archive.org/web/20150904043131/http://www.bbc.co.uk"


@pytest.mark.parametrize(
    ("path", "topic", "sports", "news"),
    [
        ("/news/uk-england-1", ("news", "uk"), "trained", "trained"),
        ("/news/uk-england-leeds-34146463", ("news", "uk"), "trained", "trained"),
        ("/news/world-europe-1", ("news", "world"), "trained", "trained"),
        ("/news/business-1", ("news", "business"), "trained", "trained"),
        ("/news/health-1/", ("news", "health"), "trained", "tested"),
        ("/news/science-environment-1", ("news", "science"), "trained", "tested"),
        ("/news/12345", ("news",), "trained", "tested"),
        ("/news/magazine", ("news",), "trained", "tested"),
        ("/news/uk/politics-1", ("news", "uk", "politics"), "trained", "tested"),
        ("/news/election/2015", ("news", "election"), "trained", "tested"),
        ("/sport/football/1", ("sport", "football"), "tested", None),
        ("/sport/rugby-union/1", ("sport", "rugby-union"), "tested", None),
        ("/sport/football/teams-1", ("sport", "football", "teams"), "tested", None),
        ("/sport/0/football/1", ("0", "football"), None, None),
        ("/newsbeat/article/1/title-of-it", ("article", "1", "title"), None, None),
        ("/newsround/1", ("newsround",), None, None),
        ("/1", ("www.bbc.co.uk",), None, None),
        ("", ("http:",), None, None),
    ],
)
def test_examples(path: str, topic: tuple[str, ...], sports: str | None, news: str | None) -> None:
    for url in (BBC + path, f"  {BBC}{path}/\n"):
        assert topic_of(url) == topic
    assert (news_to_sports(topic), within_news(topic)) == (sports, news)
    assert format_topic(topic) == ("/".join(topic) or None)


@pytest.mark.parametrize(
    ("url", "topic"),
    [
        ("", ()),
        ("/", ()),
        ("x", ()),
        ("news/-1", ("news",)),
        ("http://news.bbc.co.uk/2/hi/africa/1.stm", ("hi", "africa")),
        ("https://www.bbc.com/news/uk-1", ("news", "uk")),
    ],
)
def test_odd_addresses(url: str, topic: tuple[str, ...]) -> None:
    assert topic_of(url) == topic


pieces = st.text(st.sampled_from("news-ukworld123.wport"), max_size=12)


@given(st.lists(pieces, max_size=6).map("/".join))
def test_any_address_has_a_topic(url: str) -> None:
    topic = topic_of(url)
    assert len(topic) <= 3
    assert all(piece and "/" not in piece for piece in topic)
    assert topic == topic_of(f"/{url}/")


@given(st.lists(pieces, max_size=3).map(tuple))
def test_sides_exclude_each_other(topic: tuple[str, ...]) -> None:
    sides = {news_to_sports(topic), within_news(topic)}
    assert sides <= {"trained", "tested", None}
    if within_news(topic) is not None:
        assert news_to_sports(topic) == "trained", "both are about the same news"
    assert (within_news(topic) == "trained") == (topic in TRAINED_NEWS)


@given(st.sets(st.text(max_size=5), max_size=40), st.integers(0, 50), st.integers(0, 3))
def test_cap(ids: set[str], limit: int, seed: int) -> None:
    kept = draw_capped(ids, "name", limit, seed)
    assert kept <= ids and len(kept) == min(limit, len(ids))
    assert kept == draw_capped(sorted(ids, reverse=True), "name", limit, seed)
    assert kept <= draw_capped(ids, "name", limit + 1, seed)
    without = ids - set(list(kept)[:1])
    assert kept & without <= draw_capped(without, "name", limit, seed), "an article's fate is its own"


def test_cap_follows_seed_and_name() -> None:
    ids = [str(number) for number in range(1000)]
    first = draw_capped(ids, "xsum-within-news", 100)
    assert first == draw_capped(ids, "xsum-within-news", 100, 101)
    assert first != draw_capped(ids, "xsum-news-to-sports", 100) and first != draw_capped(
        ids, "xsum-within-news", 100, 22
    )
    assert sorted(first)[:4] == sorted(draw_capped(ids, "xsum-within-news", 100))[:4]
    assert len(draw_capped(ids * 9, "x")) == 1000 <= CAP
