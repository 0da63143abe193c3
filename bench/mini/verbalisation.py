"""Saying facts in English, in many ways.

Why: a data set in which every fact is stated in one way would be solved by a look-up; one in which
the order, the grouping into sentences and the wording vary needs a model that reads its input. The
wordings are in ``wording.toml``; this module joins them into sentences of one to three facts.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import groupby

from bench.mini.world import Dice, Triple, read_table

COMMON = 0.6  # how often the first (most usual) wording is taken


@cache
def _wording(key: str, value: str) -> dict[str, list[str]]:
    words = read_table("wording")
    return {"mod": [], "inv": [], **words[key], **words.get(f"{key}={value}", {})}


def join_words(name: str) -> str:
    """A name as prose writes it: no underscores, no disambiguation in brackets."""
    return name.split("_(")[0].replace("_", " ")


def _phrase(dice: Dice, fact: Triple, form: str) -> str:
    options = _wording(fact.property, fact.value)[form]
    chosen = options[0] if dice.chance(COMMON) else dice.pick(options)
    return chosen.replace("{o}", join_words(fact.value))


def _pronouns(fact: Triple) -> tuple[str, str]:
    if fact.subject_kind != "person":
        return "it", "its"
    # The first name decides, so that a reader of the facts alone can know.
    return ("she", "her") if fact.subject.split("_")[0].endswith("a") else ("he", "his")


def _state_fact(dice: Dice, fact: Triple, subject: str, owner: str) -> str:
    words = _wording(fact.property, fact.value)
    form = dice.weighted({"vp": 6.0, "noun": 1.5, "inv": 2.5 if words["inv"] else 0.0})
    if form == "inv" and subject == join_words(fact.subject):
        return _phrase(dice, fact, "inv").replace("{s}", subject)
    if form == "noun" and "=" not in str(words) and fact.property not in ("near", "eatType"):
        noun = words["noun"]
        whose = f"the {noun} of {subject}" if subject == join_words(fact.subject) else f"{owner} {noun}"
        return f"{whose} is {join_words(fact.value)}"
    return f"{subject} {_phrase(dice, fact, 'vp')}"


def _state_facts(dice: Dice, facts: Sequence[Triple], subject: str) -> str:
    first, *rest = facts
    verbs = [_phrase(dice, fact, "vp") for fact in rest]
    joined = ", ".join(verbs[:-1]) + (" and " if len(verbs) > 1 else "") + verbs[-1]
    words = _wording(first.property, first.value)
    named = subject == join_words(first.subject)
    form = dice.weighted(
        {
            "and": 5.0,
            "mod": 3.0 if words["mod"] and named else 0.0,
            "front": 2.0 if words["mod"] else 0.0,
            "which": 2.0 if named else 0.0,
            "inv": 2.0 if named and any(w.endswith("{s}") for w in words["inv"]) else 0.0,
        }
    )
    if form == "mod":
        return f"{subject}, {_phrase(dice, first, 'mod')}, {joined}"
    if form == "front":
        return f"{_phrase(dice, first, 'mod')}, {subject} {joined}"
    who = "who" if first.subject_kind == "person" else "which"
    if form == "which":
        return f"{subject}, {who} {_phrase(dice, first, 'vp')}, {joined}"
    if form == "inv":
        whole = _phrase(dice, first, "inv")
        if whole.endswith("{s}"):
            return f"{whole.replace('{s}', subject)}, {who} {joined}"
    comma = ", " if len(verbs) > 1 else " and "
    return f"{subject} {_phrase(dice, first, 'vp')}{comma}{joined}"


def _finish(sentence: str) -> str:
    sentence = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", sentence)
    return sentence[0].upper() + sentence[1:] + "."


def _about(dice: Dice, facts: Sequence[Triple], place: str) -> list[str]:
    """Sentences about one subject: the name first, then mostly a pronoun."""
    name = join_words(facts[0].subject)
    pronoun, owner = _pronouns(facts[0])
    sentences: list[str] = []
    left = list(facts)
    while left:
        size = min(len(left), dice.weighted({1: 2.0, 2: 4.0, 3: 2.0}))
        part, left = left[:size], left[size:]
        subject = pronoun if sentences and dice.chance(0.65) else name
        text = _state_fact(dice, part[0], subject, owner) if size == 1 else _state_facts(dice, part, subject)
        if place and not sentences:
            text = f"in the {place}, {text}" if dice.chance(0.7) else f"{text} in the {place}"
        sentences.append(_finish(text))
    return sentences


def describe_facts(dice: Dice, triples: Sequence[Triple]) -> str:
    """A paragraph that says all the facts; each call words it anew."""
    stated = [t for t in triples if t.subject != "[TABLECONTEXT]"]
    title = next((join_words(t.value) for t in triples if t.property == "[TITLE]"), "")
    if not stated:
        key = next(t for t in triples if t.property != "[TITLE]")
        return _finish(f"{join_words(key.value)} is listed in the {title}")
    # One paragraph per subject order of appearance; a value's own facts follow its mention.
    main = stated[0].subject
    main_facts = [t for t in stated if t.subject == main]
    if len(main_facts) > 1 and dice.chance(0.4):
        main_facts = dice.shuffled(main_facts)
    sentences = _about(dice, main_facts, title)
    others = [t for t in stated if t.subject != main]
    for _, group in groupby(others, key=lambda t: t.subject):
        sentences += _about(dice, list(group), "")
    return " ".join(sentences)


def make_references(dice: Dice, triples: Sequence[Triple], count: int) -> list[str]:
    """Up to ``count`` different texts for the same facts."""
    texts: dict[str, None] = {}
    for _ in range(3 * count):
        texts[describe_facts(dice, triples)] = None
        if len(texts) == count:
            break
    return list(texts)
