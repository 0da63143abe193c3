"""What every discovered task must fulfil; a new file in ``tasks/`` is covered by being there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tasks
from bench import registry
from bench.task import SPLITS, Task

TASKS = registry.tasks()


def test_no_task_file_is_lost() -> None:
    """Fewer tasks than files means that one silently does not count."""
    files = [path for path in Path(tasks.__file__).parent.glob("*.py") if not path.name.startswith("_")]
    assert len(TASKS) >= len(files) >= 3
    assert registry.broken("tasks") == []


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_declaration(task: Task) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", task.name)
    assert task.title and task.licence and task.instruction and task.folder
    assert task.kind in ("table-to-text", "summarization")
    # Nobody recorded how large the extrapolation splits were, but for their capped test sets.
    assert set(task.files) == set(SPLITS) >= set(task.expected) >= {"test"}
    assert all(count.rows >= count.items > 0 for count in task.expected.values())
    assert task.metrics and len(set(task.metrics)) == len(task.metrics)
    assert task.groups[0] == "all"
    for file in task.published:
        assert file.url.startswith("https://")
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert not Path(file.path).is_absolute() and ".." not in Path(file.path).parts
    for table in task.settings.values():
        assert all(origin for _, origin in table.values())


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_missing_files_are_named(task: Task, tmp_path: Path) -> None:
    for split in SPLITS:
        assert task.missing(split, tmp_path) == list(task.files[split])
