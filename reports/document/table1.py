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
from typing import TYPE_CHECKING, Any

import bench.data.dataset
import bench.data.encoding
import tasks
from bench import registry
from bench.data.sources import missing_files
from bench.errors import DataError, UnavailableError
from bench.system.cache_dir import cache_root
from bench.system.files import StorageError, sha256_file
from bench.system.json_files import canonical_json, read_json, write_json_atomic
from bench.system.progress import say
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


def exactly(value: float, *notes: str) -> CellEvidence:
    """A number that does not vary between runs."""
    return CellEvidence("paper", replicates={(None, 0): value}, notes=notes)


def gap(why: str) -> CellEvidence:
    """No number, because something is not here."""
    return CellEvidence("paper", missing=(why,))


def other_size(*problems: str) -> CellEvidence:
    """No number, because the files are not those that the paper counted."""
    return CellEvidence("paper", excluded=problems)


def count(data_dir: Path | None = None, tokenizer: Path | None = None) -> CountedStatistics:
    """Every number of Table 1 that the files here allow.

    ``data_dir`` and ``tokenizer``: as `bench data stats` takes them. ``UserError`` for a directory that
    does not exist or has no tokenizer; what is merely absent is a gap.
    """

    @cache
    def words() -> PreTrainedTokenizerBase | None:
        try:
            return bench.data.dataset.find_tokenizer(tokenizer)
        except UnavailableError:
            if tokenizer is not None:
                raise
            return None

    if tokenizer is not None:
        words()  # what was typed is checked even where no file is here that it would be needed for
    names = dict.fromkeys(str(cell.task) for cell in published.read_cells("table1"))
    return {
        (name, metric): found
        for name in names
        for metric, found in of_task(registry.get_task(name), data_dir, words).items()
    }


def of_task(
    task: Task, data_dir: Path | None, words: Callable[[], PreTrainedTokenizerBase | None]
) -> dict[str, CellEvidence]:
    """The task's three numbers; ``words`` is asked for a tokenizer only where there are files."""
    try:
        here = bench.data.dataset.look(task, data_dir, "paper")
    except UnavailableError:
        return dict.fromkeys(METRICS, gap("the published files are not here"))
    try:
        sizes, means = sizes_and_lengths(here, words())
    except DataError as error:
        say(f"{task.name} is not counted: {error}", important=True)
        return dict.fromkeys(METRICS, gap("the files cannot be read"))
    wrong = miscounted(here, sizes)
    absent = [split for split in SPLITS if split not in sizes]
    note = (
        f"files with SHA-256 {here.fingerprint[:16]}; `bench data stats --task {task.name}` shows all splits"
    )
    if wrong:
        number = other_size(*wrong.values())
    elif absent:
        number = gap(f"{', '.join(absent)} split not here")
    else:
        number = examples(task, sizes, note)
    if "train" in wrong:
        lengths = [other_size(wrong["train"])] * 2
    elif means is None:
        lengths = [gap("train split not here" if "train" in absent else "no GPT-2 tokenizer is here")] * 2
    else:
        lengths = [exactly(one, f"mean over {sizes['train'].rows:,} training rows; {note}") for one in means]
    return dict(zip(METRICS, (number, *lengths), strict=True))


def examples(task: Task, sizes: Sizes, note: str) -> CellEvidence:
    """Rows of all splits together; of the test split its items where Table 1 has it so."""
    parts = {split: size.rows for split, size in sizes.items()}
    beside = ""
    if task.name in TEST_ITEMS:
        beside = f" (test counted by items as Table 1 must; by rows it is {sum(parts.values()):,})"
        parts["test"] = sizes["test"].items
    summed = " + ".join(f"{split} {number:,}" for split, number in parts.items())
    return exactly(sum(parts.values()), f"{summed}{beside}; {note}")


def miscounted(here: Prepared, sizes: Sizes) -> dict[str, str]:
    """Split -> ``train has 10 rows of 8 items, published are 42,061 of 4,862``, where it is not as declared."""
    return {
        split: f"{split} has {found.rows:,} rows of {found.items:,} items, "
        f"published are {declared.rows:,} of {declared.items:,}"
        for split, found in sizes.items()
        if (declared := here.expected.get(split)) is not None and declared != found
    }


# --- counting, once


def sizes_and_lengths(
    here: Prepared, tokenizer: PreTrainedTokenizerBase | None
) -> tuple[Sizes, tuple[float, float] | None]:
    """The splits' sizes, and the train split's mean input and output length, if there is a tokenizer."""
    kept = cache_root() / "counts" / f"{key(here, tokenizer)}.json"
    if kept.is_file():
        found = read_json(kept)
    else:
        say(f"counting {here.task.name} in {here.root}")
        found = counted_now(here, tokenizer)
        try:
            write_json_atomic(kept, found)
        except StorageError as error:
            say(f"{here.task.name} is counted again next time: {error}")
    sizes = {split: RowCount(rows, items) for split, (rows, items) in found["sizes"].items()}
    return sizes, tuple(found["lengths"]) if found["lengths"] else None


def counted_now(here: Prepared, tokenizer: PreTrainedTokenizerBase | None) -> dict[str, Any]:
    """What `bench data stats` counts, as far as Table 1 needs it: lengths of the train split alone."""
    splits = [split for split in SPLITS if not missing_files(here.task, here.root, [split])]
    sizes, means = {}, None
    for split in splits:
        words = tokenizer if split == "train" else None
        one = bench.data.dataset.stats(here, words, splits=[split])["splits"][split]
        sizes[split] = [one["rows"], one["items"]]
        if words is not None:
            means = [one["source_length"], one["target_length"]]
    return {"sizes": sizes, "lengths": means}


def key(here: Prepared, tokenizer: PreTrainedTokenizerBase | None) -> str:
    """A name for what would be counted: it changes with the files, the tokenizer and the code."""
    code = [Path(str(bench.data.encoding.__file__)), *sorted(Path(str(tasks.__file__)).parent.glob("*.py"))]
    words = tokenizer.backend_tokenizer.to_str() if tokenizer is not None else ""
    what = [here.task.name, here.fingerprint, words, *map(sha256_file, code)]
    return hashlib.sha256(canonical_json(what).encode()).hexdigest()[:32]
