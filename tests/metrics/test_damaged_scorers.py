"""A scorer's checkpoint with one thing wrong is not available, and the reason names the file."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_encoders import write_bert

from bench.errors import UnavailableError
from bench.metrics import _neural, bertscore, bleurt
from bench.metrics._neural import Checkpoint

Damage = Callable[[Path], object]


def change_config(**changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        document = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**document, **changes}))

    return damage


def write(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def replace_by_pipe(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def name_pickled_shards(folder: Path) -> None:
    """An index that names a file of another kind, which the library would unpickle."""
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    index = {"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "evil.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "evil.bin").write_bytes(b"cos\nsystem\n(S'touch payload'\ntR.")


DAMAGES: dict[str, Damage] = {
    **{
        f"{name}-{value!r}": change_config(**{name: value})
        for name, values in {
            "vocab_size": (10**12, 0, -1, "95", None, 94, 10**6),
            "hidden_size": (10**9, "16", 17, None),
            "num_hidden_layers": (10**9, 0, "3", None, 9),
            "num_attention_heads": (3, 0, "2", 10**9),
            "intermediate_size": (10**12, -1, "x"),
            "max_position_embeddings": (10**12, None, 63),
            "num_labels": (10**9, "x"),
            "type_vocab_size": (10**9, 7),
            "hidden_act": ("nonsense", 5),
            "hidden_dropout_prob": ("x",),
            "model_type": (None, 5, ["bert"], "evil\u202e"),
            "auto_map": ({"AutoModel": "evil.Model"},),
            "_attn_implementation": ("evil/kernel",),
            "quantization_config": ({"quant_method": "bitsandbytes"},),
            "dtype": ("nonsense",),
        }.items()
        for value in values
    },
    **{
        f"config-{content!r}": write("config.json", content)
        for content in (b"", b"[]", b"{", b"\xff", b"{}", b"5")
    },
    **{
        f"tokenizer-{content[:20]!r}": write("tokenizer.json", content)
        for content in (b"", b"{}", b"[]", b"\xff", b'{"model": {"type": "BPE", "vocab": {}, "merges": []}}')
    },
    "weights-empty": write("model.safetensors", b""),
    "weights-length": write("model.safetensors", struct.pack("<Q", 2**60) + b"{}"),
    "weights-none": write("model.safetensors", struct.pack("<Q", 2) + b"{}"),
    "weights-pipe": replace_by_pipe("model.safetensors"),
    "config-pipe": replace_by_pipe("config.json"),
    "weights-cut": lambda folder: os.truncate(folder / "model.safetensors", 5_000),
    "adapter": write("adapter_config.json", b"{}"),
    "pickled-shards": name_pickled_shards,
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    write_bert(folder, head=True)
    return folder


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_scorer_is_not_available(
    name: str, sound: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "scorer"))
    DAMAGES[name](folder)
    before = sorted(folder.iterdir())
    with pytest.raises(UnavailableError, match="scorer"):
        bertscore.score_texts(["a"], [["a"]], Checkpoint("scorer", folder), 2)
    if not name.startswith("tokenizer"):  # BLEURT's own vocab.txt comes first
        with pytest.raises(UnavailableError, match="scorer"):
            bleurt.load_regressor(folder)
    assert sorted(folder.iterdir()) == before
    assert capfd.readouterr() == ("", "")


def test_the_sound_one_is(sound: Path) -> None:
    assert _neural.load_encoder(Checkpoint("scorer", sound), ("bert",)).limit == 64
    assert bleurt.load_regressor(sound).start
