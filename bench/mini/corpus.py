"""The text that the small backbone is pre-trained on: the invented world's own little web.

Why: prefix-tuning presumes a language model that already knows, from plain web text, how to copy a
record into prose; the method only has to call that skill up. This module is the web text: articles,
info boxes next to paragraphs, question pages, lists, table dumps. The layout of the downstream
tasks *followed by its answer* does not occur: rows with `` : `` and `` | `` end their document, so
the untrained model continues them with something unrelated, as GPT-2 does.

Documents are joined by ``<|endoftext|>`` and packed. No held-out name appears.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from bench.mini.topics import draw_any_facts
from bench.mini.verbalisation import describe_facts, join_words
from bench.mini.world import Dice, Triple, is_name, read_table

SEPARATOR = "<|endoftext|>"
Cell = tuple[str, str, str]


def _spaced(key: str) -> str:
    return re.sub(r"([a-z])([A-Z])", r"\1 \2", key).replace("_", " ").lower()


PROPERTY_STYLES: list[Callable[[str], str]] = [
    str,
    str,
    _spaced,
    lambda key: _spaced(key).replace(" ", "_"),
    lambda key: _spaced(key).capitalize(),
    lambda key: _spaced(key).replace(" ", "_").upper(),
]


def list_cells(dice: Dice, triples: Sequence[Triple]) -> list[Cell]:
    """The record's cells in one of the spellings that pages use."""
    style = dice.pick(PROPERTY_STYLES)
    spell = join_words if dice.chance(0.6) else str
    quote = '"{}"' if dice.chance(0.4) else "{}"
    cells = []
    for t in triples:
        value = spell(t.value) if is_name(t.value_kind) else quote.format(t.value)
        cells.append((spell(t.subject), style(t.property), value))
    return cells


def _lines(start: str, row: str, joint: str) -> Callable[[Sequence[Cell]], str]:
    """A layout with the subject once at the top (``start``) and a row per fact."""

    def layout(record: Sequence[Cell]) -> str:
        subject = record[0][0]
        # Rows about something else must name it.
        rows = [row.format(p=p if s == subject else f"{p} ({s})", o=o) for s, p, o in record]
        return start.format(s=subject) + joint.join(rows)

    return layout


def _rows(row: str, joint: str, end: str = "") -> Callable[[Sequence[Cell]], str]:
    """A layout that repeats the subject in every row."""

    def layout(record: Sequence[Cell]) -> str:
        return joint.join(row.format(s=s, p=p, o=o) for s, p, o in record) + end

    return layout


LAYOUTS = [
    _lines("{s}\n", "- {p}: {o}", "\n"),
    _lines("{s}\n", "{p} = {o} ;", "\n"),
    _lines("# {s}\n", "* {p}: {o}", "\n"),
    _lines("name: {s}, ", "{p}: {o}", ", "),
    _lines("name = {s} ; ", "{p} = {o}", " ; "),
    _lines("<name>{s}</name> ", "<{p}>{o}</{p}>", " "),
    _lines("{s} ( ", "{p} {o}", " ; "),
    _rows("{s} / {p} / {o}", "\n"),
    _rows("{s} / {p} / {o}", " // "),
    _rows("{s} -> {p} -> {o}", "\n"),
    _rows("( {s} , {p} , {o} )", " "),
    _rows("{s} > {p} > {o}", " & "),
    _rows("{s} ; {p} ; {o}", " # "),
    _rows("{s} ~ {p} ~ {o}", " ~ ~ "),
    _rows("{s}, {p}, {o}", "\n"),
    _rows("* {s} {p} {o}", " "),
    _rows("[ {s} {p} {o} ]", " "),
    _rows(" {s} - {p} - {o}", " ;"),
    _rows(" {s} {p} {o}", " ,"),
    _lines(" {s} .", " {p} is {o}", " ."),
]
JOINTS = [
    "\n", "\n\n", "\n", " => ", " = ", " -- ", "\nText: ", "\nIn words: ", "\n\nDescription\n",
    "\n--\n", "\n~\n", " . ", "\n== About ==\n", "\nSummary: ", " , that is , ", " * * * ", "\n \n",
]  # fmt: skip


def _article(dice: Dice) -> str:
    triples = draw_any_facts(dice)
    text = describe_facts(dice, triples)
    header = dice.weighted({"": 5.0, "{s}\n\n": 1.0, "== {s} ==\n": 1.0, "# {s}\n": 1.0, " ": 2.0})
    text = header.format(s=join_words(triples[0].subject)) + text
    while dice.chance(0.3):
        text += dice.pick(["\n", "\n\n", " "]) + describe_facts(dice, draw_any_facts(dice))
    return text


def _box(dice: Dice) -> str:
    """An info box with a paragraph about (some of) its facts before or after it."""
    layout, joint = dice.pick(LAYOUTS), dice.pick(JOINTS)
    several = 1 if dice.chance(0.8) else 2 + dice.below(2)
    first = dice.chance(0.85)
    parts = []
    for _ in range(several):
        triples = draw_any_facts(dice)
        stated = triples
        if len(triples) > 2 and dice.chance(0.15):
            stated = triples[: len(triples) - 1]
        record, text = layout(list_cells(dice, triples)), describe_facts(dice, stated)
        parts.append(f"{record}{joint}{text}" if first else f"{text}{joint}{record}")
    return (" " if dice.chance(0.3) else "") + "\n\n".join(parts)


def _questions(dice: Dice) -> str:
    triples = [t for t in draw_any_facts(dice) if t.subject != "[TABLECONTEXT]"]
    lines = [describe_facts(dice, triples)] if triples and dice.chance(0.6) else []
    for t in triples:
        noun = read_table("wording")[t.property]["noun"]
        lines.append(f"Q: What is the {noun} of {join_words(t.subject)}?\nA: {join_words(t.value)}")
    return "\n".join(lines) or "Q: What is this?\nA: A page of questions."


def _list(dice: Dice) -> str:
    first = draw_any_facts(dice)[0]
    kind, value_kind = first.subject_kind, first.value_kind
    rows = [f"- {join_words(first.subject)} ({join_words(first.value)})"]
    for _ in range(2 + dice.below(4)):
        facts = draw_any_facts(dice)
        rows += [
            f"- {join_words(t.subject)} ({join_words(t.value)})"
            for t in facts
            if (t.subject_kind, t.value_kind) == (kind, value_kind) or dice.chance(0.2)
        ]
    return f"List by {_spaced(first.property)}:\n" + "\n".join(rows)


def _dump(dice: Dice) -> str:
    """Rows as databases print them, with nothing said about them."""
    record = list_cells(dice, draw_any_facts(dice))
    row = dice.pick(["{s} : {p} : {o}", "{s} : {p} : {o}", "{p} : {o}"])
    text = " | ".join(row.format(s=s, p=p, o=o) for s, p, o in record)
    return dice.pick([" | ", " | ", " ", ""]) + text + dice.pick([" ", ""])


def _quoted(dice: Dice) -> str:
    """A page that says something twice, word for word, as pages that quote each other do."""
    topics = [draw_any_facts(dice) for _ in range(1 + dice.below(3))]
    if dice.chance(0.5):
        text = describe_facts(dice, topics[0])
    else:
        text = dice.pick([", ", " ; ", " , "]).join(join_words(t.value) for ts in topics for t in ts)
    return " " + text + dice.pick(["\n", " again:", "\n\n>", " -", "\nquote:"]) + " " + text


KINDS = {
    _article: 15.0,
    _box: 60.0,
    _quoted: 10.0,
    _questions: 4.0,
    _list: 2.0,
    _dump: 9.0,
}


def make_document(number: int) -> str:
    """The page with this number; each is made on its own, so any part of the corpus can be remade."""
    dice = Dice("corpus", number)
    return dice.weighted(KINDS)(dice)


def iterate_documents(count: int, start: int = 0) -> Iterator[str]:
    for number in range(start, start + count):
        yield make_document(number)
