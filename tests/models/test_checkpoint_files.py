"""What a checkpoint's fingerprint covers: all that loading reads, nothing else, and only from its own folder."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

from bench.errors import DataError
from bench.foreign_text import escape_controls
from bench.models import checkpoint_files
from bench.models.catalogue import locate_model
from bench.models.checkpoint_files import (
    INDEX_FILE,
    FileDigest,
    digest_checkpoint,
    digest_file,
    fingerprint_checkpoint,
    fingerprint_digests,
    list_read_files,
    list_shards,
)
from bench.models.loading import load_backbone
from bench.models.weight_headers import read_tensor_shapes
from bench.system.safetensors_header import read_header


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "folder"))


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_embd=8, n_head=2, n_positions=16, vocab_size=20)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "sharded", max_shard_size="3KB")
    return tmp_path / "sharded"


def change_index(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    index = json.loads((folder / INDEX_FILE).read_text())
    change(index)
    (folder / INDEX_FILE).write_text(json.dumps(index))


def name_shard(folder: Path, name: object) -> None:
    """Let the index say that the first shard's tensors are in ``name``."""
    first = sorted(folder.glob("*.safetensors"))[0].name
    change_index(
        folder,
        lambda index: index["weight_map"].update(
            {tensor: name for tensor, shard in index["weight_map"].items() if shard == first}
        ),
    )


# --- what is in it


@pytest.mark.parametrize(
    "name",
    [
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "vocab.txt",
        "tokenizer.model",
        "sentencepiece.bpe.model",
        "chat_template.jinja",
        "additional_chat_templates/other.jinja",
    ],
)
def test_every_file_that_loading_may_read_is_in_the_fingerprint(name: str, folder: Path) -> None:
    before = fingerprint_checkpoint(folder)
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text((file.read_text() if file.exists() else "") + " ")
    assert fingerprint_checkpoint(folder) != before


def test_another_end_of_text_token_is_another_backbone(folder: Path) -> None:
    before = locate_model(str(folder)).fingerprint
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"eos_token": "!"}))
    assert locate_model(str(folder)).fingerprint != before


def test_what_loading_does_not_read_is_not_in_it(folder: Path) -> None:
    before = fingerprint_checkpoint(folder)
    for name in (
        "stray.safetensors",
        "model-00001-of-00002.safetensors",
        INDEX_FILE,
        "README.md",
        "other.json",
    ):
        (folder / name).write_text("{}")
    assert fingerprint_checkpoint(folder) == before


def test_every_shard_and_the_index_are_in_it(sharded: Path) -> None:
    shards = sorted(sharded.glob("*.safetensors"))
    assert len(shards) > 2
    assert {*shards, sharded / INDEX_FILE} <= set(list_read_files(sharded))
    assert load_backbone(locate_model(str(sharded))).config.n_embd == 8
    seen = {fingerprint_checkpoint(sharded)}
    for shard in shards:
        content = bytearray(shard.read_bytes())
        content[-1] ^= 1
        shard.write_bytes(content)
        seen.add(fingerprint_checkpoint(sharded))
    change_index(sharded, lambda index: index["metadata"].update(total_size=1))
    seen.add(fingerprint_checkpoint(sharded))
    assert len(seen) == len(shards) + 2


def test_names_and_sizes_tell_contents_apart() -> None:
    def one(**sizes: int) -> str:
        return fingerprint_digests({name: FileDigest("0" * 64, size) for name, size in sizes.items()})

    assert len({one(a=1), one(b=1), one(a=2), one(a=1, b=1)}) == 4
    assert one(a=1, b=2) == one(b=2, a=1)


@pytest.mark.slow
def test_loading_opens_nothing_that_is_not_in_it(folder: Path, tiny_bart: Path, tmp_path: Path) -> None:
    """Watched while the library loads: folders with all that it could read, and with the least."""
    bart = Path(shutil.copytree(tiny_bart, tmp_path / "bart"))
    least = Path(shutil.copytree(folder, tmp_path / "least"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    for full in (folder, bart):
        (full / "special_tokens_map.json").write_text('{"eos_token": "</s>"}' if full == bart else "{}")
        (full / "added_tokens.json").write_text("{}")
        (full / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"]))
        for name in ("merges.txt", "vocab.txt", "chat_template.jinja", "README.md", "processor_config.json"):
            (full / name).write_text("#version: 0.2\n")
        (full / "additional_chat_templates").mkdir()
        (full / "additional_chat_templates" / "other.jinja").write_text("{{ messages }}")
    for name in ("tokenizer_config.json", "generation_config.json"):
        (least / name).unlink()
    for place in (folder, bart, least):
        opened = watch_loading(place)
        covered = {file.relative_to(place).as_posix() for file in list_read_files(place)}
        assert {"config.json", "tokenizer.json"} <= opened <= covered


def watch_loading(folder: Path) -> set[str]:
    """The files of ``folder`` that Python opens while tokenizer and weights are loaded, by another process."""
    program = (
        "import sys\n"
        "opened = set()\n"
        "sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == 'open' else None)\n"
        "from bench.models.catalogue import locate_model\n"
        "from bench.models.loading import load_backbone, load_tokenizer\n"
        "located = locate_model(sys.argv[1])\n"
        "opened.clear()\n"
        "load_tokenizer(located.path)\n"
        "from bench.models import loading\n"
        "loading.fingerprint_checkpoint = lambda path: located.fingerprint\n"
        "load_backbone(located)\n"
        "print(*sorted(opened), sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    inside = (Path(line) for line in done.stdout.splitlines() if line.startswith(str(folder) + os.sep))
    return {file.relative_to(folder).as_posix() for file in inside}


def test_weights_that_changed_since_they_were_found_are_not_loaded(folder: Path) -> None:
    located = locate_model(str(folder))
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="changed since it was found"):
        load_backbone(located)
    load_backbone(locate_model(str(folder)))


# --- where shards may be


@pytest.mark.parametrize(
    "name",
    [
        "../A.safetensors",
        "../../A.safetensors",
        "/etc/A.safetensors",
        "sub/A.safetensors",
        "sub\\A.safetensors",
        "C:A.safetensors",
        "./A.safetensors",
        "..",
        "",
        ".safetensors",
        "A.bin",
        "A.safetensors\n",
        "a" * 300 + ".safetensors",
        5,
        None,
        ["A.safetensors"],
    ],
)
def test_a_shard_that_is_no_plain_name_is_refused_in_one_line(name: object, sharded: Path) -> None:
    """Case 10: two folders whose index named other folders' weights had one fingerprint."""
    for place in (sharded.parent, sharded.parent.parent):
        shutil.copy(sorted(sharded.glob("*.safetensors"))[0], place / "A.safetensors")
    name_shard(sharded, name)
    with pytest.raises(DataError, match=r"expected the name of a \.safetensors file beside it") as caught:
        locate_model(str(sharded))
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


@given(st.text(max_size=30) | st.sampled_from(["A.safetensors", "..", "a/b.safetensors", "./A.safetensors"]))
def test_whatever_an_index_names_is_a_file_of_the_folder_or_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "A.safetensors").touch()
        (folder / INDEX_FILE).write_text(json.dumps({"metadata": {}, "weight_map": {"a": name}}))
        try:
            [shard] = list_shards(folder)
        except DataError as error:
            assert escape_controls(str(error)) == str(error)
        else:
            assert shard == folder / "A.safetensors"


def test_a_missing_shard_is_refused(sharded: Path) -> None:
    name_shard(sharded, "A.safetensors")
    with pytest.raises(DataError, match=r"the shard A\.safetensors is missing"):
        locate_model(str(sharded))


def test_a_shard_that_links_elsewhere_is_refused_and_one_in_the_folder_is_not(sharded: Path) -> None:
    first = sorted(sharded.glob("*.safetensors"))[0]
    before = fingerprint_checkpoint(sharded)
    first.rename(sharded / "kept.bin")
    first.symlink_to("kept.bin")
    assert fingerprint_checkpoint(sharded) == before
    first.unlink()
    (sharded / "kept.bin").rename(sharded.parent / "kept.bin")
    first.symlink_to("../kept.bin")
    with pytest.raises(DataError, match="is a link to another folder"):
        locate_model(str(sharded))


def test_the_hubs_cache_may_link_into_its_blobs(sharded: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--a--b" / "snapshots" / "0123"
    blobs = snapshot.parents[1] / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for file in sharded.iterdir():
        shutil.copy(file, blobs / f"blob-of-{file.name}")
        (snapshot / file.name).symlink_to(f"../../blobs/blob-of-{file.name}")
    assert fingerprint_checkpoint(snapshot) == fingerprint_checkpoint(sharded)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"metadata": {}, "weight_map": {}}',
        '{"metadata": {}, "weight_map": []}',
        '{"weight_map": {"a": "b.safetensors"}}',
        '{"metadata": {}, "weight_map": {"a": "b.safetensors"}, "weight_map": {"a": "c.safetensors"}}',
        "[" * 100_000,
    ],
)
def test_a_broken_index_is_refused(content: str, sharded: Path) -> None:
    (sharded / INDEX_FILE).write_text(content)
    with pytest.raises(DataError, match=INDEX_FILE):
        locate_model(str(sharded))


def test_an_adapter_beside_the_weights_is_refused(folder: Path) -> None:
    """The library would load it into the weights, whatever their fingerprint says."""
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(DataError, match="an adapter beside the weights"):
        locate_model(str(folder))


def test_a_configuration_that_names_other_weights_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"transformers_weights": "other.safetensors"}))
    with pytest.raises(DataError, match=r"transformers_weights is .* would read a file of another name"):
        locate_model(str(folder))


@pytest.mark.parametrize(
    "config", ["[]", "null", "5", '{"model_type": ["gpt2"]}', '{"model_type": {}}', "{}"]
)
def test_a_configuration_that_is_none_is_refused(config: str, folder: Path) -> None:
    (folder / "config.json").write_text(config)
    with pytest.raises(DataError, match=r"config\.json"):
        locate_model(str(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer_config.json", "merges.txt"])
def test_a_pipe_or_a_folder_instead_of_a_file_is_refused_before_it_is_opened(name: str, folder: Path) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(DataError, match="expected a regular file"):
        locate_model(str(folder))
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(DataError, match="expected a regular file"):
        locate_model(str(folder))


def test_only_weights_under_the_librarys_name_are_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    with pytest.raises(DataError, match=r"weights found: other\.safetensors"):
        locate_model(str(folder))


# --- hashing once


def test_a_file_is_hashed_again_once_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    first = digest_file(file)
    monkeypatch.setattr(checkpoint_files, "read_with_progress", lambda *_: pytest.fail("read again"))
    assert digest_file(file) == first
    (tmp_path / "link").symlink_to("file")
    assert digest_file(tmp_path / "link") == first
    monkeypatch.undo()
    status = file.stat()
    file.write_bytes(b"two")  # same size
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest_file(file) != first


def test_long_files_say_how_far_hashing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights").write_bytes(bytes(3 << 20))
    monkeypatch.setattr(checkpoint_files, "LONG", 1 << 20)
    monkeypatch.setattr(checkpoint_files, "CHUNK", 1 << 20)
    digest_file(tmp_path / "weights")
    assert "hashing weights: 3/3 MiB" in capsys.readouterr().err


def test_digests_are_relative_to_the_folder(folder: Path) -> None:
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(digest_checkpoint(folder))


# --- headers


def write_header(file: Path, header: object, data: bytes = b"") -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_shapes_are_read_from_headers(sharded: Path, tmp_path: Path) -> None:
    state = GPT2LMHeadModel.from_pretrained(sharded).state_dict()
    shapes = read_tensor_shapes(sharded)
    assert all(tuple(state[name].shape) == shape for name, shape in shapes.items())
    assert set(state) - set(shapes) <= {"lm_head.weight"}
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(())}, tmp_path / "x.safetensors", {"format": "pt"})
    assert {name: entry.shape for name, entry in read_header(tmp_path / "x.safetensors").items()} == {
        "a": (2, 3),
        "b": (),
    }


ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (b"", b""),
        (b"not json", b""),
        ([], b""),
        ({"a": 5}, b""),
        ({"a": {"shape": [1]}}, b""),
        ({"a": {**ENTRY, "shape": [-1]}}, b"1234"),
        ({"a": {**ENTRY, "shape": [True]}}, b"1234"),
        ({"a": {**ENTRY, "data_offsets": [0]}}, b"1234"),
        ({"a": ENTRY}, b"123"),
        ({"a": ENTRY}, b"12345"),
        (b'{"a": {"shape": [1], "data_offsets": [0, 0]}, "a": {"shape": [2], "data_offsets": [0, 0]}}', b""),
    ],
)
def test_a_header_that_is_none_is_refused(header: object, data: bytes, tmp_path: Path) -> None:
    write_header(tmp_path / "x.safetensors", header, data)
    with pytest.raises(DataError, match=r"x\.safetensors"):
        read_header(tmp_path / "x.safetensors")


def test_a_header_longer_than_its_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(DataError, match="no header"):
        read_header(tmp_path / "x.safetensors")
