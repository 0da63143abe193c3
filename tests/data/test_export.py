"""`bench data export`: the splits as tables, all of them or nothing, and never among the user's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lines_task import Lines, lay_out

from bench import registry
from bench.cli import main
from bench.data import export
from bench.data.dataset import find_local_data
from bench.data.export import ExportFormat, export_tasks
from bench.errors import DataError, UnavailableError, UnknownNameError, UserError
from bench.system.files import StorageError
from bench.task import DatasetView, Prepared, Task

TASK = Lines()


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    return find_local_data(TASK, lay_out(tmp_path / "data"))


@pytest.mark.parametrize("table_format", ExportFormat)
def test_what_is_written_is_what_the_task_reads(
    prepared: Prepared, tmp_path: Path, table_format: ExportFormat
) -> None:
    import datasets

    target = tmp_path / "out"
    target.mkdir()
    tables = export_tasks([prepared], target, table_format=table_format)
    assert [(table.split, table.view, table.rows) for table in tables] == [
        *(("train", "pairs", 2), ("dev", "pairs", 1), ("test", "pairs", 2)),
        *(("train", "items", 2), ("dev", "items", 1), ("test", "items", 1)),
    ]
    for table in tables:
        assert target / "lines" / table.view in table.path.parents
        if table_format == ExportFormat.ARROW:
            read = datasets.load_from_disk(str(table.path))
        else:
            read = datasets.Dataset.from_parquet(
                str(table.path), cache_dir=str(tmp_path / "cache"), keep_in_memory=True
            )
        again = TASK.dataset(table.split, prepared.root, view=table.view)
        assert read.to_list() == again.to_list() and read.features == again.features
    facts = json.loads((target / "lines" / "export.json").read_text())
    assert (facts["protocol"], facts["origin"], set(facts["splits"])) == (
        "original",
        "directory",
        {*TASK.files},
    )
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_splits_that_are_not_here(tmp_path: Path) -> None:
    partial = find_local_data(TASK, lay_out(tmp_path / "data", "dev"))
    assert {table.split for table in export_tasks([partial], tmp_path / "a")} == {"dev"}
    with pytest.raises(
        UnavailableError, match=r"lacks v1/train.txt, which --split train needs; bench data prepare"
    ):
        export_tasks([partial], tmp_path / "b", ["train"])
    with pytest.raises(UnknownNameError, match=r"'tran'.*did you mean 'train'.*--split"):
        export_tasks([partial], tmp_path / "b", ["tran"])
    assert not (tmp_path / "b").exists()


def test_targets_that_are_refused(prepared: Prepared, tmp_path: Path) -> None:
    for target in (prepared.root, prepared.root / "new", tmp_path / "data", tmp_path):
        with pytest.raises(UserError, match="neither in it nor around it"):
            export_tasks([prepared], target)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()
    with pytest.raises(UserError, match="is not empty; expected a folder that is new or empty"):
        export_tasks([prepared], full)
    with pytest.raises(UserError, match="is a file; expected a folder"):
        export_tasks([prepared], full / "mine")
    with pytest.raises(StorageError, match="a part of the path is a file"):
        export_tasks([prepared], full / "mine" / "new")
    assert [path.name for path in full.iterdir()] == ["mine"]


def test_a_failure_leaves_nothing(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prepared.root / "v1" / "dev.txt").unlink()
    monkeypatch.setattr(export, "_choose_splits", lambda found, splits: ["train", "dev"])
    with pytest.raises(FileNotFoundError):
        export_tasks([prepared], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "export", "--task", "webnlg", "--split", "dev", "--format", "parquet", "--json"]
    assert main([*command, "--to", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert [(row["view"], row["rows"]) for row in json.loads(shown.out)] == [("pairs", 205), ("items", 80)]
    assert main([*command, "--to", str(tmp_path / "out")]) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("task", registry.tasks().values(), ids=registry.tasks())
def test_every_task_is_a_dataset_with_the_same_features(task: Task) -> None:
    local = find_local_data(task)
    for view, expected in (
        (DatasetView.PAIRS, task.rows("dev", local.root, "plain")),
        (DatasetView.ITEMS, task.items("dev", local.root, "plain")),
    ):
        table = task.dataset("dev", local.root, "plain", view)
        assert list(table.features) == list(vars(expected[0]) if view == DatasetView.PAIRS else ITEM_COLUMNS)
        assert table.to_list() == [
            {name: to_lists(getattr(entry, name)) for name in table.features} for entry in expected
        ]


ITEM_COLUMNS = ("id", "source", "references", "groups", "category", "facts")


def to_lists(value: Any) -> Any:
    return [to_lists(part) for part in value] if isinstance(value, tuple) else value


def test_damaged_files_keep_their_message(tmp_path: Path) -> None:
    data = tmp_path / "data" / "e2e"
    data.mkdir(parents=True)
    (data / "devset.csv").write_text("mr,ref\nname,text\n")
    local = find_local_data(registry.get_task("e2e"), tmp_path / "data")
    with pytest.raises(DataError, match=r"devset.csv, line 2: 'name' is not a meaning representation"):
        export_tasks([local], tmp_path / "out")
