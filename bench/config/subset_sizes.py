"""Whether the subsets that a run asks for fit into the splits of its task."""

from __future__ import annotations

from collections.abc import Mapping

from bench.config.settings import Setting
from bench.errors import UserError
from bench.task import RowCount


def check_subset_sizes(settings: Mapping[str, Setting], expected: Mapping[str, RowCount], task: str) -> None:
    """Refuse a draw of more than a split is declared to have, before anything is read or trained.

    ``expected``: split -> its declared size. Raises ``UserError`` naming the option.
    """
    train, dev, test = (
        expected.get(split) for split in (settings["train_split"].value, "dev", settings["test_split"].value)
    )
    limits = (
        ("train_subset", settings["train_split"].value, "rows", train and train.rows),
        ("dev_subset", "dev", "rows", dev and dev.rows),
        ("test_subset", settings["test_split"].value, "items", test and test.items),
    )
    for name, split, unit, available in limits:
        size = settings[name].value
        if size is not None and available is not None and size > available:
            flag = "--" + name.replace("_", "-")
            raise UserError(
                f"{flag} {size}: {task} {split} has {available:,} {unit}; expected at most that many"
            )
