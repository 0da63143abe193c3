"""An odd record is left out and named; it never stops the reading of the others."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cli import main
from bench.cli.listing import list_runs
from bench.experiments.expansion import ExperimentSelection, expand_experiments
from bench.experiments.planning import plan_runs
from bench.store.fields import describe_problem
from bench.store.record import FORMAT, STATUSES, RecordError, parse_record
from bench.store.store import Store
from reports.document.builder import build_report
from reports.render import output_files

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
from made_up import failed, record

DROP = "(dropped)"
ODD: list[Any] = [
    None, True, False, 0, -1, 7, 0.5, 1e30, -(10**40), "", "abc", "55.0", "../x", "a\x00b", "<b>|`*", [], [None],
    ["x"], {}, {"value": 1}, {"x": {"value": []}},
]  # fmt: skip
Place = tuple[str | int, ...]


def whole(**changes: Any) -> dict[str, Any]:
    """A record as it lies in its folder."""
    given = {"seed": 1, **changes}
    made = failed(given.pop("kind"), **given) if "kind" in given else record(**given)
    return {"format": FORMAT, "attempt": 1, "recorded": "2026-01-02T00:00:01.000000+00:00", **made}


TEMPLATES = [
    whole(),
    whole(scale="mini", model="mini-gpt2"),
    whole(task="e2e", preset={"train_subset": 50, "data_seed": 0, "test_split": "dev", "dev_subset": 15}),
    whole(kind="out-of-memory", method="ft-full"),
    whole(kind="cancelled"),
]


def find_problem(document: object, run_id: str) -> str | None:
    """Why the document is no record of the run; None if it is one."""
    try:
        parse_record(document, run_id)
    except RecordError as error:
        return str(error)
    return None


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """The place of every field, also inside other fields."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield (*here, name)
        yield from places(one, (*here, name))


def changed(template: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(template)
    within: Any = made
    for name in place[:-1]:
        within = within[name]
    if value == DROP:
        del within[place[-1]]
    else:
        within[place[-1]] = value
    return made


def put(store: Store, run_id: str, content: Any) -> Path:
    path = store.run(run_id).path / "records" / "0001.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    return path


def read_by_all(store: Store) -> tuple[int, int]:
    """(read, left out) after everything that reads many records has read them."""
    records = store.records(latest=False)
    damaged = len(store.damaged)
    report = build_report(
        records, ["table2", "figure3", "efficiency", "claims"], damaged=[str(d) for d in store.damaged]
    )
    for form in ("md", "csv", "tex", "html", "json"):
        output_files.render_text(report, form)
    rows = list_runs(store.root)
    assert len([row for row in rows if row["status"] in STATUSES]) == len(records)
    for scale in ("paper", "mini"):
        plan_runs(expand_experiments("figure3", scale, ExperimentSelection(tasks="e2e")), store)
    return len(records), damaged


mutations = st.integers(0, len(TEMPLATES) - 1).flatmap(
    lambda number: st.tuples(
        st.just(number),
        st.sampled_from(list(places(TEMPLATES[number]))),
        st.one_of(st.just(DROP), st.sampled_from(ODD), st.none() | st.integers() | st.text(max_size=5)),
    )
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(mutations, min_size=20, max_size=40))
def test_one_changed_field_is_read_or_named_and_never_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, Place, Any]]
) -> None:
    store = Store(tmp_path_factory.mktemp("runs"))
    for number, (which, place, value) in enumerate(made):
        own = {**TEMPLATES[which], "run_id": f"{TEMPLATES[which]['run_id'][:-12]}{number:012x}"}
        put(store, own["run_id"], changed(own, place, value))
    read, damaged = read_by_all(store)
    assert read + damaged == len(made)


def test_half_a_character_stops_no_report(tmp_path: Path) -> None:
    store, one = Store(tmp_path), whole(kind="error")
    one["error"]["message"] = one["command"] = "file \udcff"
    put(store, one["run_id"], one)
    assert read_by_all(store) == (1, 0)
    for form in ("md", "csv", "tex", "html"):
        output_files.render_text(build_report(store.records(), ["table2"], plan=False), form).encode()
    put(store, "odd", {**one, "run_id": "odd", "task": "\ud800"})
    assert read_by_all(store) == (1, 1)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("format",), 99, "written by a newer version: format 99, this one reads up to 1"),
        (("format",), DROP, "not a record: its format is null, expected a whole number from 1 to 1"),
        (("status",), "finished", 'not a record: its status is "finished", expected one of done, failed, cancelled'),
        (("run_id",), None, "its run_id is null, and its folder's name is RUN"),
        (("run_id",), "../../etc", 'its run_id is "../../etc", and its folder\'s name is RUN'),
        (("seed",), DROP, "it has no seed"),
        (("seed",), None, "its seed is null, expected a whole number"),
        (("seed",), "abc", 'its seed is "abc", expected a whole number'),
        (("task",), DROP, "it has no task"),
        (("method",), ["prefix"], 'its method is ["prefix"], expected text'),
        (("scores",), [], "its scores is [], expected names with values"),
        (("scores",), 55.0, "its scores is 55.0, expected names with values"),
        (("scores", "all"), "55.0", 'its scores.all is "55.0", expected names with values'),
        (("scores", "all"), DROP, "its scores has no all"),
        (("scores", "all", "bleu"), 55.0, "its scores.all.bleu is 55.0, expected fields with values"),
        (("scores", "all", "bleu", "value"), "5", 'its scores.all.bleu.value is "5", expected a number below 1e+18'),
        (("error",), "boom", 'its error is "boom", expected fields with values'),
        (("settings",), None, "its settings is null, expected names with values"),
        (("settings",), DROP, "it has no settings"),
        (("settings", "lr"), 0.1, "its settings.lr is 0.1, expected fields with values"),
        (("settings", "lr", "origin"), DROP, "its settings.lr has no origin"),
        (("options", "mlp"), {"value": [], "origin": ""}, "its options.mlp.value is [], "
         "expected text, a number, true, false or null"),
        (("settings", "data_seed", "value"), 0.5, "its settings.data_seed.value is 0.5, expected a whole number"),
        (("attempt",), 0, "its attempt is 0, expected a whole number from 1"),
        (("options",), None, "its options is null, expected names with values"),
        (("ended",), DROP, "it has no ended"),
        (("not_comparable",), [1], "its not_comparable.0 is 1, expected text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(place: Place, value: Any, why: str) -> None:
    one = {**whole(), "run_id": "RUN"}
    assert find_problem(one, "RUN") is None
    assert find_problem(changed(one, place, value), "RUN") == why


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda one: f"{one['status']}-{one['scale']}")
def test_what_the_harness_writes_is_read(template: dict[str, Any]) -> None:
    assert find_problem(template, template["run_id"]) is None
    assert find_problem([template], template["run_id"]) == "not a record: expected one JSON object"


def test_one_odd_record_is_named_and_the_rest_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    for seed in (1, 2, 3):
        one = whole(seed=seed)
        put(store, one["run_id"], one)
    paths = [
        put(store, "odd", {**whole(), "run_id": "odd", "seed": None}),
        put(store, "newer", {**whole(), "run_id": "newer", "format": 99}),
    ]
    expected = [
        f"not readable: {paths[0]}: its seed is null, expected a whole number",
        f"not readable: {paths[1]}: written by a newer version: format 99, this one reads up to 1",
    ]
    assert main(["report", "table2", "--format", "md", "--runs", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "3 done" in out and err.splitlines() == expected
    assert main(["list", "runs", "--json", "--runs", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == expected
    assert [row["status"] for row in json.loads(out)] == ["done"] * 3 + ["unreadable"] * 2
    assert main(["plan", "table2", "--runs", str(tmp_path)]) == 0


def test_names_of_others_are_escaped_in_what_is_wrong_with_a_record() -> None:
    error = {"type": "missing", "loc": ("options", "\U000bff33\x1b", "value"), "input": None, "msg": ""}
    assert describe_problem(error) == r"its options.\U000bff33\x1b has no value"  # type: ignore[arg-type]
