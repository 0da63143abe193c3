"""What the official pipelines do to texts before a score sees them (facts checked on real system outputs).

WebNLG transliterates, and does so before splitting a hypothesis but after splitting a reference;
DART does not transliterate at all. Both split at every non-word character. WebNLG's ``multi-bleu.perl -lc``
lower-cases once more, after everything else: a transliteration can bring capitals back (``€`` becomes ``EUR``).
METEOR and TER disregard case, so that one preparation serves the three scores.
"""

from __future__ import annotations

import re


def squeeze_blanks(text: str) -> str:
    """One blank between words, none outside."""
    return " ".join(text.split())


def split_words(text: str) -> str:
    """Words and single non-word characters, separated by one blank: ``it's`` becomes ``it ' s``."""
    return squeeze_blanks(" ".join(re.split(r"(\W)", text)))


def prepare_webnlg_hypothesis(text: str) -> str:
    """ASCII, lower-cased, split. The transliteration comes first here and leaves only ASCII to lower-case."""
    from text_unidecode import unidecode

    return split_words(unidecode(text.strip()).lower())


def prepare_webnlg_reference(text: str) -> str:
    """Split, lower-cased, then to ASCII, and lower-cased again: ``5 €`` becomes ``5 eur``."""
    from text_unidecode import unidecode

    ascii_text: str = unidecode(split_words(text).lower())
    return ascii_text.lower()


def prepare_dart(text: str) -> str:
    """Split and lower-cased; the official script expects outputs to be prepared the same way."""
    return split_words(text).lower()
