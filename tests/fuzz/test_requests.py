"""Whatever is typed for a setting, a selector, a seed or a time is a value or a ``UserError``."""

from __future__ import annotations

import contextlib
import math

import hypothesis.strategies as st
from examples import FUZZ_EXAMPLES
from hypothesis import given, settings

from bench import registry
from bench.cluster.site_values import BY_NAME, parse_value
from bench.config.request import list_selections, parse_seeds
from bench.config.setting_lists import expand_typed_settings
from bench.config.settings import DEFINITIONS, SettingDefinition
from bench.errors import UserError

PIECES = st.sampled_from(
    [
        "prefix",
        "adapter",
        "infix",
        "length",
        "size",
        "hidden",
        "mlp",
        "[",
        "]",
        "=",
        ",",
        "5",
        "0.1%",
        "-1",
        "1e9",
    ]
)
TEXTS = (
    st.text(max_size=12)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.lists(PIECES, max_size=9).map("".join)
)


@settings(max_examples=FUZZ_EXAMPLES)
@given(st.sampled_from(DEFINITIONS), TEXTS | st.integers() | st.floats() | st.booleans() | st.none())
def test_any_value_of_a_setting_is_within_its_limits_or_refused(
    definition: SettingDefinition, typed: object
) -> None:
    with contextlib.suppress(UserError):
        value = definition.parse(typed)
        if isinstance(value, int | float):
            assert math.isfinite(value)
    if isinstance(typed, str):
        with contextlib.suppress(UserError):
            assert expand_typed_settings({definition.name: typed})


@settings(max_examples=FUZZ_EXAMPLES)
@given(TEXTS)
def test_any_selector_is_methods_with_options_or_refused(text: str) -> None:
    with contextlib.suppress(UserError):
        for method, options in list_selections(text):
            assert method.name in registry.methods()
            method.resolve_options(options)


@settings(max_examples=FUZZ_EXAMPLES)
@given(TEXTS)
def test_any_seeds_are_numbers_or_refused(text: str) -> None:
    with contextlib.suppress(UserError):
        assert all(seed >= 0 for seed in parse_seeds(text))


@settings(max_examples=FUZZ_EXAMPLES)
@given(st.sampled_from(sorted(BY_NAME)), TEXTS)
def test_any_resource_is_a_value_or_refused(name: str, text: str) -> None:
    with contextlib.suppress(UserError):
        parse_value(BY_NAME[name], text, "--")
