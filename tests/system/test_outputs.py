"""No output is an input, however its path is spelled, and what is no input is let through."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.system import files
from bench.system.outputs import (
    CommandInput,
    check_new_folder,
    check_output_file,
    check_output_place,
    list_data_inputs,
    list_run_inputs,
)

STEPS = st.lists(st.sampled_from([".", "a", "b", "a/..", "b/..", "to-a", "to-top", "../top"]), max_size=5)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with links into itself: whatever steps are taken in it, one arrives somewhere in it."""
    folder = tmp_path_factory.mktemp("places") / "top"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "to-a").symlink_to(folder / "a")
        (folder / name / "to-top").symlink_to(folder)
        (folder / name / name).symlink_to(".")
        for file in ("input", "other"):
            (folder / name / file).write_text(name + file)
        (folder / name / "hard").hardlink_to(folder / name / "input")
        (folder / name / "soft").symlink_to("input")
    (folder / "to-a").symlink_to("a")
    (folder / "to-top").symlink_to("../top")
    return folder


@settings(max_examples=500)
@given(steps=STEPS, file=st.sampled_from(["input", "other", "hard", "soft", "new", "c/new"]), given_=STEPS)
def test_an_output_is_refused_exactly_where_it_is_the_input(
    top: Path, steps: list[str], file: str, given_: list[str]
) -> None:
    source = top.joinpath("a", "input")
    path = top.joinpath(*steps, file)
    read = [CommandInput("--pairs", source), CommandInput("--other", top.joinpath(*given_, "nothing"))]
    # A folder that is missing is passed by as its name says: "missing/.." is here.
    resolved = Path(os.path.realpath(path))
    if resolved.exists() and resolved.samefile(source):
        with pytest.raises(UserError, match="which this command reads"):
            check_output_file("--segments", path, read)
    else:
        target = check_output_file("--segments", path, read)
        assert target == Path(os.path.realpath(path))
    assert source.read_text() == "ainput"
    assert not (top / "c").exists()


@settings(max_examples=300)
@given(steps=STEPS, name=st.sampled_from(["", "x", "x/y"]), is_folder=st.booleans())
def test_nothing_is_written_into_a_folder_that_is_read(
    top: Path, steps: list[str], name: str, is_folder: bool
) -> None:
    path = top.joinpath(*steps, *([name] if name else []))
    inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(top / "a"))
    read = [CommandInput("--data-dir", top / "to-a")]
    if not is_folder and (name == "" or not path.parent.exists()):
        return
    check = check_output_place if is_folder else check_output_file
    if inside:
        with pytest.raises(UserError, match="which this command reads"):
            check("--out", path, read)
    else:
        check("--out", path, read)


def test_a_file_beside_the_runs_is_none_of_them(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "webnlg-prefix").mkdir(parents=True)
    check_output_file("--out", runs / "table.csv", list_run_inputs(runs))
    for path in (runs / "webnlg-prefix" / "x", runs / "new" / "table.csv"):
        with pytest.raises(UserError, match="lies in"):
            check_output_file("--out", path, list_run_inputs(runs))
    with pytest.raises(UserError, match="lies in"):
        check_output_place("--out", runs / "page", list_run_inputs(runs))


def test_a_data_folder_around_the_current_directory_leaves_room_for_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = list_data_inputs(Path(), ["e2e", "dart"])
    check_output_place("--out", Path("report"), inputs)
    with pytest.raises(UserError, match="lies in e2e"):
        check_output_place("--out", Path("e2e/report"), inputs)
    assert list_data_inputs(None, ["e2e"]) == []


def test_an_output_goes_where_its_link_leads(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("old")
    (tmp_path / "link").symlink_to("kept")
    target = check_output_file("--segments", tmp_path / "link")
    files.write_atomic(target, "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept").read_text() == "new"


def test_a_long_name_that_the_system_takes_is_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "ä" * 127, "字" * 85, "🙂" * 63, "a\nb", "'\" -", "-", "~"):
        path = tmp_path / name
        assert check_output_file("--segments", path) == path
        files.write_atomic(path, "x")
        assert path.read_text() == "x"
    undecodable = tmp_path / os.fsdecode(b"\xff\xfe")
    files.write_atomic(check_output_file("--segments", undecodable), "x")
    assert undecodable.read_text() == "x"


def test_a_folder_that_cannot_be_made_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(files.StorageError, match="a part of the path is a file"):
        check_new_folder("--to", tmp_path / "file" / "x")
    check_new_folder("--to", tmp_path / "deep" / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
