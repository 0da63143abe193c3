"""What an article is about, from its address, and who belongs to which extrapolation split.

The rules are those of the authors' code (``topic_url_process.py``); the publisher's list
``XSum-WebArxiveUrls-BBCids.txt`` gives the address of every article. Pure functions, no files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from bench.system.rng import derive_seed

Topic = tuple[str, ...]
"""Up to three pieces of the address, such as ``("news", "uk")``; may be empty."""
Side = Literal["trained", "tested"]

TRAINED_NEWS = (("news", "uk"), ("news", "business"), ("news", "world"))
CAP = 8_000
"""Articles of an extrapolation test set, at most."""
CAP_SEED = 101
"""Decides which; the authors drew without a seed."""


def topic_of(url: str) -> Topic:
    """The topic of an article at ``url``.

    Of the last three pieces of the path, a host with ``www`` in it is dropped when it comes first. A last
    piece of digits alone is dropped; of another, what stands before the first hyphen is kept, and
    nothing of one without a hyphen. Empty pieces do not count.

    >>> topic_of("http://web.archive.org/web/2016/http://www.bbc.co.uk/news/uk-england-leeds-123")
    ('news', 'uk')
    >>> topic_of("http://www.bbc.co.uk/sport/0/football/123")
    ('0', 'football')
    """
    pieces = url.strip("/ \t\r\n").split("/")[-3:]
    last = pieces[-1]
    if "www" in pieces[0]:
        pieces = pieces[1:]
    pieces = pieces[:-1]
    if not last.isdigit() and "-" in last:
        pieces = [*pieces, last.split("-", 1)[0]]
    return tuple(piece for piece in pieces if piece)


def format_topic(topic: Topic) -> str | None:
    """A topic as the category of an item: ``news/uk``; None for an empty one."""
    return "/".join(topic) or None


def news_to_sports(topic: Topic) -> Side | None:
    """Where an article belongs when news are trained on and sports tested; None: to neither.

    Only the first piece counts, so ``("0", "football")``, from addresses ``/sport/0/football/``, is lost.
    """
    if topic[:1] == ("news",):
        return "trained"
    return "tested" if topic[:1] == ("sport",) else None


def within_news(topic: Topic) -> Side | None:
    """Where an article belongs when UK, business and world news are trained on and all other news tested.

    The trained topics must match whole: ``("news",)`` and ``("news", "uk", "politics")`` are tested.
    """
    if topic in TRAINED_NEWS:
        return "trained"
    return "tested" if topic[:1] == ("news",) else None


def draw_capped(ids: Iterable[str], name: str, limit: int = CAP, seed: int = CAP_SEED) -> set[str]:
    """``limit`` of ``ids`` (all, if there are no more), drawn for the purpose ``name``.

    Every id is drawn by itself: those with the smallest numbers from the generator named after
    them stay. So the choice does not depend on the order of the articles or on a library's version.
    """
    ranked = sorted((derive_seed(seed, f"{name}/{article}"), article) for article in set(ids))
    return {article for _, article in ranked[:limit]}
