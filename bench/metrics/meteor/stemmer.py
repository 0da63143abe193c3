"""The English Snowball stemmer as it was when METEOR 1.5 was made (2015).

Written from the published description of the algorithm ("Porter2"). The stemmers that are installed
today follow later versions of it: *emergency*, *added*, *biologist* or *evening* come out differently.
"""

from __future__ import annotations

VOWELS = frozenset("aeiouy")
NOT_VOWELS_W_X_Y = VOWELS | frozenset("wxY")
DOUBLES = frozenset(("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt"))
BEFORE_LI = frozenset("cdeghkmnrt")
LONG_STARTS = ("gener", "commun", "arsen")  # the first region begins after these
WHOLE_WORDS = {
    "skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "idly": "idl",
    "gently": "gentl", "ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl",
} | {word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")}  # fmt: skip
KEPT_AFTER_PLURALS = frozenset(
    ("inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed")
)
STEP_2 = {
    "tional": "tion", "enci": "ence", "anci": "ance", "abli": "able", "entli": "ent", "izer": "ize",
    "ization": "ize", "ational": "ate", "ation": "ate", "ator": "ate", "alism": "al", "aliti": "al",
    "alli": "al", "fulness": "ful", "ousli": "ous", "ousness": "ous", "iveness": "ive", "iviti": "ive",
    "biliti": "ble", "bli": "ble", "ogi": "og", "fulli": "ful", "lessli": "less", "li": "",
}  # fmt: skip
STEP_3 = {
    "tional": "tion", "ational": "ate", "alize": "al", "icate": "ic", "iciti": "ic", "ical": "ic",
    "ful": "", "ness": "", "ative": "",
}  # fmt: skip
STEP_4 = {
    "al": "", "ance": "", "ence": "", "er": "", "ic": "", "able": "", "ible": "", "ant": "", "ement": "",
    "ment": "", "ent": "", "ism": "", "ate": "", "iti": "", "ous": "", "ive": "", "ize": "", "ion": "",
}  # fmt: skip


def stem(word: str) -> str:
    """The stem of a lower-cased token; tokens of one or two characters are their own stems."""
    if word in WHOLE_WORDS:
        return WHOLE_WORDS[word]
    if len(word) < 3:
        return word
    word = mark_consonant_y(word.removeprefix("'"))
    first, second = find_regions(word)
    word = singular(drop_apostrophe(word))
    if word in KEPT_AFTER_PLURALS:
        return word
    word = without_ed_and_ing(word, first)
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in VOWELS:
        word = word[:-1] + "i"
    word = replace_suffix(word, STEP_2, first, second)
    word = replace_suffix(word, STEP_3, first, second)
    word = replace_suffix(word, STEP_4, second, second)
    return without_final_e_or_l(word, first, second).replace("Y", "y")


def mark_consonant_y(word: str) -> str:
    """``Y`` for a y that starts the word or follows a vowel."""
    if "y" not in word:
        return word
    letters = list(word)
    for position, letter in enumerate(letters):
        if letter == "y" and (position == 0 or letters[position - 1] in VOWELS):
            letters[position] = "Y"
    return "".join(letters)


def find_regions(word: str) -> tuple[int, int]:
    """Where the two regions begin: each after the first non-vowel that follows a vowel."""
    first = next((len(start) for start in LONG_STARTS if word.startswith(start)), None)
    if first is None:
        first = find_region(word, 0)
    return first, find_region(word, first)


def find_region(word: str, start: int) -> int:
    for position in range(start + 1, len(word)):
        if word[position] not in VOWELS and word[position - 1] in VOWELS:
            return position + 1
    return len(word)


def drop_apostrophe(word: str) -> str:
    for ending in ("'s'", "'s", "'"):
        if word.endswith(ending):
            return word[: -len(ending)]
    return word


def singular(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and has_vowel(word[:-2]):
        return word[:-1]
    return word


def without_ed_and_ing(word: str, first: int) -> str:
    for ending in ("eedly", "ingly", "edly", "eed", "ing", "ed"):
        if word.endswith(ending):
            break
    else:
        return word
    rest = word[: -len(ending)]
    if ending.startswith("eed"):
        return rest + "ee" if len(rest) >= first else word
    if not has_vowel(rest):
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest[-2:] in DOUBLES:
        return rest[:-1]
    if first >= len(rest) and ends_in_short_syllable(rest):
        return rest + "e"
    return rest


def replace_suffix(word: str, table: dict[str, str], start: int, second: int) -> str:
    """The longest ending that ``table`` knows, replaced where it lies at or after ``start``."""
    for length in range(min(7, len(word)), 1, -1):
        ending = word[-length:]
        if ending in table:
            break
    else:
        return word
    rest = word[:-length]
    if len(rest) < start:
        return word
    before = rest[-1:]
    refused = (
        (ending == "ogi" and before != "l")
        or (ending == "li" and before not in BEFORE_LI)
        or (ending == "ative" and len(rest) < second)
        or (ending == "ion" and before not in ("s", "t"))
    )
    return word if refused else rest + table[ending]


def without_final_e_or_l(word: str, first: int, second: int) -> str:
    rest = word[:-1]
    if word.endswith("e") and (
        len(rest) >= second or (len(rest) >= first and not ends_in_short_syllable(rest))
    ):
        return rest
    if word.endswith("ll") and len(rest) >= second:
        return rest
    return word


def has_vowel(letters: str) -> bool:
    return any(letter in VOWELS for letter in letters)


def ends_in_short_syllable(word: str) -> bool:
    """Consonant, vowel, consonant other than w, x, Y; or a vowel that starts the word and a consonant."""
    if len(word) == 2:
        return word[0] in VOWELS and word[1] not in VOWELS
    return (
        len(word) > 2 and word[-3] not in VOWELS and word[-2] in VOWELS and word[-1] not in NOT_VOWELS_W_X_Y
    )
