"""A task made for tests: a few lines per split, small enough to count by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

from bench.task import Item, Protocol, PublishedFile, Row, RowCount, Task

LINES = {"train": "a=b\nc=d\n", "dev": "e=f\n", "test": "g=h\ng=i\n"}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Lines(Task):
    """A made task: one ``source=target`` per line, one file per split."""

    name = "lines"
    title = "Lines"
    kind = "table-to-text"
    folder = "lines"
    licence = "none"
    published = tuple(
        PublishedFile(f"v1/{split}.txt", f"https://lines.example/{split}.txt", sha256(text))
        for split, text in LINES.items()
    )
    expected: ClassVar = {"train": RowCount(2, 2), "dev": RowCount(1, 1), "test": RowCount(2, 1)}
    files: ClassVar = {split: (f"v1/{split}.txt",) for split in LINES}
    metrics = ("bleu",)
    paper_lengths = (1.0, 2.0)
    instruction = "Say it:"

    def rows(self, split: str, root: Path, protocol: Protocol) -> list[Row]:
        lines = (root / self.files[split][0]).read_text().splitlines()
        return [Row(*line.split("=")) for line in lines]

    def items(self, split: str, root: Path, protocol: Protocol) -> list[Item]:
        grouped: dict[str, list[str]] = {}
        for row in self.rows(split, root, protocol):
            grouped.setdefault(row.source, []).append(row.target)
        return [Item(source, source, tuple(texts)) for source, texts in grouped.items()]


def lay_out(place: Path, *splits: str) -> Path:
    for split in splits or LINES:
        path = place / "lines" / "v1" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LINES[split])
    return place
