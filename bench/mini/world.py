"""The invented world: names and facts that exist nowhere else.

Why: a newcomer without network or GPU needs data that behaves like the published data sets, and none
of their text may be passed on. So the project makes up its own places, people and things, out of the
word parts in ``world.toml``.

Two rules keep it honest. Every draw comes from a *named* generator, so the same name always gives the
same facts, on every machine. And the names are split in two halves that never meet: what is *held*
out appears only in test sets, never in training data nor in the text the backbone is pre-trained
on. (Parts of names, everyday words and numbers are shared; that is what makes copying learnable.)
"""

import hashlib
import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

SUITE_SEED = "prefix-bench mini suite 1"
HERE = Path(__file__).parent
Item = TypeVar("Item")


class Dice:
    """Draws that stay the same for ever.

    Only ``Random.random`` promises the same numbers in all future versions of Python, so everything
    is built on it.
    """

    def __init__(self, *name: object) -> None:
        text = "/".join([SUITE_SEED, *map(str, name)])
        self._next = random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest())).random

    def below(self, bound: int) -> int:
        return int(self._next() * bound)

    def chance(self, probability: float) -> bool:
        return self._next() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._next() * len(items))]

    def weighted(self, weights: dict[Item, float]) -> Item:
        left = self._next() * sum(weights.values())
        for item, weight in weights.items():
            left -= weight
            if left < 0:
                return item
        return item

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        rest = list(items)
        for last in range(len(rest) - 1, 0, -1):
            index = self.below(last + 1)
            rest[last], rest[index] = rest[index], rest[last]
        return rest


@dataclass(frozen=True)
class Triple:
    """One fact. The kinds say what subject and value are (``city``, ``person``, ``year`` ...)."""

    subject: str
    property: str
    value: str
    subject_kind: str
    value_kind: str


@cache
def read_table(file: str) -> dict[str, Any]:
    with (HERE / "assets" / f"{file}.toml").open("rb") as stream:
        return tomllib.load(stream)


@cache
def _pattern_parts(pattern: str) -> list[str]:
    """``"{place}_City"`` as ``["", "place", "_City"]``: odd positions are word kinds."""
    return pattern.replace("}", "{").split("{")


@cache
def is_held_out(word: str) -> bool:
    """Whether this word belongs to the half of the world that only test sets see."""
    return hashlib.sha256(f"{SUITE_SEED}/{word}".encode()).digest()[0] % 4 == 0


def _place(dice: Dice, held: bool) -> str:
    words = read_table("world")["words"]
    while True:
        middle = dice.pick(words["middle"]) if dice.chance(0.5) else ""
        word = dice.pick(words["root"]) + middle + dice.pick(words["placeend"])
        if is_held_out(word) == held:
            return word


def _word(kind: str, dice: Dice, held: bool) -> str:
    words = read_table("world")["words"]
    if kind == "place":
        return _place(dice, held)
    if kind == "first":
        return dice.pick(words["firststart"]) + dice.pick(words["firstend"])
    if kind == "last":
        return dice.pick(words["root"]) + dice.pick(words["lastend"])
    if kind == "year":
        return str(1950 + dice.below(70))
    if kind in words:
        return dice.pick(words[kind])
    return draw_value(kind, dice, held).replace("_", " ")


def draw_value(kind: str, dice: Dice, held: bool = False) -> str:
    """A value of this kind: an invented name, an item of a closed list, or a number."""
    world = read_table("world")
    if kind in world["numbers"]:
        low, high, step, tail = world["numbers"][kind]
        return f"{low + step * dice.below((high - low) // step + 1)}{tail}"
    if kind in world["lists"]:
        return dice.pick(world["lists"][kind])
    if kind in world["words"]:
        return _word(kind, dice, held)
    while True:
        parts = _pattern_parts(dice.pick(world["names"][kind]))
        words = [_word(p, dice, held) if i % 2 else p for i, p in enumerate(parts)]
        name = "".join(words)
        # A name with an invented place in it was already drawn from the right half.
        if "place" in parts[1::2] or is_held_out(name) == held:
            return name


def is_name(kind: str) -> bool:
    """Whether values of this kind are invented names (and not list items or numbers)."""
    return kind in read_table("world")["names"]


def draw_facts(name: str, kind: str, properties: Sequence[str], held: bool) -> list[Triple]:
    """Everything known about one thing; the same name always has the same facts."""
    dice = Dice("facts", kind, name)
    triples = []
    for key in properties:
        value_kind = read_table("wording")[key]["of"]
        value = draw_value(value_kind, dice, held)
        triples.append(Triple(name, key, value, kind, value_kind))
    return triples


def choose_facts(dice: Dice, facts: Sequence[Triple], count: int, held: bool) -> list[Triple]:
    """Some facts to tell, sometimes followed by a fact about one of their values."""
    chains = read_table("world")["chain"]
    chosen = dice.shuffled(facts)[:count]
    if count > 1 and dice.chance(0.4):
        for at, fact in enumerate(chosen[: count - 1]):
            if fact.value_kind in chains:
                more = draw_facts(fact.value, fact.value_kind, chains[fact.value_kind], held)
                return [*chosen[: at + 1], dice.pick(more), *chosen[at + 1 : count - 1]]
    return chosen
