"""RDF triples as WebNLG and DART publish them: in XML entries, joined by `` | ``, with their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from bench.errors import DataError
from bench.foreign_text import quote_foreign, show_foreign
from tasks._read import NAME_LIMIT, check_field, read_element_text, read_xml

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
            f"{place}: the triple {quote_foreign(text)} has {len(parts) - 1:,} separators ' | '; "
            "expected two (subject | relation | object)"
        )
    subject, relation, thing = parts
    return subject, relation, thing


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
    check_field(name, place, "the eid", limit=NAME_LIMIT)
    place = f"{place} ({show_foreign(name)})"
    triples = _xml_triples(element, place)
    texts = tuple(
        Text(
            check_field(read_element_text(lex, place), place, "a <lex>", blank_texts),
            _check_label(lex.get("comment"), place, "the comment of a <lex>"),
        )
        for lex in element.findall("lex")
    )
    category = _check_label(element.get("category"), place, "the category")
    return check_entry(TripleEntry(name, category, triples, texts, place))


def _check_label(label: str | None, place: str, description: str) -> str | None:
    return None if label is None else check_field(label, place, description, True, NAME_LIMIT)


def _xml_triples(element: Element, place: str) -> tuple[Triple, ...]:
    """The triples of an entry: the ``<mtriple>`` of its one ``<modifiedtripleset>``."""
    sets = element.findall("modifiedtripleset")
    if len(sets) > 1:
        raise DataError(f"{place}: {len(sets):,} <modifiedtripleset>; expected one")
    tags = [child.tag for child in sets[0]] if sets else []
    if "otriple" in tags or (not tags and element.find("originaltripleset/otriple") is not None):
        raise DataError(
            f"{place}: its triples are <otriple> alone, as in files of WebNLG 3.0; expected <mtriple> in "
            "<modifiedtripleset>, as in the release of the 2017 challenge, which the paper used"
        )
    for tag in tags:
        if tag != "mtriple":
            raise DataError(f"{place}: a <{show_foreign(tag)}> among the triples; expected <mtriple>")
    triples = tuple(
        split_triple(read_element_text(child, place), place) for child in (sets[0] if sets else ())
    )
    declared = element.get("size")
    if triples and declared is not None and declared != str(len(triples)):
        raise DataError(
            f"{place}: {len(triples):,} triples; expected as many as its size says, {quote_foreign(declared)}"
        )
    return triples


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
