"""BLEURT (Sellam et al., ACL 2020) as DART's script calls it: reference 0 only, with a tiny test checkpoint.

The model reads reference and hypothesis as one input of at most 128 tokens; a linear layer on BERT's
pooled output is the score: no fixed range, usually -2 to 1.

DART's repository carries its own copy of the checkpoint: ``evaluation/bleurt/bleurt/test_checkpoint``
(2 layers of 128; the same as google-research/bleurt's of May to November 2020, git blob 4776aace of
``variables.data-00000-of-00001``; google's later test checkpoint is another model). Copy that folder
to ``BENCH_MODELS/bleurt-test`` as it is: TensorFlow keeps these variables as plain numbers, sorted by
name, so no TensorFlow is needed. A folder converted to transformers (``BertForSequenceClassification``
with one label, safetensors, ``vocab.txt``) works too. Ports on the hub (Elron/bleurt-tiny-128) are
pickles of a separate download, not known to be the same. Whatever is given is compared with the two
scores in google's own test, and refused if it gives others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.errors import UnavailableError
from bench.metric import MetricResult, PipelineMetric, Requirements, Scorer, Signature
from bench.metrics import _neural, _preprocess
from bench.system.third_party import loading_file

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import BertConfig

NAME = "bleurt-test"
MAX_TOKENS = 128
VARIABLES = "variables/variables.data-00000-of-00001"
HOW = (
    "Copy evaluation/bleurt/bleurt/test_checkpoint of https://github.com/Yale-LILY/dart to a folder "
    f"DIR/{NAME} and set BENCH_MODELS=DIR"
)
KNOWN = ("An apple a day keeps the doctor away.", "An apple a day keeps doctors away.")
KNOWN_SCORES = (0.832904, 0.642367)
"""Of both with the first as reference: bleurt/score_test.py of google-research/bleurt at 2b7a3a1."""
TOLERANCE = 1e-4


def score_dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """DART: the first reference, texts lower-cased and split as its reference files are.

    ``UnavailableError`` where the checkpoint is absent, or is not the one that DART uses.
    """
    checkpoint = _neural.locate_checkpoint(NAME, how=HOW)
    regressor = load_regressor(checkpoint.path)
    check_known_scores(regressor, checkpoint.path)
    return score_texts(
        [_preprocess.prepare_dart(text) for text in hypotheses],
        [_preprocess.prepare_dart(refs[0]) for refs in references],
        checkpoint,
        regressor,
        preparation={"known-scores": True, "lower": None, "split": "nonword", "refs": "first1"},
    )


@dataclass(frozen=True)
class Regressor:
    """BERT with its regression layer, its tokenizer with the ids of [CLS] and [SEP], and the device."""

    model: Any
    tokenizer: Tokenizer
    start: int
    end: int
    device: torch.device


def score_texts(
    hypotheses: Sequence[str],
    references: Sequence[str],
    checkpoint: _neural.Checkpoint,
    regressor: Regressor | None = None,
    batch: int = 64,
    preparation: Signature | None = None,
) -> MetricResult:
    """Mean score of texts against one reference each, by any BLEURT checkpoint of BERT's architecture."""
    regressor = regressor or load_regressor(checkpoint.path)
    values = predict_scores(regressor, references, hypotheses, batch)
    weights = VARIABLES if (checkpoint.path / VARIABLES).is_file() else "*.safetensors"
    signature: Signature = {
        "bleurt": None,
        "checkpoint": checkpoint.name,
        **(preparation or {"refs": "1"}),
        "max-tokens": f"{MAX_TOKENS},longer-cut",
        **_neural.identify_files(checkpoint.path, weights, find_vocabulary(checkpoint.path)),
        **_neural.list_versions("torch", "transformers", "tokenizers"),
    }
    return MetricResult(sum(values) / len(values), signature, {"bleurt": values})


def check_known_scores(regressor: Regressor, path: Path) -> None:
    """Refuse a checkpoint that does not give the published scores of two pairs."""
    computed = predict_scores(regressor, [KNOWN[0]] * len(KNOWN), KNOWN, batch=2)
    if not all(abs(a - b) <= TOLERANCE for a, b in zip(computed, KNOWN_SCORES, strict=True)):
        columns = [", ".join(f"{value:.6f}" for value in values) for values in (computed, KNOWN_SCORES)]
        raise UnavailableError(
            f"{path} is not DART's BLEURT checkpoint: it gives {columns[0]} for two pairs of texts where that "
            f"gives {columns[1]}. {HOW}"
        )


def predict_scores(
    regressor: Regressor, references: Sequence[str], hypotheses: Sequence[str], batch: int
) -> list[float]:
    """One score per pair, in the pairs' order."""
    import torch

    rows = [encode_pair(regressor, *texts) for texts in zip(references, hypotheses, strict=True)]
    values = [math.nan] * len(rows)
    with torch.inference_mode():
        for indices in _neural.make_batches([len(ids) for ids, _ in rows], batch):
            ids, mask = _neural.pad_rows([rows[index][0] for index in indices], 0)
            segments, _ = _neural.pad_rows([rows[index][1] for index in indices], 0)
            logits = regressor.model(
                input_ids=ids.to(regressor.device),
                attention_mask=mask.to(regressor.device),
                token_type_ids=segments.to(regressor.device),
            ).logits[:, 0]
            for index, value in zip(indices, logits.tolist(), strict=True):
                values[index] = value
    return values


def encode_pair(regressor: Regressor, reference: str, hypothesis: str) -> tuple[list[int], list[int]]:
    """Tokens and segment numbers of one input: [CLS] reference [SEP] hypothesis [SEP]."""
    first, second = (
        regressor.tokenizer.encode(_neural.replace_surrogates(text), add_special_tokens=False).ids
        for text in (reference, hypothesis)
    )
    n, m = cut_lengths(len(first), len(second), MAX_TOKENS - 3)
    return [regressor.start, *first[:n], regressor.end, *second[:m], regressor.end], [0] * (n + 2) + [1] * (
        m + 1
    )


def cut_lengths(first: int, second: int, most: int) -> tuple[int, int]:
    """Lengths that fit together: the longer text gives way token by token, the second one when equal."""
    while first + second > most:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second


def load_regressor(path: Path) -> Regressor:
    """The model of a folder, TensorFlow's or transformers'."""
    import torch
    from transformers import BertForSequenceClassification

    from bench.system.devices import pick_device

    model: Any
    if (path / VARIABLES).is_file():
        raw = _neural.read_json(path / "bert_config.json")
        _neural.check_sizes(path / "bert_config.json", raw)
        config = make_config(raw, path / "bert_config.json")
        variables = read_variables(path / VARIABLES, config)
        with (
            torch.random.fork_rng(devices=[]),
            loading_file(path, "a model of BERT", _neural.make_unavailable),
        ):
            model = BertForSequenceClassification(config)
            model.load_state_dict(variables)
    else:
        config = make_config(_neural.read_config(path, ["bert"]), path / "config.json")
        model = _neural.load_pretrained(BertForSequenceClassification, path, config=config)
    file = find_vocabulary(path)
    tokenizer = _neural.read_tokenizer(file, longest_word=200)
    start, end = _neural.find_token_ids(tokenizer, _neural.SPECIAL["bert"], file)
    _neural.check_vocabulary(tokenizer, config.vocab_size, file)
    device = pick_device("auto")
    return Regressor(model.eval().to(device), tokenizer, start, end, device)


def find_vocabulary(path: Path) -> Path:
    """The tokenizer's file: BLEURT's own ``vocab.txt`` before a converted one."""
    return path / "vocab.txt" if (path / "vocab.txt").is_file() else _neural.find_tokenizer_file(path)


def make_config(raw: Mapping[str, Any], file: Path) -> BertConfig:
    """BERT with one output. BLEURT's "gelu" is the approximation by tanh; transformers calls that gelu_new."""
    from transformers import BertConfig

    entries = {
        name: value for name, value in raw.items() if name not in ("id2label", "label2id", "num_labels")
    }
    with loading_file(file, "a BERT configuration", _neural.make_unavailable):
        config = BertConfig(**entries, num_labels=1)
    if config.hidden_act == "gelu":
        config.hidden_act = "gelu_new"
    return config


def read_variables(file: Path, config: BertConfig) -> dict[str, torch.Tensor]:
    """TensorFlow's variables under transformers' names: numbers of single precision, sorted by name.

    A step counter (8 bytes) may follow them. ``UnavailableError`` where the file has another size.
    """
    import numpy as np
    import torch

    layout = sorted(list_variables(config).items())
    total = sum(math.prod(shape) for _, shape in layout)
    size = file.stat().st_size
    if size - 4 * total not in (0, 8):
        raise UnavailableError(
            f"{file}: {size:,} bytes; expected {4 * total:,}, as its bert_config.json says"
        )
    numbers = np.fromfile(file, dtype="<f4", count=total)
    state = {}
    for name, shape in layout:
        flat, numbers = np.split(numbers, [math.prod(shape)])
        tensor = torch.from_numpy(flat.reshape(shape).astype("=f4"))
        state[rename_variable(name)] = tensor.T.contiguous() if name.endswith("/kernel") else tensor
    return state


def list_variables(config: BertConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every variable of a BLEURT checkpoint."""
    width, inner = config.hidden_size, config.intermediate_size
    dense = {"bert/pooler/dense": (width, width), "dense": (width, 1)}
    norms = ["bert/embeddings"]
    for layer in range(config.num_hidden_layers):
        stem = f"bert/encoder/layer_{layer}"
        dense |= {f"{stem}/attention/self/{name}": (width, width) for name in ("query", "key", "value")}
        dense |= {f"{stem}/attention/output/dense": (width, width)}
        dense |= {f"{stem}/intermediate/dense": (width, inner), f"{stem}/output/dense": (inner, width)}
        norms += [f"{stem}/attention/output", f"{stem}/output"]
    rows = {
        "word": config.vocab_size,
        "position": config.max_position_embeddings,
        "token_type": config.type_vocab_size,
    }
    return (
        {f"bert/embeddings/{name}_embeddings": (count, width) for name, count in rows.items()}
        | {f"{name}/kernel": shape for name, shape in dense.items()}
        | {f"{name}/bias": shape[1:] for name, shape in dense.items()}
        | {f"{name}/LayerNorm/{end}": (width,) for name in norms for end in ("beta", "gamma")}
    )


def rename_variable(name: str) -> str:
    """``bert/encoder/layer_0/output/dense/kernel`` as ``bert.encoder.layer.0.output.dense.weight``."""
    owner, _, last = name.rpartition("/")
    if last.endswith("_embeddings"):
        owner, last = name, "weight"
    if owner == "dense":
        owner = "classifier"
    last = {"kernel": "weight", "gamma": "weight", "beta": "bias"}.get(last, last)
    return f"{owner.replace('/', '.').replace('layer_', 'layer.')}.{last}"


class Bleurt(PipelineMetric):
    """BLEURT as DART's script calls it."""

    name = "bleurt"
    summary = (
        "BLEURT with the tiny test checkpoint that DART's repository holds; no fixed range, usually -2 to 1"
    )
    requirements = Requirements(packages=("torch", "transformers"), weights=NAME)
    pipelines: ClassVar[Mapping[str, Scorer]] = {"dart": score_dart}
