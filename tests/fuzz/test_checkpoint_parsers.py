"""Any content of a checkpoint's files is a value or a ``UserError``: configuration, tokenizer, weights, index."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from examples import FUZZ_EXAMPLES
from hypothesis import HealthCheck, given, settings
from safetensors.torch import save

from bench.errors import UserError
from bench.models.checkpoint_files import INDEX_FILE, read_weight_map
from bench.models.model_config import ARCHITECTURES, ModelConfig, read_model_config_file
from bench.models.tokenizer_files import (
    TokenizerConfigFile,
    check_tokenizer_json,
    read_checked_object,
    read_ids,
    read_merges,
    validate,
)
from bench.models.weight_headers import WeightFiles
from bench.models.weight_layout import LAYOUTS, check_weight_layout
from bench.system.safetensors_header import TensorEntry, read_header
from bench.training.checkpoint import (
    CHECKSUM,
    PROGRESS,
    TrainingProgress,
    check_state,
    compute_checksum,
    load_checkpoint,
    load_tensors,
)

FUZZ = settings(max_examples=FUZZ_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.sampled_from([10**9, 10**30, 0.1, 1.5, -0.5, "", "gelu", "eager", "evil/kernel", "\u202e\x1b"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@st.composite
def damaged_bytes(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> bytes:
    """A document as JSON, in which up to three places are overwritten, left out or filled in."""
    content = bytearray(json.dumps(draw(documents)).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(content)


def change_some(sound: dict[str, Any], names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A sound document with some entries changed."""
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=3).map(
        lambda changes: {**sound, **changes}
    )


def is_refused(call: Callable[[], object], file: Path) -> bool:
    """Whether a call refuses ``file`` in words that name it; another exception is a failure of the test."""
    try:
        call()
    except UserError as error:
        assert file.name in str(error) or str(file.parent) in str(error)
        return True
    return False


GPT2 = {"model_type": "gpt2", "n_layer": 1, "n_embd": 4, "n_head": 2, "n_positions": 8, "vocab_size": 5}
BART = {"model_type": "bart", "d_model": 4, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 9}
CONFIGS = st.sampled_from([GPT2, BART]).flatmap(
    lambda sound: change_some(
        sound,
        [
            *(name for entry in ARCHITECTURES.values() for name in entry.config.model_fields),
            *("hidden_size", "num_hidden_layers", "_attn_implementation", "auto_map", "quantization_config"),
        ],
    )
)


@FUZZ
@given(content=st.binary(max_size=40) | damaged_bytes(CONFIGS))
def test_any_config_is_typed_or_refused(content: bytes, folder: Path) -> None:
    file = folder / "config.json"
    file.write_bytes(content)

    def read() -> None:
        config = read_model_config_file(folder)
        assert isinstance(config, ModelConfig)
        assert config.get_library_fields().get("attn_implementation") in (None, "eager", "sdpa")
        sizes = [value for _, value in config if type(value) is int]
        assert all(0 <= size <= 10_000_000 for size in sizes)

    is_refused(read, file)


PIECES = {"a": 0, "b": 1, "ab": 2, "\u0120": 3}
TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    },
    "post_processor": None,
    "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    "model": {"type": "BPE", "vocab": PIECES, "merges": [["a", "b"]], "dropout": None, "unk_token": None},
}
BPE = change_some(TOKENIZER["model"], [*TOKENIZER["model"], "byte_fallback", "fuse_unk", "ignore_merges"])
TOKENIZERS = change_some(TOKENIZER, list(TOKENIZER)) | BPE.map(lambda model: {**TOKENIZER, "model": model})


@FUZZ
@given(content=st.binary(max_size=40) | damaged_bytes(TOKENIZERS))
def test_any_tokenizer_is_read_or_refused(content: bytes, folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_bytes(content)
    is_refused(lambda: check_tokenizer_json(file), file)


TOKENIZER_CONFIGS = change_some(
    {"eos_token": "a"}, [*TokenizerConfigFile.model_fields, "auto_map", "vocab_file"]
)


@FUZZ
@given(content=st.binary(max_size=40) | damaged_bytes(TOKENIZER_CONFIGS))
def test_any_tokenizer_config_is_typed_or_refused(content: bytes, folder: Path) -> None:
    file = folder / "tokenizer_config.json"
    file.write_bytes(content)
    is_refused(
        lambda: validate(TokenizerConfigFile, file, read_checked_object(file, "a configuration")), file
    )


@FUZZ
@given(content=st.binary(max_size=60) | st.text(st.sampled_from("ab \n\r#:"), max_size=40).map(str.encode))
def test_any_pieces_are_read_or_refused(content: bytes, folder: Path) -> None:
    merges, ids = folder / "merges.txt", folder / "vocab.json"
    merges.write_bytes(content)
    ids.write_bytes(content)
    is_refused(lambda: read_merges(merges), merges)
    is_refused(lambda: read_ids(ids, "ids by token"), ids)


ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "F16", "I64", "F4", "Q", 5]),
        "shape": st.lists(st.sampled_from([-1, 0, 1, 2, 2**62, "2"]), max_size=2) | SCALARS,
        "data_offsets": st.lists(st.sampled_from([-1, 0, 4, 8, 12, 2**64]), min_size=1, max_size=3) | SCALARS,
    },
)
HEADERS = st.dictionaries(st.sampled_from(["a", "b", "__metadata__"]), ENTRIES | VALUES, max_size=3) | VALUES


@st.composite
def weight_files(draw: st.DrawFn) -> bytes:
    header = draw(damaged_bytes(HEADERS))
    length = len(header) + draw(st.sampled_from([0, 0, 0, 0, 1, -1, 2**40]))
    return struct.pack("<Q", length % 2**64) + header + draw(st.binary(max_size=16))


@FUZZ
@given(content=st.binary(max_size=60) | weight_files())
def test_any_weight_file_has_a_sound_header_or_is_refused(content: bytes, folder: Path) -> None:
    """What the header's reader accepts the library reads as well."""
    file = folder / "x.safetensors"
    file.write_bytes(content)
    entries: dict[str, TensorEntry] = {}
    if not is_refused(lambda: entries.update(read_header(file)), file) and "F4" not in str(entries):
        assert {name: tuple(tensor.shape) for name, tensor in load_tensors(file).tensors.items()} == {
            name: entry.shape for name, entry in entries.items()
        }


@FUZZ
@given(content=st.binary(max_size=60) | weight_files())
def test_any_parameters_and_training_states_are_read_or_refused(content: bytes, folder: Path) -> None:
    file = folder / "checkpoint.safetensors"
    file.write_bytes(content)
    is_refused(lambda: load_tensors(file), file)
    assert is_refused(lambda: load_checkpoint(file, "key"), file)


PROGRESS_DOCUMENTS = change_some(
    {"key": "key", "step": 2},
    [*TrainingProgress.__dataclass_fields__, "more"],
)
TENSOR_NAMES = st.sampled_from(
    [
        "parameter/a",
        "parameter/b",
        "optimiser/0/exp_avg",
        "optimiser/x/y",
        "optimiser/0",
        "random/cpu",
        "evil",
        "",
    ]
)


@FUZZ
@given(
    document=PROGRESS_DOCUMENTS, names=st.lists(TENSOR_NAMES, unique=True, max_size=4), size=st.integers(0, 2)
)
def test_any_training_state_with_a_right_checksum_is_a_state_or_refused(
    document: dict[str, Any], names: list[str], size: int, folder: Path
) -> None:
    """A hand that edits a checkpoint can make its checksum fit."""
    file = folder / "edited.safetensors"
    tensors = {name: torch.zeros(size) for name in names}
    checked = json.dumps({**document, CHECKSUM: compute_checksum(tensors, document)})
    file.write_bytes(save(tensors, {PROGRESS: checked}))

    def read() -> None:
        state = load_checkpoint(file, "key")
        check_state(file, state, {"a": torch.zeros(1)}, planned=4)
        assert 0 <= state.progress.step <= 4

    is_refused(read, file)


INDICES = change_some(
    {"metadata": {}, "weight_map": {"a": "b.safetensors"}}, ["metadata", "weight_map"]
) | st.dictionaries(st.text(max_size=3), VALUES, max_size=3).map(
    lambda names: {"metadata": {}, "weight_map": names}
)


@FUZZ
@given(content=st.binary(max_size=40) | damaged_bytes(INDICES))
def test_any_index_names_plain_files_or_is_refused(content: bytes, folder: Path) -> None:
    file = folder / INDEX_FILE
    file.write_bytes(content)
    names: dict[str, str] = {}
    if not is_refused(lambda: names.update(read_weight_map(folder)), file):
        assert all(name.endswith(".safetensors") and "/" not in name for name in names.values())


@FUZZ
@given(
    names=st.lists(
        st.sampled_from(
            ["transformer.wte.weight", "wte.weight", "lm_head.weight", "h.0.ln_1.bias", "h.9.ln_1.bias", "x"]
        ),
        unique=True,
    ),
    shape=st.lists(st.integers(0, 6), max_size=2).map(tuple),
    dtype=st.sampled_from(["F32", "I8"]),
)
def test_any_tensors_are_a_models_or_refused(
    names: list[str], shape: tuple[int, ...], dtype: str, folder: Path
) -> None:
    config = ARCHITECTURES["gpt2"].config.model_validate(GPT2)
    assert config.model_type in LAYOUTS
    entry = TensorEntry(dtype, shape, 0, 0)
    weights = WeightFiles(dict.fromkeys(names, entry), dict.fromkeys(names, folder / "model.safetensors"))
    assert is_refused(lambda: check_weight_layout(folder, config, weights), folder / "model.safetensors")
