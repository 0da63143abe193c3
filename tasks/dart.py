"""DART v1.1.1: triples from Wikipedia tables, WebNLG and E2E to text.

Linearisation, as the authors' code has it: relations lower-cased, subjects and objects raw, `` : ``
inside a triple and `` | `` between triples. Training and decoding use one and the same form (their
``read_triples_files`` tests the index of the triple), so both protocols are equal here, unlike WebNLG.

Train and dev are the JSON files. Test is the XML file: the official references (since August 2021)
follow its 5,097 entries in order, whereas the JSON test file holds the same 12,552 texts in 6,959
entries, the WebNLG ones several times over; a score over those is another number, so it is not read.

Which bytes: train is pinned as first published (July 2020; what the authors trained on), because its
checksum is known; dev and test as re-written in April 2021, dev with the same content as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from bench.errors import DataError
from bench.task import Item, ProtocolName, PublishedFile, Row, RowCount, Task, TaskKind
from tasks._read import NAME_LIMIT, check_field, read_json
from tasks._triples import Text, Triple, TripleEntry, check_entry, format_triples, read_xml_entries

_REPOSITORY = "https://raw.githubusercontent.com/Yale-LILY/dart"
_2020 = f"{_REPOSITORY}/88559db76e5acb6a84e160f483b47d979e8e1220/data/v1.1.1"
_2021 = f"{_REPOSITORY}/34b3c872da4811523e334f1631e54ca8105dffab/data/v1.1.1"
_TRAIN, _DEV, _TEST = (
    "dart-v1.1.1-full-train.json",
    "dart-v1.1.1-full-dev.json",
    "dart-v1.1.1-full-test.xml",
)
SHAPE = (
    'expected {"tripleset": [[subject, relation, object], ...], '
    '"annotations": [{"source": ..., "text": ...}, ...]}'
)


class Dart(Task):
    """All sources of DART together, one training row per annotation."""

    name = "dart"
    title = "DART v1.1.1"
    kind = TaskKind.TABLE_TO_TEXT
    folder = "dart"
    licence = "MIT"
    published = (
        PublishedFile(
            _TRAIN,
            f"{_2020}/{_TRAIN}",
            "0671b56f4b090ccf1c0187364d45c6f1214421d6f1081a21800596860f314e70",
        ),
        PublishedFile(
            _DEV,
            f"{_2021}/{_DEV}",
            "56606eac12baa7f0ddb81c61890f9f1a95bace4df8f8989852786358fe5d2b88",
        ),
        PublishedFile(
            _TEST,
            f"{_2021}/{_TEST}",
            "4f6994d633030278798c114555549a13202780fe0d78ee2e7ac7dcce45a8e233",
        ),
    )
    expected: ClassVar = {
        "train": RowCount(62_659, 30_526),
        "dev": RowCount(6_980, 2_768),
        "test": RowCount(12_552, 5_097),
    }
    files: ClassVar = {"train": (_TRAIN,), "dev": (_DEV,), "test": (_TEST,)}
    metrics = ("bleu", "meteor", "ter", "moverscore", "bertscore", "bleurt")
    paper_lengths = (38.8, 27.3)
    instruction = "Write a sentence that expresses these facts from a table:"

    def rows(self, split: str, root: Path, protocol: ProtocolName) -> list[Row]:
        """One row per annotation, a blank one (test has one) included, as the authors' code does."""
        return [
            Row(linearise(entry), text.text) for entry in self._entries(split, root) for text in entry.texts
        ]

    def items(self, split: str, root: Path, protocol: ProtocolName) -> list[Item]:
        """One item per entry, in the order of the official reference files; no blank references."""
        return [
            Item(
                id=entry.id,
                source=linearise(entry),
                references=tuple(text.text for text in entry.texts if text.text.strip()),
                category=entry.category,
                facts=entry.triples,
            )
            for entry in self._entries(split, root)
        ]

    def _entries(self, split: str, root: Path) -> Iterator[TripleEntry]:
        (pattern,) = self.files[split]
        path = root / pattern
        if path.suffix == ".json":
            yield from json_entries(path)
            return
        for entry in read_xml_entries(path, blank_texts=True):
            # The file calls every category MISC; which corpus a text comes from says more.
            yield TripleEntry(entry.id, entry.texts[0].comment, entry.triples, entry.texts, entry.place)


def json_entries(path: Path) -> Iterator[TripleEntry]:
    """The entries of a DART JSON file."""
    document = read_json(path)
    if not isinstance(document, list) or not document:
        raise DataError(f"{path}: expected a list of entries that is not empty; {SHAPE}")
    for number, entry in enumerate(document, start=1):
        yield _json_entry(entry, f"Id{number}", f"{path}, entry {number}")


def _json_entry(entry: Any, name: str, place: str) -> TripleEntry:
    if not isinstance(entry, dict):
        raise DataError(f"{place}: a {type(entry).__name__}; {SHAPE}")
    triples, annotations = entry.get("tripleset"), entry.get("annotations")
    for key, value in (("tripleset", triples), ("annotations", annotations)):
        if not isinstance(value, list):
            state = f"is of type {type(value).__name__}" if key in entry else "is missing"
            raise DataError(f"{place}: {key!r} {state}; {SHAPE}")
    texts = tuple(_json_text(annotation, place) for annotation in annotations or ())
    return check_entry(
        TripleEntry(
            name,
            texts[0].comment if texts else None,
            tuple(_json_triple(triple, place) for triple in triples or ()),
            texts,
            place,
        )
    )


def _json_triple(triple: Any, place: str) -> Triple:
    if not isinstance(triple, list) or len(triple) != 3:
        raise DataError(f"{place}: a triple that is not a list of three; {SHAPE}")
    # A table cell may be blank; the other parts of its triple still say something.
    subject, relation, thing = (check_field(part, place, "a triple's part", True) for part in triple)
    return subject, relation, thing


def _json_text(annotation: Any, place: str) -> Text:
    if not isinstance(annotation, dict):
        raise DataError(f"{place}: an annotation of another shape; {SHAPE}")
    text = check_field(annotation.get("text"), place, "an annotation's text", blank=True)
    return Text(text, check_field(annotation.get("source", ""), place, "a source", True, NAME_LIMIT))


def linearise(entry: TripleEntry) -> str:
    """The triples as one line, relations in lower case, `` | `` between triples."""
    return " | ".join(format_triples([(s, relation.lower(), o) for s, relation, o in entry.triples]))
