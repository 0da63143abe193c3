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

HOW = (
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


def check(
    facts: Sequence[Sequence[str]], references: Sequence[str], output: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(facts that the output does not say, words of it that are false or unknown), in order."""
    if facts and all(len(fact) == 2 for fact in facts):
        return record(facts, references, output)
    if facts and all(len(fact) == 3 for fact in facts):
        return triples(facts, references, output)
    return (), ()


def record(
    facts: Sequence[Sequence[str]], references: Sequence[str], output: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(field, value) pairs, as E2E has them."""
    text, missing, false = simple(output), [], []
    for name, value in facts:
        ways = CLOSED.get(name)
        if ways is None:
            if simple(value) not in text:
                missing.append(f"{name}: {value}")
            continue
        said = said_values(ways, text)
        if value not in said:
            missing.append(f"{name}: {value}")
        false += [found for other, found in said.items() if other != value]
    present = {name for name, _ in facts}
    for name, ways in CLOSED.items():
        # "eatType" is often left out of a record though the place is called a restaurant all the same.
        if name not in present and name != "eatType":
            false += said_values(ways, text).values()
    return tuple(missing), tuple(dict.fromkeys(false))


def said_values(ways: Mapping[str, Sequence[str]], text: str) -> dict[str, str]:
    """Value -> the words that say it; "not family friendly" does not also say "family friendly"."""
    found: dict[str, str] = {}
    left = text
    for length_first in sorted(((w, v) for v, ws in ways.items() for w in ws), key=lambda one: -len(one[0])):
        words, value = simple(length_first[0]), length_first[1]
        if re.search(rf"(?<!\w){re.escape(words)}", left):
            left = left.replace(words, " ")
            found.setdefault(value, words)
    return found


def triples(
    facts: Sequence[Sequence[str]], references: Sequence[str], output: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(subject, relation, object) triples: objects that are not there; names and numbers from nowhere."""
    said = words_of(output)
    missing = []
    for subject, relation, thing in facts:
        own = [word for word in words_of(thing) if len(word) > 2 or word.isdigit()] or words_of(thing)
        if own and not any(near(word, said) for word in own):
            missing.append(f"{readable(subject)} | {relation} | {readable(thing)}")
    known = {word for fact in facts for part in fact for word in words_of(part)}
    known |= {word for text in references for word in words_of(text)}
    unknown = []
    for match in _NAME.finditer(output):
        word = match[0]
        starts = match.start() == 0 or output[: match.start()].rstrip().endswith((".", "!", "?"))
        named = any(letter.isdigit() for letter in word) or (word[0].isupper() and not starts)
        if named and not all(near(part, known) for part in words_of(word)):
            unknown.append(word)
    return tuple(missing), tuple(dict.fromkeys(unknown))


def near(word: str, known: Iterable[str]) -> bool:
    """The word itself, or one that shares its first four letters (Italy, Italian)."""
    known = known if isinstance(known, set) else set(known)
    return word in known or (len(word) >= 5 and any(other.startswith(word[:4]) for other in known))


def simple(text: str) -> str:
    """Lower case, no accents, one blank between words, none after £."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"£\s+", "£", re.sub(r"\s+", " ", plain.lower())).strip()


def readable(name: str) -> str:
    return name.replace("_", " ").strip('"')


def words_of(text: str) -> list[str]:
    """Words in lower case without accents; names in CamelCase and with underscores taken apart."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
    return re.findall(r"\w+", simple(apart))
