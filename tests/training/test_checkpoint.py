"""Files of tensors: what a damaged one says, and that damage anywhere is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bench.errors import DataError
from bench.system.damage import DamagedFileError, put_aside, read_damage_notes
from bench.system.files import remove_leftovers
from bench.training.checkpoint import (
    TrainingProgress,
    check_state,
    load_checkpoint,
    load_tensors,
    save_checkpoint,
    save_tensors,
)

PLANNED = 10


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    save_tensors(tmp_path / "some.safetensors", {"weight": torch.arange(6.0)}, {"run": "some"})
    content = load_tensors(tmp_path / "some.safetensors")
    assert torch.equal(content.tensors["weight"], torch.arange(6.0))
    assert content.metadata == {"run": "some"}


def test_a_file_of_tensors_is_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    save_tensors(tmp_path / "some.safetensors", {"weight": torch.arange(6.0)}, {})
    assert (tmp_path / "some.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other", "some.safetensors"]


def test_what_a_kill_leaves_of_the_librarys_own_file_is_removed(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys, safetensors.torch, torch\n"
        "from bench.training.checkpoint import save_tensors\n"
        "def killed(tensors, file, metadata):\n"
        "    file.with_name('.tmpB4z9V3').write_bytes(b'half')\n"
        "    os._exit(9)\n"
        "safetensors.torch.save_file = killed\n"
        "save_tensors(pathlib.Path(sys.argv[1]) / 'some.safetensors', {'weight': torch.zeros(1)}, {})\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_says_what_its_reader_advises(tmp_path: Path) -> None:
    damaged = tmp_path / "parameters.safetensors"
    damaged.write_bytes(b"half")
    with pytest.raises(
        DataError, match=r"cannot be read .*; expected a whole safetensors file; delete it to start over"
    ):
        load_tensors(damaged)
    with pytest.raises(DataError, match=r"; issue the command again$"):
        load_tensors(damaged, "issue the command again")


# --- checkpoints


def make_training() -> tuple[dict[str, torch.nn.Parameter], torch.optim.AdamW]:
    draw = torch.Generator().manual_seed(1)
    parameters = {
        name: torch.nn.Parameter(torch.randn(shape, generator=draw))
        for name, shape in (("a", (3, 2)), ("b", (4,)))
    }
    optimiser = torch.optim.AdamW(parameters.values())
    sum(parameter.square().sum() for parameter in parameters.values()).backward()
    optimiser.step()
    return parameters, optimiser


def save(path: Path, **changes: Any) -> dict[str, torch.nn.Parameter]:
    parameters, optimiser = make_training()
    progress = {"key": "key", "step": 3, "seconds": 1.5, "target_tokens": 30, "loss": 0.5, **changes}
    save_checkpoint(path, parameters, optimiser, TrainingProgress(**progress))
    return parameters


def check(path: Path, parameters: dict[str, torch.nn.Parameter]) -> None:
    check_state(path, load_checkpoint(path, "key"), parameters, PLANNED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "checkpoint.safetensors"
    save(path)
    return path


@given(share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_anywhere_is_noticed(whole: Path, share: float, bit: int) -> None:
    content = bytearray(whole.read_bytes())
    # Half of the positions lie in the header, where a name or a number of the text becomes another one.
    header = 8 + int.from_bytes(content[:8], "little")
    place = (
        int(share * 2 * header) if share < 0.5 else header + int((share - 0.5) * 2 * (len(content) - header))
    )
    content[place] ^= 1 << bit
    damaged = whole.with_name("damaged.safetensors")
    damaged.write_bytes(content)
    try:
        state = load_checkpoint(damaged, "key")
    except DamagedFileError:
        return
    expected = load_checkpoint(whole, "key")  # a blank of the header's padding
    assert state.progress == expected.progress
    for ours, theirs in zip(state[:3], expected[:3], strict=True):
        assert str(ours) == str(theirs)


@given(length=st.floats(0, 1, exclude_max=True))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_cut_short_is_noticed(whole: Path, length: float) -> None:
    content = whole.read_bytes()
    damaged = whole.with_name("cut.safetensors")
    damaged.write_bytes(content[: int(length * len(content))])
    with pytest.raises(DamagedFileError):
        load_checkpoint(damaged, "key")


@pytest.mark.parametrize(
    "changes",
    [
        {"step": -3},
        {"step": 10**9},
        {"step": "5"},
        {"step": 2.5},
        {"step": True},
        {"step": None},
        {"seconds": -1.0},
        {"processes": 0},
        {"target_tokens": -1},
        {"best_step": 5, "best_loss": 1.0},
        {"best_step": 2},
        {"best_loss": 1.0},
        {"looks_without_gain": -1},
        {"scaler": {"scale": "large"}},
        {"key": 5},
    ],
)
def test_progress_that_cannot_be_is_refused_though_its_checksum_is_right(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    parameters = save(path, **changes)
    with pytest.raises(DamagedFileError):
        check(path, parameters)


@pytest.mark.parametrize("name", ["loss", "seconds", "best_loss"])
def test_progress_that_is_no_number_is_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="JSON has no such number"):
        save(tmp_path / "checkpoint.safetensors", **{name: float("nan")})


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]) -> None:
    """Change tensors and progress and keep the checksum, as somebody else's program might."""
    with safe_open(path, framework="pt") as file:
        progress = json.loads(file.metadata()["progress"])
    tensors = load_file(path)
    change(progress, tensors)
    save_file(tensors, path, {"progress": json.dumps(progress)})


@pytest.mark.parametrize(
    "change",
    [
        lambda progress, _: progress.update(step=4),
        lambda progress, _: progress.update(loss=float("nan")),
        lambda progress, _: progress.pop("checksum"),
        lambda progress, _: progress.pop("key"),
        lambda progress, _: progress.update(more=1),
        lambda _, tensors: tensors.update({"parameter/a": torch.zeros(3, 2)}),
        lambda _, tensors: tensors.update({"parameter/a": torch.zeros(2, 3)}),
        lambda _, tensors: tensors.pop("optimiser/0/exp_avg"),
        lambda _, tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("optimiser")],
        lambda _, tensors: tensors.pop("random/cpu"),
    ],
)
def test_whatever_else_was_changed_is_noticed(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "checkpoint.safetensors"
    parameters = save(path)
    check(path, parameters)
    rewrite(path, change)
    with pytest.raises(DamagedFileError):
        check(path, parameters)


def test_one_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    parameters = save(path)
    other = {**parameters, "a": torch.nn.Parameter(torch.zeros(5, 2))}
    with pytest.raises(DamagedFileError, match="not those that are trained"):
        check(path, other)


def test_equal_states_give_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_damaged_files_are_put_aside_and_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "checkpoint.safetensors"
    for number in (1, 2):
        path.write_text(str(number))
        put_aside(path, "it is odd", "the training starts over")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "checkpoint.safetensors.damaged-1",
        "checkpoint.safetensors.damaged-2",
        "damaged.jsonl",
    ]
    assert [note["kept_as"][-1] for note in read_damage_notes(tmp_path)] == ["1", "2"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[0].endswith(
        "is damaged (it is odd): put aside as checkpoint.safetensors.damaged-1; the training starts over"
    )
