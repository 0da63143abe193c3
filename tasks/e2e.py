"""E2E NLG Challenge: records about restaurants to text, with many references per record.

Linearisation, as the authors' files have it: ``key : value`` joined by `` | `` in the CSV's order,
three keys renamed. Under protocol ``original`` values, targets and references are tokenised (see
``tasks._e2e_text``), targets end with a space, and references are what the generation script makes of
those lines (stripped). Under ``plain`` all texts are as published, on one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from bench.errors import DataError
from bench.foreign_text import quote_foreign
from bench.task import Item, ProtocolName, PublishedFile, Row, RowCount, Task, TaskKind
from tasks._e2e_text import join_lines, tokenise
from tasks._read import read_csv

RENAMED = {"eatType": "Type", "priceRange": "price", "familyFriendly": "family friendly"}
"""Keys that the authors' files spell in their own way; the others are as published."""

_FIELD = re.compile(r"([^\[\],]+)\[([^\[\]]*)\]")
_COMMA = re.compile(r"\s*,\s*")
_URL = "https://raw.githubusercontent.com/tuetschek/e2e-dataset/ab0d967dd5729ce455ef14ba9ffafc456a335264/"

Fact = tuple[str, str]
"""Field and value, as published."""


class E2E(Task):
    """The challenge's three CSV files."""

    name = "e2e"
    title = "E2E NLG Challenge"
    kind = TaskKind.TABLE_TO_TEXT
    folder = "e2e"
    licence = "CC BY-SA 4.0"
    published = (
        PublishedFile(
            "trainset.csv",
            _URL + "trainset.csv",
            "f27d48df45815288ab15619d47a79028c300fbb7f42e373668aba0b98c1d57c6",
        ),
        PublishedFile(
            "devset.csv",
            _URL + "devset.csv",
            "fc26b78cdb849c80545f513b223d1e051138b43882eeb79e3eb153e689c864f9",
        ),
        PublishedFile(
            "testset_w_refs.csv",
            _URL + "testset_w_refs.csv",
            "edc8db685e39bb9824d5bd70c18b1c9b0412d14b527aa960e2d1c8251ee15ccd",
        ),
    )
    expected: ClassVar = {
        "train": RowCount(42_061, 4_862),
        "dev": RowCount(4_672, 547),
        "test": RowCount(4_693, 630),
    }
    files: ClassVar = {
        "train": ("trainset.csv",),
        "dev": ("devset.csv",),
        "test": ("testset_w_refs.csv",),
    }
    metrics = ("bleu", "nist", "meteor", "rouge_l", "cider")
    paper_lengths = (28.5, 27.8)
    instruction = "Write a description of the restaurant with these properties:"

    def rows(self, split: str, root: Path, protocol: ProtocolName) -> list[Row]:
        """One row per reference, in file order."""
        sources: dict[tuple[Fact, ...], str] = {}  # a record comes with eight references
        rows = []
        for facts, reference in self._lines(split, root):
            if facts not in sources:
                sources[facts] = linearise(facts, split, protocol)
            rows.append(Row(sources[facts], _target(reference, split, protocol)))
        return rows

    def items(self, split: str, root: Path, protocol: ProtocolName) -> list[Item]:
        """One item per record, in the order of first appearance, with all its references."""
        grouped: dict[tuple[Fact, ...], list[str]] = {}
        for facts, reference in self._lines(split, root):
            grouped.setdefault(facts, []).append(_target(reference, split, protocol).strip())
        return [
            Item(
                id=f"{split}-{number}",
                source=linearise(facts, split, protocol),
                references=tuple(references),
                facts=facts,
            )
            for number, (facts, references) in enumerate(grouped.items(), start=1)
        ]

    def _lines(self, split: str, root: Path) -> Iterator[tuple[tuple[Fact, ...], str]]:
        (name,) = self.files[split]
        for place, (record, reference) in read_csv(root / name, ("mr", "ref")):
            yield parse_mr(record, place), reference


def parse_mr(record: str, place: str) -> tuple[Fact, ...]:
    """``name[The Ox], food[Fish]`` as pairs.

    >>> parse_mr("name[The Ox], food[Fish]", "here")
    (('name', 'The Ox'), ('food', 'Fish'))
    """
    facts: list[Fact] = []
    position = len(record) - len(record.lstrip())
    end = len(record.rstrip())
    while position < end or not facts:
        if facts:
            comma = _COMMA.match(record, position)
            position = comma.end() if comma else end
        field = _FIELD.match(record, position)
        if field is None or not field[1].strip() or not field[2].strip():
            raise DataError(
                f"{place}: {quote_foreign(record)} is not a meaning representation; "
                "expected fields like name[The Ox], food[Fish]"
            )
        facts.append((field[1].strip(), join_lines(field[2])))
        position = field.end()
    return tuple(facts)


def linearise(facts: tuple[Fact, ...], split: str, protocol: ProtocolName) -> str:
    """The record as one line."""
    return " | ".join(
        f"{RENAMED.get(key, key)} : {_target(value, split, protocol).strip()}" for key, value in facts
    )


def _target(text: str, split: str, protocol: ProtocolName) -> str:
    return tokenise(text, split) if protocol == "original" else join_lines(text)
