"""Lists of settings: what is a product, what is one value, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies

from bench.config.request import CommonOptions, expand_requests, read_request
from bench.config.setting_lists import expand_typed_settings, list_varied_settings, parse_setting_values
from bench.config.settings import DEFINITIONS, DEFINITIONS_BY_NAME, SettingDefinition, format_value
from bench.errors import UserError
from bench.experiments.expansion import ExperimentSelection, expand_experiments

FREE_TEXT = SettingDefinition("note", str, "", "our choice", "a text without choices", "train")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({}, [{}]),
        ({"lr": "1e-5,5e-5"}, [{"lr": 1e-5}, {"lr": 5e-5}]),
        ({"lr": "1e-5"}, [{"lr": 1e-5}]),
        ({"lr": 1e-5}, [{"lr": 1e-5}]),
        ({"lr": " 1e-5 , 5e-5 "}, [{"lr": 1e-5}, {"lr": 5e-5}]),
        ({"lr": "1e-5,0.00001,1e-05"}, [{"lr": 1e-5}]),
        ({"max_steps": "none,3"}, [{"max_steps": None}, {"max_steps": 3}]),
        ({"pad_row": "yes,no,true"}, [{"pad_row": True}, {"pad_row": False}]),
        ({"keep": "last,last"}, [{"keep": "last"}]),
        (
            {"beams": "1,2", "lr": "1e-3,2e-3"},
            [
                {"beams": 1, "lr": 1e-3},
                {"beams": 1, "lr": 2e-3},
                {"beams": 2, "lr": 1e-3},
                {"beams": 2, "lr": 2e-3},
            ],
        ),
    ],
)
def test_a_list_is_a_product(typed: dict[str, object], expected: list[dict[str, object]]) -> None:
    assert expand_typed_settings(typed) == expected


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"lr": "1e-5,"}, r"--lr 1e-5,: element 2 of 2 is empty; .* as in --lr 1e-5,5e-5"),
        ({"lr": ","}, r"--lr ,: element 1 of 2 is empty"),
        ({"lr": "1e-5,,5e-5"}, r"element 2 of 3 is empty"),
        ({"lr": "1e-5,fast"}, r"--lr fast: expected a number .*in the list 1e-5,fast"),
        ({"epochs": "5,2.5"}, r"--epochs 2.5: expected a whole number"),
        ({"batch_size": "5,0"}, r"--batch-size 0: expected a whole number from 1 to 65,536"),
        ({"objective": "mean,summ"}, r"'summ'; did you mean 'sum'"),
        ({"pad_row": "yes,perhaps"}, r"--pad-row perhaps: expected yes or no"),
        ({"decode_batch": "1,2"}, r"--decode-batch 1,2: expected a single value"),
        ({"device": "cpu,cuda"}, r"--device cpu,cuda: expected a single value"),
        ({"lrr": "1,2"}, r"unknown setting 'lrr'"),
    ],
)
def test_what_is_wrong_is_named(typed: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        expand_typed_settings(typed)


def test_an_escaped_comma_is_part_of_a_text() -> None:
    assert parse_setting_values(FREE_TEXT, r"a\,b") == ["a,b"]
    assert parse_setting_values(FREE_TEXT, r"a\,b,c") == ["a,b", "c"]
    assert parse_setting_values(FREE_TEXT, format_value("a,b")) == ["a,b"]


@pytest.mark.parametrize("definition", [d for d in DEFINITIONS if d.identity], ids=lambda d: d.name)
@given(data=strategies.data())
def test_what_is_written_as_a_list_comes_back(definition: SettingDefinition, data: Any) -> None:
    values: strategies.SearchStrategy[Any]
    if definition.choices:
        values = strategies.sampled_from(definition.choices)
    elif definition.kind is bool:
        values = strategies.booleans()
    elif definition.kind is int:
        values = strategies.integers(
            min_value=int(definition.minimum or 0), max_value=int(definition.maximum or 10**6)
        )
    else:
        values = strategies.floats(min_value=definition.minimum or 0, max_value=definition.maximum or 1)
    drawn = data.draw(strategies.lists(values, min_size=1, max_size=4))
    text = ",".join(format_value(value) for value in drawn)
    assert parse_setting_values(definition, text) == list(dict.fromkeys(drawn))


def requests(**typed: object) -> list[Any]:
    return expand_requests("ft-full", "webnlg", "1,2", CommonOptions(given=typed))


def test_the_requests_of_a_command_are_the_product_and_can_be_told_apart() -> None:
    made = requests(max_steps="1,2", lr="1e-3")
    assert [(one.seed, one.common.given["max_steps"]) for one in made] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert len({one.describe() for one in made}) == 4
    assert made[0].describe() == "ft-full on webnlg, max_steps 1, seed 1"
    assert read_request(made[3].to_json()) == made[3]
    stored_before = {name: value for name, value in made[3].to_json().items() if name != "listed"}
    assert read_request(stored_before) == replace(made[3], listed=())


@pytest.mark.parametrize(
    ("methods", "tasks", "seeds", "expected"),
    [
        ("ft-full,ft-full", "webnlg", "1", 1),
        ("ft-full", "webnlg,e2e,webnlg", "1", 2),
        ("ft-full", "webnlg", "1,1,01", 1),
        ("prefix[length=5,05,6]", "webnlg", "1", 2),
    ],
)
def test_a_run_that_is_asked_for_twice_is_one(methods: str, tasks: str, seeds: str, expected: int) -> None:
    assert len(expand_requests(methods, tasks, seeds, CommonOptions())) == expected


@pytest.mark.parametrize(
    ("methods", "tasks", "seeds", "message"),
    [
        ("ft-full", "webnlg,", "1", r"--task webnlg,: element 2 of 2 is empty"),
        ("ft-full", "webnlg", "1,", r"--seed 1,: element 2 of 2 is empty"),
        ("ft-full", "webnlg", "1,x", r"--seed x: expected whole numbers .*in the list 1,x"),
        ("ft-full", "webnlg,webnlgg", "1", r"'webnlgg'; did you mean 'webnlg'"),
    ],
)
def test_lists_of_names_and_seeds_are_refused_likewise(
    methods: str, tasks: str, seeds: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        expand_requests(methods, tasks, seeds, CommonOptions())


def test_an_experiment_is_multiplied_by_what_it_does_not_vary_and_narrowed_by_what_it_does() -> None:
    chosen = ExperimentSelection(tasks="e2e", methods="prefix", seeds="9")
    common = CommonOptions(given={"train_subset": "50,500", "data_seed": "0,4", "lr": "1e-5,5e-5"})
    runs = expand_experiments("figure3", "paper", chosen, common).runs
    found = {
        tuple(run.resolved.settings[name].value for name in ("train_subset", "data_seed", "lr"))
        for run in runs
        if run.resolved is not None
    }
    assert found == {(size, draw, lr) for size in (50, 500) for draw in (0, 4) for lr in (1e-5, 5e-5)}
    assert len(runs) == 8
    assert len({run.request.describe() for run in runs if run.request is not None}) == 8
    with pytest.raises(UserError, match=r"--train-subset 51: figure3 has 50, 100, 200, 500"):
        expand_experiments("figure3", "paper", chosen, CommonOptions(given={"train_subset": "50,51"}))
    with pytest.raises(UserError, match=r"--task e2e,: element 2 of 2 is empty"):
        expand_experiments("figure3", "paper", ExperimentSelection(tasks="e2e,"))


def test_the_varied_settings_are_those_with_several_values() -> None:
    assert list_varied_settings(expand_typed_settings({"lr": "1,2", "beams": "3,3"})) == ("lr",)
    assert list_varied_settings([{}]) == ()


def test_no_setting_of_today_needs_the_escape() -> None:
    """The rule is for texts; every text that decides a run has choices, and none of them has a comma."""
    texts = [d for d in DEFINITIONS_BY_NAME.values() if d.kind is str and d.identity]
    assert all(definition.choices for definition in texts)
    assert not any("," in choice for definition in texts for choice in definition.choices)
