"""The power of claims that are no difference or ratio of means: spreads compared, and the best of several."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from reports.judgement.claim_power import (
    COUNTS,
    DRAWS,
    PRESUMED_RATIO,
    WANTED_POWER,
    ClaimPower,
    EffectSource,
    NumberPower,
    PowerModel,
    PowerTerm,
    Undecidable,
    guess_value,
)
from reports.judgement.claims import LEVEL, SPREAD_LEVEL
from reports.judgement.comparison import find_rule
from reports.stats.intervals import make_generator, t_quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def compute_special_power(model: PowerModel, empty: ClaimPower) -> ClaimPower:
    """Power of a claim on spreads, or on which of several is best."""
    terms = [model.make_term(need["a"], 1.0, guess_value(need["a"])) for need in model.claim.needs]
    varying = [term for term in terms if term is not None]
    if not varying:
        return replace(empty, why=Undecidable.NO_RUNS)
    term = min(varying, key=lambda candidate: candidate.subsets or candidate.seeds)
    planned, over = term.subsets or term.seeds, "subsets" if term.subsets else "seeds"
    if model.claim.kind == "spread":
        draw, label = make_spread_draw(term), "ratio of standard deviations"
        effect, source = PRESUMED_RATIO, EffectSource.PRESUMED
        together = len(model.claim.needs)
    else:
        metric = str(model.claim.needs[0]["a"]["metric"])
        draw, label = make_best_draw(term, len(varying) - 1), "lead of the best over every other"
        effect, source, together = 2 * find_rule(metric).tolerance, EffectSource.TOLERANCE, 1
    margins = draw(planned)
    power = float((margins < effect).mean()) ** together
    detectable = find_quantile(margins, WANTED_POWER ** (1 / together))
    needed = next((n for n in COUNTS if float((draw(n) < effect).mean()) ** together >= WANTED_POWER), None)
    number = NumberPower(label, effect, source, model.claim.limits, term.sd, power, detectable)
    why = None if needed is not None else Undecidable.TOO_CLOSE
    return replace(
        empty,
        planned=planned,
        planned_most=planned,
        over=over,
        numbers=(number,),
        power=power,
        needed=needed,
        why=why,
    )


def find_quantile(margins: NDArray[np.float64], share: float) -> float:
    """What that share of the draws stays below."""
    import numpy as np

    return float(np.quantile(margins, share))


def make_spread_draw(term: PowerTerm) -> Callable[[int], NDArray[np.float64]]:
    """For a number of subsets: the ratios of true spreads from which the observed ones come out different.

    Between and within subsets the variance is taken to be alike.
    """

    def draw(count: int) -> NDArray[np.float64]:
        import numpy as np
        from scipy.special import fdtri

        rng = make_generator(0, f"power/spread/{count}")
        seeds = max(1, term.seeds) if term.subsets else 1
        totals, dfs = [], []
        for _ in range(2):
            between = (1 + 1 / seeds) * rng.chisquare(count - 1, DRAWS) / (count - 1)
            df_within = count * (seeds - 1)
            within = np.zeros(DRAWS)
            noise = between**2 / (count - 1)
            if df_within:
                within = (1 - 1 / seeds) * rng.chisquare(df_within, DRAWS) / df_within
                noise = noise + within**2 / df_within
            totals.append(between + within)
            dfs.append((between + within) ** 2 / noise)
        limit = fdtri(dfs[0], dfs[1], (1 + SPREAD_LEVEL) / 2)
        margins: NDArray[np.float64] = np.sqrt(limit * totals[1] / totals[0])
        return margins

    return draw


def make_best_draw(term: PowerTerm, rivals: int) -> Callable[[int], NDArray[np.float64]]:
    """For a number of seeds: the lead from which the best beats all ``rivals``, interval and all; in our unit."""

    def draw(count: int) -> NDArray[np.float64]:
        import numpy as np

        rng = make_generator(0, f"power/best/{count}")
        means = rng.normal(0.0, term.sd / math.sqrt(count), (rivals + 1, DRAWS))
        sds = term.sd * np.sqrt(rng.chisquare(count - 1, (rivals + 1, DRAWS)) / (count - 1))
        variances = np.maximum(sds, term.floor) ** 2 / count
        level = 1 - (1 - LEVEL) / max(1, rivals)
        reaches = t_quantile((1 + level) / 2, count - 1) * np.sqrt(variances[0] + variances[1:])
        margins: NDArray[np.float64] = (reaches + means[1:] - means[0]).max(axis=0)
        return margins

    return draw
