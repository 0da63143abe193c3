"""What the Stanford tokeniser of CoreNLP 3.4.1 takes for letters, signs and abbreviations.

Found by feeding the program every character of the basic plane, every word of up to four letters with a
full stop, and lists of common abbreviations.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

# Characters in hexadecimal. Marks that count as letters inside words:
MARKS = """ad 2c2-2c5 2d2-2df 2e5-2eb 2ed 2ef-36f 375 378-379 384-385 3f6 483-487 55a-55f 591-5bd 5bf
5c1-5c2 5c4-5c5 5c7 615-61a 64b-65e 670 6d6-6e4 6e7-6ed 6fd-6fe 70f 711 730-74c 7a6-7b0 7eb-7f3 900-903 93c
93e-94e 951-955 962-963 981-983 9bc 9be-9c4 9c7-9c8 9cb-9cd 9d7 9e2-9e3 a01-a03 a3c a3e-a4f a81-a83 abc
abe-acf b82 bbe-bc2 bc6-bc8 bca-bcd c01-c03 c3e-c56 d3e-d44 d46-d48 e31 e34-e3a e47-e4e eb1 eb4-ebc ec8-ecd"""
# Letters to it, not to Python:
ALSO_LETTERS = "1885-1886"
# Letters to Python, unknown to its Unicode 6:
LATER = """37f 528-52f 560 588 5ef 860-86a 870-887 889-88e 8a1 8ad-8c9 978 980 9fc af9 c34 c5a c5c-c5d c80
cdc-cdd d04 d54-d56 d5f e86 e89 e8c e8e-e93 e98 ea0 ea8-ea9 eac 13f5 13f8-13fd 16f1-16f8 170d 171f 1878
191d-191e 19b0-19c0 19c8-19c9 1b4c 1c80-1c8a 1c90-1cba 1cbd-1cbf 1cf2-1cf3 1cfa 2c2f 2c5f 312e-312f
31bb-31bf 4db6-4dbf 9fcd-9fff a698-a69d a78f a794-a79f a7ab-a7dc a7f1-a7f7 a8fd-a8fe a9e0-a9e4 a9e6-a9ef
a9fa-a9fe aa7e-aa7f ab30-ab5a ab5c-ab69 ab70-abbf"""
# Each is a token of its own. What is in no list disappears like a blank.
SIGNS = """25-26 2a-2b 2f 3c-3e 5c 5e 60 7c 7e a1 a5-a9 ac ae-b4 b6-b9 bf d7 f7 37e 387 589 5be 5c0 5c3 5c6
5f3-5f4 600-603 606-60c 614 61b 61e-61f 66a 66d 6d4 700-70d 7f6-7f8 964-965 e3f e4f 1fbd 2016-2017 2020-2023
2030-2038 203b 203e-2042 2044 2070 2074-207e 2080-208e 20a4 2100-2101 2103-2106 2108-2109 2114 2116-2118
211e-2123 2125 2127 2129 212e 213a-213b 2140-2144 214a-214d 214f 2155-215e 2190-2bff 3001-3002 3012 30fb
ff01-ff0f ff1a-ff20 ff3b-ff40 ff5b-ff65 ffe0-ffe1 ffe5-ffe6"""
BRACKETS = {"(": "LRB", ")": "RRB", "[": "LSB", "]": "RSB", "{": "LCB", "}": "RCB"}
FRACTIONS = {"\xbc": "1/4", "\xbd": "1/2", "\xbe": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
"""Written out; the other fraction signs are not."""
QUOTES = str.maketrans(
    dict.fromkeys("\x91\u2018\u201b\u2039", "`")
    | dict.fromkeys("\x92\u2019\u203a", "'")
    | dict.fromkeys("\x93\u201c\xab", "``")
    | dict.fromkeys("\x94\u201d\xbb", "''")
)

# Abbreviations that keep their full stop: those that may end a sentence, titles, those before a number.
# In any case, unless capitalised only or with the first letter in any case and a small rest.
ENDING = """al ala apr ariz assn aug bancorp bhd bldg blvd bros calif co colo conn corp cos ct dak dec ed.d
esq est etc ext feb fla fri ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb
nev nov oct okla penn ph.d plc rd rt sep sept seq sq sr sys tel tenn thu thurs tue tues univ va vt wed wis
wisc wyo"""
ENDING_CAPITALISED = "ark az del ill la mass miss ore pa tex wash"
ENDING_SMALL = "ppte ppty pte ptes pty ptys"
TITLES = """adj adm adv alex assoc asst atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr drs
elec ens ft gen gov govs hon insp invt jos lieut lt maj messrs mlle mme mr mrs ms msgr mt natl pfc ph pres
prof profs pvt rep reps rev sen sens sfc sgt spc st ste supt supts treas vs wm"""
TITLES_SMALL = "mfg mtg"
BEFORE_NUMBER = "art ca fig figs no nos op pp prop"
OPENERS = """a about according additionally after an as at but earlier he her here however if in it last
many more ms. mr. now once one other our she since so some such that the their then there these they this we
what when while yet you"""
"""Capitalised after ``B.``, these say that a sentence ended there."""
SPLIT = {"cannot": 3, "gonna": 3, "gotta": 3, "lemme": 3, "gimme": 3, "wanna": 3}
"""Written as one word, read as two: ``cannot`` is ``can not``."""
FILES = """bat bmp c cgi class cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf php pl
png ppt ps py sql tar txt wav x xml zip"""


def chars(ranges: str) -> set[str]:
    """The characters of blank-separated hexadecimal ranges."""
    limits = [(span.split("-")[0], span.split("-")[-1]) for span in ranges.split()]
    return {chr(code) for first, last in limits for code in range(int(first, 16), int(last, 16) + 1)}


def inside(characters: set[str]) -> str:
    """The inside of a character class."""
    codes = sorted(map(ord, characters))
    starts = [code for code in codes if chr(code - 1) not in characters]
    stops = [code for code in codes if chr(code + 1) not in characters]
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in zip(starts, stops, strict=True))


def either(words: str, form: Callable[[str], str]) -> str:
    """An alternation of blank-separated words, the longest first."""
    return "|".join(form(word) for word in sorted(words.split(), key=len, reverse=True))


def any_case(word: str) -> str:
    return "".join(f"[{c.upper()}{c}]" if c.isalpha() else re.escape(c) for c in word)


def capitalised(word: str) -> str:
    """The first letter large, the others in any case."""
    return word[0].upper() + any_case(word[1:])


def small(word: str) -> str:
    """The first letter in any case, the others small."""
    return any_case(word[0]) + word[1:]


def opener(word: str) -> str:
    return f"{re.escape(word.capitalize())}|{re.escape(word.upper())}"


@functools.cache
def named() -> dict[str, str]:
    """The building blocks of the patterns, by name."""
    letters = set(filter(str.isalpha, map(chr, range(0x10000)))) - chars(LATER) | chars(ALSO_LETTERS)
    letter = inside(letters)
    names = {
        "space": r"[ \t\xa0\u2000-\u200a\u3000]",
        "blank": r"[ \t\xa0\u2000-\u200a\u3000\n]",
        "digit": r"[^\D\u0de6-\u0def\ua9f0-\ua9f9\U00010000-\U0010ffff]",
        "marked": f"[{letter}{inside(chars(MARKS))}]",
        "letter": "(?:<marked>|(?i:&[aeiou](?:acute|grave|uml);))",
        "plain": f"[{letter}]",
        "alnum": "(?:<plain>|<digit>)",
        "lettered": "(?:<letter>|<digit>)",
        "word": "(?:<letter><lettered>*(?:[.!?]<letter><lettered>*)*)",
        "apostrophe": "(?:['\x92\u2019]|&apos;)",
        "quote": "(?:['\x92\u2019`\x91\u2018\u201b]|&apos;)",
        "tail": "(?:[msdMSD]|[rR][eE]|[vV][eE]|[lL][lL])",
        "sign": f"[{inside(chars(SIGNS))}]",
        "part": "(?:(?:[dDoOlL]<quote><alnum>)?<alnum>+)",
        "compound": "(?:<part>(?:[-_\u058a\u2010\u2011]<part>)*)",
        "capitals": "(?:[A-Z]+(?:(?:[+&]|(?i:&amp;))[A-Z]+)+)",
        "number": r"(?:<digit>*(?:[.:,\xad\u066b\u066c]<digit>+)+|<digit>+)",
        "initials": r"(?:[A-Za-z](?:\.[A-Za-z])+)",
        "chain": r"(?:[A-Za-z0-9][A-Za-z0-9.,\xad]*+(?:-(?:<initials>\.|[A-Za-z0-9\xad]+))+)",
        "ending": "|".join(
            (either(ENDING, any_case), either(ENDING_CAPITALISED, capitalised), either(ENDING_SMALL, small))
        ),
        "title": f"{either(TITLES, any_case)}|{either(TITLES_SMALL, small)}",
        "beforenumber": either(BEFORE_NUMBER, any_case),
        "openers": either(OPENERS, opener),
        "files": either(FILES, any_case),
        "host": (
            r"(?:(?i:www)\.(?:[^ \t\n\f\r\"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}"
            r"|(?:[^ \t\n\f\r\"`'<>|.!?(){},-_$]++\.)+(?i:com|net|org|edu))"
        ),
        "tag": (
            r"(?:<[!?][A-Za-z\-][^>\n]*>|</[A-Za-z][A-Za-z0-9_:.\-]* *>|<[A-Za-z][A-Za-z0-9_:.\-]*"
            r"(?: +[A-Za-z][A-Za-z0-9_:.\-]*(?: *= *(?:\"[^\"\n]*\"|'[^'\n]*'))?)* */? *>)"
        ),
    }
    for name, pattern in names.items():  # each may use those before it
        names[name] = fill(pattern, names)
    return names


def fill(pattern: str, names: dict[str, str]) -> str:
    """``pattern`` with every ``<name>`` replaced by its building block."""
    return re.sub(f"<({'|'.join(names)})>", lambda match: names[match[1]], pattern)
