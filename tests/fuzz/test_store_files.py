"""Any bytes in a file of a store are what the file holds, or unreadable; never another exception."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from examples import FUZZ_EXAMPLES
from hypothesis import HealthCheck, given, settings
from least_record import least

from bench.cluster.launches import read_launches
from bench.errors import UserError
from bench.store.damaged import describe_damage, document_damage
from bench.store.store import Store
from bench.system.damage import NOTES, read_damage_notes

CLAIM = {"host": "h", "machine": "m", "pid": 1, "started": "1", "since": "", "token": "t", "job": None}
LAUNCH = {
    "id": "a",
    "cluster": "local",
    "jobs": [{"run_id": "run", "array": 0}],
    "status": "submitting",
    "state": "",
}
NOTE = {
    "stage": "train",
    "key": "k",
    "product": "parameters.safetensors",
    "sha256": "0",
    "bytes": 1,
    "facts": {},
}
TEMPLATES: tuple[dict[str, Any], ...] = (
    {"format": 1, "run_id": "run", "attempt": 1, "recorded": "", **least()},
    {"format": 1, "run_id": "run", "attempt": 1, "recorded": "", **least("failed")},
    CLAIM,
    LAUNCH,
    NOTE,
    {"step": 1, "loss": 0.5},
    {"file": "a", "kept_as": "b", "problem": "c", "noticed": "d"},
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def damaged_documents(draw: st.DrawFn) -> bytes:
    document = dict(draw(st.sampled_from(TEMPLATES)))
    for name in draw(st.lists(st.sampled_from(sorted(document)), max_size=3)):
        document[name] = draw(VALUES)
    content = bytearray(json.dumps(document).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(content) + draw(st.sampled_from([b"", b"\n"]))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("fuzz") / "runs")
    for name in ("records", "claims", "stages"):
        (store.root / "run" / name).mkdir(parents=True)
    (store.root / "launches").mkdir()
    return store


def read_everything(store: Store) -> None:
    run, damaged = store.run("run"), list(store.survey())
    store.read(latest=False)
    run.worker()
    run.stage_facts("train", "k")
    run.product_sha256("decode")
    run.read_log()
    read_damage_notes(run.path)
    for launch in read_launches(store.root, damaged):
        launch.is_in_progress()
    for line in describe_damage([*damaged, *store.damaged]):
        assert line.isprintable()
    document_damage([*damaged, *store.damaged])
    for read in (run.read_specification, run.read_generations, run.read_scores):
        with contextlib.suppress(UserError):
            read()


@settings(max_examples=FUZZ_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        ["records/0001.json", "claims/0001.json", "stages/train.json", "spec.json", "generations.jsonl",
         "scores.json", "log.jsonl", NOTES, "../launches/a.json"]
    ),
    st.binary(max_size=60) | damaged_documents(),
)  # fmt: skip
def test_any_bytes_in_a_store_are_read_or_named(store: Store, name: str, content: bytes) -> None:
    path: Path = store.root / "run" / name
    path.write_bytes(content)
    read_everything(store)
    path.unlink()
