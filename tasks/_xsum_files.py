"""Where the articles of XSum are: columns in files, or the publisher's one file per article.

*Columns*: JSON lines, CSV, parquet or arrow files with the columns document, summary and id, named as the hub
and ``datasets`` name them: ``default/xsum-train.parquet`` (the pinned files), ``default/train/0000.parquet``,
``data/train-00000-of-00001.parquet``, ``train.jsonl``, ``train.jsonl.gz``, ``train.csv``,
``train/data-00000-of-00001.arrow``. The validation split may be called validation, val or dev.

*Raw*: ``bbc-summary-data/BBCID.summary`` with ``XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json`` beside it, which
names the articles of each split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import DataError
from bench.foreign_text import quote_foreign, show_foreign
from bench.system.files import check_regular_file
from bench.system.json_files import parse_json
from bench.system.text_files import iterate_lines
from tasks._read import check_field, parse_csv, read_json, read_text
from tasks._xsum_tables import SMALL_FILE, iterate_generated, iterate_table

URL_LIST = "XSum-WebArxiveUrls-BBCids.txt"
SPLIT_FILE = "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"
RAW = "bbc-summary-data"
NAMES = {"train": ("train",), "dev": ("validation", "val", "dev"), "test": ("test",)}
FOLDERS = ("default", "data", ".")
COLUMNS = ("document", "summary", "id")
TEXT_ENDINGS = ("jsonl", "jsonl.gz", "csv", "csv.gz", "json")
"""Of files that are read line by line; the others are tables."""
ID_LIMIT = 100
"""Characters in an article's id, which names a file in the raw layout; published ones are numbers of 8 digits."""
LIMIT = 2_000_000
"""Characters in one field: the longest published document is a live page of some 200,000."""
REMOVED = frozenset(
    [
        *("Share this with", "Email", "Facebook", "Messenger", "Twitter", "Pinterest", "WhatsApp"),
        *("Linkedin", "LinkedIn", "Copy this link", "These are external links and will open in a new window"),
    ]
)
"""Lines of the page around the article, as the hub's and the authors' extraction leave them out."""
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.")


@dataclass(frozen=True)
class NewsArticle:
    """One article as published. ``url``: only where the file itself has it. ``place``: for messages."""

    id: str
    document: str
    summary: str
    url: str | None
    place: str


def find_column_files(root: Path, split: str) -> list[Path]:
    """The files with the columns of ``split`` in reading order; empty if there are none.

    The first layout that is there is taken, parquet before arrow before JSON lines before CSV.
    """
    for folder in FOLDERS:
        for ending in ("parquet", "arrow", *TEXT_ENDINGS):
            for name in NAMES[split]:
                for pattern in (f"xsum-{name}", name, f"xsum-{name}-*-of-*", f"{name}-*-of-*", f"{name}/*"):
                    paths = sorted((root / folder).glob(f"{pattern}.{ending}"))
                    # What `datasets` writes beside its arrow files describes them and holds no rows.
                    paths = [path for path in paths if ending != "json" or "/" not in pattern]
                    if paths:
                        return paths
    return []


def find_raw_files(root: Path, split: str) -> list[Path]:
    """The split file and the articles of ``split`` that are there; empty if this is not the raw layout."""
    if not (root / SPLIT_FILE).exists() or not (root / RAW).is_dir():
        return []
    return [root / SPLIT_FILE, *(path for _, path in _raw_paths(root, split) if path.is_file())]


def read_articles(root: Path, split: str) -> Iterator[NewsArticle]:
    """The articles of ``split`` in the published order; ids are unique."""
    column_files = find_column_files(root, split)
    if column_files:
        _check_shards(column_files)
        rows = (article for path in column_files for article in read_column_file(path))
    else:
        rows = (_raw_article(name, path) for name, path in _raw_paths(root, split))
    seen: set[str] = set()
    for article in rows:
        if article.id in seen:
            raise DataError(
                f"{article.place}: a second article with id {show_foreign(article.id)}; expected one of each"
            )
        seen.add(article.id)
        yield article
    if not seen:
        raise DataError(
            f"{column_files[0] if column_files else root / SPLIT_FILE}: no articles; expected some"
        )


def read_urls(path: Path) -> dict[str, str]:
    """The publisher's list, ``URL id`` per line, as id -> URL; the last line of an id counts."""
    urls = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        parts = line.split()
        if len(parts) < 2 or "/" not in parts[0]:
            raise DataError(
                f"{path}, line {number}: {quote_foreign(line.strip())}; expected an address and an id, "
                "as in 'http://… 123'"
            )
        urls[parts[1]] = parts[0]
    return urls


def _check_shards(paths: list[Path]) -> None:
    """Refuse a split of which a part is missing: ``-00000-of-00002`` without its sister."""
    matches = [_SHARD.search(path.name) for path in paths]
    parts = [(int(match[1]), int(match[2])) for match in matches if match is not None]
    for part, count in parts:
        if len(parts) != count:
            raise DataError(
                f"{paths[part if part < len(paths) else 0]}: {len(parts)} of {count} parts are here; "
                f"expected all of {paths[0].parent.name}/…-of-{count:05}"
            )


def read_column_file(path: Path) -> Iterator[NewsArticle]:
    check_regular_file(path)
    if not path.name.endswith(tuple(f".{ending}" for ending in TEXT_ENDINGS)):
        rows = enumerate(iterate_table(path, COLUMNS), start=1)
        yield from (_check_article(row, f"{path}, row {number}") for number, row in rows)
    elif path.stat().st_size > SMALL_FILE:
        for row in iterate_generated(path, _checked_rows):
            yield NewsArticle(row["id"], row["document"], row["summary"], None, row["place"])
    else:
        for place, row in _text_rows(path):
            yield _check_article(row, place)


def _check_article(row: Any, place: str) -> NewsArticle:
    """The article in one row of columns; ``place``: for messages."""
    if not isinstance(row, dict) or any(column not in row for column in COLUMNS):
        columns = show_foreign(", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__)
        raise DataError(f"{place}: expected the columns {', '.join(COLUMNS)}; found {columns or 'none'}")
    document, summary = (check_field(row[c], place, repr(c), True, LIMIT) for c in COLUMNS[:2])
    name = row["id"] if not isinstance(row["id"], int) or isinstance(row["id"], bool) else str(row["id"])
    return NewsArticle(check_field(name, place, "'id'", limit=ID_LIMIT), document, summary, None, place)


def _checked_rows(path: str) -> Iterator[dict[str, Any]]:
    """The articles of a file of lines as plain rows, each with where it stands."""
    for place, row in _text_rows(Path(path)):
        article = _check_article(row, place)
        yield {"id": article.id, "document": article.document, "summary": article.summary, "place": place}


def _text_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """The rows of a file, each with where it stands; read line by line: the train split has half a gigabyte."""
    if ".csv" in path.suffixes[-2:]:
        lines = (line for _, line in iterate_lines(path))
        for place, fields in parse_csv(path, lines, COLUMNS):
            yield place, dict(zip(COLUMNS, fields, strict=True))
        return
    empty = True
    for number, line in iterate_lines(path):
        if line.strip():
            empty = False
            yield f"{path}, line {number}", parse_json(path, line.encode(), number)
    if empty:
        raise DataError(f"{path}: the file is empty; expected data")


def _raw_paths(root: Path, split: str) -> Iterator[tuple[str, Path]]:
    """The ids of ``split`` in the order of the split file, and where each article is."""
    path = root / SPLIT_FILE
    document = read_json(path)
    key = NAMES[split][0]
    names = document.get(key) if isinstance(document, dict) else None
    if not isinstance(names, list):
        raise DataError(f'{path}: no list of ids under {key!r}; expected {{"train": ["123", …], …}}')
    for name in names:
        if not (isinstance(name, str) and name.isalnum() and len(name) <= ID_LIMIT):
            raise DataError(
                f"{path}: {quote_foreign(name)} is no id of an article; expected up to {ID_LIMIT} letters and digits"
            )
    for name in names:
        yield name, root / RAW / f"{name}.summary"


def _raw_article(name: str, path: Path) -> NewsArticle:
    """``[SN]URL[SN]…[SN]TITLE[SN]…[SN]FIRST-SENTENCE[SN]…[SN]RESTBODY[SN]…`` without the lines around it."""
    lines = re.split("\r\n|\r|\n", read_text(path))
    lines = [line for line in lines if line.strip() and line not in REMOVED]
    parts = "\n".join(lines).split("[SN]")
    if len(parts) < 9:
        raise DataError(
            f"{path}: {max(0, (len(parts) - 1) // 2)} of 4 sections; expected "
            "[SN]URL[SN], [SN]TITLE[SN], [SN]FIRST-SENTENCE[SN] and [SN]RESTBODY[SN]"
        )
    url, summary, document = (
        check_field(parts[at].strip(), str(path), "a section", True, LIMIT) for at in (2, 6, 8)
    )
    return NewsArticle(name, document, summary, url or None, str(path))
