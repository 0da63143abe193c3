"""What the three XSum tasks share: the files, the text of a document, empty ones, the topic of an article.

``rows``: source is the document, target the one-sentence summary. ``items``: one per article, its category
the topic as ``news/uk`` where the address is known.

The published sizes (204,045, 11,332 and 11,334 articles) include a few whose document is empty. Protocol
``original`` leaves them out, as the authors' data did (11,327 for validation and 11,333 for test), and
says how many; protocol ``plain`` keeps what is published. Newlines in a document are deleted without a
space under ``original``, which glues sentences together, and become spaces under ``plain``. That
extraction is recorded for the extrapolation splits; that the full set was treated alike is an assumption.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

from bench.errors import DataError
from bench.foreign_text import show_foreign
from bench.system.progress import print_message
from bench.task import Item, ProtocolName, PublishedFile, Row, RowCount, Task, TaskKind
from tasks._xsum_files import (
    NAMES,
    URL_LIST,
    NewsArticle,
    find_column_files,
    find_raw_files,
    read_articles,
    read_urls,
)
from tasks._xsum_topics import Side, Topic, draw_capped, format_topic, topic_of

_HUB = (
    "https://huggingface.co/datasets/EdinburghNLP/xsum/resolve/"
    "5484b3547a597693f9c099954c1cd6a8192a4573/default/"
)
# The parquet files that the hub itself made of the publisher's loading script (branch refs/convert/parquet);
# `main` has only the script, which would have to be executed. Commit and checksums are those of the
# commit's own page; that the hub still serves it could not be tried from where this was written.
_PUBLISHER = "https://raw.githubusercontent.com/EdinburghNLP/XSum/7b1d1ed4128e23bd96fa967ab1858523d29dfa96/XSum-Dataset/"
_TRAIN, _DEV, _TEST = (f"default/xsum-{split}.parquet" for split in ("train", "validation", "test"))
HUB_FILES = (
    PublishedFile(
        _TRAIN,
        f"{_HUB}xsum-train.parquet",
        "6d0ac55ca37dfbbf2e42ceec66ff261d3f0b7e494a3207bd00ed86c30664251b",
    ),
    PublishedFile(
        _DEV,
        f"{_HUB}xsum-validation.parquet",
        "08d4af0e8fa1cd721d0cbbbdb7d890bd0efb5ce4bfe9f172606d79850d398a76",
    ),
    PublishedFile(
        _TEST,
        f"{_HUB}xsum-test.parquet",
        "7ec5cf7b04192c05aeff526ef0518e31a2cce5ebbaa75a405299721f44bd05b1",
    ),
)
ADDRESSES = PublishedFile(
    URL_LIST,
    f"{_PUBLISHER}{URL_LIST}",
    "c882b869644e29fd76cb54f1f65c113423895faa914f4ee0def5e67aa4635725",
)


class XSumTask(Task):
    """The full data set; `Extrapolation` makes two others of it."""

    kind = TaskKind.SUMMARIZATION
    folder = "xsum"
    licence = "not stated by the publisher; the articles are the BBC's"
    metrics = ("rouge1", "rouge2", "rougeL")
    instruction = "Summarise this article in one sentence:"
    settings: ClassVar = {
        "mini": {
            "max_source_tokens": (
                480,
                "our choice for mini: of mini-bart's 512 positions a method may need some",
            )
        }
    }
    published: ClassVar = HUB_FILES
    files: ClassVar = {"train": (_TRAIN,), "dev": (_DEV,), "test": (_TEST,)}
    read_from: ClassVar = {"train": "train", "dev": "dev", "test": "test"}
    """The published split that each split is made of."""

    def recognise_layout(self, folder: Path, splits: Sequence[str]) -> str | None:
        """Texts side by side in two files, as fairseq and the library's examples had them: they have no ids."""
        for split in splits:
            for name in NAMES[split]:
                if (folder / f"{name}.source").exists() or (folder / f"{name}.target").exists():
                    return (
                        f"{name}.source and {name}.target in {show_foreign(folder)} have no ids, by which the "
                        "topic of an article is known; expected columns document, summary and id, as in train.jsonl, "
                        "train.csv or train.parquet"
                    )
        return None

    def rows(self, split: str, root: Path, protocol: ProtocolName) -> list[Row]:
        """One row per article, in the published order."""
        return list(self.iterate_rows(split, root, protocol))

    def iterate_rows(self, split: str, root: Path, protocol: ProtocolName) -> Iterator[Row]:
        """The rows, one by one: all documents of the train split together are large."""
        for article, _ in self._select(split, root, protocol):
            yield Row(_text(article.document, protocol), article.summary)

    def items(self, split: str, root: Path, protocol: ProtocolName) -> list[Item]:
        """One item per article, in the published order; its id is the BBC's."""
        return list(self.iterate_items(split, root, protocol))

    def iterate_items(self, split: str, root: Path, protocol: ProtocolName) -> Iterator[Item]:
        """The items, one by one."""
        for article, topic in self._select(split, root, protocol):
            text = _text(article.document, protocol)
            yield Item(article.id, text, (article.summary,), category=format_topic(topic))

    def count(self, split: str, root: Path) -> RowCount:
        """The articles under protocol ``plain``: an article is one row and one item."""
        size = sum(1 for _ in self._select(split, root, "plain"))
        return RowCount(size, size)

    def found(self, split: str, root: Path) -> list[Path]:
        """The files with the articles, and the list of addresses where it is there."""
        source = self.read_from[split]
        held = find_column_files(root, source) or find_raw_files(root, source)
        addresses = _url_list(root)
        return [*held, addresses] if held and addresses else held

    def missing(self, split: str, root: Path) -> list[str]:
        """The pinned files, if ``split`` is there in no layout."""
        return [] if self.found(split, root) else list(self.files[split])

    def _select(self, split: str, root: Path, protocol: ProtocolName) -> Iterator[tuple[NewsArticle, Topic]]:
        """The articles of ``split``, read as they are asked for."""
        articles_with_topics = self._with_topics(split, root)
        if protocol == "plain":
            yield from articles_with_topics
            return
        present = empty = 0
        place = ""
        for article, topic in articles_with_topics:
            place = place or article.place
            if article.document.strip():
                present += 1
                yield article, topic
            else:
                empty += 1
        _report_empty(self.name, split, present, empty, place)

    def _with_topics(self, split: str, root: Path) -> Iterator[tuple[NewsArticle, Topic]]:
        """Every published article; without a known address its topic is empty."""
        addresses = _url_list(root)
        urls = read_urls(addresses) if addresses else {}
        for article in read_articles(root, self.read_from[split]):
            url = article.url or urls.get(article.id)
            yield article, topic_of(url) if url else ()


class Extrapolation(XSumTask):
    """A split by topic: one side is trained on, the other one tested.

    Which published split the authors made each of theirs from is not recorded. Here: train of train, dev of
    validation (both of the trained topics), and test of *train* (of the tested topics). The last is what
    fits the record: their script draws 8,000 without replacement from one split, and neither validation
    nor test holds as many articles of either tested side; and of their within-news sets, as a user
    received them before the draw, dev had 7,186 (63 % of validation) and test 20,418 articles, nearly
    twice the published test split. Topics of test and train do not overlap, so nothing is tested that was
    trained on. Sizes before the draw are not declared: nobody recorded them from these files.

    The draw is by `tasks._xsum_topics.draw_capped` with seed 101 and the task's name.
    """

    published: ClassVar = (*HUB_FILES[:2], ADDRESSES)
    expected: ClassVar = {"test": RowCount(8_000, 8_000)}
    files: ClassVar = {"train": (_TRAIN, URL_LIST), "dev": (_DEV, URL_LIST), "test": (_TRAIN, URL_LIST)}
    read_from: ClassVar = {"train": "train", "dev": "dev", "test": "train"}

    def side(self, topic: Topic) -> Side | None:
        """Whether articles of ``topic`` are trained on or tested; None: neither."""
        raise NotImplementedError

    def missing(self, split: str, root: Path) -> list[str]:
        """The pinned files that are not there in any layout; raw articles bring their own addresses."""
        source = self.read_from[split]
        if find_column_files(root, source):
            return [] if _url_list(root) else [URL_LIST]
        return [] if find_raw_files(root, source) else list(self.files[split])

    def _select(self, split: str, root: Path, protocol: ProtocolName) -> Iterator[tuple[NewsArticle, Topic]]:
        """The articles of the split's side, never empty ones: that belongs to how the splits were made."""
        chosen = self._choose_ids(split, root)
        for article, topic in self._with_topics(split, root):
            if article.id in chosen:
                yield article, topic

    def _choose_ids(self, split: str, root: Path) -> set[str]:
        """The ids of the articles of ``split``; what was left out is reported once."""
        expected_side: Side = "tested" if split == "test" else "trained"
        chosen: set[str] = set()
        present = empty = unknown = 0
        place = ""
        for article, topic in self._with_topics(split, root):
            place = place or article.place
            if not article.document.strip():
                empty += 1
                continue
            present += 1
            unknown += not topic
            if self.side(topic) == expected_side:
                chosen.add(article.id)
        _report_empty(self.name, split, present, empty, place)
        if unknown == present:
            raise DataError(
                f"{root}: {URL_LIST} has an address with a topic for none of {present:,} articles of "
                f"{self.read_from[split]}; expected the publisher's list"
            )
        if unknown:
            _say_once(
                f"{self.name} {split}: {unknown:,} articles left out, which have no address with a topic"
            )
        if not chosen:
            raise DataError(
                f"{root}: no article of {self.read_from[split]} has a topic of {self.name} {split}"
            )
        if split != "test":
            return chosen
        drawn = draw_capped(chosen, self.name)
        if len(drawn) < len(chosen):
            _say_once(
                f"{self.name} test: {len(drawn):,} of {len(chosen):,} articles, drawn with a fixed seed"
            )
        return drawn


def _url_list(root: Path) -> Path | None:
    """The publisher's list, beside the files or in the folder that its repository has it in.

    Also what has its name and is no file, which is refused where it is read.
    """
    places = (root / URL_LIST, root / "XSum-Dataset" / URL_LIST)
    return next((place for place in places if place.exists() or place.is_symlink()), None)


def _text(document: str, protocol: ProtocolName) -> str:
    joint = "" if protocol == "original" else " "
    return document.replace("\r\n", "\n").replace("\n", joint).strip()


def _report_empty(name: str, split: str, present: int, empty: int, place: str) -> None:
    """Say how many articles have an empty document; refuse a split of nothing else."""
    if not present:
        raise DataError(f"{place}: every document of {name} {split} is empty; expected articles")
    if empty:
        _say_once(f"{name} {split}: {empty:,} articles with an empty document left out")


@cache
def _say_once(text: str) -> None:
    """Files are read several times in a run; what was left out is said once."""
    print_message(text)
