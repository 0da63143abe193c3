"""What to type where a run failed for what it was asked to do: the same again would fail again."""

from __future__ import annotations

import re


def suggest_lower_rate(command: str, rate: float, cluster: str | None = None) -> str:
    """The command of a run with half its learning rate; as a submission where it was one.

    >>> suggest_lower_rate("bench run --method prefix --task e2e --lr 0.5 --seed 1", 0.5)
    'bench run --method prefix --task e2e --seed 1 --lr 0.25'
    """
    words = re.sub(r"\s--lr[ =]\S+", "", command)
    if cluster is not None:
        words = re.sub(r"^bench run\b", "bench submit", words) + f" --cluster {cluster}"
    return f"{words} --lr {rate / 2:g}"
