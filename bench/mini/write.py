"""Write the mini suite as files, exactly as the publishers of the real data sets lay theirs out.

Why: the mini suite is read by the same loaders as E2E, WebNLG, DART and XSum, so that what works here
works there. The layouts follow the published files down to their quirks (quoting, line ends, file
names of one-triple folders, lexicalisations marked ``toFix``).

Training data, development data and test data speak of different things: see ``world.py``.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from bench.mini.news import SECTIONS, Article, make_article
from bench.mini.topics import (
    draw_entity,
    draw_entity_facts,
    draw_restaurant_facts,
    draw_row_facts,
    list_categories,
)
from bench.mini.verbalisation import describe_facts, make_references
from bench.mini.world import Dice, Triple, choose_facts, is_name

WEBNLG = Path("webnlg") / "webnlg_challenge_2017"
# How many sources each split has; the numbers of texts follow from them, see MINI_ROWS.
E2E_SOURCES = {"train": 200, "dev": 80, "test": 120}
WEBNLG_SOURCES = {"train": 500, "dev": 80, "test": 70, "unseen": 70}
DART_SOURCES = {"train": 450, "dev": 80, "test": 120}
# Articles per section (see news.py). The extrapolation splits test on train's "other" and "sport".
XSUM_SOURCES = {
    "train": {"uk": 400, "business": 180, "world": 180, "other": 120, "sport": 120},
    "validation": {"uk": 40, "business": 18, "world": 18, "other": 12, "sport": 12},
    "test": {"uk": 40, "business": 18, "world": 18, "other": 20, "sport": 24},
}
TEXTS = {"train": {1: 4.0, 2: 4.0, 3: 2.0}, "dev": {2: 1.0, 3: 1.0}, "test": {3: 1.0}}
E2E_TEXTS = {"train": {3: 1.0, 4: 1.0}, "dev": {2: 1.0}, "test": {4: 1.0, 5: 1.0}}
TO_FIX_EVERY = 60
XML_TYPES = {"year": "xsd:gYear", "people": "xsd:nonNegativeInteger", "metres": "xsd:double"}


@dataclass(frozen=True)
class Entry:
    """One source and its texts."""

    group: str  # the category, or where a DART annotation comes from
    triples: tuple[Triple, ...]
    texts: tuple[str, ...]


def _entry(dice: Dice, group: str, triples: Sequence[Triple], texts: dict[int, float]) -> Entry:
    return Entry(group, tuple(triples), tuple(make_references(dice, triples, dice.weighted(texts))))


# ------------------------------------------------------------------------------------- E2E


def make_e2e_entries(split: str) -> Iterator[Entry]:
    used: set[str] = set()
    for number in range(10 * E2E_SOURCES[split]):
        dice = Dice("e2e", split, number)
        facts = draw_restaurant_facts(dice, held=split == "test")
        if len(used) < E2E_SOURCES[split] and (mr := format_meaning(facts)) not in used:
            used.add(mr)
            yield _entry(dice, "e2e", facts, E2E_TEXTS[split])


def format_meaning(triples: Sequence[Triple]) -> str:
    """The E2E notation: ``name[...], eatType[...]``."""
    fields = [("name", triples[0].subject), *((t.property, t.value) for t in triples)]
    return ", ".join(f"{key}[{value.replace('_', ' ')}]" for key, value in fields)


def _csv(rows: Sequence[Sequence[str]], quoting: int, end: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator=end).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


def format_e2e_files() -> Iterator[tuple[Path, str]]:
    folder = Path("e2e")
    for split in ("train", "dev"):
        rows = [(format_meaning(e.triples), text) for e in make_e2e_entries(split) for text in e.texts]
        yield folder / f"{split}set.csv", _csv([("mr", "ref"), *rows], csv.QUOTE_MINIMAL, "\r\n")
    test = list(make_e2e_entries("test"))
    sources = [(format_meaning(e.triples),) for e in test]
    yield folder / "testset.csv", "MR\n" + _csv(sources, csv.QUOTE_ALL, "\n")
    rows = [(format_meaning(e.triples), text) for e in test for text in e.texts]
    yield folder / "testset_w_refs.csv", _csv([("mr", "ref"), *rows], csv.QUOTE_ALL, "\n")


# ---------------------------------------------------------------------------------- WebNLG


def make_webnlg_entries(split: str) -> list[Entry]:
    """Entries sorted as the test file has them: by size, then category."""
    names = list_categories(seen=split != "unseen")
    held = split in ("test", "unseen")
    texts = TEXTS["test" if held else split]
    entries: dict[tuple[Triple, ...], Entry] = {}
    number = -1
    while len(entries) < WEBNLG_SOURCES[split]:
        number += 1
        category = names[number % len(names)]
        dice = Dice("webnlg", split, number)
        if split == "train" and number % 3:
            # As in the real data, a thing is told about more than once.
            facts = draw_entity(category, Dice("webnlg", split, "entity", category, number // 60), held)
            triples = choose_facts(dice, facts, 1 + dice.below(5), held)
        else:
            triples = draw_entity_facts(category, dice, held)
        entries.setdefault(tuple(triples), _entry(dice, category, triples, texts))
    return sorted(entries.values(), key=lambda e: (len(e.triples), e.group))


def _literal(triple: Triple, typed: bool) -> str:
    if is_name(triple.value_kind):
        return triple.value
    tail = f"^^{XML_TYPES[triple.value_kind]}" if triple.value_kind in XML_TYPES else "@en"
    return f'"{triple.value}"' + (tail if typed else "")


def _triple_set(tag: str, entry: Entry, typed: bool) -> list[str]:
    row = f"        <{tag[0]}triple>%s | %s | %s</{tag[0]}triple>"
    return [
        f"      <{tag}>",
        *(row % (escape(t.subject), escape(t.property), escape(_literal(t, typed))) for t in entry.triples),
        f"      </{tag}>",
    ]


def _webnlg_entry(entry: Entry, number: int, texts: Sequence[tuple[str, str]]) -> list[str]:
    size = len(entry.triples)
    lines = [f'    <entry category="{entry.group}" eid="Id{number}" size="{size}">']
    # The real files give several original sets where more than one fits.
    for _ in range(2 if number % 20 == 5 else 1):
        lines += _triple_set("originaltripleset", entry, typed=True)
    lines += _triple_set("modifiedtripleset", entry, typed=False)
    lines += [
        f'      <lex comment="{comment}" lid="Id{at}">{escape(text)}</lex>'
        for at, (comment, text) in enumerate(texts, 1)
    ]
    return [*lines, "    </entry>"]


def _marked(entry: Entry, number: int) -> list[tuple[str, str]]:
    """The texts with their review comments; now and then one that an annotator sent back."""
    texts = [("good", text) for text in entry.texts]
    if number % TO_FIX_EVERY == 7:
        texts.append(("toFix", describe_facts(Dice("toFix", number), entry.triples[:1]).rstrip(".")))
    return texts


def _benchmark(head: str, lines: Sequence[str], end: str) -> str:
    return "\n".join([f"{head}<benchmark>", "  <entries>", *lines, "  </entries>", "</benchmark>"]) + end


def format_webnlg_files() -> Iterator[tuple[Path, str]]:
    for split in ("train", "dev"):
        files: dict[Path, list[str]] = {}
        eids: dict[Path, int] = {}
        for number, entry in enumerate(make_webnlg_entries(split)):
            size = len(entry.triples)
            stem = "1triple_allSolutions" if size == 1 else f"{size}triples"
            path = WEBNLG / split / f"{size}triples" / f"{stem}_{entry.group}_{split}_challenge.xml"
            eids[path] = eids.get(path, 0) + 1
            lines = _webnlg_entry(entry, eids[path], _marked(entry, number))
            files.setdefault(path, []).extend(lines)
        yield from ((path, _benchmark("", lines, "\n")) for path, lines in files.items())
    unseen = make_webnlg_entries("unseen")
    everything = sorted([*make_webnlg_entries("test"), *unseen], key=lambda e: len(e.triples))
    head = "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\n"
    for name, entries, with_texts in (
        ("testdata_with_lex", everything, True),
        ("testdata_no_lex", everything, False),
        ("testdata_unseen_with_lex", unseen, True),
    ):
        lines = []
        for number, entry in enumerate(entries, 1):
            texts = [("good", text) for text in entry.texts] if with_texts else []
            lines += _webnlg_entry(entry, number, texts)
        yield WEBNLG / "test" / f"{name}.xml", _benchmark(head, lines, "\n")


# ------------------------------------------------------------------------------------ DART


def make_dart_entries(split: str) -> Iterator[Entry]:
    held = split == "test"
    for number in range(DART_SOURCES[split]):
        dice = Dice("dart", split, number)
        group = dice.weighted({"rows": 4.0, "e2e": 3.0, "webnlg": 3.0})
        if group == "e2e":
            triples = draw_restaurant_facts(dice, held, {2: 1.0, 3: 1.0, 4: 1.0})
        elif group == "webnlg":
            triples = draw_entity_facts(dice.pick(list_categories(seen=True)), dice, held)
        else:
            triples = draw_row_facts(dice, held)
            titled = triples[-1].property == "[TITLE]"
            group = "WikiTableQuestions_lily" if titled else "WikiSQL_decl_sents"
        yield _entry(dice, group, triples, TEXTS[split])


def _in_capitals(key: str) -> str:
    """DART writes the relations that it took from WebNLG in capitals, with underscores."""
    return "".join(f"_{c}" if c.isupper() else c for c in key).upper()


def _dart_cells(entry: Entry) -> list[list[str]]:
    return [
        [
            t.subject.replace("_", " "),
            _in_capitals(t.property) if entry.group == "webnlg" else t.property,
            t.value.replace("_", " "),
        ]
        for t in entry.triples
    ]


def format_dart_files() -> Iterator[tuple[Path, str]]:
    folder = Path("dart")
    for split in ("train", "dev", "test"):
        pages = []
        for entry in make_dart_entries(split):
            page: dict[str, object] = {"tripleset": _dart_cells(entry)}
            if entry.group != "e2e":
                page["subtree_was_extended"] = len(entry.triples) > 2
            page["annotations"] = [{"source": entry.group, "text": text} for text in entry.texts]
            pages.append(page)
        yield folder / f"dart-v1.1.1-full-{split}.json", json.dumps(pages, indent=2)
    lines = []
    for number, entry in enumerate(make_dart_entries("test"), 1):
        size = len(entry.triples)
        lines += [
            f'    <entry category="MISC" eid="Id{number}" size="{size}">',
            "      <modifiedtripleset>",
            *(f"        <mtriple>{escape(' | '.join(c))}</mtriple>" for c in _dart_cells(entry)),
            "      </modifiedtripleset>",
            *(
                f'      <lex comment="{entry.group}" lid="Id{at}">{escape(text)}</lex>'
                for at, text in enumerate(entry.texts, 1)
            ),
            "    </entry>",
        ]
    head = "<?xml version='1.0' encoding='utf-8'?>\n"
    yield folder / "dart-v1.1.1-full-test.xml", _benchmark(head, lines, "")


# ------------------------------------------------------------------------------------ XSum


def make_xsum_articles(split: str) -> Iterator[tuple[str, Article]]:
    """The articles of a split with their numbers, sections mixed."""
    order = Dice("xsum", split, "order")
    planned = [
        events[at % len(events)]
        for section, events in SECTIONS.items()
        for at in range(XSUM_SOURCES[split][section])
    ]
    first = 30_000_000 + 1_000_000 * list(XSUM_SOURCES).index(split)
    for at, event in enumerate(order.shuffled(planned)):
        number = first + 37 * at + at % 31
        yield str(number), make_article(Dice("xsum", split, number), event, number, held=split == "test")


def format_xsum_files() -> Iterator[tuple[Path, str]]:
    """JSON lines with the columns of the published parquet files, and the publisher's list of addresses."""
    folder, addresses = Path("xsum"), []
    for split in XSUM_SOURCES:
        lines = []
        for name, page in make_xsum_articles(split):
            row = {"document": "\n".join(page.paragraphs), "summary": page.summary, "id": name}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
            addresses.append(f"{page.url} {name}\n")
        yield folder / f"{split}.jsonl", "".join(lines)
    yield folder / "XSum-WebArxiveUrls-BBCids.txt", "".join(sorted(addresses))


def write_mini(directory: Path) -> None:
    """Write the whole suite below ``directory``."""
    for files in (format_e2e_files(), format_webnlg_files(), format_dart_files(), format_xsum_files()):
        for path, text in files:
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            # newline="" keeps the line ends as they are, on every system.
            with target.open("w", encoding="utf-8", newline="") as stream:
                stream.write(text)
