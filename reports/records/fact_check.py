"""What an output leaves out of its facts, and what it says that they do not: by words, so a first look.

E2E's attributes have few values, so both can be told: a value of an attribute that is named though the
record has another is false. WebNLG's and DART's have names: an object of a triple is missing if none of
its words is there, and a name or number that neither facts nor references have is marked as false.
A paraphrase can be missed either way; the report says so beside the marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

NOTE = (
    "Missing and false are told by words alone: a paraphrase may be marked as missing, and of names and "
    "numbers only those that neither the facts nor the references have are marked."
)
CLOSED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    # E2E (Novikova et al. 2017): each attribute's values with ways to say them.
    "food": {
        value: (value.lower(),)
        for value in ("Chinese", "English", "Fast food", "French", "Indian", "Italian", "Japanese")
    },
    "area": {
        "riverside": ("riverside", "river"),
        "city centre": ("city centre", "city center", "centre of the city", "center of the city"),
    },
    "eatType": {"restaurant": ("restaurant",), "pub": ("pub",), "coffee shop": ("coffee shop",)},
    "priceRange": {
        "less than £20": ("less than £20", "under £20", "below £20"),
        "£20-25": ("£20-25", "£20 - 25", "£20 to £25", "£20-£25", "between £20 and £25"),
        "more than £30": ("more than £30", "over £30", "above £30"),
        "cheap": ("cheap", "low price", "low-priced", "inexpensive", "low cost", "price range is low"),
        "moderate": (
            "moderate",
            "moderately",
            "mid price",
            "mid-price",
            "average price",
            "medium price",
        ),
        "high": ("high price", "high-price", "expensive", "high priced", "price range is high", "pricey"),
    },
    "customer rating": {
        "low": ("low customer", "low rat", "low by customers", "poor", "rating of low", "rating is low"),
        "average": ("average customer", "average rat", "average by customers", "rating of average"),
        "high": ("high customer", "high rat", "highly rat", "high by customers", "rating of high"),
        "1 out of 5": ("1 out of 5", "one out of five", "1 star", "one star"),
        "3 out of 5": ("3 out of 5", "three out of five", "3 star", "three star"),
        "5 out of 5": ("5 out of 5", "five out of five", "5 star", "five star"),
    },
    "familyFriendly": {
        "yes": ("family friendly", "family-friendly", "kid friendly", "child friendly", "families"),
        "no": (
            "not family friendly",
            "not family-friendly",
            "not child friendly",
            "non family friendly",
            "non-family-friendly",
            "adults only",
            "adult only",
            "no families",
            "not for families",
            "not kid friendly",
            "family friendliness is no",
            "isn't family",
        ),
    },
}
_NAME = re.compile(r"\w+(?:[-'’.]\w+)*")


class FactCheck(NamedTuple):
    """``missing``: facts that the output does not say; ``false``: words of it that are false or unknown; in order."""

    missing: tuple[str, ...] = ()
    false: tuple[str, ...] = ()


def check_facts(facts: Sequence[Sequence[str]], references: Sequence[str], output: str) -> FactCheck:
    """What the output leaves out and adds; nothing where the facts are neither pairs nor triples."""
    if facts and all(len(fact) == 2 for fact in facts):
        return check_attributes(facts, output)
    if facts and all(len(fact) == 3 for fact in facts):
        return check_triples(facts, references, output)
    return FactCheck()


def check_attributes(facts: Sequence[Sequence[str]], output: str) -> FactCheck:
    """(attribute, value) pairs, as E2E has them."""
    text, missing, false = simplify(output), [], []
    for name, value in facts:
        if name not in CLOSED:
            if simplify(value) not in text:
                missing.append(f"{name}: {value}")
            continue
        stated = find_stated_values(name, text)
        if value not in stated:
            missing.append(f"{name}: {value}")
        false += [words for stated_value, words in stated.items() if stated_value != value]
    present = {name for name, _ in facts}
    for name in CLOSED:
        # "eatType" is often left out of a record though the place is called a restaurant all the same.
        if name not in present and name != "eatType":
            false += find_stated_values(name, text).values()
    return FactCheck(tuple(missing), tuple(dict.fromkeys(false)))


class Phrase(NamedTuple):
    """A way to say a value of an attribute."""

    words: str
    pattern: re.Pattern[str]
    value: str


@cache
def list_phrases(name: str) -> tuple[Phrase, ...]:
    """All ways to say a value of the attribute, longest first."""
    pairs = [(phrase, value) for value, ways in CLOSED[name].items() for phrase in ways]
    return tuple(
        Phrase(words := simplify(phrase), re.compile(rf"(?<!\w){re.escape(words)}"), value)
        for phrase, value in sorted(pairs, key=lambda pair: -len(pair[0]))
    )


def find_stated_values(name: str, text: str) -> dict[str, str]:
    """Value of the attribute -> the words that say it; "not family friendly" does not also say "family friendly"."""
    stated: dict[str, str] = {}
    rest = text
    for words, pattern, value in list_phrases(name):
        # Outputs of many runs are checked: looking for the words first is what makes that quick.
        if words in rest and pattern.search(rest):
            rest = rest.replace(words, " ")
            stated.setdefault(value, words)
    return stated


def check_triples(facts: Sequence[Sequence[str]], references: Sequence[str], output: str) -> FactCheck:
    """(subject, relation, object) triples: objects that are not there; names and numbers from nowhere."""
    stated = set(split_words(output))
    missing = []
    for subject, relation, thing in facts:
        words = split_words(thing)
        telling = [word for word in words if len(word) > 2 or word.isdigit()] or words
        if telling and not any(is_near(word, stated) for word in telling):
            missing.append(f"{make_readable(subject)} | {relation} | {make_readable(thing)}")
    texts = [*(part for fact in facts for part in fact), *references]
    sourced = {word for text in texts for word in split_words(text)}
    unknown = [name for name in find_names(output) if not all(is_near(w, sourced) for w in split_words(name))]
    return FactCheck(tuple(missing), tuple(dict.fromkeys(unknown)))


def find_names(output: str) -> list[str]:
    """Words with a digit, and words with a capital that do not begin a sentence."""
    names = []
    for match in _NAME.finditer(output):
        word = match[0]
        starts = match.start() == 0 or output[: match.start()].rstrip().endswith((".", "!", "?"))
        if any(letter.isdigit() for letter in word) or (word[0].isupper() and not starts):
            names.append(word)
    return names


def is_near(word: str, words: Iterable[str]) -> bool:
    """The word itself, or one that shares its first four letters (Italy, Italian)."""
    words = words if isinstance(words, set) else set(words)
    return word in words or (len(word) >= 5 and any(candidate.startswith(word[:4]) for candidate in words))


def simplify(text: str) -> str:
    """Lower case, no accents, one blank between words, none after £."""
    plain = text
    if not text.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"£\s+", "£", re.sub(r"\s+", " ", plain.lower())).strip()


def make_readable(name: str) -> str:
    """``A_Place`` as a text has it."""
    return name.replace("_", " ").strip('"')


def split_words(text: str) -> list[str]:
    """Words in lower case without accents; names in CamelCase and with underscores taken apart."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
    return re.findall(r"\w+", simplify(apart))
