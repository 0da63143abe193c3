"""The invented world's newspaper: articles, each with one sentence that sums it up.

Why: summarisation needs a text from which most must be left out. An article tells one event: two to
four sentences hold its facts, others add details, quotes and things of the same kind that a careless
reader would take for the event. The summary is made from the facts alone and is no sentence of the
article; every value in it is in the article. Sports pages have words of their own, so that a model
trained on news meets something new there. The wordings are in ``news.toml``.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from bench.mini.world import Dice, draw_value, read_table

SITE = "http://www.bbc.co.uk/"
ARCHIVE = "http://web.archive.org/web/"
NEWS_TRAINED = ("uk", "business", "world")
"""The news sections that the task within-news trains on; the generator keeps them frequent."""
SECTIONS = {
    "uk": ("crash", "fire", "court", "council", "missing", "rescue"),
    "business": ("jobs", "profit", "takeover"),
    "world": ("disaster", "vote", "sinking"),
    "other": ("exams", "outbreak", "trial", "discovery", "recall", "prize"),
    "sport": ("match", "transfer", "injured", "innings", "bowled", "tennis", "race"),
}
_SLOT = re.compile(r"\{([a-z]+)(\d?)(?:\.([a-z]+))?\}")
_AN = re.compile(r"\b([Aa]) (?=(?!one|uni)[aeiou]|8|11\b|18\b)")
SHORTEST = 80  # words of an article


@dataclass(frozen=True)
class Article:
    """One page: its paragraphs, the sentence that sums it up, and where it is."""

    event: str
    url: str
    paragraphs: tuple[str, ...]
    summary: str


@cache
def _events() -> dict[str, Any]:
    events: dict[str, Any] = read_table("news")["event"]
    return events


def find_section(event: str) -> str:
    """The section whose pages tell this kind of event."""
    return next(name for name, events in SECTIONS.items() if event in events)


class _Values:
    """The values of one article: each slot is drawn when it is first met, and then stays."""

    def __init__(self, dice: Dice, held: bool, number: int) -> None:
        self._dice, self._held = dice, held
        self._known: dict[tuple[str, str], str] = {("n", ""): str(number)}

    def __call__(self, kind: str, which: str) -> str:
        if (kind, which) not in self._known:
            others = [value for (name, _), value in self._known.items() if name == kind]
            value = self._draw(kind)
            while value in others:
                value = self._draw(kind)
            self._known[kind, which] = value
        return self._known[kind, which]

    def _draw(self, kind: str) -> str:
        words = read_table("news")
        if kind in words["numbers"]:
            low, high, step = words["numbers"][kind]
            return str(low + step * self._dice.below((high - low) // step + 1))
        if kind in words["lists"]:
            return self._dice.pick(words["lists"][kind])
        return draw_value("city" if kind == "place" else kind, self._dice, self._held).replace("_", " ")


def _woman(name: str) -> bool:
    return name.split()[0].endswith("a")


FORMS: dict[str, Callable[[str], str]] = {
    "man": lambda name: "woman" if _woman(name) else "man",
    "he": lambda name: "she" if _woman(name) else "he",
    "his": lambda name: "her" if _woman(name) else "his",
    "him": lambda name: "her" if _woman(name) else "him",
    "last": lambda name: name.split()[-1],
    "up": lambda text: text[0].upper() + text[1:],
}
"""What can be made of a value; a person's first name decides on the pronouns, as in ``verbalisation``."""


def _filled(text: str, values: _Values) -> str:
    def value(match: re.Match[str]) -> str:
        kind, which, form = match.groups()
        text = values(kind, which)
        return FORMS[form](text) if form else text

    text = _AN.sub(r"\1n ", _SLOT.sub(value, text))
    return text[0].upper() + text[1:] if text[0] != '"' else text


def _some(dice: Dice, options: Sequence[str], low: int) -> list[str]:
    return dice.shuffled(options)[: low + dice.below(len(options) - low + 1)]


def _sentences(dice: Dice, event: str) -> list[str]:
    """The wordings of an article in order: it starts with a fact, the others are spread over it."""
    about = _events()[event]
    key = [dice.pick(wordings) for wordings in about["key"]]
    if dice.chance(0.3):
        key = dice.shuffled(key)
    rest = [*_some(dice, about["more"], 3), *_some(dice, about["aside"], 1)]
    fillers = dice.shuffled(read_table("news")["filler"][find_section(event)])
    while fillers and sum(len(text.split()) for text in [*key, *rest]) < SHORTEST:
        rest.append(fillers.pop())
    ordered = key[:1]
    key = key[1:]
    for sentence in dice.shuffled(rest):
        while key and dice.chance(0.5):
            ordered.append(key.pop(0))
        ordered.append(sentence)
    return [*ordered, *key]


def _paragraphs(dice: Dice, sentences: Sequence[str]) -> tuple[str, ...]:
    paragraphs: list[str] = []
    for sentence in sentences:
        if paragraphs and dice.chance(0.4):
            paragraphs[-1] += " " + sentence
        else:
            paragraphs.append(sentence)
    return tuple(paragraphs)


def make_article(dice: Dice, event: str, number: int, held: bool) -> Article:
    """A page about an event of the kind ``event``, with the number that ends its address.

    ``held``: about the names that are kept for test sets.
    """
    about, values = _events()[event], _Values(dice, held, number)
    summary = about["summary"][0] if dice.chance(0.6) else dice.pick(about["summary"])
    sentences = [_filled(text, values) for text in _sentences(dice, event)]
    year = 2010 + number % 8
    stamp = f"{year}{1 + number % 12:02}{1 + number % 28:02}{number % 24:02}{number % 60:02}00"
    page = _filled("-" + dice.pick(about["url"]), values)[1:]
    return Article(
        event,
        f"{ARCHIVE}{stamp}/{SITE}{page}",
        _paragraphs(dice, sentences),
        _filled(summary, values),
    )


def make_brief(dice: Dice) -> str:
    """The news in one sentence, for pages that list such sentences without their articles."""
    event = dice.pick(list(_events()))
    return _filled(dice.pick(_events()[event]["summary"]), _Values(dice, False, 0))
