"""The specification: what names a run, and what does not."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from bench.config.specification import RunSpec, make_spec, resolve_run_settings
from bench.errors import UserError
from bench.registry import get_method, get_task


def spec(**changes: Any) -> RunSpec:
    options = changes.pop("options", {})
    given = changes.pop("given", {})
    method = get_method(changes.pop("method", "prefix"))
    task = get_task(changes.pop("task", "webnlg"))
    base: dict[str, Any] = {
        "model": "mini-gpt2",
        "model_fingerprint": "f" * 64,
        "scale": "paper",
        "protocol": "original",
        "seed": 101,
        "data_origin": "directory",
        "data_fingerprint": "d" * 64,
    }
    facts = {**base, **changes}
    more = {name: facts.pop(name) for name in ("kind", "preset") if name in facts}
    resolved = resolve_run_settings(
        task, method, options, given, facts["model"], facts["scale"], facts["protocol"], **more
    )
    return make_spec(task, method, resolved, **facts)


def test_paper_settings_are_table_6_with_their_origin() -> None:
    for task, lr, epochs, batch, length in (
        ("e2e", 8e-5, 5, 10, 5),
        ("webnlg", 5e-5, 5, 5, 5),
        ("dart", 5e-5, 10, 5, 10),
    ):
        chosen = spec(task=task)
        assert (chosen["lr"], chosen["epochs"], chosen["batch_size"]) == (lr, epochs, batch)
        assert chosen.options["length"].value == length
        assert "Table 6" in chosen.settings["lr"].origin
        assert "Table 6" in chosen.options["length"].origin
        assert chosen["warmup_steps"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 102},
        {"protocol": "plain"},
        {"scale": "mini"},
        {"task": "e2e"},
        {"method": "ft-full"},
        {"options": {"length": 6}},
        {"given": {"lr": 1e-3}},
        {"given": {"limit": 10}},
        {"given": {"beams": 1}},
        {"model_fingerprint": "0" * 64},
        {"data_fingerprint": "0" * 64},
    ],
)
def test_what_can_change_the_result_changes_the_name(change: dict[str, Any]) -> None:
    assert spec(**change).key != spec().key


@pytest.mark.parametrize(
    "change",
    [
        {"given": {"decode_batch": 3}},
        {"given": {"device": "cpu"}},
        {"given": {"checkpoint_seconds": 1}},
        {"model": "a-copy-elsewhere"},
        {"data_origin": "publisher"},
        {"given": {"lr": 5e-5}},
        {"options": {"length": 5}},
    ],
)
def test_what_cannot_does_not(change: dict[str, Any]) -> None:
    assert spec(**change).key == spec().key


def test_the_command_asks_for_the_same_run_again() -> None:
    chosen = spec(given={"lr": 1e-3, "limit": 7, "pad_row": False}, options={"length": 3})
    words = chosen.command()
    for part in ("'prefix[length=3]'", "--lr 0.001", "--limit 7", "--pad-row no", "--seed 101"):
        assert part in words


@pytest.mark.parametrize("value", [0, 1, 2])
def test_numbers_in_the_command_stay_numbers(value: int) -> None:
    words = shlex.split(spec(given={"warmup_steps": value, "pad_row": bool(value)}).command())
    assert words[words.index("--warmup-steps") + 1] == str(value)
    assert words[words.index("--pad-row") + 1] == ("yes" if value else "no")


def test_settings_of_the_training_do_not_name_an_untrained_run() -> None:
    assert spec(method="prompt", given={"lr": 1e-3}).key == spec(method="prompt").key
    assert spec(method="prompt", given={"beams": 1}).key != spec(method="prompt").key


def test_an_option_that_another_decides_is_not_recorded_as_chosen() -> None:
    words = spec(options={"init": "summarize"})
    assert words.options["length"].value is None
    assert "another option" in words.options["length"].origin
    own = spec(method="adapter", options={"bottleneck": 2})
    assert own.options["size"].value is None
    assert "Table 6" not in own.settings["lr"].origin
    with pytest.raises(UserError, match="another option given decides this"):
        spec(options={"init": "summarize", "length": 3})


def test_the_name_is_readable_and_stable() -> None:
    assert spec().run_id.startswith("webnlg-prefix-mini-gpt2-s101-")
    assert spec().run_id == spec().run_id


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_bad_seed_is_refused(seed: int) -> None:
    with pytest.raises(UserError, match="whole number"):
        spec(seed=seed)


def test_a_setting_that_came_later_is_in_no_name_until_it_changes_something() -> None:
    before = spec()
    assert "dev_limit" not in before.identity()["settings"]
    assert "dev_limit" in before.to_json()["settings"]
    watched = spec(given={"eval_every": 5})
    limited = spec(given={"eval_every": 5, "dev_limit": 9})
    assert "dev_limit" not in watched.identity()["settings"]
    assert limited.identity()["settings"]["dev_limit"] == 9
    assert limited.run_id != watched.run_id
    assert spec(given={"eval_every": 5, "dev_limit": "none"}).run_id == watched.run_id
    assert spec(given={"eval_every": 5, "store_both": "yes"}).run_id == watched.run_id
