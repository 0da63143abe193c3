"""What a task is: the contract that every file in ``tasks/`` fulfils.

A task says where its publisher's files lie, how they are parsed and linearised, how references are
grouped, what it is scored with and how many rows each split must have. It knows nothing of models,
the store or the cluster. ``bench.registry`` discovers the files; see CONTRIBUTING, "Add a task".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

if TYPE_CHECKING:
    from datasets import Dataset

    from bench.metric import Metric

ProtocolName = Literal["original", "plain"]
"""``original``: what the authors' code did; ``plain``: today's library defaults."""
Protocol = ProtocolName
"""The name that plug-ins import; elsewhere it would hide ``typing.Protocol``."""
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
ScaleName = Literal["mini", "paper"]
SCALES: tuple[ScaleName, ...] = get_args(ScaleName)
SPLITS = ("train", "dev", "test")
"""The splits that every task of the paper has."""


class TaskKind(StrEnum):
    """What is made of what; it decides which kind of backbone a task is run on."""

    TABLE_TO_TEXT = "table-to-text"
    SUMMARIZATION = "summarization"


class DataOrigin(StrEnum):
    """Which source the files of a task are from."""

    DIRECTORY = "directory"
    """``--data-dir`` or ``BENCH_DATA``."""
    PUBLISHER = "publisher"
    MINI = "mini"
    """The embedded mini suite."""


class DatasetView(StrEnum):
    """What one row of ``Task.dataset`` is."""

    PAIRS = "pairs"
    """A training pair: ``source`` and ``target``."""
    ITEMS = "items"
    """Something to decode: ``id``, ``source``, ``references``, ``groups``, ``category``, ``facts``."""


@dataclass(frozen=True)
class Row:
    """One training pair: a linearised source and one target text, before the joining of ``bench.data.encoding``."""

    source: str
    target: str


@dataclass(frozen=True)
class Item:
    """One thing to decode: a linearised source, its references and the groups its score counts in.

    ``groups`` always starts with ``"all"``; WebNLG adds ``"seen"`` or ``"unseen"``.
    ``facts`` are the (subject, relation, object) or (field, value) pairs for reports on missing facts.
    """

    id: str
    source: str
    references: tuple[str, ...]
    groups: tuple[str, ...] = ("all",)
    category: str | None = None
    facts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class RowCount:
    """Declared size of one split: ``rows`` training pairs (references), ``items`` distinct sources."""

    rows: int
    items: int


@dataclass(frozen=True)
class PublishedFile:
    """One file as its publisher offers it: path below the task's folder, URL and checksum (None: not known)."""

    path: str
    url: str
    sha256: str | None


class Task(ABC):
    """A data set with its parsing, linearisation, grouping and scoring.

    Class attributes are the declaration; ``rows`` and ``items`` read real files, and what else reads them rests
    on these two. All are pure with respect to ``root``: same files, same result, nothing written there.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[TaskKind | Literal["table-to-text", "summarization"]]
    folder: ClassVar[str]
    """Folder below the data directory (``e2e``, ``webnlg`` …)."""
    licence: ClassVar[str]
    published: ClassVar[tuple[PublishedFile, ...]]
    expected: ClassVar[Mapping[str, RowCount]]
    """Declared counts per split of the published files; a split whose size nobody recorded is left out."""
    files: ClassVar[Mapping[str, tuple[str, ...]]]
    """Glob patterns below ``folder`` that each split reads (for fingerprints and for error messages)."""
    metrics: ClassVar[tuple[str, ...]]
    """Names of the scores, in the paper's column order. Those not implemented yet are reported as such."""
    scorers: ClassVar[Mapping[str, Metric | type[Metric]]] = {}
    """Metrics that the task brings itself, by name; they come before those of ``bench/metrics``."""
    groups: ClassVar[tuple[str, ...]] = ("all",)
    paper_lengths: ClassVar[tuple[float, float] | None] = None
    """Table 1: average (input, output) length in BPE tokens of the training split."""
    instruction: ClassVar[str]
    """Natural-language instruction that the method ``prompt`` puts before the source."""
    settings: ClassVar[Mapping[str, Mapping[str, tuple[object, str]]]] = {}
    """Per scale (``mini``/``paper``): setting -> (value, origin), where the task itself decides one."""

    @abstractmethod
    def rows(self, split: str, root: Path, protocol: ProtocolName) -> list[Row]:
        """Training pairs of ``split`` in file order; ``root`` is the task's folder.

        Raises ``bench.errors.DataError`` naming file, line or entry, and what was expected.
        """

    @abstractmethod
    def items(self, split: str, root: Path, protocol: ProtocolName) -> list[Item]:
        """Things to decode in ``split`` with their grouped references, in the official order."""

    def iterate_rows(self, split: str, root: Path, protocol: ProtocolName) -> Iterator[Row]:
        """`rows` one by one. A task with more text than fits in memory overrides this and lists it in `rows`."""
        yield from self.rows(split, root, protocol)

    def iterate_items(self, split: str, root: Path, protocol: ProtocolName) -> Iterator[Item]:
        """`items` one by one; see `iterate_rows`."""
        yield from self.items(split, root, protocol)

    def count(self, split: str, root: Path) -> RowCount:
        """What is in the files of ``split``; every entry is parsed.

        The texts do not matter for counting, and those of protocol ``plain`` are the cheaper ones.
        """
        return RowCount(len(self.rows(split, root, "plain")), len(self.items(split, root, "plain")))

    def dataset(
        self,
        split: str,
        root: Path,
        protocol: ProtocolName = "original",
        view: DatasetView | Literal["pairs", "items"] = DatasetView.ITEMS,
    ) -> Dataset:
        """``split`` as a ``datasets.Dataset`` in memory, with the features that ``view`` names.

        ``root``: the task's folder, as for `rows`, whose errors it raises.
        """
        if DatasetView(view) == DatasetView.PAIRS:
            return _make_dataset(self.iterate_rows(split, root, protocol), DatasetView.PAIRS)
        return _make_dataset(self.iterate_items(split, root, protocol), DatasetView.ITEMS)

    def groups_of(self, category: str | None, place: str) -> tuple[str, ...]:
        """The groups, besides ``all``, of an item of ``category``; ``place`` is for error messages."""
        return ()

    def found(self, split: str, root: Path) -> list[Path]:
        """The files below ``root`` that ``split`` reads, in any layout that the task knows."""
        return [path for pattern in self.files.get(split, ()) for path in root.glob(pattern)]

    def recognise_layout(self, folder: Path, splits: Sequence[str]) -> str | None:
        """What ``folder`` holds instead of the files of ``splits``, and what is expected: another layout or release
        of this data that is known and not read. None: nothing of the kind. For messages."""
        return None

    def missing(self, split: str, root: Path) -> list[str]:
        """The patterns of ``split`` that match no file below ``root``."""
        return [pattern for pattern in self.files.get(split, ()) if not any(root.glob(pattern))]


@dataclass(frozen=True)
class Prepared:
    """A task whose files were found: where, from which source, and what they hash to."""

    task: Task
    root: Path
    origin: DataOrigin
    fingerprint: str
    """SHA-256 over (relative path, content SHA-256) of every file the used splits read."""
    expected: Mapping[str, RowCount] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Relative path -> content SHA-256 of these files."""


def _make_dataset(entries: Iterator[Row] | Iterator[Item], view: DatasetView) -> Dataset:
    """The entries as a table with one column per field, some thousand Python objects at a time."""
    from datasets import Dataset, Features, List, Value, concatenate_datasets

    text, texts = Value("string"), List(Value("string"))
    pairs = {"source": text, "target": text}
    items = {"id": text, "source": text, "references": texts, "groups": texts, "category": text}
    features = Features(pairs if view == DatasetView.PAIRS else {**items, "facts": List(texts)})
    chunks = []
    while chunk := list(islice(entries, 1_000)):
        columns = {name: [getattr(entry, name) for entry in chunk] for name in features}
        chunks.append(Dataset.from_dict(columns, features=features))
    return concatenate_datasets(
        chunks or [Dataset.from_dict({name: [] for name in features}, features=features)]
    )
