"""BLEURT against BERT with the regression layer applied by hand, and its two kinds of checkpoint folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_encoders import AWKWARD, VOCABULARY, sentences, write_bert

from bench.errors import UnavailableError
from bench.metric import format_signature
from bench.metrics import bleurt
from bench.metrics._neural import Checkpoint

HYPOTHESES = sentences(11)
REFERENCES = sentences(12)[1:]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Any]:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return Checkpoint("tiny", folder), write_bert(folder, layers=2, positions=128, head=True)


def by_hand(model: Any, reference: str, hypothesis: str) -> float:
    """Padded to 128 as BLEURT does, through BERT with the tanh approximation, pooled output times weights."""
    from transformers import BertModel

    config = model.config.__class__(**model.config.to_dict() | {"hidden_act": "gelu_pytorch_tanh"})
    bert = BertModel(config).eval()
    bert.load_state_dict(model.bert.state_dict())
    first, second = ([VOCABULARY.index(word) for word in text.split()] for text in (reference, hypothesis))
    ids = [2, *first, 3, *second, 3]
    segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    gap = [0] * (128 - len(ids))
    with torch.random.fork_rng(), torch.no_grad():
        pooled = bert(
            input_ids=torch.tensor([ids + gap]),
            attention_mask=torch.tensor([[1] * len(ids) + gap]),
            token_type_ids=torch.tensor([segments + gap]),
        ).pooler_output[0]
    weight, bias = model.classifier.weight[0].tolist(), model.classifier.bias.item()
    return sum(float(a) * b for a, b in zip(pooled, weight, strict=True)) + bias


def test_equals_bert_and_a_weighted_sum(tiny: tuple[Checkpoint, Any]) -> None:
    checkpoint, model = tiny
    measured = bleurt.score_texts(HYPOTHESES, REFERENCES, checkpoint)
    expected = [by_hand(model, ref, hyp) for ref, hyp in zip(REFERENCES, HYPOTHESES, strict=True)]
    assert measured.segments["bleurt"] == pytest.approx(expected, abs=2e-6)
    assert measured.value == pytest.approx(sum(expected) / len(expected), abs=2e-6)
    assert max(expected) - min(expected) > 0.05
    swapped = bleurt.score_texts(REFERENCES, HYPOTHESES, checkpoint)
    assert swapped.value != pytest.approx(measured.value, abs=1e-4)


def test_batches_change_nothing_and_runs_repeat(tiny: tuple[Checkpoint, Any]) -> None:
    one, four, again = (bleurt.score_texts(HYPOTHESES, REFERENCES, tiny[0], batch=n) for n in (1, 4, 4))
    assert one.segments["bleurt"] == pytest.approx(four.segments["bleurt"], abs=1e-6)
    assert four == again


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (10, 20, (10, 20)),
        (100, 100, (63, 62)),
        (10, 400, (10, 115)),
        (400, 10, (115, 10)),
        (63, 62, (63, 62)),
    ],
)
def test_long_pairs_are_cut_from_the_longer_text(
    first: int, second: int, kept: tuple[int, int], tiny: tuple[Checkpoint, Any]
) -> None:
    assert bleurt.cut_lengths(first, second, 125) == kept
    scorer = bleurt.load_regressor(tiny[0].path)
    ids, segments = bleurt.encode_pair(scorer, "a " * first, "b " * second)
    assert len(ids) == len(segments) == sum(kept) + 3
    assert ids == [2, *[VOCABULARY.index("a")] * kept[0], 3, *[VOCABULARY.index("b")] * kept[1], 3]
    assert segments == [0] * (kept[0] + 2) + [1] * (kept[1] + 1)


def test_awkward_texts_and_a_million_characters(tiny: tuple[Checkpoint, Any]) -> None:
    texts = [*AWKWARD, "a cat " * 166_667, "z" * 1_000_000]
    measured = bleurt.score_texts(texts, ["the cat sat\r\n"] * (len(texts) - 1) + [""], tiny[0])
    assert np.isfinite(measured.segments["bleurt"]).all()
    empty = bleurt.score_texts(["", "the cat"], ["the cat", ""], tiny[0]).segments["bleurt"]
    assert empty == pytest.approx(
        [by_hand(tiny[1], "the cat", ""), by_hand(tiny[1], "", "the cat")], abs=2e-6
    )


# --- TensorFlow's folder -----------------------------------------------------------------------------


def test_the_layout_is_that_of_the_bundled_checkpoint() -> None:
    """Offsets read from ``variables.index`` beside the variables in DART's repository."""
    from transformers import BertConfig

    config = BertConfig(
        hidden_size=128, intermediate_size=512, num_hidden_layers=2, num_attention_heads=2, vocab_size=30522
    )
    offsets, at = {}, 0
    for name, shape in sorted(bleurt.list_variables(config).items()):
        offsets[name] = at
        at += 4 * int(np.prod(shape))
    assert at == 17_544_196 and len(offsets) == 41
    for name, offset in {
        "bert/embeddings/LayerNorm/gamma": 512,
        "bert/embeddings/position_embeddings": 1024,
        "bert/embeddings/word_embeddings": 264_192,
        "bert/encoder/layer_0/attention/self/value/kernel": 16_091_136,
        "bert/encoder/layer_0/output/dense/kernel": 16_422_400,
        "bert/encoder/layer_1/intermediate/dense/bias": 16_949_760,
        "bert/pooler/dense/kernel": 17_478_144,
        "dense/bias": 17_543_680,
        "dense/kernel": 17_543_684,
    }.items():
        assert offsets[name] == offset, name


def write_tensorflow(model: Any, folder: Path, counter: bytes = b"\x09" + 7 * b"\x00") -> Path:
    """The model as BLEURT's exporter would have left it: names as in Google's BERT, kernels input first."""
    named = {}
    for name, tensor in model.state_dict().items():
        if "position_ids" in name:
            continue
        name = re.sub(r"layer\.(\d+)", r"layer_\1", name.replace("classifier", "dense")).replace(".", "/")
        if "LayerNorm" in name:
            name = name.replace("weight", "gamma").replace("bias", "beta")
        elif "_embeddings" in name:
            name = name.removesuffix("/weight")
        elif name.endswith("/weight"):
            name, tensor = name.removesuffix("weight") + "kernel", tensor.T
        named[name] = tensor.numpy().astype("<f4").tobytes()
    (folder / "variables").mkdir(parents=True)
    (folder / bleurt.VARIABLES).write_bytes(b"".join(named[name] for name in sorted(named)) + counter)
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    config = {name: getattr(model.config, name) for name in names}
    config |= {"hidden_act": "gelu", "max_position_embeddings": 128, "type_vocab_size": 2}
    (folder / "bert_config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("counter", [b"", 8 * b"\x01"])
def test_a_tensorflow_folder_gives_the_same_scores(
    counter: bytes, tiny: tuple[Checkpoint, Any], tmp_path: Path
) -> None:
    folder = write_tensorflow(tiny[1], tmp_path / "tf", counter)
    state = torch.random.get_rng_state()
    measured = bleurt.score_texts(HYPOTHESES, REFERENCES, Checkpoint("tf", folder))
    assert torch.equal(state, torch.random.get_rng_state())
    assert measured.segments == bleurt.score_texts(HYPOTHESES, REFERENCES, tiny[0]).segments
    with (folder / bleurt.VARIABLES).open("ab") as file:
        file.write(b"1234")
    with pytest.raises(UnavailableError, match="bytes; expected"):
        bleurt.load_regressor(folder)


# --- as DART calls it --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["transformers", "tensorflow"])
def test_dart_takes_the_first_reference_and_only_the_known_checkpoint(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bleurt-test"
    if kind == "transformers":
        write_bert(folder, layers=2, positions=128, head=True)
    else:
        write_tensorflow(write_bert(tmp_path / "x", layers=2, positions=128, head=True), folder)
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    hypotheses, references = ["The CAT.", "a dog's mat"], [["the dog", "x"], ["A park's mat", "y"]]
    with pytest.raises(
        UnavailableError, match=r"is not DART's BLEURT checkpoint: .* gives 0.832904, 0.642367"
    ):
        bleurt.score_dart(hypotheses, references)
    known = bleurt.score_texts(bleurt.KNOWN, [bleurt.KNOWN[0]] * 2, Checkpoint("x", folder)).segments[
        "bleurt"
    ]
    monkeypatch.setattr(bleurt, "KNOWN_SCORES", tuple(known))
    measured = bleurt.score_dart(hypotheses, references)
    plain = bleurt.score_texts(
        ["the cat .", "a dog ' s mat"], ["the dog", "a park ' s mat"], Checkpoint("x", folder)
    )
    assert measured.segments == plain.segments
    for part in ("checkpoint:bleurt-test", "refs:first1", "known-scores:yes", "max-tokens:128,longer-cut"):
        assert part in format_signature(measured.signature).split("|")
    assert re.search(
        r"\|weights:[0-9a-f]{12}\|tokenizer:[0-9a-f]{12}\|", format_signature(measured.signature)
    )


def test_absent_or_broken_checkpoints_say_what_to_do(
    tiny: tuple[Checkpoint, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnavailableError, match=r"BENCH_MODELS is not set.*test_checkpoint.*DIR/bleurt-test"):
        bleurt.score_dart(["x"], [["x"]])
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    folder = write_tensorflow(tiny[1], tmp_path / "bleurt-test")
    (folder / "bert_config.json").write_text("{")
    with pytest.raises(UnavailableError, match=r"bert_config.json: not a model configuration"):
        bleurt.score_dart(["x"], [["x"]])
    write_bert(tmp_path / "headless", layers=2, positions=128)
    with pytest.raises(UnavailableError, match=r"tensors are missing .* the first bert.pooler"):
        bleurt.load_regressor(tmp_path / "headless")
