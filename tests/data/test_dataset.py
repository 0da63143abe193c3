"""Finding data in the promised order, and noticing when it is not what was declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lines_task import LINES, Lines, lay_out, sha256

from bench import mini
from bench.data import sources
from bench.data.dataset import (
    compute_statistics,
    find_local_data,
    load_items,
    load_rows,
    prepare,
    verify_files,
)
from bench.errors import DataError, UnavailableError, UserError
from bench.models import tokenizers
from bench.models.tokenizers import find_tokenizer
from bench.task import Item, Row, RowCount, Task

FetchLog = list[str]
TASK = Lines()


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FetchLog:
    """A cache of the test's own and a publisher that answers at once; the addresses it was asked for."""
    asked: FetchLog = []

    def fetch(url: str, target: Path, sha256: str | None, moved: Callable[[int], None]) -> Path:
        asked.append(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(LINES[target.stem])
        moved(4)
        return target

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "download_file", fetch)
    return asked


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded suite that has the made task."""
    monkeypatch.setattr(mini, "mini_data_dir", lambda: lay_out(tmp_path / "suite"))
    monkeypatch.setattr(mini, "MINI_ROWS", {"lines": {"train": (2, 2), "test": (2, 1)}})
    return tmp_path / "suite"


def test_a_given_directory_comes_first(tmp_path: Path, suite: Path, places: FetchLog) -> None:
    given = lay_out(tmp_path / "given")
    for scale in ("mini", "paper"):
        found = prepare(TASK, given, scale=scale)
        assert (found.root, found.origin) == (given / "lines", "directory")
        assert found.expected == TASK.expected
    assert places == []


def test_bench_data_is_such_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA", str(lay_out(tmp_path / "given")))
    assert prepare(TASK).root == tmp_path / "given" / "lines"
    other = lay_out(tmp_path / "other")
    assert prepare(TASK, other).root == other / "lines"


@pytest.mark.parametrize("inside", [".", "lines", "lines/v1", "..one"])
def test_one_level_off(tmp_path: Path, inside: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = lay_out(tmp_path / "up" / "data")
    place = tmp_path / "up" if inside == "..one" else given / inside
    found = prepare(TASK, place, scale="mini")
    assert found.root.resolve() == given / "lines"
    assert ("expected a directory that has lines/ in it" in capsys.readouterr().err) == (inside != ".")


def test_a_neighbours_files_are_not_taken(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "lines" / "other").mkdir()
    with pytest.raises(UnavailableError, match="no lines/ with its files"):
        prepare(TASK, tmp_path / "lines" / "other")


def test_a_directory_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--data-dir .* does not exist; expected a directory with"):
        prepare(TASK, tmp_path / "none")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"BENCH_DATA .* is a file; expected a directory"):
        prepare(TASK)


def test_mini_without_directory_is_the_suite(suite: Path, places: FetchLog) -> None:
    found = prepare(TASK, splits=("train", "test"))
    assert (found.root, found.origin) == (suite / "lines", "mini")
    assert found.expected["test"] == RowCount(2, 1)
    assert places == []


def test_mini_with_an_incomplete_directory_is_an_error(tmp_path: Path, suite: Path) -> None:
    given = lay_out(tmp_path / "given", "dev", "test")
    with pytest.raises(UnavailableError) as caught:
        prepare(TASK, given)
    message = str(caught.value)
    assert f"--data-dir {given}: {given / 'lines'} lacks v1/train.txt" in message
    assert "published at https://lines.example/train.txt. On" in message
    assert "--train-split dev" in message and "\n" not in message
    assert load_rows(prepare(TASK, given, splits=("dev", "test")), "dev") == [Row("e", "f")]


def test_no_suite_for_a_task(suite: Path) -> None:
    with pytest.raises(UnavailableError, match="no files in the embedded mini suite"):
        prepare(_other_folder())


def _other_folder() -> Task:
    class Other(Lines):
        folder = "other"

    return Other()


def test_paper_goes_to_the_publisher_once(
    tmp_path: Path, suite: Path, places: FetchLog, capsys: pytest.CaptureFixture[str]
) -> None:
    found = prepare(TASK, scale="paper", splits=("dev", "test"))
    assert (found.root, found.origin) == (tmp_path / "cache" / "data" / "lines", "publisher")
    assert places == ["https://lines.example/dev.txt", "https://lines.example/test.txt"]
    prepare(TASK, scale="paper", splits=("dev",), allow_download=False)
    prepare(TASK, lay_out(tmp_path / "given", "dev"), scale="paper")
    assert places[2:] == ["https://lines.example/train.txt"]
    assert "lacks v1/train.txt, v1/test.txt; looking for lines at its" in capsys.readouterr().err


def test_paper_offline_says_what_was_tried(tmp_path: Path, places: FetchLog) -> None:
    with pytest.raises(UnavailableError) as caught:
        prepare(TASK, allow_download=False, scale="paper")
    message = str(caught.value)
    for part in (
        "no --data-dir is given and BENCH_DATA is not set",
        f"cache {tmp_path / 'cache' / 'data' / 'lines'}: 3 of 3 files are not there",
        "Needed in DIR/lines/: v1/train.txt, v1/dev.txt, v1/test.txt",
        "bench data prepare --task lines",
    ):
        assert part in message
    assert places == [] and not (tmp_path / "cache").exists()


def test_a_failed_download_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> Path:
        raise UnavailableError("https://lines.example/train.txt could not be fetched: no route")

    monkeypatch.setattr(sources, "download_file", fail)
    with pytest.raises(UnavailableError, match=r"Tried: .*; publisher: https.* no route. Needed"):
        prepare(TASK, scale="paper")


def test_no_address_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lines, "published", ())
    with pytest.raises(UnavailableError, match="published at no address that the task declares"):
        prepare(TASK, scale="paper")


def test_a_spoilt_cache_is_noticed(tmp_path: Path) -> None:
    root = prepare(TASK, scale="paper").root
    (root / "v1" / "dev.txt").write_text("e=x\n")
    with pytest.raises(DataError, match=r"dev.txt: SHA-256 is .*, expected .*; delete the file"):
        prepare(TASK, scale="paper")


def test_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = lay_out(tmp_path / "given")
    (given / "lines" / "v1" / "train.txt").write_text("a=b\n")
    expected = "lines train in .*: 1 rows and 1 items; expected 2 and 2."
    with pytest.raises(DataError, match=f"{expected} Give --any-row-count"):
        prepare(TASK, given)
    assert prepare(TASK, given, strict=False).origin == "directory"
    assert "warning: lines train" in capsys.readouterr().err
    prepare(TASK, given, splits=("dev", "test"))


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_split_without_a_row_is_refused_whatever_size_is_allowed(tmp_path: Path, split: str) -> None:
    given = lay_out(tmp_path / "given")
    (given / "lines" / "v1" / f"{split}.txt").write_text("")
    with pytest.raises(DataError, match=f"lines {split} in .* is empty; expected at least one (row|item)"):
        prepare(TASK, given, strict=False)


def test_the_fingerprint_is_of_names_and_contents(tmp_path: Path) -> None:
    one, two = lay_out(tmp_path / "one"), lay_out(tmp_path / "two")
    first = prepare(TASK, one)
    assert first.fingerprint == prepare(TASK, two).fingerprint
    assert first.fingerprint != prepare(TASK, two, splits=("train", "test")).fingerprint
    (two / "lines" / "v1" / "unread.txt").write_text("x")
    assert first.fingerprint == prepare(TASK, two).fingerprint
    (two / "lines" / "v1" / "dev.txt").write_text("e=g\n")
    assert first.fingerprint != prepare(TASK, two).fingerprint
    lines = "".join(f"{sha256(LINES[s])}  v1/{s}.txt\n" for s in ("dev", "test", "train"))
    assert first.fingerprint == sha256(lines)


def test_splits_by_name(tmp_path: Path) -> None:
    found = prepare(TASK, lay_out(tmp_path / "given"))
    assert load_items(found, "test") == [Item("g", "g", ("h", "i"))]
    for call in (load_rows, load_items):
        with pytest.raises(UserError, match="unknown split of lines 'tests'; did you mean 'test'"):
            call(found, "tests")
    with pytest.raises(UserError, match="unknown split"):
        prepare(TASK, tmp_path / "given", splits=("trial",))


def test_look_stats_verify(tmp_path: Path) -> None:
    given = lay_out(tmp_path / "given", "dev", "test")
    found = find_local_data(TASK, given)
    table = compute_statistics(found)
    assert table["paper"]["train"] == {"source_length": 1.0, "target_length": 2.0}
    assert table["splits"]["train"]["missing"] == ["v1/train.txt"]
    assert compute_statistics(found, splits=["dev"])["splits"].keys() == {"dev"}
    test = table["splits"]["test"]
    assert (test["rows"], test["items"], test["source_length"]) == (2, 1, None)
    report = verify_files(found)
    assert {file["path"]: file["status"] for file in report["files"]} == {
        "v1/dev.txt": "ok",
        "v1/test.txt": "ok",
        "v1/train.txt": "missing",
    }
    assert not report["ok"] and report["splits"]["test"]["ok"]
    lay_out(given, "train")
    assert verify_files(find_local_data(TASK, given))["ok"]
    (given / "lines" / "v1" / "dev.txt").write_text("e=g\nh=i\n")
    report = verify_files(find_local_data(TASK, given))
    assert report["files"][0]["status"] == "differs" and not report["splits"]["dev"]["ok"]
    assert not report["ok"]


def test_look_with_nothing_there(tmp_path: Path) -> None:
    lacking = r"has no split of lines \(it lacks v1/train.txt, v1/dev.txt, v1/test.txt\); bench data prepare"
    with pytest.raises(UnavailableError, match=lacking):
        find_local_data(TASK, scale="paper")


def test_no_checksum_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tuple(replace(file, sha256=None) for file in Lines.published)
    monkeypatch.setattr(Lines, "published", bare)
    report = verify_files(find_local_data(TASK, lay_out(tmp_path)))
    assert {file["status"] for file in report["files"]} == {"unknown"} and report["ok"]


def test_a_tokenizer_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    monkeypatch.setattr(tokenizers, "_hub_folder", lambda repository, revision: None)
    with pytest.raises(UnavailableError, match=r"BENCH_MODELS .*the hub's cache has no .* --tokenizer DIR"):
        find_tokenizer()
    with pytest.raises(DataError, match=r"expected tokenizer.json"):
        find_tokenizer(tmp_path)


def test_tokenizers_from_a_folder(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpt2-medium").symlink_to(shared / "tokenizers" / "gpt2")
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    assert find_tokenizer().eos_token_id == 50256
    table = compute_statistics(find_local_data(TASK, lay_out(tmp_path)), find_tokenizer())
    assert table["splits"]["train"]["source_length"] == 2.0
    assert table["splits"]["train"]["target_length"] == 4.0
