"""Checkpoint folders with one thing wrong each: configuration, tokenizer, weights, index, file types.

A random GPT-2 of one layer and a BART of one layer a side are built once; each input damages a copy of one.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from inputs import MalformedInput

sys.path.insert(0, str(Path(__file__).parents[1]))  # noqa: RUF100 - byte_tokens lies there

from byte_tokens import byte_tokenizer

KIND = "checkpoint"
WORDS = "--max-steps 1 --limit 1 --batch-size 1 --max-new-tokens 4 --offline"
GPT2_COMMAND = f"run --method prefix --task webnlg {WORDS}".split()
BART_COMMAND = f"run --method prefix --task xsum {WORDS} --min-new-tokens 1".split()
INDEX = "model.safetensors.index.json"

Damage = Callable[[Path], object]


# --- sound checkpoints


def make_folder() -> Path:
    """A folder that is gone when the process ends."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def build_gpt2() -> Path:
    """A sound GPT-2 of 257 tokens, width 16, one layer."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = make_folder()
    tokenizer = byte_tokenizer(["<|endoftext|>"], eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    end = tokenizer.eos_token_id
    sizes = {"n_layer": 1, "n_embd": 16, "n_head": 2, "n_positions": 512, "vocab_size": len(tokenizer)}
    save_quietly(GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=end, eos_token_id=end)), folder)
    return folder


@cache
def build_bart() -> Path:
    """A sound BART of 260 tokens, width 16, one layer a side."""
    from transformers import BartConfig, BartForConditionalGeneration

    folder = make_folder()
    roles = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = byte_tokenizer([*roles.values()], **roles)
    tokenizer.save_pretrained(folder)
    sides = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}
    sizes = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sides.items()}
    config = BartConfig(**sizes, d_model=16, max_position_embeddings=1024, vocab_size=len(tokenizer))
    save_quietly(BartForConditionalGeneration(config), folder)
    return folder


def save_quietly(model: Any, folder: Path) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)


# --- ways to damage a copy


def change_json(name: str, changes: Mapping[str, Any] | Callable[[dict[str, Any]], object]) -> Damage:
    """Change entries of a JSON file of the folder, or let a function do it."""

    def damage(folder: Path) -> None:
        document = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        if callable(changes):
            changes(document)
        else:
            document.update(changes)
        (folder / name).write_text(json.dumps(document))

    return damage


def write(name: str, content: str | bytes) -> Damage:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def append(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + content)


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def cut(name: str, share: float) -> Damage:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return damage


def replace_by(name: str, make: Callable[[Path], object]) -> Damage:
    """Put something else in the place of a file."""

    def damage(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return damage


def change_header(change: Callable[[dict[str, Any]], object], name: str = "model.safetensors") -> Damage:
    """Change the header of the weights; the data stay as they are."""

    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        (folder / name).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])

    return damage


def change_weights(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Write the weights again after a function changed the tensors."""

    def damage(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors", {"format": "pt"})

    return damage


def use_index(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Damage:
    """Weights with an index, which a function changes."""

    def damage(folder: Path) -> None:
        from safetensors.torch import load_file

        names = list(load_file(folder / "model.safetensors"))
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        document = {
            "metadata": {"total_size": 1},
            "weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors"),
        }
        change(document)
        (folder / INDEX).write_text(json.dumps(document))

    return damage


def write_index(content: str | bytes) -> Damage:
    def damage(folder: Path) -> None:
        use_index()(folder)
        write(INDEX, content)(folder)

    return damage


def drop(state: dict[str, Any], part: str) -> None:
    for name in [name for name in state if part in name]:
        del state[name]


def poison(value: float) -> Damage:
    def change(state: dict[str, Any]) -> None:
        state["transformer.ln_f.weight"][3] = value

    return change_weights(change)


def retype(kind: str) -> Damage:
    """The weights of one layer norm in another type of numbers."""

    def change(state: dict[str, Any]) -> None:
        import torch

        state["transformer.ln_f.weight"] = state["transformer.ln_f.weight"].to(getattr(torch, kind))

    return change_weights(change)


# --- the inputs


def make_input(name: str, damage: Damage, expects: str, bart: bool = False) -> MalformedInput:
    def prepare(folder: Path) -> list[str]:
        checkpoint = folder / "model"
        shutil.copytree(build_bart() if bart else build_gpt2(), checkpoint)
        damage(checkpoint)
        return [*(BART_COMMAND if bart else GPT2_COMMAND), "--model", str(checkpoint)]

    return MalformedInput(name, KIND, prepare, expects)


def tokenizer_model(change: Callable[[dict[str, Any]], object]) -> Damage:
    return change_json("tokenizer.json", lambda document: change(document["model"]))


def use_old_files(
    merges: str = "#version: 0.2\n", change: Callable[[dict[str, Any]], object] = dict
) -> Damage:
    """``vocab.json`` and ``merges.txt`` instead of ``tokenizer.json``."""

    def damage(folder: Path) -> None:
        vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        change(vocabulary)
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer_config.json").unlink()  # it asks for a tokenizer.json
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "merges.txt").write_text(merges)

    return damage


CONFIG_VALUES: tuple[tuple[str, Any], ...] = (
    *(("n_layer", value) for value in ("6", -1, 0, 10**9, 10**30, 1.5, True, None, [1], {}, 2)),
    *(("n_embd", value) for value in ("16", 0, -16, 15, 10**12, None, [16], 32)),
    *(("n_head", value) for value in ("2", 0, -1, 3, 10**9, None, {})),
    *(("vocab_size", value) for value in (10**12, 0, -5, "257", None, 1, 256, 258)),
    *(("n_positions", value) for value in (0, -1, "x", None, 10**15, [], 3)),
    *(("n_inner", value) for value in (0, -1, "64", 65, 10**12)),
    *(("activation_function", value) for value in ("nonsense", None, 5, "", ["gelu"], "prelu")),
    *(("resid_pdrop", value) for value in (-0.1, 1.5, "0.1", None, [0.1])),
    *(("layer_norm_epsilon", value) for value in (-1, 0, "x", None, 10)),
    *(("initializer_range", value) for value in (-1, "x", None)),
    *(("dtype", value) for value in ("nonsense", 5, "nn", ["float32"])),
    *(("torch_dtype", value) for value in ("nonsense", 5, {})),
    *(("eos_token_id", value) for value in (257, -1, 10**9, "0", [1, 2])),
    *(("bos_token_id", value) for value in (300, -1)),
    *(("pad_token_id", value) for value in (257, 10**12)),
    *(("tie_word_embeddings", value) for value in ("no", None, 1, False)),
    *(("scale_attn_weights", value) for value in ("yes", 2)),
    *(("is_encoder_decoder", value) for value in (True, "no")),
    *(("add_cross_attention", value) for value in (True, 1)),
    *(("num_hidden_layers", value) for value in (5, "1")),
    *(("hidden_size", value) for value in (15, None, True)),
    *(("tokenizer_class", value) for value in ("EvilTokenizer", "LlamaTokenizer", 5, [])),
    *(
        ("model_type", value)
        for value in ("bert", None, 5, ["gpt2"], "", "evil\u202e\u001b[31m", "x" * 10_000)
    ),
)
REFUSED: tuple[tuple[str, Any], ...] = (
    ("auto_map", {"AutoConfig": "evil.Config"}),
    ("auto_map", ["evil.Tokenizer", None]),
    ("auto_map", "evil/repo--code.Class"),
    *((name, "evil/kernel") for name in ("_attn_implementation", "attn_implementation")),
    ("_attn_implementation_internal", "evil/kernel"),
    ("attn_implementation", "flash_attention_2"),
    ("attn_implementation", "kernels-community/flash-attn"),
    ("_attn_implementation", "paged|eager"),
    ("_attn_implementation", {"": "evil/kernel"}),
    ("attn_implementation", 5),
    ("experts_implementation", "evil/kernel"),
    ("_experts_implementation", "eager"),
    ("custom_generate", "evil/generate"),
    ("custom_pipelines", {"evil": {"impl": "evil.Pipeline"}}),
    ("quantization_config", {"quant_method": "bitsandbytes", "load_in_8bit": True}),
    ("compression_config", {"quant_method": "evil"}),
    ("transformers_weights", "../other.safetensors"),
    ("use_kernels", True),
    ("kernel_config", {"kernel_mapping": {}}),
    ("fusion_config", {"patch": True}),
    ("distributed_config", {"tp_size": 2}),
    ("base_model_name_or_path", "evil/model"),
    ("base_model_tp_plan", {"layers.*": "colwise"}),
    ("per_layer_config", {"0": {"n_embd": 8}}),
    ("configuration_files", ["config.5.0.0.json"]),
    ("trust_remote_code", True),
    ("text_config", {"auto_map": {"AutoConfig": "evil.Config"}}),
    ("sub", [{"deeper": {"_attn_implementation": "evil/kernel"}}]),
)
TOKENIZER_CONFIG_VALUES: tuple[tuple[str, Any], ...] = (
    ("auto_map", {"AutoTokenizer": ["evil.Tokenizer", None]}),
    ("tokenizer_class", "EvilTokenizer"),
    ("tokenizer_class", 5),
    ("tokenizer_class", "T5Tokenizer"),
    ("eos_token", 5),
    ("eos_token", ["a"]),
    ("eos_token", {"content": 5}),
    ("eos_token", {"content": "x", "evil": 1}),
    ("eos_token", ""),
    ("eos_token", None),
    ("eos_token", "<a token that is nowhere>"),
    ("unk_token", {}),
    ("model_max_length", "many"),
    ("model_max_length", -1),
    ("padding_side", "up"),
    ("truncation_side", 1),
    ("added_tokens_decoder", []),
    ("added_tokens_decoder", {"x": {"content": "y"}}),
    ("added_tokens_decoder", {"0": "y"}),
    ("added_tokens_decoder", {"0": {"content": None}}),
    ("added_tokens_decoder", {"99999999999": {"content": "y"}}),
    ("additional_special_tokens", 7),
    ("additional_special_tokens", [7]),
    ("extra_special_tokens", "x"),
    ("chat_template", 5),
    ("chat_template", [5]),
    ("clean_up_tokenization_spaces", "yes"),
    ("add_prefix_space", 3),
    ("split_special_tokens", "no"),
    ("errors", "explode"),
    ("backend", "evil"),
    ("model_input_names", "input_ids"),
    ("vocab_file", "/etc/passwd"),
    ("merges_file", "../merges.txt"),
    ("tokenizer_file", "/dev/stdin"),
    ("fast_tokenizer_files", ["tokenizer.4.json"]),
    ("init_inputs", ["/etc/passwd"]),
    ("custom_generate", "evil/x"),
    ("name_or_path", 5),
    ("files_loaded", 5),
    ("verbose", "x"),
    ("vocab", {"a": 0}),
    ("merges", ["a b"]),
    ("post_processor", {"type": "Evil"}),
    ("tokenizer_padding", 5),
    ("tokenizer_truncation", {"max_length": 1}),
    ("proxies", {"https": "evil:1"}),
    ("token", "x"),
)
BPE_VALUES: tuple[tuple[str, Any], ...] = (
    ("vocab", {}),
    ("vocab", []),
    ("vocab", None),
    ("vocab", {"a": -1}),
    ("vocab", {"a": "0"}),
    ("vocab", {"a": 0, "b": 0}),
    ("vocab", {"a": 2**31}),
    ("vocab", {"a": 10**30}),
    ("vocab", {"a": 0.5}),
    ("merges", [["zz", "qq"]]),
    ("merges", ["zz qq"]),
    ("merges", ["a"]),
    ("merges", [["a", "b", "c"]]),
    ("merges", [["a", "b"]]),
    ("merges", [[1, 2]]),
    ("merges", "a b"),
    ("merges", None),
    ("merges", {}),
    ("dropout", 0.5),
    ("dropout", "x"),
    ("unk_token", "<nowhere>"),
    ("unk_token", 5),
    ("type", "Evil"),
    ("type", "WordLevel"),
    ("type", 5),
)
TOKENIZER_VALUES: tuple[tuple[str, Any], ...] = (
    ("model", None),
    ("model", []),
    ("model", {}),
    ("added_tokens", None),
    ("added_tokens", [5]),
    ("added_tokens", [{"id": 257, "content": "beyond", "special": True}]),
    ("added_tokens", [{"id": -1, "content": "x"}]),
    ("added_tokens", [{"id": "0", "content": "x"}]),
    ("added_tokens", [{"content": "x"}]),
    ("pre_tokenizer", None),
    ("decoder", None),
    ("pre_tokenizer", {"type": "Evil"}),
    ("pre_tokenizer", 5),
    ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}),
    ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    ("normalizer", []),
    ("decoder", {"type": "Nothing"}),
    ("post_processor", {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": 5}),
    ("truncation", 5),
    ("padding", {"strategy": "Evil"}),
    ("version", 99),
)
SIDE_FILES: tuple[tuple[str, str | bytes], ...] = tuple(
    (name, content)
    for name in (
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "generation_config.json",
    )
    for content in ("[]", "5", "null", "", "{", '{"a": NaN}', b"\xff\xfe", '{"a": 1, "a": 2}', "\ufeff{}")
)
NOT_FILES: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("directory", Path.mkdir),
    ("pipe", os.mkfifo),
    ("loop", lambda file: file.symlink_to(file.name)),
    ("dangling-link", lambda file: file.symlink_to("nowhere")),
    ("device", lambda file: file.symlink_to("/dev/zero")),
)


def spell(value: object) -> str:
    return json.dumps(value, ensure_ascii=True)[:30]


def make_header_inputs() -> list[MalformedInput]:
    """The header of the safetensors file."""
    first = "transformer.ln_f.weight"

    def entry(**changes: Any) -> Damage:
        return change_header(lambda header: header[first].update(changes))

    def move(by: int) -> Damage:
        def change(header: dict[str, Any]) -> None:
            header[first]["data_offsets"] = [value + by for value in header[first]["data_offsets"]]

        return change_header(change)

    cases: dict[str, Damage] = {
        "offsets-beyond-file": move(10**9),
        "offsets-overlap": move(-64),
        "offsets-negative": move(-(10**9)),
        "offsets-backwards": entry(data_offsets=[64, 0]),
        "offsets-one": entry(data_offsets=[0]),
        "offsets-text": entry(data_offsets=["0", "64"]),
        "offsets-huge": entry(data_offsets=[0, 2**70]),
        "shape-negative": entry(shape=[-16]),
        "shape-huge": entry(shape=[2**62, 2**62]),
        "shape-other": entry(shape=[4, 4]),
        "shape-text": entry(shape="16"),
        "shape-none": entry(shape=None),
        "type-unknown": entry(dtype="F99"),
        "type-of-other-width": entry(dtype="F16"),
        "type-whole-numbers": entry(dtype="I32"),
        "type-number": entry(dtype=5),
        "entry-list": change_header(lambda header: header.update({first: []})),
        "entry-more": entry(evil=1),
        "metadata-list": change_header(lambda header: header.update(__metadata__=[1])),
        "metadata-numbers": change_header(lambda header: header.update(__metadata__={"a": 1})),
        "no-tensors": change_header(lambda header: [header.pop(name) for name in list(header)]),
        "renamed": change_header(lambda header: header.update({"\u202eevil\x1b[2J": header.pop(first)})),
        "header-list": write("model.safetensors", struct.pack("<Q", 2) + b"[]"),
        "header-empty-object": write("model.safetensors", struct.pack("<Q", 2) + b"{}"),
        "header-no-json": write("model.safetensors", struct.pack("<Q", 4) + b"evil"),
        "header-no-utf8": write("model.safetensors", struct.pack("<Q", 4) + b"\xff\xff\xff\xff"),
        "header-deep": write("model.safetensors", struct.pack("<Q", 99_999) + b"[" * 99_999),
        "length-huge": write("model.safetensors", struct.pack("<Q", 2**63) + b"{}"),
        "length-beyond-file": write("model.safetensors", struct.pack("<Q", 1000) + b"{}"),
        "length-zero": write("model.safetensors", struct.pack("<Q", 0) + b"{}"),
        "empty": write("model.safetensors", b""),
        "seven-bytes": write("model.safetensors", b"1234567"),
        "zeros": write("model.safetensors", bytes(1000)),
        "pickle": write("model.safetensors", b"\x80\x02}q\x00." * 10),
        "longer": append("model.safetensors", b"more"),
        **{f"cut-{share}": cut("model.safetensors", share) for share in (0.01, 0.3, 0.9, 0.999)},
    }
    return [make_input(f"weights-{name}", damage, "model") for name, damage in cases.items()]


def make_weight_inputs() -> list[MalformedInput]:
    """Tensors that are missing, too many, of other shapes or no numbers."""

    def grow(state: dict[str, Any]) -> None:
        state.update({name.replace("h.0.", "h.1."): tensor.clone() for name, tensor in state.items()})

    def transpose(state: dict[str, Any]) -> None:
        name = "transformer.h.0.mlp.c_fc.weight"
        state[name] = state[name].t().contiguous()

    def double(state: dict[str, Any]) -> None:
        state["ln_f.weight"] = state["transformer.ln_f.weight"].clone()

    untie = change_json("config.json", {"tie_word_embeddings": False})
    cases: list[tuple[str, Damage, str]] = [
        ("lacks-head", untie, r"lacks lm_head\.weight"),
        *(
            (f"lacks-{part}", change_weights(lambda state, part=part: drop(state, part)), "lacks")
            for part in ("wte", "wpe", "ln_f.bias", "h.0.attn.c_attn", "h.0.mlp", "h.0")
        ),
        ("layer-too-many", change_weights(grow), "no place for"),
        ("transposed", change_weights(transpose), "has another shape for"),
        ("two-names", change_weights(double), "under two names"),
        ("nan", poison(float("nan")), "NaN or an infinity"),
        ("infinite", poison(float("inf")), "NaN or an infinity"),
        *(
            (f"type-{kind}", retype(kind), "expected floating point")
            for kind in ("int8", "bool", "complex64")
        ),
        ("adapter-beside", write("adapter_config.json", "{}"), "adapter"),
        (
            "pickled",
            lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
            "pickled",
        ),
        ("none", remove("model.safetensors"), "weights found: none"),
    ]
    return [make_input(f"tensors-{name}", damage, expects) for name, damage, expects in cases]


def make_index_inputs() -> list[MalformedInput]:
    """``model.safetensors.index.json``."""
    name = "model-00001-of-00001.safetensors"

    def point(shard: object) -> Damage:
        return use_index(lambda index: index["weight_map"].update({"transformer.ln_f.bias": shard}))

    contents = {
        *('""', "", "[]", "{}", "null", "{", '{"metadata": {}, "weight_map": {}}', "\x00", "[" * 10_000),
        '{"metadata": {}, "weight_map": []}',
        '{"metadata": [], "weight_map": {"a": "b.safetensors"}}',
        '{"weight_map": {"a": "b.safetensors"}}',
    }
    cases: dict[str, Damage] = {f"content-{spell(text)}": write_index(text) for text in sorted(contents)}
    shards = [
        "../evil.safetensors",
        "/etc/passwd",
        "evil.bin",
        "missing.safetensors",
        5,
        None,
        ["x"],
        "",
        "\x1b[2J",
    ]
    cases |= {f"shard-{spell(shard)}": point(shard) for shard in [*shards, "x" * 5000 + ".safetensors"]}
    cases["tensor-in-no-shard"] = use_index(lambda index: index["weight_map"].update(evil=name))
    cases["tensor-not-named"] = use_index(lambda index: index["weight_map"].pop("transformer.ln_f.bias"))
    for kind, make in NOT_FILES:
        cases[f"is-{kind}"] = replace_index(make)
        cases[f"shard-is-{kind}"] = replace_shard(name, make)
    return [make_input(f"index-{name}", damage, "model") for name, damage in cases.items()]


def replace_index(make: Callable[[Path], object]) -> Damage:
    def damage(folder: Path) -> None:
        use_index()(folder)
        replace_by(INDEX, make)(folder)

    return damage


def replace_shard(name: str, make: Callable[[Path], object]) -> Damage:
    def damage(folder: Path) -> None:
        use_index()(folder)
        replace_by(name, make)(folder)

    return damage


def make_old_file_inputs() -> list[MalformedInput]:
    """``vocab.json`` and ``merges.txt``."""
    cases: dict[str, Damage] = {
        "merges-unknown": use_old_files("#version: 0.2\nzz qq\n"),
        "merges-of-no-result": use_old_files("#version: 0.2\na b\n"),
        "merges-one-piece": use_old_files("#version: 0.2\na\n"),
        "merges-three-pieces": use_old_files("#version: 0.2\na b c\n"),
        "vocab-empty": use_old_files(change=dict.clear),
        "vocab-text-id": use_old_files(change=lambda ids: ids.update(a="x")),
        "vocab-negative": use_old_files(change=lambda ids: ids.update(a=-1)),
        "vocab-huge": use_old_files(change=lambda ids: ids.update(a=10**12)),
        "vocab-beyond": use_old_files(change=lambda ids: ids.update(a=257)),
        "vocab-same-id": use_old_files(change=lambda ids: ids.update(new=0)),
        "vocab-list": lambda folder: (use_old_files()(folder), write("vocab.json", "[]")(folder)),
        "merges-no-utf8": lambda folder: (use_old_files()(folder), write("merges.txt", b"\xff\xfe")(folder)),
        "no-merges": lambda folder: (use_old_files()(folder), remove("merges.txt")(folder)),
        "no-vocab": lambda folder: (use_old_files()(folder), remove("vocab.json")(folder)),
    }
    return [
        make_input(f"pieces-{name}", damage, r"vocab\.json|merges\.txt|embeddings")
        for name, damage in cases.items()
    ]


BART_VALUES: tuple[tuple[str, Any], ...] = (
    *(("encoder_layers", value) for value in ("1", 0, None, 10**9, 2)),
    *(("decoder_layers", value) for value in (-1, None, 3)),
    *(("d_model", value) for value in (15, None, "16", 10**12)),
    *(("encoder_ffn_dim", value) for value in (None, 0, 33)),
    *(("decoder_attention_heads", value) for value in (3, 0, None)),
    *(("dropout", value) for value in (None, 2, "x")),
    *(("encoder_layerdrop", value) for value in (-1, "x", 1)),
    *(("activation_function", value) for value in (None, "evil")),
    *(("decoder_start_token_id", value) for value in (0, None, 300, [2])),
    *(("pad_token_id", value) for value in (2, None, 260)),
    *(("eos_token_id", value) for value in (1, None, [2], "2")),
    *(("bos_token_id", value) for value in (5, None)),
    *(("is_encoder_decoder", value) for value in (False, None)),
    *(("max_position_embeddings", value) for value in (0, None, 10**12, 3)),
    *(("vocab_size", value) for value in (10**12, 3, None)),
    ("_attn_implementation", "evil/kernel"),
    ("auto_map", {"AutoModel": "evil.Model"}),
)


def set_entry(name: str, value: object, model: dict[str, Any]) -> None:
    """``partial(set_entry, name, value)`` changes one entry of a document."""
    model[name] = value


def make_words(words: list[str], folder: Path) -> list[str]:
    """The words themselves: nothing is written for them."""
    del folder
    return words


def make_path_inputs() -> list[MalformedInput]:
    """``--model`` that is no directory with a checkpoint."""

    def give(
        name: str, make: Callable[[Path], object], expects: str = "expected a directory"
    ) -> MalformedInput:
        def prepare(folder: Path) -> list[str]:
            make(folder / "given")
            return [*GPT2_COMMAND, "--model", str(folder / "given")]

        return MalformedInput(f"path-is-{name}", KIND, prepare, expects)

    return [
        give("missing", lambda _: None),
        give("empty-directory", Path.mkdir, r"expected config\.json"),
        give("file", lambda path: path.write_text("{}")),
        give("pipe", os.mkfifo),
        give("loop", lambda path: path.symlink_to(path.name)),
        give("dangling-link", lambda path: path.symlink_to("nowhere")),
        give("device", lambda path: path.symlink_to("/dev/null")),
        *(
            MalformedInput(
                f"path-{name}", KIND, partial(make_words, [*GPT2_COMMAND, "--model", text]), expects
            )
            for name, text, expects in (
                ("too-long", "./" + "x" * 5000, "expected a directory"),
                ("name-too-long", "x" * 300, "unknown model"),
                ("half-a-character", "\udcff", "UTF-8"),
                ("controls", "./\x1b[2J\u202e", "expected a directory"),
                ("of-no-user", "~nobody-of-that-name/x", "expected a directory"),
                ("other-directory", "/", r"expected config\.json"),
            )
        ),
    ]


def make_name_inputs() -> list[MalformedInput]:
    """A sound checkpoint in a folder whose name cannot be a part of a run's name."""

    def give(name: str) -> MalformedInput:
        def prepare(folder: Path) -> list[str]:
            shutil.copytree(build_gpt2(), folder / name)
            return [*GPT2_COMMAND, "--model", str(folder / name)]

        return MalformedInput(f"folder-named-{spell(name)}", KIND, prepare, "rename the folder")

    return [
        give(name)
        for name in ("a b", "a:b", "a\nb", "\x1b[31m", "\u202eabc", "é", "a,b", "[x]", "%j", "x" * 161)
    ]


OTHER_VERBS = {
    "dry-run": "run --dry-run --method prefix --task webnlg --offline --model {}",
    "list-methods": "list methods --model {}",
    "verify": "models verify {} --offline",
    "stats": "data stats --task webnlg --scale mini --tokenizer {}",
}
DAMAGES_FOR_VERBS: tuple[tuple[str, Damage, tuple[str, ...]], ...] = (
    ("layers-text", change_json("config.json", {"n_layer": "6"}), tuple(OTHER_VERBS)),
    ("kernel", change_json("config.json", {"_attn_implementation": "evil/kernel"}), tuple(OTHER_VERBS)),
    ("config-list", write("config.json", "[]"), tuple(OTHER_VERBS)),
    ("config-pipe", replace_by("config.json", os.mkfifo), tuple(OTHER_VERBS)),
    ("tokenizer-config-list", write("tokenizer_config.json", "[]"), ("dry-run", "stats")),
    (
        "merges-unknown",
        tokenizer_model(lambda model: model.update(merges=[["zz", "qq"]])),
        ("dry-run", "stats"),
    ),
    (
        "tokenizer-panics",
        tokenizer_model(lambda model: model.update(vocab={"a": 10**30})),
        ("dry-run", "stats"),
    ),
    ("no-tokenizer", remove("tokenizer.json"), ("dry-run", "stats")),
    ("lacks-head", change_json("config.json", {"tie_word_embeddings": False}), ("dry-run", "list-methods")),
    ("weights-cut", cut("model.safetensors", 0.5), ("dry-run", "list-methods", "verify")),
    ("index-broken", write_index("{"), ("dry-run", "list-methods", "verify")),
)


def make_verb_input(verb: str, name: str, damage: Damage) -> MalformedInput:
    """Other verbs that read a checkpoint refuse it as `bench run` does."""

    def prepare(folder: Path) -> list[str]:
        checkpoint = folder / "model"
        shutil.copytree(build_gpt2(), checkpoint)
        damage(checkpoint)
        return OTHER_VERBS[verb].format(checkpoint).split()

    return MalformedInput(f"{verb}-{name}", KIND, prepare, "model")


INPUTS = [
    *make_path_inputs(),
    *make_name_inputs(),
    *(
        MalformedInput(
            f"stats-path-{spell(text)}",
            KIND,
            partial(
                make_words, ["data", "stats", "--task", "webnlg", "--scale", "mini", "--tokenizer", text]
            ),
            "expected (a directory|the whole path|a name in UTF-8)",
        )
        for text in ("x" * 5000, "~nobody-of-that-name", "\udcff", "/dev/null", "nowhere")
    ),
    make_input("template-is-pipe", replace_by("chat_template.jinja", os.mkfifo), "chat_template"),
    make_input(
        "further-template-is-pipe",
        lambda folder: (
            (folder / "additional_chat_templates").mkdir(),
            os.mkfifo(folder / "additional_chat_templates" / "x.jinja"),
        ),
        "jinja",
    ),
    *(make_verb_input(verb, name, damage) for name, damage, verbs in DAMAGES_FOR_VERBS for verb in verbs),
    *(
        make_input(f"config-{name}-{spell(value)}", change_json("config.json", {name: value}), "model")
        for name, value in CONFIG_VALUES
    ),
    *(
        make_input(
            f"config-refused-{name}-{spell(value)}",
            change_json("config.json", {name: value}),
            "would load|would|differ",
        )
        for name, value in REFUSED
    ),
    *(
        make_input(
            f"generation-refused-{name}-{spell(value)}",
            change_json("generation_config.json", {name: value}),
            "would",
        )
        for name, value in REFUSED[:16]
    ),
    *(
        make_input(
            f"special-tokens-refused-{name}",
            change_json("special_tokens_map.json", {name: "evil/x"}),
            "would",
        )
        for name in ("auto_map", "vocab_file", "gguf_file")
    ),
    *(
        make_input(f"config-content-{spell(text)}", write("config.json", text), r"config\.json")
        for text in ("", "[]", "null", "5", "{", "{}", '{"model_type": NaN}', "\x00", "[" * 50_000, '"gpt2"')
    ),
    make_input(
        "config-dropout-nan", write("config.json", '{"model_type": "gpt2", "attn_pdrop": NaN}'), "NaN"
    ),
    make_input(
        "config-dropout-1e999", write("config.json", '{"model_type": "gpt2", "attn_pdrop": 1e999}'), "1e999"
    ),
    make_input("config-no-utf8", write("config.json", b"\xff\xfe{}"), "UTF-8"),
    make_input("config-twice", write("config.json", '{"model_type": "gpt2", "model_type": "bart"}'), "twice"),
    make_input("config-missing", remove("config.json"), r"expected config\.json"),
    make_input("config-huge", write("config.json", b" " * (17 << 20)), "bytes"),
    make_input("config-defaults", write("config.json", '{"model_type": "gpt2"}'), "lacks|shape"),
    *(
        make_input(
            f"tokenizer-config-{name}-{spell(value)}",
            change_json("tokenizer_config.json", {name: value}),
            "tokenizer",
        )
        for name, value in TOKENIZER_CONFIG_VALUES
    ),
    *(
        make_input(
            f"tokenizer-{name}-{spell(value)}", change_json("tokenizer.json", {name: value}), "tokenizer"
        )
        for name, value in TOKENIZER_VALUES
    ),
    *(
        make_input(
            f"tokenizer-model-{name}-{spell(value)}",
            tokenizer_model(partial(set_entry, name, value)),
            "tokenizer",
        )
        for name, value in BPE_VALUES
    ),
    *(
        make_input(f"tokenizer-content-{spell(text)}", write("tokenizer.json", text), r"tokenizer\.json")
        for text in ("", "[]", "{}", "null", "{", "\x00", "[" * 50_000, "\ufeff{}")
    ),
    *(
        make_input(f"tokenizer-cut-{share}", cut("tokenizer.json", share), r"tokenizer\.json")
        for share in (0.2, 0.9)
    ),
    make_input("tokenizer-missing", remove("tokenizer.json"), "no tokenizer"),
    *(
        make_input(f"{name}-content-{number}", write(name, content), name.replace(".", r"\."))
        for number, (name, content) in enumerate(SIDE_FILES)
    ),
    *(
        make_input(
            f"added-tokens-{spell(ids)}",
            write("added_tokens.json", json.dumps(ids)),
            "added_tokens|tokenizer",
        )
        for ids in ({"x": "0"}, {"x": -1}, {"x": 257}, {"x": 10**12}, {"x": None})
    ),
    *(
        make_input(
            f"special-tokens-{spell(value)}",
            write("special_tokens_map.json", json.dumps(value)),
            "special_tokens",
        )
        for value in ({"eos_token": 5}, {"eos_token": {"content": 5}}, {"additional_special_tokens": 3})
    ),
    make_input("template-no-utf8", write("chat_template.jinja", b"\xff"), "UTF-8"),
    *(
        make_input(f"{name}-is-{kind}", replace_by(name, make), name.replace(".", r"\."))
        for name in (
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "merges.txt",
        )
        for kind, make in NOT_FILES
    ),
    *make_header_inputs(),
    *make_weight_inputs(),
    *make_index_inputs(),
    *make_old_file_inputs(),
    *(
        make_input(
            f"bart-config-{name}-{spell(value)}",
            change_json("config.json", {name: value}),
            "model",
            bart=True,
        )
        for name, value in BART_VALUES
    ),
    *(
        make_input(
            f"bart-lacks-{part}",
            change_weights(lambda state, part=part: drop(state, part)),
            "lacks",
            bart=True,
        )
        for part in (
            "encoder.layers.0",
            "decoder.layers.0.encoder_attn.k_proj",
            "embed_positions",
            "layernorm",
        )
    ),
]
