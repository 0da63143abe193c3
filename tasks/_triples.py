"""RDF triples as WebNLG and DART publish them: in XML entries, joined by `` | ``, with their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from bench.errors import DataError
from tasks._read import check_field, read_xml

Triple = tuple[str, str, str]
"""Subject, relation, object."""


@dataclass(frozen=True)
class Text:
    """One human text for an entry, with the comment that its publisher put on it."""

    text: str
    comment: str | None


@dataclass(frozen=True)
class TripleEntry:
    """Some triples and the texts that say them; ``place`` says where it stands, for messages."""

    id: str
    category: str | None
    triples: tuple[Triple, ...]
    texts: tuple[Text, ...]
    place: str


def split_triple(text: str | None, place: str) -> Triple:
    """``subject | relation | object`` as three parts, nothing stripped from them."""
    parts = check_field(text, place, "a triple").split(" | ")
    if len(parts) != 3:
        raise DataError(
            f"{place}: the triple {_short(text)} has {len(parts) - 1} separators ' | '; "
            "expected two (subject | relation | object)"
        )
    subject, relation, thing = parts
    return subject, relation, thing


def _short(text: str | None) -> str:
    quoted = repr(text)
    return quoted if len(quoted) <= 80 else quoted[:77] + "...'"


def read_xml_entries(path: Path, blank_texts: bool = False) -> Iterator[TripleEntry]:
    """The entries of a ``<benchmark>`` file. ``blank_texts`` allows empty texts beside others."""
    taken: set[str] = set()
    for number, element in enumerate(read_xml(path, "entry"), start=1):
        entry = _xml_entry(element, f"{path}, entry {number}", blank_texts)
        if entry.id in taken:
            raise DataError(f"{entry.place}: a second entry with that eid; expected one of each")
        taken.add(entry.id)
        yield entry


def _xml_entry(element: Element, place: str, blank_texts: bool) -> TripleEntry:
    name = element.get("eid")
    if not name:
        raise DataError(f'{place}: no eid; expected an attribute like eid="Id1"')
    place = f"{place} ({name})"
    triples = tuple(
        split_triple(triple.text, place) for triple in element.findall("modifiedtripleset/mtriple")
    )
    texts = tuple(
        Text(check_field(lex.text or "", place, "a <lex>", blank_texts), lex.get("comment"))
        for lex in element.findall("lex")
    )
    return check_entry(TripleEntry(name, element.get("category"), triples, texts, place))


def check_entry(entry: TripleEntry) -> TripleEntry:
    """``entry`` if it has triples and at least one text that says something."""
    if not entry.triples:
        raise DataError(f"{entry.place}: no triples; expected at least one")
    if not any(text.text.strip() for text in entry.texts):
        raise DataError(f"{entry.place}: no text; expected at least one that is not empty")
    return entry


def format_triples(triples: Sequence[Triple]) -> list[str]:
    """Each triple in the authors' spelling, ``subject : relation : object``."""
    return [" : ".join(triple) for triple in triples]
