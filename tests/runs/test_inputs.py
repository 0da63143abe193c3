"""What a run reads of its data: what its settings draw, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.config.request import CommonOptions, expand_requests, specify_run
from bench.data import encoding, subsets
from bench.data.dataset import load_rows
from bench.errors import DataError, UserError
from bench.runs.inputs import Inputs


def inputs(model: Path, seed: int = 1, **given: Any) -> Inputs:
    common = CommonOptions(model=str(model), given=given)
    [request] = expand_requests(methods="prefix[length=2]", tasks="e2e", seeds=str(seed), common=common)
    return Inputs(specify_run(request))


def test_a_run_uses_what_is_drawn(tiny_model: Path) -> None:
    low = {"train_subset": 50, "dev_subset": 15, "eval_every": 5, "test_subset": 30, "data_seed": 2}
    one = inputs(tiny_model, **low)
    everything = load_rows(one.specified.data, "train")
    rows = list(one.iterate_train_rows())
    assert len(rows) == 50
    assert rows == [everything[i] for i in subsets.draw_indices(2, "e2e", "train", 50, len(everything))]
    assert len(list(one.iterate_dev_rows())) == 15
    assert len(one.items) == 30
    dev = load_rows(one.specified.data, "dev")
    assert set(one.iterate_dev_rows()) <= set(dev)
    assert set(rows) <= set(everything)
    # The training seed changes nothing of it, the data seed everything.
    assert list(inputs(tiny_model, seed=2, **low).iterate_train_rows()) == rows
    assert list(inputs(tiny_model, **{**low, "data_seed": 3}).iterate_train_rows()) != rows
    # --limit takes of what was drawn.
    assert list(inputs(tiny_model, **low, limit=4).iterate_train_rows()) == rows[:4]


def test_shares_of_a_split(tiny_model: Path) -> None:
    whole = inputs(tiny_model)
    total = len(list(whole.iterate_train_rows()))
    assert whole.spec["data_seed"] is None
    part = inputs(tiny_model, train_share=0.1)
    assert len(list(part.iterate_train_rows())) == round(total / 10)
    assert part.spec["data_seed"] == 0
    assert part.spec.key != whole.spec.key
    assert len(list(inputs(tiny_model, train_share=1.0).iterate_train_rows())) == total


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train_subset": 698}, r"--train-subset 698: e2e train has 697 rows"),
        ({"test_subset": 121}, r"--test-subset 121: e2e test has 120 items"),
        ({"dev_subset": 161, "eval_every": 5}, r"--dev-subset 161: e2e dev has 160 rows"),
    ],
)
def test_more_than_there_is_is_refused_before_anything_runs(
    given: dict[str, int], message: str, tiny_model: Path
) -> None:
    with pytest.raises(UserError, match=message):
        inputs(tiny_model, **given)


def test_tokens_do_not_depend_on_how_many_rows_are_encoded_at_a_time(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoTokenizer

    low = inputs(tiny_model, train_subset=30)
    tokenizer = AutoTokenizer.from_pretrained(str(tiny_model))
    room = SimpleNamespace(positions=200, reserved_positions=2)
    whole = low.encode_rows(tokenizer, room, low.iterate_train_rows(), tmp_path)  # type: ignore[arg-type]  # all it reads
    monkeypatch.setattr(encoding, "CHUNK_ROWS", 7)
    chunks = low.encode_rows(tokenizer, room, low.iterate_train_rows(), tmp_path)  # type: ignore[arg-type]  # the same
    assert list(whole) == list(chunks) and len(whole) == 30
    assert whole.truncated == chunks.truncated > 0
    room.positions = 60
    with pytest.raises(DataError, match=r"row \d+: its source has \d+ tokens") as first:
        low.encode_rows(tokenizer, room, low.iterate_train_rows(), tmp_path)  # type: ignore[arg-type]  # the same
    monkeypatch.setattr(encoding, "CHUNK_ROWS", 1)
    with pytest.raises(DataError) as again:
        low.encode_rows(tokenizer, room, low.iterate_train_rows(), tmp_path)  # type: ignore[arg-type]  # the same
    assert str(again.value) == str(first.value), "rows are numbered from the first of the split"
