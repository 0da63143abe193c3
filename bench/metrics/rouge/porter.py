"""The stemmer of ROUGE-1.5.5: Porter's algorithm of 1980 with ROUGE's own order of the last suffixes.

Written from M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the changes
that Porter made later in his own programs (``-bli``, ``-logi``, words of two letters left alone). ROUGE
differs in step 4: the suffixes but ``-ment``, ``-ent`` and ``-ion`` are tried first and those three then
follow on what is left, so two of them can go (``commissioner`` becomes ``commiss``) and a word in
``-ement`` may lose the ``-ent`` alone (``statement`` becomes ``statem``). No mode of nltk's stemmer does that.
This order is in no paper: it was found by comparing stems with the script's and looking there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

STEP2 = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "bli": "ble",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
    "logi": "log",
}
STEP3 = {
    "icate": "ic",
    "ative": "",
    "alize": "al",
    "iciti": "ic",
    "ical": "ic",
    "ful": "",
    "ness": "",
}
STEP4 = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement"),
    *("ou", "ism", "ate", "iti", "ous", "ive", "ize"),
)


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lower-case word."""
    if len(word) < 3:
        return word
    word = final_y(past_tense(plural(word)))
    for table in (STEP2, STEP3):
        word = replaced(word, table)
    return final_e_and_l(step4(word))


def shape(text: str) -> str:
    """A ``v`` for each vowel and a ``c`` for each consonant; y is a vowel after a consonant."""
    marks: list[str] = []
    for letter in text:
        vowel = letter in "aeiou" or (letter == "y" and marks[-1:] == ["c"])
        marks.append("v" if vowel else "c")
    return "".join(marks)


def measure(text: str) -> int:
    """Porter's m: how often a consonant follows a vowel."""
    return shape(text).count("vc")


def ends_cvc(text: str) -> bool:
    """Porter's ``*o``: consonant, vowel, consonant other than w, x, y."""
    return text[-1:] not in ("w", "x", "y") and shape(text).endswith("cvc")


def ending(word: str, suffixes: Iterable[str]) -> str | None:
    """The longest of ``suffixes`` that the word ends in."""
    return max((suffix for suffix in suffixes if word.endswith(suffix)), key=len, default=None)


def replaced(word: str, table: dict[str, str]) -> str:
    """Steps 2 and 3: the longest suffix, if m > 0 before it."""
    suffix = ending(word, table)
    if suffix is None or measure(word.removesuffix(suffix)) == 0:
        return word
    return word.removesuffix(suffix) + table[suffix]


def without(word: str, suffixes: Iterable[str]) -> str:
    """Without the longest of the suffixes, if m > 1 before it."""
    suffix = ending(word, suffixes)
    if suffix is None or measure(word.removesuffix(suffix)) < 2:
        return word
    return word.removesuffix(suffix)


def plural(word: str) -> str:
    """Step 1a."""
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def past_tense(word: str) -> str:
    """Step 1b."""
    if word.endswith("eed"):
        return word[:-1] if measure(word[:-3]) > 0 else word
    suffix = ending(word, ("ed", "ing"))
    if suffix is None or "v" not in shape(word.removesuffix(suffix)):
        return word
    rest = word.removesuffix(suffix)
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest[-1:] == rest[-2:-1] and rest[-1] not in "aeiouylsz":
        return rest[:-1]
    return rest + "e" if measure(rest) == 1 and ends_cvc(rest) else rest


def final_y(word: str) -> str:
    """Step 1c."""
    return word[:-1] + "i" if word.endswith("y") and "v" in shape(word[:-1]) else word


def step4(word: str) -> str:
    """Step 4 in ROUGE's order."""
    word = without(without(word, STEP4), ("ment",))
    if word.endswith("ent"):
        return without(word, ("ent",))
    return without(word, ("ion",)) if word.endswith(("sion", "tion")) else word


def final_e_and_l(word: str) -> str:
    """Steps 5a and 5b."""
    if word.endswith("e"):
        m = measure(word[:-1])
        if m > 1 or (m == 1 and not ends_cvc(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and measure(word) > 1 else word
