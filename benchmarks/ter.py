"""TER with a table of its own for every shift that is tried, as one would first write it, beside ours.

    python benchmarks/ter.py [--case FILE.jsonl.gz] [--outputs 300] [--rounds 3]

The plain way is also what the tests compare with: lists of words, no bounds, nothing remembered. Both must
give the same edits, which is checked first. sacrebleu's TER differs from tercom's in a few segments; only its
time is shown. The outputs are made up, unless a file with ``hyp`` and ``refs`` per line is given (prepared
as WebNLG's).
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """tercom's defaults: how much worse than the best a cell may be, and how far and how much moves."""

    beam: int = 20
    distance: int = 50
    words: int = 10


DEFAULTS = Limits()


def plain_edits(hypothesis: Sequence[str], reference: Sequence[str], limits: Limits = DEFAULTS) -> int:
    """Shifts, one after another as long as one pays, plus the edits that are left."""
    words, shifts = list(hypothesis), 0
    edits, path = table(words, reference, limits)
    while (best := best_shift(words, reference, edits, path, limits)) is not None:
        words, edits, path = best
        shifts += 1
    return shifts + edits


def table(words: Sequence[str], reference: Sequence[str], limits: Limits) -> tuple[int, str]:
    """Edit distance and its path (``=``, ``S``, ``I``: word of the hypothesis only, ``D``: of the reference).

    Word by word of the hypothesis; a cell that is ``beam`` worse than the best step into its column is not
    followed. The first of equal ways stays: both words, then the hypothesis's, then the reference's.
    """
    width, height = len(words), len(reference)
    nowhere = width + height + 1
    cost = [[nowhere] * (height + 1) for _ in range(width + 1)]
    way = [[""] * (height + 1) for _ in range(width + 1)]
    cost[0][0] = 0
    best = next_best = nowhere
    for j in range(width + 1):
        best, next_best = next_best, nowhere
        for i in range(height + 1):
            here = cost[j][i]
            if here == nowhere or (j < width and here > best + limits.beam):
                continue
            if i < height and j < width:
                same = reference[i] == words[j]
                value = here if same else here + 1
                if value < cost[j + 1][i + 1]:
                    cost[j + 1][i + 1], way[j + 1][i + 1] = value, "=" if same else "S"
                next_best = min(next_best, value)
            if j < width and here + 1 < cost[j + 1][i]:
                cost[j + 1][i], way[j + 1][i] = here + 1, "I"
            if i < height and here + 1 < cost[j][i + 1]:
                cost[j][i + 1], way[j][i + 1] = here + 1, "D"
    i, j, path = height, width, ""
    while i or j:
        path += way[j][i]
        i, j = i - (path[-1] != "I"), j - (path[-1] != "D")
    return cost[width][height], path[::-1]


def best_shift(
    words: list[str], reference: Sequence[str], edits: int, path: str, limits: Limits
) -> tuple[list[str], int, str] | None:
    """The words after the best shift, their edits and path; None if no shift pays for itself."""
    best, total = None, edits
    for length in range(limits.words, 0, -1):
        for moved in shifted(words, reference, path, length, limits):
            if best is not None and edits - total >= 2 * length:
                return best
            left, way = table(moved, reference, limits)
            if left + 1 < total or (best is None and left + 1 == total):
                best, total = (moved, left, way), left + 1
    return best


def shifted(  # noqa: C901 - tercom's search, restated in one piece
    words: list[str], reference: Sequence[str], path: str, length: int, limits: Limits
) -> list[list[str]]:
    """The words after each shift of ``length`` words that the alignment asks for, in the order they are tried."""
    wrong, missed, place = [], [], []
    for step in path:
        if step != "D":
            wrong.append(step != "=")
        if step != "I":
            missed.append(step != "=")
            place.append(len(wrong) - 1)
    found = []
    for start in range(len(words) - length + 1):
        block = words[start : start + length]
        for at in range(len(reference) - length + 1):
            if list(reference[at : at + length]) != block:
                continue
            if not any(wrong[start : start + length]) or not any(missed[at : at + length]):
                continue
            if start <= place[at] < start + length or abs(place[at] - start) > limits.distance:
                continue
            for k in range(at - 1, at + length):
                after = place[k] if k >= 0 else -1
                if k < 0 or (after != start and (k == at or after != place[at])):
                    rest = words[:start] + words[start + length :]
                    # Behind the word `after`; a place inside the block counts on from the block's end.
                    to = (
                        after + 1
                        if after < start
                        else after - length + 1
                        if after >= start + length
                        else after
                    )
                    found.append(rest[:to] + block + rest[to:])
    return found


def made_up(outputs: int) -> tuple[list[str], list[list[str]]]:
    """Texts as long as WebNLG's, each with three references: blocks move, words change, go and come."""
    draw = random.Random(1)
    vocabulary = [f"w{number}" for number in range(400)]
    likely = [1 / (number + 5) for number in range(400)]

    def other_words(words: list[str]) -> list[str]:
        return draw.choices(vocabulary, likely, k=len(words))

    def retell(words: list[str]) -> str:
        for _ in range(draw.randrange(4)):
            start, length = draw.randrange(len(words)), draw.randint(2, 8)
            block, words = words[start : start + length], words[:start] + words[start + length :]
            to = draw.randint(0, len(words))
            words = [*words[:to], *block, *words[to:]]
        change = draw.random() / 2
        both = zip(words, other_words(words), strict=True)
        changed = [word if draw.random() > change else other for word, other in both]
        return " ".join(word for word in changed if draw.random() > 0.1)

    facts = [draw.choices(vocabulary, likely, k=draw.randint(8, 45)) for _ in range(outputs)]
    return [retell(words) for words in facts], [[retell(words) for _ in range(3)] for words in facts]


def from_file(name: str, outputs: int) -> tuple[list[str], list[list[str]]]:
    from bench.metrics import _preprocess

    with gzip.open(name, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][:outputs]
    hypotheses = [_preprocess.prepare_webnlg_hypothesis(row["hyp"]) for row in rows]
    return hypotheses, [
        [_preprocess.prepare_webnlg_reference(text) for text in row["refs"][:3]] for row in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case")
    parser.add_argument("--outputs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    from sacrebleu.metrics import TER
    from side_by_side import compare

    from bench.metrics import ter

    hypotheses, references = (
        from_file(chosen.case, chosen.outputs) if chosen.case else made_up(chosen.outputs)
    )
    pairs = [(text, other) for text, refs in zip(hypotheses, references, strict=True) for other in refs]

    def plain() -> list[int]:
        return [plain_edits(text.lower().split(), other.lower().split()) for text, other in pairs]

    def ours() -> list[int]:
        ter.count_edits.cache_clear()
        return [ter.count_edits(ter.normalize_text(text), ter.normalize_text(other)) for text, other in pairs]

    def sacrebleu() -> float:
        return sum(TER().sentence_score(text, [other]).num_edits for text, other in pairs)

    assert plain() == ours(), "not the same edits"
    print(f"{len(hypotheses)} outputs, {len(pairs)} references, the same edits")
    ratios = compare(
        {"a table for every shift": plain, "sacrebleu (nearly the same)": sacrebleu, "ours": ours},
        rounds=chosen.rounds,
        warmup=0,
    )
    print("times as fast: " + ", ".join(f"{name} {1 / ratio:.1f}" for name, ratio in ratios.items()))


if __name__ == "__main__":
    main()
