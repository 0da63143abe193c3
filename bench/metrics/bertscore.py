"""BERTScore (Zhang et al., ICLR 2020) as DART's script calls it: ``bert-score --lang en`` on three references.

That call means: roberta-large, hidden states of layer 17, no idf, no rescaling, the best reference
for each item, F1, mean over items. Values are 0 to 1.

Stated anew here because the package cannot be kept: on transformers 5 it fails on empty texts (which
DART's padded references are) and reads a text's first word without its preceding blank, unlike in
2020; it takes no revision, would load pickles, and imports matplotlib and pandas. Tests compare with
it where it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.metric import Measured
from bench.metrics import _neural, _preprocess
from bench.system.hub import PinnedRepository
from bench.system.progress import track

if TYPE_CHECKING:
    import torch

MODEL = "roberta-large"
PINNED = PinnedRepository("FacebookAI/roberta-large", "722cf37b1afa9454edce342e7895e588b6ff1d59")
LAYER = 17
REFERENCES = 3
KINDS = ("roberta", "bert")
ITEMS_AT_ONCE = 64  # bounds the memory of embeddings


def dart(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """DART: first three references (missing ones are empty lines there, which score 0), texts lower-cased
    and split as its reference files are. ``UnavailableError`` where roberta-large cannot be had.
    """
    checkpoint = _neural.locate(MODEL, PINNED)
    return score(
        [_preprocess.dart(text) for text in hypotheses],
        [[*map(_preprocess.dart, refs[:REFERENCES]), "", ""][:REFERENCES] for refs in references],
        checkpoint,
        LAYER,
        notes="lower|split:nonword|refs:first3,best|blank-refs:0",
    )


def score(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    checkpoint: _neural.Checkpoint,
    layer: int,
    batch: int = 32,
    notes: str = "refs:best",
) -> Measured:
    """Mean F1 of texts against the best of their references, with the hidden states of one layer.

    Texts beyond the model's longest input are cut there. A text without tokens scores 0.
    """
    encoder = _neural.load(checkpoint, KINDS, layer)
    values: list[float] = []
    with track(len(hypotheses), "BERTScore", "items") as bar:
        for first in range(0, len(hypotheses), ITEMS_AT_ONCE):
            rows = [
                [hypothesis.strip(), *(text.strip() for text in refs)]
                for hypothesis, refs in zip(
                    hypotheses[first : first + ITEMS_AT_ONCE],
                    references[first : first + ITEMS_AT_ONCE],
                    strict=True,
                )
            ]
            vectors = unit_vectors(encoder, [text for row in rows for text in row], batch)
            for hypothesis, *refs in rows:
                values.append(max(f1(vectors[hypothesis], vectors[text]) for text in refs))
            bar.advance(len(rows))
    signature = (
        f"bertscore|model:{checkpoint.name}|layer:{layer}|idf:no|rescale:no|f1:mean|"
        f"max-tokens:{encoder.limit},cut|{notes}|{_neural.identity(checkpoint.path)}|"
        f"{_neural.versions('torch', 'transformers', 'tokenizers')}"
    )
    return Measured(sum(values) / len(values), signature, {"bertscore": values})


def unit_vectors(encoder: _neural.Encoder, texts: Sequence[str], batch: int) -> dict[str, torch.Tensor]:
    """A matrix per text: a vector of length 1 for each token, the opening and the closing one included."""
    from torch.nn.functional import normalize

    different = list(dict.fromkeys(texts))
    states = encoder.embed([encoder.ids(text) for text in different], batch)
    return {text: normalize(state, dim=-1) for text, state in zip(different, states, strict=True)}


def f1(hypothesis: torch.Tensor, reference: torch.Tensor) -> float:
    """Greedy matching by cosine. The opening and closing tokens can be matched but do not count themselves."""
    if len(hypothesis) <= 2 or len(reference) <= 2:
        return 0.0
    similar = hypothesis @ reference.T
    precision = similar.max(dim=1).values[1:-1].mean().item()
    recall = similar.max(dim=0).values[1:-1].mean().item()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
