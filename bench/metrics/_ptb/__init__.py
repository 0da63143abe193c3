"""The tokenisation in front of E2E's METEOR, ROUGE-L and CIDEr: coco-caption's PTBTokenizer.

That is ``edu.stanford.nlp.process.PTBTokenizer -preserveLines -lowerCase`` of stanford-corenlp-3.4.1,
after which tokens that are punctuation are left out (round, square and curly brackets survive as
``-lrb-`` and so on, because the list holds them in capitals). ``tokenize`` is our own; with ``BENCH_JAVA=1``
``tokenize_all`` asks the jar that comes with pycocoevalcap.

As there, the texts are the lines of one file, and the line after may decide whether a final ``B.`` or
``no.`` keeps its full stop. Unlike there, line separators inside a text count as blanks, so that
no text can shift the lines after it.
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UnavailableError
from bench.metric import Signature
from bench.metrics import _official
from bench.metrics._ptb import lexer
from bench.system.files import open_temporary_folder

JAR = "stanford-corenlp-3.4.1.jar"
SHA256 = "2fcb91bb7a111f93d71e264f4ee0e3afd19ba0dde6d21b38605088df9e940399"
"""Of the jar in pycocoevalcap 1.2, which is that of e2e-metrics."""
VERSION = 1

# Where a text may be cut without changing a token: at a blank that no telephone number, fraction,
# spaced ellipsis or abbreviation can reach across.
SAFE = re.compile(r"(?<![\d).\s]) (?=\S)|(?<=[\d)]) (?=[^\s\d])|(?<=[A-Za-z]{2}\.) (?=[^\s\d.])")
SEPARATORS = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")
REMEMBERED = 200
"""Characters of the longest piece that is remembered."""


def tokenize(text: str, following: str | None = None) -> str:
    """The lower-cased tokens of one text, joined by blanks.

    ``following``: what comes after it in the file, if anything does, see above.
    """
    return _tokenize(_one_line(text), None if following is None else _one_line(following))


def tokenize_all(texts: Sequence[str]) -> list[str]:
    """Every text tokenised, as lines of one file; by the official jar where ``BENCH_JAVA`` is 1."""
    return list(_all(tuple(texts), _official.is_jar_requested()))


def make_signature() -> Signature:
    """What made the tokens, for the signatures of scores."""
    made = f"jar-{SHA256[:8]}" if _official.is_jar_requested() else f"bench-{VERSION}"
    return {"case": "lc", "tok": "ptb-corenlp-3.4.1-nopunct", "ptb": made}


def tokenize_java(texts: Sequence[str]) -> list[str]:
    """The same by the official program.

    Raises:
        UnavailableError: Java or pycocoevalcap, which has the jar, is missing, or the program failed.
    """
    if not texts:
        return []
    lines = "\n".join(_one_line(text) for text in texts)
    with open_temporary_folder("tokens") as folder:
        path = Path(folder, "texts.txt")
        path.write_bytes(lines.encode("utf-8"))
        command = [
            "java",
            "-Dfile.encoding=UTF-8",
            "-cp",
            str(find_jar()),
            "edu.stanford.nlp.process.PTBTokenizer",
        ]
        command += ["-preserveLines", "-lowerCase", "-encoding", "UTF-8", str(path)]
        try:
            ran = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - the jar
        except FileNotFoundError as error:
            raise UnavailableError(
                f"{_official.JAVA}=1 asks for the official tokeniser, but there is no `java`"
            ) from error
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise UnavailableError(f"the official tokeniser failed: {' '.join(last)}") from error
    tokenized = ran.stdout.decode("utf-8").split("\n")[: len(texts)]
    if len(tokenized) != len(texts):
        raise UnavailableError(f"the official tokeniser gave {len(tokenized)} lines for {len(texts)} texts")
    return [" ".join(w for w in line.rstrip().split(" ") if w not in lexer.PUNCTUATION) for line in tokenized]


def find_jar() -> Path:
    """The Stanford tokeniser that pycocoevalcap brings along."""
    name = Path("tokenizer", JAR)
    if (path := _official.find_package_file(name)) is not None:
        return path
    if not (folders := _official.list_package_folders()):
        raise UnavailableError(f"{_official.JAVA}=1 needs {JAR}: pip install pycocoevalcap")
    raise UnavailableError(
        f"{_official.JAVA}=1 needs {folders[0] / name}, which this pycocoevalcap does not have"
    )


@functools.lru_cache(maxsize=4)  # several scores ask for the same references and outputs
def _all(texts: tuple[str, ...], java: bool) -> list[str]:
    if java:
        return tokenize_java(texts)
    lines = [_one_line(text) for text in texts]
    tokenized = [""] * len(lines)
    following: str | None = None
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        tokenized[index] = _tokenize(line, following)
        if line.strip():
            following = line if following is None else line[: lexer.WINDOW] + "\n"
        elif following is None:
            following = "\n"
    return tokenized


def _one_line(text: str) -> str:
    """Line separators as blanks; half surrogates, which no file can hold, as the sign for a lost character."""
    line = SEPARATORS.sub(" ", text)
    return line if line.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", line)


def _tokenize(line: str, following: str | None) -> str:
    if "<" in line:  # a tag may hold blanks
        return _written(line, following)
    *pieces, last = SAFE.split(line)
    if following is not None and not last.rstrip().endswith("."):
        following = ""  # no abbreviation that could look at the next line
    tokenized = [_piece(piece, "") for piece in pieces]
    tokenized.append(_written(last, following) if following else _piece(last, following))
    return " ".join(filter(None, tokenized))


def _piece(piece: str, following: str | None) -> str:
    return _short(piece, following) if len(piece) <= REMEMBERED else _written(piece, following)


@functools.lru_cache(maxsize=1 << 16)
def _short(piece: str, following: str | None) -> str:
    return _written(piece, following)


def _written(text: str, following: str | None) -> str:
    return " ".join(token.lower() for token in lexer.list_tokens(text, following))
