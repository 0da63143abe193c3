"""How METEOR 1.5 reads a text with ``-l en -norm``: punctuation separated and normalised, lower case.

The rules are applied one after another to the whole line, each rule to what the one before it left;
so their order matters as much as they do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LETTERS = (
    "A-Za-z\u0160\u017d\u0161\u017e\u0178\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e"
    "\u0400-\u04ff\u0500-\u0527\ua640-\ua66e\ua67e-\ua697\u1d00-\u1d7f"
)
"""What counts as a letter: Latin, Cyrillic and phonetic ranges, no other script, no combining marks."""
BLANKS = " \t\n\r\f"
"""What separates tokens."""

_OTHER = re.compile(rf"([^0-9{LETTERS}\s.'`,\-\u2018\u2019])", re.ASCII)
_DOTS = re.compile(r"\.{2,}")
_HIDDEN_DOTS = re.compile("((?:DOT)+)MULTI")
_MARK_THEN_DOT = re.compile(r"DOTMULTI\.([^.])")
_COMMAS = tuple(
    re.compile(pattern) for pattern in ("([^0-9]),([^0-9])", "([0-9]),([^0-9])", "([^0-9]),([0-9])")
)
_SINGLE_QUOTES = re.compile("[`\u2018\u2019]")
_DOUBLE_QUOTES = re.compile("[\u201c\u201d]|''")
_HYPHEN = re.compile(rf"([0-9{LETTERS}.])-([0-9{LETTERS}])")
_APOSTROPHES = (
    (re.compile(rf"([^{LETTERS}])'([^{LETTERS}])"), r"\1 ' \2"),
    (re.compile(rf"([^{LETTERS}0-9])'([{LETTERS}])"), r"\1 ' \2"),
    (re.compile(rf"([{LETTERS}])'([^{LETTERS}])"), r"\1 ' \2"),
    (re.compile(rf"([{LETTERS}])'([{LETTERS}])"), r"\1 '\2"),
    (re.compile(r"([0-9])'(s)"), r"\1 '\2"),
)
_LETTER = re.compile(f"[{LETTERS}]")
_CONTROLS_AND_BLANK = "".join(map(chr, range(33)))
_WIDE_BLANKS = re.compile("[ \u2000-\u200a\u202f\u205f\u3000\u00a0]+")

ALWAYS, BEFORE_NUMBERS = 1, 2
"""When the full stop after an abbreviation belongs to it."""


def tokenize_text(text: str, abbreviations: Mapping[str, int]) -> tuple[str, ...]:
    """The tokens of a text.

    Lower case as this Python's Unicode tables have it; Java has its own, and the two can differ in
    letters that Unicode got in recent years.
    """
    return tuple(split(normalise(text, abbreviations).lower()))


def split(text: str) -> list[str]:
    """At ASCII white space alone: other blanks and line separators stay inside tokens."""
    return [word for word in re.split(f"[{BLANKS}]+", text) if word]


def normalise(text: str, abbreviations: Mapping[str, int]) -> str:
    """The line with one blank between tokens, its case as it was."""
    line = _OTHER.sub(r" \1 ", f" {text} ")
    line = _DOTS.sub(hide_dots, line)
    while "DOTMULTI." in line:  # the official program's own mark, should a text contain it
        line = _MARK_THEN_DOT.sub(r"DOTDOTMULTI \1", line)
        line = line.replace("DOTMULTI.", "DOTDOTMULTI")
    for comma in _COMMAS:
        line = comma.sub(r"\1 , \2", line)
    line = _SINGLE_QUOTES.sub("'", line)
    line = _DOUBLE_QUOTES.sub(' " ', line)
    line = line.replace("\u2013", "-").replace("--", "-")
    line = _HYPHEN.sub(r"\1 \2", line)
    for pattern, replacement in _APOSTROPHES:
        line = pattern.sub(replacement, line)
    line = separate_full_stops(line, abbreviations)
    line = _HIDDEN_DOTS.sub(lambda found: "." * (len(found[1]) // len("DOT")), line)
    return _WIDE_BLANKS.sub(" ", line).strip(_CONTROLS_AND_BLANK)


def hide_dots(match: re.Match[str]) -> str:
    """An ellipsis as a word without full stops, so that no later rule touches it."""
    return f" {'DOT' * len(match[0])}MULTI "


def separate_full_stops(line: str, abbreviations: Mapping[str, int]) -> str:
    """Separate the full stops that end sentences; take those out of initials (``U.S.``)."""
    words = split(line)
    return " ".join(
        separate_full_stop(word, following, abbreviations)
        for word, following in zip(words, [*words[1:], ""], strict=False)
    )


def separate_full_stop(word: str, following: str, abbreviations: Mapping[str, int]) -> str:
    """One word, where ``following`` is the next one, or empty."""
    if len(word) < 2 or not word.endswith("."):
        return word
    start = word[:-1]
    if "." in start and _LETTER.search(start):
        return word.replace(".", "")
    kind = abbreviations.get(start)
    if (
        kind == ALWAYS
        or "a" <= following[:1] <= "z"
        or (kind == BEFORE_NUMBERS and "0" <= following[:1] <= "9")
    ):
        return word
    return f"{start} ."


def hash_like_java(word: str) -> int:
    """Java's hash of a string, by which METEOR compares words: a collision is a match there too."""
    value = 0
    data = word.encode("utf-16-le", "surrogatepass")
    for position in range(0, len(data), 2):
        value = (31 * value + data[position] + (data[position + 1] << 8)) & 0xFFFFFFFF
    return value
