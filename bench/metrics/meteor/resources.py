"""The linguistic data of METEOR 1.5, read from where the package pycocoevalcap keeps it.

Function words, abbreviations and WordNet's synonyms are inside its jar. The paraphrase table is 62 MB
compressed and has 5.3 million lines; it is turned once into a file that can be searched, in the
user's cache folder, named after the table's content and checked whenever it is opened.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mmap
import zipfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO

from bench.errors import UnavailableError
from bench.metrics import _official
from bench.metrics.meteor.text import ALWAYS, BEFORE_NUMBERS
from bench.system.files import StorageError, sha256_file, sha256_text, write_atomic

PARAPHRASES = Path("meteor", "data", "paraphrase-en.gz")
FORMAT = 1
"""Part of the index's name: raised when its layout changes."""
ENDINGS = (
    ("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
    ("ies", "y"), ("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"),
    ("ing", ""), ("er", ""), ("est", ""), ("er", "e"), ("est", "e"),
)  # fmt: skip
"""WordNet's rules for the base form of a noun, verb or adjective, in the order they are tried."""


def find_package_file(name: Path) -> Path:
    """A file of the installed pycocoevalcap, or ``UnavailableError`` saying what to type."""
    if (path := _official.find_package_file(name)) is not None:
        return path
    raise UnavailableError(
        f"METEOR needs the data of the package pycocoevalcap ({name.name} is not here): "
        "pip install pycocoevalcap"
    )


@dataclass(frozen=True)
class Words:
    """What METEOR knows about single words."""

    function_words: frozenset[str]
    abbreviations: dict[str, int]
    synsets: dict[str, str]
    bases: dict[str, list[str]]

    def meanings(self, word: str) -> frozenset[str]:
        """The synsets of a word and of its base forms."""
        synsets = set(self.synsets.get(word, "").split())
        for base in self.base_forms(word):
            synsets.update(self.synsets.get(base, "").split())
        return frozenset(synsets)

    def base_forms(self, word: str) -> list[str]:
        """Listed irregular forms, else the first rule that leads to a known word."""
        if word in self.bases:
            return self.bases[word]
        if len(word) > 2 and not word.endswith(("ss", "ful")):
            for ending, replacement in ENDINGS:
                if word.endswith(ending):
                    base = word.removesuffix(ending) + replacement
                    if base in self.synsets:
                        return [base]
        return []


@cache
def read_words() -> Words:
    """Function words, abbreviations and synonyms out of the jar."""
    with zipfile.ZipFile(find_package_file(_official.METEOR_JAR)) as jar:

        def lines(name: str) -> list[str]:
            return jar.read(name).decode("utf-8").splitlines()

        synsets = lines("synonym/english.synsets")
        exceptions = lines("synonym/english.exceptions")
        bases: dict[str, list[str]] = {}
        for base, forms in zip(exceptions[::2], exceptions[1::2], strict=True):
            for form in forms.split():
                bases.setdefault(form, []).append(base)
        return Words(
            frozenset(lines("function/english.words")),
            parse_abbreviations(lines("nonbreaking/english.prefixes")),
            dict(zip(synsets[::2], synsets[1::2], strict=True)),
            bases,
        )


def parse_abbreviations(lines: list[str]) -> dict[str, int]:
    """What may come before a full stop that does not end a sentence."""
    kinds = {}
    for line in lines:
        fields = line.split()
        if fields and not fields[0].startswith("#"):
            kinds[fields[0]] = BEFORE_NUMBERS if "#NUMERIC_ONLY#" in fields[1:] else ALWAYS
    return kinds


@dataclass(frozen=True)
class Paraphrases:
    """Phrase -> the phrases that can stand for it, in the table's order."""

    rows: dict[str, int]
    offsets: memoryview
    content: mmap.mmap | bytes
    start: int
    """Where in ``content`` the lists begin: row i is from ``offsets[i]`` to ``offsets[i + 1]``."""
    known: dict[str, list[str]] = field(default_factory=dict)

    def of(self, phrase: str) -> list[str]:
        row = self.rows[phrase]
        begin, end = self.start + self.offsets[row], self.start + self.offsets[row + 1]
        return self.content[begin:end].decode("utf-8").split("\n")


@cache
def hash_table() -> str:
    return sha256_file(find_package_file(PARAPHRASES))


@cache
def make_fingerprint() -> str:
    """Short SHA-256 over the jar and the paraphrase table."""
    return sha256_text(sha256_file(find_package_file(_official.METEOR_JAR)) + hash_table())[:8]


@cache
def load_paraphrases() -> Paraphrases:
    """The paraphrase table, from the cache folder; built first if it is not there or damaged.

    Builders at the same time do the same work and each replaces the file by the same content; where
    the folder cannot be written, the table is kept in memory.
    """
    from bench.system.cache_dir import cache_root

    source = find_package_file(PARAPHRASES)
    path = cache_root() / "meteor" / f"paraphrases-{FORMAT}-{hash_table()[:16]}.index"
    if (table := open_index(path)) is not None:
        return table
    content = build_index(source)
    try:
        write_atomic(path, content)
    except StorageError:
        return parse_index(content)
    return open_index(path) or parse_index(content)


def open_index(path: Path) -> Paraphrases | None:
    """The index in a file, or None if it is missing or not what was written."""
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return parse_index(content)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def build_index(source: Path) -> bytes:
    """A checksum and sizes in one line, then where each row's list begins, the phrases, the lists."""
    offsets, phrases, lists = array("I", [0]), [], bytearray()
    with gzip.open(source, "rb") as stream:
        for phrase, others in group_rows(stream):
            phrases.append(phrase)
            lists += b"\n".join(others)
            offsets.append(len(lists))
    joined = b"\n".join(phrases)
    body = offsets.tobytes() + joined + bytes(lists)
    head = {"sha256": hashlib.sha256(body).hexdigest(), "rows": len(phrases), "phrases": len(joined)}
    line = json.dumps(head).encode() + b"\n"
    return line.rjust(-(-len(line) // 8) * 8) + body


def group_rows(stream: BinaryIO | gzip.GzipFile) -> Iterator[tuple[bytes, list[bytes]]]:
    """The table's rows: of its three lines (probability, phrase, paraphrase), equal phrases together."""
    current: bytes = b""
    paraphrases: list[bytes] = []
    for _, phrase, paraphrase in zip(stream, stream, stream, strict=True):
        if phrase != current:
            if paraphrases:
                yield current.rstrip(b"\n"), paraphrases
            current, paraphrases = phrase, []
        paraphrases.append(paraphrase.rstrip(b"\n"))
    if paraphrases:
        yield current.rstrip(b"\n"), paraphrases


def parse_index(content: mmap.mmap | bytes) -> Paraphrases:
    """The inverse of ``build_index``; ValueError if anything is missing or was changed."""
    begin = content.find(b"\n") + 1
    head = json.loads(content[:begin])
    view = memoryview(content)
    if hashlib.sha256(view[begin:]).hexdigest() != head["sha256"]:
        raise ValueError("checksum")
    texts = begin + array("I").itemsize * (head["rows"] + 1)
    lists = texts + head["phrases"]
    phrases = content[texts:lists].decode("utf-8").split("\n")
    rows = dict(zip(phrases, range(head["rows"]), strict=True))
    return Paraphrases(rows, view[begin:texts].cast("I"), content, lists)
