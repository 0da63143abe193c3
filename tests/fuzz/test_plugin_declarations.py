"""Whatever a plug-in declares is taken, and can then be listed, or refused by a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from examples import FUZZ_EXAMPLES
from hypothesis import given, settings

from bench import registry
from bench.cli import listing
from bench.method import Method, Option
from bench.metric import Metric, MetricResult, Requirements
from bench.plugin_checks import ATTRIBUTES, check_name, check_plugin
from bench.system.isolation import UnfitGuestError
from bench.task import PublishedFile, RowCount, Task

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.sampled_from(["decoder-only", "table-to-text", "bleu", "train", "../x", "mini", "*", "lr", int, str, Metric])
)  # fmt: skip
OPTIONS = st.builds(
    Option,
    name=st.sampled_from(["length", "", "a=b"]) | SCALARS,
    kind=st.sampled_from([int, float, str, bool]) | SCALARS,
    default=SCALARS,
    help=st.just("help") | SCALARS,
    choices=st.none() | st.tuples(SCALARS),
    minimum=st.none() | SCALARS,
)
PARTS = (
    OPTIONS
    | st.builds(RowCount, SCALARS, SCALARS)
    | st.builds(PublishedFile, SCALARS, SCALARS, SCALARS)
    | st.builds(Requirements, SCALARS, SCALARS, SCALARS)
)
VALUES = st.recursive(
    SCALARS | PARTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["mini", "*", "lr"]), inner, max_size=3)
    ),
    max_leaves=6,
)


class GuestMethod(Method):
    name = "guest"
    summary = "a method"
    source = "nowhere"

    def build(self, *parts: Any, **named: Any) -> Any:
        raise NotImplementedError


class GuestTask(Task):
    name = "guest"
    title = "Guest"
    kind = "table-to-text"
    folder = "guest"
    licence = "CC0"
    published = ()
    files: ClassVar[Any] = {"train": ("train.tsv",)}
    expected: ClassVar[Any] = {"train": RowCount(2, 2)}
    metrics = ("bleu",)
    instruction = "Say it:"

    def rows(self, *place: Any) -> list[Any]:
        return []

    def items(self, *place: Any) -> list[Any]:
        return []


class GuestMetric(Metric):
    name = "guest"
    summary = "a metric"

    def score(self, hypotheses: Any, references: Any) -> MetricResult:
        raise NotImplementedError


GUESTS: dict[type, type] = {Method: GuestMethod, Task: GuestTask, Metric: GuestMetric}
ATTRIBUTE_NAMES = [
    (contract, name)
    for contract, attributes in ATTRIBUTES.items()
    for name in ("name", *(entry.name for entry in attributes))
]


@settings(max_examples=FUZZ_EXAMPLES)
@given(st.sampled_from(ATTRIBUTE_NAMES), VALUES)
def test_any_declaration_is_listed_or_refused(attribute: tuple[type, str], value: object) -> None:
    contract, name = attribute
    guest = type("Guest", (GUESTS[contract],), {name: value})
    try:
        called = check_name(guest)
        plugin = guest()
        check_plugin(plugin, contract)
    except UnfitGuestError as error:
        assert "Guest" in str(error)
        assert len(str(error)) < 1_000
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "tasks", lambda: {called: plugin} if contract is Task else {})
        patch.setattr(registry, "methods", lambda: {called: plugin} if contract is Method else {})
        json.dumps([listing.list_tasks(), listing.list_methods()], ensure_ascii=False).encode()
        if contract is Task:
            assert registry.list_metric_names(plugin) is not None
            assert plugin.missing("train", Path("nowhere")) is not None
        if contract is Method:
            for scale in ("mini", "paper"):
                for kind in plugin.kinds:
                    assert plugin.settings_for(scale, "e2e", {}, "gpt2-large", kind) is not None
