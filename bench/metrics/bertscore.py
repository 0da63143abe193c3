"""BERTScore (Zhang et al., ICLR 2020) as DART's script calls it: ``bert-score --lang en`` on three references.

That call means: roberta-large, hidden states of layer 17, no idf, no rescaling, the best reference
for each item, F1, mean over items. Values are 0 to 1.

The matching, which makes the value, is the package's own (``bert_score.utils.greedy_cos_idf``). What goes
in is ours: on transformers 5 the package fails on empty texts (which DART's padded references are) and
reads a text's first word without its preceding blank, unlike in 2020; it takes no revision and would load
pickles. Pairs with a text without tokens score 0 and do not reach the package. Each pair is matched by
itself: in a batch the package pads, and the padding counts as a cosine of 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from bench.metric import MetricResult, PipelineMetric, Requirements, Scorer, Signature
from bench.metrics import _neural, _preprocess
from bench.system.hub import PinnedRepository
from bench.system.progress import track_progress

if TYPE_CHECKING:
    import torch

MODEL = "roberta-large"
PINNED = PinnedRepository("FacebookAI/roberta-large", "722cf37b1afa9454edce342e7895e588b6ff1d59")
LAYER = 17
REFERENCES = 3
KINDS = ("roberta", "bert")
ITEMS_AT_ONCE = 64  # bounds the memory of embeddings
DART_PREPARATION: Signature = {
    "lower": None,
    "split": "nonword",
    "refs": "first3,best",
    "blank-refs": "0",
}


def score_dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> MetricResult:
    """DART: first three references (missing ones are empty lines there, which score 0), texts lower-cased
    and split as its reference files are. ``UnavailableError`` where roberta-large cannot be had.
    """
    checkpoint = _neural.locate_checkpoint(MODEL, PINNED)
    return score_texts(
        [_preprocess.prepare_dart(text) for text in hypotheses],
        [[*map(_preprocess.prepare_dart, refs[:REFERENCES]), "", ""][:REFERENCES] for refs in references],
        checkpoint,
        LAYER,
        preparation=DART_PREPARATION,
    )


def score_texts(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    checkpoint: _neural.Checkpoint,
    layer: int,
    batch: int = 32,
    preparation: Signature | None = None,
) -> MetricResult:
    """Mean F1 of texts against the best of their references, with the hidden states of one layer.

    Texts beyond the model's longest input are cut there. A text without tokens scores 0.
    ``preparation``: what the signature says of how the texts were prepared.
    """
    encoder = _neural.load_encoder(checkpoint, KINDS, layer)
    values: list[float] = []
    with track_progress(len(hypotheses), "BERTScore", "items") as bar:
        for first in range(0, len(hypotheses), ITEMS_AT_ONCE):
            rows = [
                [hypothesis.strip(), *(text.strip() for text in refs)]
                for hypothesis, refs in zip(
                    hypotheses[first : first + ITEMS_AT_ONCE],
                    references[first : first + ITEMS_AT_ONCE],
                    strict=True,
                )
            ]
            states = embed_texts(encoder, [text for row in rows for text in row], batch)
            for hypothesis, *refs in rows:
                values.append(max(match_pair(states[hypothesis], states[text]) for text in refs))
            bar.advance(len(rows))
    signature: Signature = {
        "bertscore": None,
        "hash": make_package_hash(checkpoint.name, layer),
        "model": checkpoint.name,
        "layer": layer,
        "idf": False,
        "rescale": False,
        "f1": "mean",
        "max-tokens": f"{encoder.limit},cut",
        **(preparation or {"refs": "best"}),
        **_neural.identify_files(checkpoint.path),
        **_neural.list_versions("torch", "transformers", "tokenizers"),
    }
    return MetricResult(sum(values) / len(values), signature, {"bertscore": values})


def embed_texts(encoder: _neural.Encoder, texts: Sequence[str], batch: int) -> dict[str, torch.Tensor]:
    """Hidden states [tokens, width] of each text, the opening and the closing token included."""
    distinct = list(dict.fromkeys(texts))
    states = encoder.embed([encoder.encode(text) for text in distinct], batch)
    return dict(zip(distinct, states, strict=True))


def match_pair(hypothesis: torch.Tensor, reference: torch.Tensor) -> float:
    """F1 of greedy matching by cosine, of states [tokens, width]; 0 where one side has no tokens of its own.

    The opening and closing tokens can be matched but do not count themselves.
    """
    import torch

    if len(hypothesis) <= 2 or len(reference) <= 2:
        return 0.0
    with torch.inference_mode():
        sides = [
            argument
            for states in (reference, hypothesis)
            for argument in (states.clone()[None], torch.ones(1, len(states)), weigh_tokens(len(states)))
        ]
        _, _, f1 = import_package().greedy_cos_idf(*sides)
    return float(f1.item())


def weigh_tokens(length: int) -> torch.Tensor:
    """Weights [1, length] without idf: 1 for each token, 0 for the opening and the closing one."""
    import torch

    weights = torch.ones(1, length)
    weights[0, [0, -1]] = 0
    return weights


@cache
def import_package() -> Any:
    """``bert_score.utils``. The package imports matplotlib and pandas, so only here; they warn of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bert_score.utils

    return bert_score.utils


def make_package_hash(model: str, layer: int) -> str:
    """The string by which papers name a BERTScore, as the package makes it for these options."""
    make_hash: Callable[..., str] = import_package().get_hash
    return make_hash(
        model,
        layer,
        idf=False,
        rescale_with_baseline=False,
        use_custom_baseline=False,
        use_fast_tokenizer=True,
    )


class BertScore(PipelineMetric):
    """BERTScore as DART's script calls the package."""

    name = "bertscore"
    summary = "BERTScore F1 with roberta-large, the matching by the package bert-score; 0 to 1"
    requirements = Requirements(packages=("bert-score", "torch", "transformers"), weights=str(PINNED))
    pipelines: ClassVar[Mapping[str, Scorer]] = {"dart": score_dart}
