"""The table of settings: what wins, what is refused, and that every value knows where it comes from."""

from __future__ import annotations

import pytest

from bench.config.settings import (
    DEFINITIONS,
    DEFINITIONS_BY_NAME,
    ENCODER_DECODER,
    PLAIN,
    SettingLayer,
    resolve_settings,
)
from bench.errors import UserError
from bench.method import OriginSource


def test_names_are_unique_and_defaults_parse() -> None:
    assert len(DEFINITIONS_BY_NAME) == len(DEFINITIONS)
    for known in DEFINITIONS:
        assert known.parse(known.default) == known.default
        assert known.origin
        assert known.help


def test_the_last_layer_wins_and_keeps_its_origin() -> None:
    layers = [
        (SettingLayer.METHOD, {"lr": (1e-3, "method")}),
        (SettingLayer.TASK, {"lr": (2e-3, "task"), "epochs": (3, "task")}),
    ]
    resolved = resolve_settings(layers, "original", {"epochs": "4"})
    assert (resolved["lr"].value, resolved["lr"].origin) == (2e-3, "task")
    assert (resolved["epochs"].value, resolved["epochs"].origin) == (4, "command line")
    assert resolved["batch_size"].origin == "paper §5.3, default"
    layers_by_name = {name: resolved[name].layer for name in ("lr", "epochs", "batch_size")}
    assert layers_by_name == {
        "lr": SettingLayer.TASK,
        "epochs": SettingLayer.COMMAND_LINE,
        "batch_size": SettingLayer.DEFAULT,
    }


def test_protocol_plain_overrules_the_method_but_not_the_user() -> None:
    layers = [(SettingLayer.METHOD, {"objective": ("sum", "method")})]
    assert resolve_settings(layers, "original", {})["objective"].value == "sum"
    assert resolve_settings(layers, "plain", {})["objective"].value == PLAIN["objective"][0] == "mean"
    assert resolve_settings(layers, "plain", {"objective": "sum"})["objective"].value == "sum"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": "fast"}, r"--lr fast: expected a number"),
        ({"lr": "nan"}, r"--lr nan: expected a number from"),
        ({"lr": "inf"}, r"--lr inf: expected a number from"),
        ({"length_penalty": "nan"}, r"--length-penalty nan: expected a number from"),
        ({"lr": -1}, r"--lr -1: expected a number from 1e-12 to 100"),
        ({"epochs": "2.5"}, r"--epochs 2.5: expected a whole number"),
        ({"batch_size": 0}, r"--batch-size 0: expected a whole number from 1 to 65,536"),
        ({"objective": "men"}, r"'men'; did you mean 'mean'\?"),
        ({"pad_row": "maybe"}, r"--pad-row maybe: expected yes or no"),
        ({"epochs": None}, r"--epochs: expected a whole number .* got nothing"),
        ({"learning_rate": 1}, r"unknown setting 'learning_rate'"),
        ({"keep": "best"}, r"--keep best needs --eval-every"),
        ({"store_both": "yes"}, r"--store-both yes needs --eval-every"),
        ({"patience": 2}, r"--patience needs --eval-every"),
        ({"dev_limit": 2}, r"--dev-limit needs --eval-every"),
        ({"dev_limit": 2, "dev_subset": 2, "eval_every": 1}, r"expected one of them"),
        (
            {"keep": "best-dev-rouge2", "eval_every": 5},
            r"is for encoder-decoder models.* expected last or best",
        ),
        ({"keep": "best", "eval_every": 5, "train_split": "dev"}, r"it is the training split"),
        ({"train_subset": 5, "train_share": 0.5}, r"expected one of them"),
        ({"train_share": 1.5}, r"--train-share 1.5: expected a share above 0 and up to 1"),
        ({"train_share": 0}, r"expected a share above 0"),
        ({"dev_subset": 5}, r"--dev-subset needs --eval-every"),
        ({"data_seed": 1}, r"--data-seed 1: nothing is drawn"),
    ],
)
def test_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve_settings([], "original", given)


def test_optional_settings_take_none() -> None:
    resolved = resolve_settings(
        [(SettingLayer.METHOD, {"max_steps": (5, "method")})],
        "original",
        {"max_steps": "none", "clip_norm": "none"},
    )
    assert resolved["max_steps"].value is None
    assert resolved["clip_norm"].value is None


def test_a_draw_has_a_seed_even_if_none_is_given() -> None:
    assert resolve_settings([], "original", {})["data_seed"].value is None
    assert resolve_settings([], "original", {"train_subset": 5})["data_seed"].value == 0
    assert resolve_settings([], "original", {"train_subset": 5, "data_seed": 3})["data_seed"].value == 3


def test_an_output_may_end_before_it_is_cut() -> None:
    with pytest.raises(UserError, match="--min-new-tokens 10 with --max-new-tokens 5"):
        resolve_settings([], "original", {"max_new_tokens": 5}, ENCODER_DECODER)
    assert (
        resolve_settings([], "original", {"max_new_tokens": 10}, ENCODER_DECODER)["max_new_tokens"].value
        == 10
    )


def test_rouge_on_dev_reads_the_first_500_rows_unless_others_are_asked_for() -> None:
    typed = {"keep": "best-dev-rouge2", "eval_every": 5}

    def resolve(**more: object) -> object:
        return resolve_settings([], "original", {**typed, **more}, ENCODER_DECODER)["dev_limit"].value

    assert resolve() == 500
    assert resolve(dev_limit="none") is None
    assert resolve(dev_limit=20) == 20
    assert resolve(dev_subset=15) is None
    assert resolve(keep="best") is None


def test_what_is_known_of_the_choice_of_barts_checkpoint() -> None:
    """The authors' code saves every epoch; which one the paper's rows are is not recorded."""
    bart, gpt2 = resolve_settings([], "original", {}, ENCODER_DECODER), resolve_settings([], "original", {})
    assert bart["keep"].value == gpt2["keep"].value == "last"
    assert bart["keep"].source is OriginSource.OURS
    assert gpt2["keep"].source is OriginSource.AUTHORS_CODE
    # The README's command for BART has fp16.
    assert (bart["precision"].value, bart["precision"].source) == ("fp32", OriginSource.OURS)
    assert gpt2["precision"].source is OriginSource.AUTHORS_CODE
