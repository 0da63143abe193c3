"""Any bytes are a JSON document or a ``DataError``."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis.strategies as st
from examples import FUZZ_EXAMPLES
from hypothesis import given, settings

from bench.errors import DataError
from bench.system.json_files import parse_json, to_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def damaged_documents(draw: st.DrawFn) -> bytes:
    content = bytearray(
        json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(content)


@settings(max_examples=FUZZ_EXAMPLES)
@given(st.binary(max_size=60) | damaged_documents())
def test_any_bytes_are_a_document_or_a_data_error(content: bytes) -> None:
    try:
        value = parse_json(Path("document.json"), content)
    except DataError as error:
        assert "document.json" in str(error)
    else:
        assert parse_json(Path("again.json"), to_json(value).encode()) == value
