"""ROUGE-L and CIDEr as coco-caption computes them, for E2E. ROUGE-L is 0 to 1, CIDEr 0 to 10.

Both are the library's (pycocoevalcap) on the tokens of ``bench.metrics.ptb``. ROUGE-L takes the best
precision and the best recall over the references independently. CIDEr weighs n-grams by the references
of the set that is scored, so it cannot be compared between sets or groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from bench.metrics import ptb
from bench.metrics.result import Measured


def rouge_l(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """Mean over the items of the F score of the longest common subsequence, beta 1.2."""
    from pycocoevalcap.rouge.rouge import Rouge

    outputs, refs = tokens(hypotheses, references)
    scorer = Rouge()
    values = [float(scorer.calc_score([one], many)) for one, many in zip(outputs, refs, strict=True)]
    return Measured(sum(values) / len(values), signature("beta:1.2|refs:max-p,max-r"), {"rouge_l": values})


def cider(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
    """CIDEr: n-grams up to 4, sigma 6, document frequencies from these references."""
    from pycocoevalcap.cider.cider import Cider

    outputs, refs = tokens(hypotheses, references)
    numbers = range(len(outputs))
    value, values = Cider().compute_score(
        {number: refs[number] for number in numbers}, {number: [outputs[number]] for number in numbers}
    )
    return Measured(
        float(value), signature("order:4|sigma:6|idf:these-refs"), {"cider": [float(one) for one in values]}
    )


def tokens(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Both sides tokenised, blank references left out (an item with none but blank ones keeps one)."""
    kept = [[ref for ref in refs if ref.strip()] or [""] for refs in references]
    flat = ptb.tokenize_all([ref for refs in kept for ref in refs])
    outputs = ptb.tokenize_all(hypotheses)
    grouped, start = [], 0
    for refs in kept:
        grouped.append(flat[start : start + len(refs)])
        start += len(refs)
    return outputs, grouped


def signature(notes: str) -> str:
    tokeniser = "ptb-jar" if ptb.official() else "ptb-bench"
    return (
        f"impl:pycocoevalcap|version:{version('pycocoevalcap')}|case:lc|tok:{tokeniser}|{notes}"
        "|blank-refs:omitted"
    )
