"""Irregular forms of English words and their bases, from WordNet's exception lists.

ROUGE-1.5.5 brings WordNet 2.0's. The same forms, of a later WordNet, lie inside METEOR's jar, which comes
with pycocoevalcap; they are read from there, and only the few words below are in this repository. Compared
with the lists in ROUGE's own distribution: after ``CORRECTIONS`` every single word that ROUGE can look up
has the same base, but for what depends on the order in which ROUGE's own set-up happens to read its files:
"best" and "better" (good here, as the last one read is the adjectives'; or well) and "testes".
"""

from __future__ import annotations

import hashlib
import zipfile
from functools import cache
from pathlib import Path

from bench.errors import UnavailableError
from bench.metrics import _official

MEMBER = "synonym/english.exceptions"
CORRECTIONS: dict[str, str | None] = {
    # Where WordNet lists several bases ROUGE takes the first; the jar has lost their order.
    "aurar": "eyrir",
    "comics": "comic_strip",
    "involucra": "involucrum",
    # Not in WordNet 2.0: left to the stemmer.
    "ashes": None,
    "cognosenti": None,
    "halfpence": None,
    "lisente": None,
    "morses": None,
    "staretsy": None,
}


def find_base_form(word: str) -> str | None:
    """The base that WordNet lists for an irregular form, if any. ``UnavailableError`` without the lists."""
    return read_bases().get(word)


def describe_source() -> str:
    """For signatures: which lists, with the start of their SHA-256."""
    digest = hashlib.sha256(read_lists()).hexdigest()
    return f"wordnet-exceptions(meteor-1.5.jar,sha256:{digest[:12]},as-2.0)"


@cache
def read_bases() -> dict[str, str]:
    """Form -> base. A form that is its own base stays; else the first base in the alphabet counts."""
    lines = read_lists().decode("utf-8").split("\n")
    bases: dict[str, str] = {}
    for base, forms in zip(lines[::2], lines[1::2], strict=False):
        for form in forms.split():
            if form not in bases or form == base:
                bases[form] = base
    for form, corrected in CORRECTIONS.items():
        bases.pop(form, None)
        if corrected is not None:
            bases[form] = corrected
    return bases


@cache
def read_lists() -> bytes:
    """The lists: a base on one line, its forms on the next."""
    try:
        with zipfile.ZipFile(find_jar()) as archive:
            return archive.read(MEMBER)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UnavailableError(
            f"{find_jar()}: no {MEMBER} in it ({error}), needed for ROUGE-1.5.5's irregular forms; "
            "install pycocoevalcap 1.2 again"
        ) from error


def find_jar() -> Path:
    """Where METEOR's jar is."""
    if (path := _official.find_package_file(_official.METEOR_JAR)) is not None:
        return path
    raise UnavailableError(
        "ROUGE-1.5.5's irregular forms are read from METEOR's jar in the package pycocoevalcap, which is not "
        "installed; pip install pycocoevalcap==1.2"
    )
