"""Where one token ends and how it is written, the way the Stanford tokeniser of CoreNLP 3.4.1 does it.

Own code, written from the Penn Treebank's conventions and from what that program prints for made-up
strings; no part of its grammar is copied. At each place every pattern is tried and the longest match
wins, what it looks ahead at included; of two equally long ones the first in the list.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from bench.metrics._ptb import tables

WINDOW = 500
"""Patterns that can look far see so many characters: tokens longer than this may be cut, work stays linear."""

PUNCTUATION = frozenset(("''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
"""Left out. Round and curly brackets are in the official list too, but in capitals, and lower-cased by then."""

Writer = Callable[[str], list[str]]
Rule = tuple[re.Pattern[str], Writer]
Listed = list[tuple[str, str, Writer]]


def list_tokens(text: str, following: str | None = None) -> list[str]:
    """The words of a text in the case they came in; quotes and single punctuation signs are left out.

    ``following``: the text on the next line, if there is one; whether a last ``B.`` or ``no.`` keeps its
    full stop depends on it.
    """
    collected: list[str] = []
    position, last = 0, len(text)
    if following is not None:
        text += "\n" + following[:WINDOW]
    end = len(text)
    (blanks, letters), rules = _runs(), _rules()
    while position < last:
        if blank := blanks.match(text, position):
            position = blank.end()
            continue
        limit = end
        if end - position > WINDOW:  # letters may go on as long as they like
            run = letters.match(text, position)
            limit = (run.end() if run else position) + WINDOW
        longest, taken = position, position + 1
        write: Writer = _nothing  # a character it does not know disappears
        for pattern, writer in rules[_kind(text[position])]:
            match = pattern.match(text, position, limit)
            if match is not None and match.end() > longest:
                longest, taken, write = match.end(), match.end(1), writer
        collected += write(text[position:taken])
        position = taken
    collected[-1:] = [token.rstrip() for token in collected[-1:]]  # as the official script does with the line
    return [token for token in collected if token not in PUNCTUATION]


def _keep(token: str) -> list[str]:
    return [token]


def _drop(_token: str) -> list[str]:
    """Punctuation that will be left out, whatever it looks like."""
    return ["."]


def _nothing(_token: str) -> list[str]:
    return []


def _as(written: str) -> Writer:
    return lambda _token: [written]


def _cut(length: int) -> Writer:
    return lambda token: [token[:length], token[length:]]


def _bracketed(token: str) -> list[str]:
    """Round brackets inside a token."""
    return [token.replace("(", "-LRB-").replace(")", "-RRB-")]


def _spaced(token: str) -> list[str]:
    """Blanks inside a token are written as no-break spaces."""
    return [re.sub(r"[ \t\u2000-\u200a\u3000]", "\xa0", token)]


def _telephone(token: str) -> list[str]:
    return _bracketed(token.replace(" ", "\xa0"))


def _quotes(token: str) -> list[str]:
    """Directed quotes as backquotes and apostrophes; an odd pair stays one word of them."""
    return [token.translate(tables.QUOTES)]


def _apostrophe(token: str) -> list[str]:
    return [token.replace("&apos;", "'").translate(tables.QUOTES)]


def _soft(token: str) -> list[str]:
    """Soft hyphens go (alone they are a hyphen, which is punctuation); ``&amp;`` is ``&``."""
    return [re.sub("(?i:&amp;)", "&", token).replace("\xad", "") or "-"]


# Each: the kinds of first characters (Letter, Number, Quote, Ampersand, Sign), the pattern, how to write it.
FACE = r"[\^x=~<>'\-]"
WORDS: Listed = [
    *(("L", f"(?i:({word}))", _cut(at)) for word, at in tables.SPLIT.items()),
    ("Q", r"(?i:('t)(?:is|was))", _keep),
    ("QA", r"(?i:(<apostrophe>(?:n<apostrophe>?|em|till?|cause)))", _keep),
    (
        "L",
        r"(?i:((?:ol|somethin|dunkin)<apostrophe>|cap<apostrophe>n|c<apostrophe>est|[ldj]<apostrophe>))",
        _keep,
    ),
    ("L", r"(?i:(c'mon|ev'ry|e'er|s'mores|nor'easter|li'l))", _keep),
    ("L", r"([A-Za-z\xad]*[A-MO-Za-mo-z\xad])[nN]<quote>[tT]", _soft),
    ("L", r"([nN]<quote>[tT])", _apostrophe),
    ("LA", r"(<word>)<apostrophe><tail>", _soft),
    ("QA", r"(<apostrophe><tail>)[^A-Za-z]", _apostrophe),
    ("L", r"([yY]<apostrophe>)<letter>", _keep),
    ("L", r"([dDlLoO]<quote><alnum>{2,})", _keep),
    ("L", r"([A-HJ-XZn]<quote><plain>{2,})", _keep),
    ("L", r"(<plain>+[aeiouyAEIOUY]<quote>[aeiouA-Z]<plain>*)", _keep),
    ("QA", r"(<apostrophe>[0-9][0-9]s)", _keep),
    ("QA", r"(<apostrophe>[0-9][0-9])<blank>", _keep),
    ("Q", r"(')[A-Za-z][^ \t\n\xa0]", _drop),
    ("QA", r"(<apostrophe><tail>)", _apostrophe),
    ("LA", r"(<word>)", _soft),
]
MARKUP: Listed = [
    ("S", r"(<tag>)", _spaced),
    ("AS", r"((?i:&(?:md|mdash|ndash);)|[\x96\x97\u2013-\u2015])", _drop),
    ("A", r"(?i:(&(?:ht|tl|ur|lr|qc|ql|qr|odq|cdq|#[0-9]+);))", _keep),
    ("A", r"(?i:(&amp;))", _as("&")),
    ("A", r"(?i:(&lt;))", _as("<")),
    ("A", r"(?i:(&gt;))", _as(">")),
    ("A", r"(?i:(&(?:quot|apos|nbsp);))", _drop),
    ("L", r"(?i:(https?://[^ \t\n\f\r\"<>|(){}]+[^ \t\n\f\r\"<>|.!?(){},\-]))", _keep),
    ("LNQAS", r"(<host>)", _keep),
    ("LNQAS", r"(<host>/[^ \t\n\f\r\"<>|()]+[^ \t\n\f\r\"<>|.!?(){},\-])", _keep),
    (
        "LNAS",
        r"((?:&lt;|<)?[a-zA-Z0-9][^ \t\n\f\r\"<>|()\xa0{}]*@(?:[^ \t\n\f\r\"<>|(){}.\xa0]+\.)*"
        r"[^ \t\n\f\r\"<>|(){}.\xa0]+(?:&gt;|>)?)",
        _keep,
    ),
    ("S", r"(@[A-Za-z_][A-Za-z_0-9]*|#<letter>+)", _keep),
]
NUMBERS: Listed = [
    ("NSL", r"([+\-]?<number>)", _soft),
    ("N", r"((?:<digit>{1,4}[- \xa0])?<digit>{1,4}(?:\\?/|\u2044)<digit>{1,4})", _spaced),
    ("N", r"(<digit>{1,2}[\-/]<digit>{1,2}[\-/]<digit>{2,4})", _keep),
    ("S", r"([\u207a\u207b\u208a\u208b]?(?:[\u2070\xb9\xb2\xb3\u2074-\u2079]+|[\u2080-\u2089]+))", _keep),
    (
        "NS",
        r"((?:\([0-9]{2,3}\)[ \xa0]?|(?:\+\+?)?(?:[0-9]{2,4}[\- \xa0])?[0-9]{2,4}[\- \xa0])"
        r"[0-9]{3,4}[\- \xa0]?[0-9]{3,5}|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5})",
        _telephone,
    ),
    *(("S", f"({sign})", _as(written)) for sign, written in tables.FRACTIONS.items()),
    ("LS", r"([A-Z]*\$|#+)", _keep),
    ("S", r"(\xa2)", _as("cents")),
    ("S", r"(\xa3)", _as("#")),
    ("S", r"([\x80\xa4\u20a0\u20ac])", _as("$")),
]
COMPOUNDS: Listed = [
    ("L", r"(?s:((?:<ending>)\.)(?:..)?)", _keep),
    ("LN", r"([A-Za-z0-9]++(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2})", _keep),
    ("LN", r"(<chain>)", _soft),
    ("LN", r"(<compound>)", _soft),
    ("L", r"(<capitals>)", _soft),
    *(("LNA", rf"(<{name}>\.)[,;:]", _soft) for name in ("word", "chain", "compound", "capitals")),
    ("LS", r"(?i:(s(?:&|&amp;)p-500|s(?:&|&amp;)ls|pro-|anti-|c\.d\.s|-[lr][rcs]b-))", _soft),
    ("L", r"((?:<title>|<initials>|[A-Za-z])\.)", _keep),
    ("L", r"([A-Za-z])\.<blank>+(?:(?:<openers>)|<tag>)<blank>", _keep),
    ("L", r"((?:<beforenumber>)\.)<blank>?<digit>", _keep),
    ("LNA", r"(<lettered>++(?:\.<lettered>+)*\.(?:<files>))(?:<blank>|[.?!,])", _keep),
]
SIGNS: Listed = [
    *(("S", rf"(\{sign})", _as(f"-{name}-")) for sign, name in tables.BRACKETS.items()),
    ("S", r"([<>]?[:;=][\-o*']?[(){|\\\[\]@DOPdp])[^A-Za-z0-9]", _bracketed),
    ("LQS", rf"({FACE}_{FACE}|\({FACE}[_.]?{FACE}\)|\([\^x=~<>']-[\^x=~<>']\))", _bracketed),
    ("L", r"([oO]<quote>[oO])", _keep),
    ("LS", r"([cCfF]#|[cC]\+\+|\\\*)", _keep),
    ("S", r"(\.{3,5}|\u2026|(?:\.[ \xa0]){2,4}\.)", _drop),
    ("S", r"(@+|\*+|_+|[!?]{2,}|-{5,}|<<|>>)", _keep),
    ("S", r"(-{1,4}|[.,:;?!])", _drop),
    ("QS", r"(''|[\"'])", _drop),
    ("QS", r"([`\x91-\x94\u2018-\u201f\u2039\u203a\xab\xbb]{1,2})", _quotes),
    ("QAS", r"(<sign>)", _keep),
]


@functools.cache
def _kind(character: str) -> str:
    """Which of the kinds a first character is of."""
    names = tables.named()
    kinds = {"L": names["marked"], "N": names["digit"], "Q": r"['`\x91\x92\u2018\u2019\u201b]", "A": "&"}
    return next((kind for kind, pattern in kinds.items() if re.match(pattern, character)), "S")


@functools.cache
def _rules() -> dict[str, tuple[Rule, ...]]:
    """(pattern, how to write the token) by the kind of the first character; what follows group 1 looks ahead."""
    names = tables.named()
    listed = [
        (kinds, re.compile(tables.fill(pattern, names)), write)
        for kinds, pattern, write in (*WORDS, *MARKUP, *NUMBERS, *COMPOUNDS, *SIGNS)
    ]
    return {kind: tuple((rule, write) for kinds, rule, write in listed if kind in kinds) for kind in "LNQAS"}


@functools.cache
def _runs() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Blanks, and letters and digits together."""
    names = tables.named()
    return re.compile(rf"[ \t\n]{names['blank']}*"), re.compile(names["lettered"] + "+")
