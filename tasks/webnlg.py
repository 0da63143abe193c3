"""WebNLG 2017: RDF triples from DBpedia to text, with categories that training never shows.

Linearisation, as the authors' code has it: subject, relation and object raw, joined by `` : ``; in
training *every* triple, the first included, is preceded by `` | ``. When decoding, their code tests
the index of the entry where it means that of the triple, so the very first entry of a file has no
separators at all and all others look as in training. Protocol ``original`` repeats that;
``plain`` decodes every entry as in training.

Training and development rows are the texts that annotators marked ``good``; references are all texts.

The paper counts 9 seen and 5 unseen categories; the published test set has 10 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from bench.errors import DataError, UnknownNameError
from bench.foreign_text import show_foreign
from bench.task import Item, ProtocolName, Row, RowCount, Task, TaskKind
from tasks._triples import TripleEntry, format_triples, read_xml_entries
from tasks._webnlg_files import list_published_files

SEEN = (
    "Airport",
    "Astronaut",
    "Building",
    "City",
    "ComicsCharacter",
    "Food",
    "Monument",
    "SportsTeam",
    "University",
    "WrittenWork",
)
UNSEEN = ("Artist", "Athlete", "CelestialBody", "MeanOfTransportation", "Politician")


def group_of(category: str | None, place: str) -> str:
    """Whether training has this category. An unknown one would fall out of both groups' scores."""
    if category in SEEN:
        return "seen"
    if category in UNSEEN:
        return "unseen"
    if category is None:
        raise DataError(f"{place}: no category; expected one of {', '.join((*SEEN, *UNSEEN))}")
    raise DataError(f"{place}: {UnknownNameError('category', str(category), (*SEEN, *UNSEEN))}")


class WebNLG(Task):
    """The challenge release of 2017, read from its XML files."""

    name = "webnlg"
    title = "WebNLG 2017 challenge"
    kind = TaskKind.TABLE_TO_TEXT
    folder = "webnlg"
    licence = "CC BY-NC-SA 4.0"
    published = list_published_files()
    expected: ClassVar = {
        "train": RowCount(18_025, 6_940),
        "dev": RowCount(2_258, 872),
        "test": RowCount(4_928, 1_862),
    }
    files: ClassVar = {
        "train": ("webnlg_challenge_2017/train/*triples/*.xml",),
        "dev": ("webnlg_challenge_2017/dev/*triples/*.xml",),
        "test": ("webnlg_challenge_2017/test/testdata_with_lex.xml",),
    }
    metrics = ("bleu", "meteor", "ter")
    groups = ("all", "seen", "unseen")
    paper_lengths = (49.6, 30.7)
    instruction = "Write a text that expresses these facts:"

    def rows(self, split: str, root: Path, protocol: ProtocolName) -> list[Row]:
        """One row per text, ``good`` ones only in train and dev; the same in both protocols."""
        return [
            Row(linearise(entry), text.text)
            for entry in self._entries(split, root)
            for text in entry.texts
            if split == "test" or text.comment == "good"
        ]

    def items(self, split: str, root: Path, protocol: ProtocolName) -> list[Item]:
        """One item per entry, in the order of the Ids in test, of the file names elsewhere."""
        return [
            Item(
                id=entry.id,
                source=linearise(entry, separated=protocol == "plain" or index > 0),
                references=tuple(text.text for text in entry.texts),
                groups=("all", group_of(entry.category, entry.place)),
                category=entry.category,
                facts=entry.triples,
            )
            for index, entry in enumerate(self._entries(split, root))
        ]

    def groups_of(self, category: str | None, place: str) -> tuple[str, ...]:
        return (group_of(category, place),)

    def recognise_layout(self, folder: Path, splits: Sequence[str]) -> str | None:
        """Releases other than that of 2017, and its own files without their folder."""
        expected = f"expected the 2017 challenge release, {', '.join(self.files['train'])} and so on"
        for pattern in ("release_v*", "en/train", "ru/train", "*/en/train", "*/ru/train"):
            for path in sorted(folder.glob(pattern))[:1]:
                return f"{show_foreign(path.relative_to(folder))}/ is of another release, as WebNLG 3.0; {expected}"
        if any(folder.glob("train/*triples/*.xml")) or any(folder.glob("test/testdata_with_lex.xml")):
            return f"{show_foreign(folder)} has train/ or test/ without the folder around them; {expected}"
        return None

    def _entries(self, split: str, root: Path) -> Iterator[TripleEntry]:
        """All entries of a split. Ids repeat from file to file, so there they carry its name."""
        for pattern in self.files[split]:
            for path in sorted(root.glob(pattern)):
                for entry in read_xml_entries(path):
                    group_of(entry.category, entry.place)
                    name = entry.id if split == "test" else f"{path.stem}/{entry.id}"
                    yield TripleEntry(name, entry.category, entry.triples, entry.texts, entry.place)


def linearise(entry: TripleEntry, separated: bool = True) -> str:
    """The triples as one line; ``separated`` puts `` | `` before each of them."""
    separator = " | " if separated else ""
    return "".join(separator + part for part in format_triples(entry.triples))
