"""Table 1's numbers: how many examples the published files have, and how long their texts are.

No run stands behind them, so they are counted here, in the files that a run would read; none is fetched.
Files of another size than declared are no answer: the cell says what was found. What was counted is kept
in the cache under the files' hash, the tokenizer's and that of the code that reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import bench.data.dataset
import bench.data.encoding
import bench.models.tokenizers
import tasks
from bench import registry
from bench.data.sources import list_missing_files
from bench.errors import DataError, UnavailableError
from bench.system.cache_dir import cache_root
from bench.system.files import StorageError, sha256_file
from bench.system.json_files import read_json, to_canonical_json, write_json_atomic
from bench.system.progress import print_message
from bench.task import SPLITS, Prepared, RowCount, Task
from reports.paper import published
from reports.records.index import CellEvidence, CountedStatistics

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

METRICS = ("examples", "input_length", "output_length")
TEST_ITEMS = ("webnlg",)
"""Of which Table 1 counts every item of the test split once, not each of its references: 18,025 + 2,258 +
1,862 is its 22K. The other tasks' numbers count references (E2E) or have one each (XSUM)."""
Sizes = Mapping[str, RowCount]
"""Of the splits whose files are here."""


FindTokenizer = Callable[[], "PreTrainedTokenizerBase | None"]
"""Asked only where there are files."""


def make_exact(value: float, *notes: str) -> CellEvidence:
    """A number that does not vary between runs."""
    return CellEvidence("paper", replicates={(None, 0): value}, notes=notes)


def make_missing(reason: str) -> CellEvidence:
    """No number, because something is not here."""
    return CellEvidence("paper", missing=(reason,))


def make_excluded(*reasons: str) -> CellEvidence:
    """No number, because the files are not those that the paper counted."""
    return CellEvidence("paper", excluded=reasons)


def count_statistics(data_dir: Path | None = None, tokenizer: Path | None = None) -> CountedStatistics:
    """Every number of Table 1 that the files here allow.

    ``data_dir`` and ``tokenizer``: as `bench data stats` takes them. ``UserError`` for a directory that
    does not exist or has no tokenizer; what is merely absent is a gap.
    """

    @cache
    def find_tokenizer() -> PreTrainedTokenizerBase | None:
        try:
            return bench.models.tokenizers.find_tokenizer(tokenizer)
        except UnavailableError:
            if tokenizer is not None:
                raise
            return None

    if tokenizer is not None:
        find_tokenizer()  # what was typed is checked even where no file is here that it would be needed for
    names = dict.fromkeys(str(cell.task) for cell in published.read_cells("table1"))
    return {
        (name, metric): evidence
        for name in names
        for metric, evidence in count_task(registry.get_task(name), data_dir, find_tokenizer).items()
    }


def count_task(task: Task, data_dir: Path | None, find_tokenizer: FindTokenizer) -> dict[str, CellEvidence]:
    """The task's three numbers."""
    try:
        prepared = bench.data.dataset.find_local_data(task, data_dir, "paper")
    except UnavailableError:
        return dict.fromkeys(METRICS, make_missing("the published files are not here"))
    try:
        counts = read_or_count(prepared, find_tokenizer())
    except DataError as error:
        print_message(f"{task.name} is not counted: {error}", important=True)
        return dict.fromkeys(METRICS, make_missing("the files cannot be read"))
    note = (
        f"files with SHA-256 {prepared.fingerprint[:16]}; "
        f"`bench data stats --task {task.name}` shows all splits"
    )
    wrong = find_wrong_sizes(prepared, counts.sizes)
    examples = count_examples(task, counts.sizes, wrong, note)
    lengths = make_lengths(counts, wrong, note)
    return dict(zip(METRICS, (examples, *lengths), strict=True))


def count_examples(task: Task, sizes: Sizes, wrong: Mapping[str, str], note: str) -> CellEvidence:
    """Rows of all splits together; of the test split its items where Table 1 has it so."""
    if wrong:
        return make_excluded(*wrong.values())
    absent = [split for split in SPLITS if split not in sizes]
    if absent:
        return make_missing(f"{', '.join(absent)} split not here")
    parts = {split: size.rows for split, size in sizes.items()}
    remark = ""
    if task.name in TEST_ITEMS:
        remark = f" (test counted by items as Table 1 must; by rows it is {sum(parts.values()):,})"
        parts["test"] = sizes["test"].items
    summed = " + ".join(f"{split} {number:,}" for split, number in parts.items())
    return make_exact(sum(parts.values()), f"{summed}{remark}; {note}")


def make_lengths(counts: FileCounts, wrong: Mapping[str, str], note: str) -> list[CellEvidence]:
    """The mean input and output length of the training rows."""
    if "train" in wrong:
        return [make_excluded(wrong["train"])] * 2
    if counts.mean_lengths is None:
        absent = "train" not in counts.sizes
        return [make_missing("train split not here" if absent else "no GPT-2 tokenizer is here")] * 2
    rows = counts.sizes["train"].rows
    return [make_exact(mean, f"mean over {rows:,} training rows; {note}") for mean in counts.mean_lengths]


def find_wrong_sizes(prepared: Prepared, sizes: Sizes) -> dict[str, str]:
    """Split -> ``train has 10 rows of 8 items, published are 42,061 of 4,862``, where it is not as declared."""
    wrong = {}
    for split, size in sizes.items():
        declared = prepared.expected.get(split)
        if declared is not None and declared != size:
            wrong[split] = (
                f"{split} has {size.rows:,} rows of {size.items:,} items, "
                f"published are {declared.rows:,} of {declared.items:,}"
            )
    return wrong


# --- counting, once


class FileCounts(NamedTuple):
    """The splits' sizes, and the train split's mean input and output length, if there is a tokenizer."""

    sizes: Sizes
    mean_lengths: tuple[float, float] | None


def read_or_count(prepared: Prepared, tokenizer: PreTrainedTokenizerBase | None) -> FileCounts:
    """The counts from the cache, or counted now and kept there."""
    path = cache_root() / "counts" / f"{make_cache_key(prepared, tokenizer)}.json"
    if path.is_file():
        stored = read_json(path)
    else:
        print_message(f"counting {prepared.task.name} in {prepared.root}")
        stored = count_files(prepared, tokenizer)
        try:
            write_json_atomic(path, stored)
        except StorageError as error:
            print_message(f"{prepared.task.name} is counted again next time: {error}")
    sizes = {split: RowCount(rows, items) for split, (rows, items) in stored["sizes"].items()}
    return FileCounts(sizes, tuple(stored["lengths"]) if stored["lengths"] else None)


def count_files(prepared: Prepared, tokenizer: PreTrainedTokenizerBase | None) -> dict[str, Any]:
    """What `bench data stats` counts, as far as Table 1 needs it: lengths of the train split alone."""
    splits = [split for split in SPLITS if not list_missing_files(prepared.task, prepared.root, [split])]
    sizes, means = {}, None
    for split in splits:
        split_tokenizer = tokenizer if split == "train" else None
        counts = bench.data.dataset.compute_statistics(prepared, split_tokenizer, splits=[split])["splits"][
            split
        ]
        sizes[split] = [counts["rows"], counts["items"]]
        if split_tokenizer is not None:
            means = [counts["source_length"], counts["target_length"]]
    return {"sizes": sizes, "lengths": means}


def make_cache_key(prepared: Prepared, tokenizer: PreTrainedTokenizerBase | None) -> str:
    """A name for what would be counted: it changes with the files, the tokenizer and the code."""
    code = [Path(str(bench.data.encoding.__file__)), *sorted(Path(str(tasks.__file__)).parent.glob("*.py"))]
    words = tokenizer.backend_tokenizer.to_str() if tokenizer is not None else ""
    parts = [prepared.task.name, prepared.fingerprint, words, *map(sha256_file, code)]
    return hashlib.sha256(to_canonical_json(parts).encode()).hexdigest()[:32]
