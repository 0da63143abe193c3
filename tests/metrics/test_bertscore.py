"""BERTScore against a plain computation and the package, and how every neural score finds its weights."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_encoders import AWKWARD, VOCABULARY, sentences, write_bert, write_distilbert, write_roberta

from bench.errors import UnavailableError
from bench.metric import format_signature
from bench.metrics import _neural, bertscore
from bench.metrics._neural import Checkpoint

HYPOTHESES = sentences(11)
REFERENCES = [[text, other] for text, other in zip(sentences(12)[1:], sentences(22)[11:], strict=True)]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Any]:
    folder = tmp_path_factory.mktemp("models") / "bert"
    return Checkpoint("bert", folder), write_bert(folder)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Any]:
    folder = tmp_path_factory.mktemp("models") / "roberta"
    return Checkpoint("roberta", folder), write_roberta(folder)


def plain(model: Any, hypothesis: list[int], reference: list[int], layer: int) -> float:
    """F1 from the paper's formulas, one token pair at a time, with the model's own list of layers."""
    with torch.no_grad():
        left, right = (
            model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0].double()
            for ids in (hypothesis, reference)
        )
    cosine = [[float(x @ y / (x.norm() * y.norm())) for y in right] for x in left]
    inner = range(1, len(left) - 1)
    precision = sum(max(cosine[i]) for i in inner) / len(inner)
    inner = range(1, len(right) - 1)
    recall = sum(max(row[j] for row in cosine) for j in inner) / len(inner)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_equals_the_formulas_token_by_token(bert: tuple[Checkpoint, Any], layer: int) -> None:
    checkpoint, model = bert
    measured = bertscore.score_texts(HYPOTHESES, REFERENCES, checkpoint, layer)

    def ids(text: str) -> list[int]:  # words and marks of the tests are one token each
        return [2, *(VOCABULARY.index(word) for word in text.split()), 3]

    expected = [
        max(plain(model, ids(text), ids(ref), layer) for ref in refs)
        for text, refs in zip(HYPOTHESES, REFERENCES, strict=True)
    ]
    assert measured.segments["bertscore"] == pytest.approx(expected, abs=1e-6)
    assert measured.value == pytest.approx(sum(expected) / len(expected), abs=1e-6)
    assert max(expected) - min(expected) > 0.05


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_equals_the_package(kind: str, request: pytest.FixtureRequest) -> None:
    checkpoint, _ = request.getfixturevalue(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its plotting
        import bert_score as library

        official = library.score(HYPOTHESES, REFERENCES, model_type=str(checkpoint.path), num_layers=2)[2]
    measured = bertscore.score_texts(HYPOTHESES, REFERENCES, checkpoint, 2)
    assert measured.segments["bertscore"] == pytest.approx(official.tolist(), abs=2e-6)
    assert measured.value == pytest.approx(official.mean().item(), abs=2e-6)


def test_roberta_reads_the_first_word_after_a_blank(roberta: tuple[Checkpoint, Any], tmp_path: Path) -> None:
    """As in 2020; its published tokenizer does not put the blank there itself."""
    write_roberta(tmp_path, prefix=False)
    encoders = [
        _neural.load_encoder(Checkpoint("x", path), ["roberta"]) for path in (tmp_path, roberta[0].path)
    ]
    for encoder in encoders:
        tokens = [encoder.tokenizer.id_to_token(i) for i in encoder.encode("ab c")]
        assert tokens == ["<s>", "Ġ", "a", "b", "Ġ", "c", "</s>"]


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_known_values(kind: str, request: pytest.FixtureRequest) -> None:
    checkpoint, _ = request.getfixturevalue(kind)
    hypotheses = ["the cat sat .", "", "the dog", "a mat"]
    references = [["the cat sat ."], ["the dog"], ["", " "], ["the dog ran", "a mat"]]
    measured = bertscore.score_texts(hypotheses, references, checkpoint, 2)
    assert measured.segments["bertscore"] == pytest.approx([1, 0, 0, 1], abs=1e-6)
    assert measured.value == pytest.approx(0.5, abs=1e-6)
    blank = bertscore.score_texts(["the dog"], [["the cat", ""]], checkpoint, 2)
    assert blank.value == bertscore.score_texts(["the dog"], [["the cat"]], checkpoint, 2).value > 0


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_batches_change_nothing_and_runs_repeat(kind: str, request: pytest.FixtureRequest) -> None:
    checkpoint, _ = request.getfixturevalue(kind)
    one, four, again = (
        bertscore.score_texts(HYPOTHESES, REFERENCES, checkpoint, 2, batch=batch) for batch in (1, 4, 4)
    )
    assert one.segments["bertscore"] == pytest.approx(four.segments["bertscore"], abs=1e-6)
    assert four == again


@pytest.mark.parametrize(("kind", "inner"), [("bert", 62), ("roberta", 62)])
def test_longer_texts_are_cut_where_the_model_ends(
    kind: str, inner: int, request: pytest.FixtureRequest
) -> None:
    checkpoint, _ = request.getfixturevalue(kind)
    text = "x y " * 100 if kind == "bert" else "x" * 200
    kept = "x y " * (inner // 2) if kind == "bert" else "x" * (inner - 1)  # and the blank before it
    full, cut, shorter = (
        bertscore.score_texts([it], [["the cat"]], checkpoint, 2) for it in (text, kept, kept.strip()[:-1])
    )
    assert full.value == cut.value != shorter.value
    assert "max-tokens:64,cut" in format_signature(full.signature)


def test_awkward_texts_and_a_million_characters(bert: tuple[Checkpoint, Any]) -> None:
    texts = [*AWKWARD, "a cat " * 166_667, "z" * 1_000_000]
    references = [["the cat", "", "\r\n"]] * len(texts)
    measured = bertscore.score_texts(texts, references, bert[0], 2)
    assert all(-1 <= value <= 1.000001 for value in measured.segments["bertscore"])
    assert measured.segments["bertscore"][:2] == [0, 0]


def test_dart_lower_cases_splits_and_takes_three_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_roberta(tmp_path / "roberta-large", layers=17)
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    state = torch.random.get_rng_state()
    measured = bertscore.score_dart(
        ["It's MAT-1.", "The dog"], [["it ' s mat - 1 ."], ["a", "b", "c", "the dog"]]
    )
    assert torch.equal(state, torch.random.get_rng_state())
    first, second = measured.segments["bertscore"]
    assert first == pytest.approx(1, abs=1e-6) and second < first - 1e-5
    assert measured.value == pytest.approx((first + second) / 2)
    weights, words = (
        hashlib.sha256((tmp_path / "roberta-large" / name).read_bytes()).hexdigest()[:12]
        for name in ("model.safetensors", "tokenizer.json")
    )
    for part in ("model:roberta-large", "layer:17", f"weights:{weights}", f"tokenizer:{words}", "idf:no"):
        assert part in format_signature(measured.signature).split("|")


# --- finding the weights -----------------------------------------------------------------------------


def test_absent_weights_say_where_they_were_looked_for() -> None:
    with pytest.raises(
        UnavailableError, match=r"BENCH_MODELS is not set; hub FacebookAI/roberta-large@722cf37b"
    ):
        bertscore.score_dart(["x"], [["x"]])


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    def refuse(address: str, timeout: float) -> None:
        asked.append((address, timeout))
        raise OSError("no route\nmore")

    asked: list[tuple[str, float]] = []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(_neural, "_unreachable", {})
    monkeypatch.setattr(
        "huggingface_hub.get_session", lambda: type("Session", (), {"head": staticmethod(refuse)})
    )
    monkeypatch.setattr(
        "bench.system.hub.fetch_snapshot", lambda pinned, allow_download: tmp_path / str(1 / 0)
    )
    monkeypatch.setenv("BENCH_MODELS", str(tmp_path))
    for again in (False, True):
        with pytest.raises(UnavailableError, match="does not answer: no route") as caught:
            _neural.locate_checkpoint("roberta-large", bertscore.PINNED)
        assert ("not tried again" in str(caught.value)) == again
        assert f"no folder {tmp_path}" in str(caught.value) and "hf download" in str(caught.value)
    assert asked == [(constants.ENDPOINT, _neural.PROBE_SECONDS)]


def test_the_cache_serves_and_half_a_cache_does_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.system.hub.fetch_snapshot", lambda pinned, allow_download: tmp_path)
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE"):
        _neural.locate_checkpoint("roberta-large", bertscore.PINNED)
    (tmp_path / "model.safetensors").touch()
    assert _neural.locate_checkpoint("roberta-large", bertscore.PINNED).path == tmp_path


def test_unusable_checkpoints_are_refused_with_the_reason(
    bert: tuple[Checkpoint, Any], tmp_path: Path
) -> None:
    def refused(name: str, reason: str, layer: int = 2) -> None:
        with pytest.raises(UnavailableError, match=reason):
            bertscore.score_texts(["a"], [["a"]], Checkpoint(name, tmp_path / name), layer)

    def copy(name: str, leave: str = "") -> Path:
        (tmp_path / name).mkdir()
        for file in bert[0].path.iterdir():
            if file.name not in leave:
                (tmp_path / name / file.name).write_bytes(file.read_bytes())
        return tmp_path / name

    torch.save(bert[1].state_dict(), copy("pickled", "model.safetensors") / "pytorch_model.bin")
    refused("pickled", r"no safetensors \(pickled weights, .bin, are not read\)")
    copy("no-config", "config.json")
    refused("no-config", "config.json: not a model configuration")
    (copy("odd-config") / "config.json").write_text("[1, 2")
    refused("odd-config", "config.json: not a model configuration")
    copy("no-words", "tokenizer.json vocab.txt")
    refused("no-words", "no tokenizer.json and no vocab.txt")
    (copy("odd-words") / "tokenizer.json").write_text("{}")
    refused("odd-words", "tokenizer.json: cannot be read")
    (copy("few-words", "tokenizer.json") / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    refused("few-words", r"lacks \[CLS\] and \[SEP\]")
    (copy("many-words", "tokenizer.json") / "vocab.txt").write_text("\n".join([*VOCABULARY, "more"]))
    refused("many-words", f"ids up to {len(VOCABULARY)} and the model {len(VOCABULARY)}")
    (copy("broken") / "model.safetensors").write_bytes(b"\x10\x00\x00\x00")
    refused("broken", "the weights cannot be read")
    tensors = load_file(copy("torn") / "model.safetensors")
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, tmp_path / "torn" / "model.safetensors", {"format": "pt"})
    refused(
        "torn", "1 tensors are missing or have another shape, the first encoder.layer.1.output.dense.bias"
    )
    copy("shallow")
    refused("shallow", "3 layers; layer 4 is needed", layer=4)
    write_distilbert(tmp_path / "other")
    refused("other", "model_type is 'distilbert'; expected roberta or bert")


def test_a_vocabulary_alone_is_the_same_tokenizer(bert: tuple[Checkpoint, Any]) -> None:
    file = bert[0].path / "tokenizer.json"
    one, other = _neural.read_tokenizer(file), _neural.read_tokenizer(file.with_name("vocab.txt"))
    for text in [*HYPOTHESES, *AWKWARD[:5], "Walking CAFÉ, the cat's mat [PAD]"]:
        assert one.encode(text, add_special_tokens=False).ids == other.encode(text).ids


def test_batches_hold_every_row_once_and_bound_the_tokens() -> None:
    lengths = [5, 500, 3, 500, 500, 7] * 10
    found = list(_neural.make_batches(lengths, 32))
    assert sorted(place for places in found for place in places) == list(range(len(lengths)))
    assert all(len(places) * max(lengths[i] for i in places) <= _neural.TOKENS_AT_ONCE for places in found)
    assert list(_neural.make_batches([9000], 4)) == [[0]]


def test_importing_the_scores_imports_nothing_heavy() -> None:
    code = (
        "import sys, bench.metrics.bertscore, bench.metrics.moverscore, bench.metrics.bleurt\n"
        "print(sorted({'torch', 'transformers', 'scipy', 'numpy', 'tokenizers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == "[]", done.stderr


def test_a_mini_run_downloads_no_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from bench.system import hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with (
        hub.allow_downloads(False),
        pytest.raises(UnavailableError, match="mini and --offline runs download no"),
    ):
        bertscore.score_dart(["a"], [["a"]])
