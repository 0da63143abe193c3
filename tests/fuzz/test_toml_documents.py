"""Any TOML is an experiment or a site, or is refused by a ``UserError``."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from examples import FUZZ_EXAMPLES
from hypothesis import HealthCheck, given, settings

from bench.cluster.site import load_site
from bench.errors import UserError
from bench.experiments import files

KEYS = st.sampled_from(
    [
        "title",
        "source",
        "note",
        "apart",
        "grid",
        "reuse",
        "tasks",
        "methods",
        "models",
        "seeds",
        "settings",
        "scales",
        "paper",
        "mini",
        "lr",
        "epochs",
        "value",
        "values",
        "per",
        "origin",
        "experiment",
        "keep",
        "limit",
        "partition",
        "time",
        "gpus",
        "environment",
        "slurm",
        "shape",
        "setup",
        "cpus",
        "mem",
        "model",
        "A=B",
    ]
)
NUMBERS = itertools.count()
SCALARS = (
    st.sampled_from(
        ['"webnlg"', '"prefix"', '"mini-gpt2"', '"x"', '""', "true", "nan", "-inf", "1979-05-27", "0x10"]
    )
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
)


def format_table(entries: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{name}" = {value}' for name, value in entries.items()) + "}"


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda texts: f"[{', '.join(texts)}]")
        | st.dictionaries(KEYS, inner, max_size=4).map(format_table)
    ),
    max_leaves=10,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=6).map(
    lambda entries: "\n".join(f'"{name}" = {value}' for name, value in entries.items()).encode()
)
HEADED = DOCUMENTS.map(lambda content: b'"title" = "T"\n"source" = "S"\n' + content)
CONTENTS = st.binary(max_size=40) | DOCUMENTS | HEADED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("experiments")
        patch.setattr(files, "FOLDER", place)
        yield place


@settings(max_examples=FUZZ_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENTS)
def test_any_content_is_an_experiment_or_refused(content: bytes, folder: Path) -> None:
    name = f"trial{next(NUMBERS)}"  # files are read once per name
    path = folder / f"{name}.toml"
    path.write_bytes(content)
    try:
        assert files.list_broken_experiments().keys() <= {name}
    finally:
        path.unlink()


@settings(max_examples=FUZZ_EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENTS)
def test_any_content_is_a_site_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "site-under-test.toml"
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        site = load_site(path)
        site.resources({"model": "m", "method": "m", "task": "t", "scale": "mini"})
