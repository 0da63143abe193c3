"""The verdict of a cell: did the paper's number come out? All rules are in this file.

With our runs' mean m over n seeds and the paper's value p, in this order:

- **not comparable**: nothing that could be compared (scale mini, a changed protocol, settings from the
  command line, partial data, a scorer that failed its gate, a number that belongs to the authors'
  machines, one that the paper does not print).
- **not run**: no run is done, or its score could not be computed. Failures (out of memory, time-out,
  cancelled) are counted here and nowhere else: a run that failed says nothing about the paper.
- **reproduced**: |m - p| is at most the metric's tolerance (``RULES``), or p lies in our 95 % interval
  between seeds, if that is narrow enough to mean something (``WIDEST``).
- **within noise**: further off, but no further than one more run with another seed could be from the
  mean of ours (the paper's numbers look like single runs): t · s · √(1 + 1/n), where s pools our spread
  with the metric's usual one, as if the latter had been seen in ``PRIOR`` + 1 runs. So one seed alone can
  be judged, by the usual spread, and two seeds that happen to agree do not make the noise vanish.
- **above** or **below**: further off than that. Both ways alike: a score far above is as suspicious.

Half a unit of the paper's last printed digit is added to every bound.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reports.paper.published import Cell
from reports.records.index import Found
from reports.records.values import OF_MACHINE
from reports.stats.intervals import LEVEL, Interval, Summary, summarise, t_quantile

REPRODUCED, WITHIN_NOISE, ABOVE, BELOW = "reproduced", "within noise", "above", "below"
NOT_RUN, NOT_COMPARABLE = "not run", "not comparable"
VERDICTS = (REPRODUCED, WITHIN_NOISE, ABOVE, BELOW, NOT_RUN, NOT_COMPARABLE)
SCIENTIFIC = VERDICTS[:4]
"""Those that say something about the paper's number."""

PRIOR = 4
"""Degrees of freedom that the usual spread between seeds counts for."""
WIDEST = 3.0
"""An interval with a half-width of more tolerances than this would hold nearly any value."""
ROUNDING = 1e-9
"""Sums of decimals are not exact: 55.55 - 55.0 is not 0.55."""
UNSEEN = 2.0
"""On unseen categories seeds differ about twice as much (published: ±0.4 BLEU there, ±0.2 on seen ones)."""


@dataclass(frozen=True)
class Rule:
    """``tolerance``: what we call the same number. ``spread``: usual standard deviation between seeds.

    Both in our unit, or with ``relative`` in shares of the paper's value.
    """

    tolerance: float
    spread: float
    why: str
    relative: bool = False


LORA = "intervals published for GPT-2 with LoRA on these tasks (its repository): ±0.1 to ±0.4 BLEU"
RERUN = "another rerun of E2E's prefix and fine-tuning rows (Mikonooooo/prefix-tuning)"
OURS = "our choice"
RULES: Mapping[str, Rule] = {
    "bleu": Rule(0.5, 0.5, f"{LORA}; {OURS}: half a point, and the larger part of that range as spread"),
    "nist": Rule(0.10, 0.06, f"{RERUN} is within 0.03 where BLEU is within 1.5; {OURS}: about 1 %"),
    "meteor": Rule(0.005, 0.003, f"{RERUN} is within 0.006; {OURS}: half a point"),
    "rouge_l": Rule(0.005, 0.004, f"{RERUN} is within 0.008; {OURS}: half a point"),
    "cider": Rule(0.04, 0.03, f"{RERUN} is within 0.05; {OURS}"),
    "ter": Rule(0.010, 0.005, f"printed to 0.01; {OURS}: one unit of that"),
    "moverscore": Rule(0.010, 0.003, f"printed to 0.01; {OURS}: one unit of that"),
    "bertscore": Rule(0.010, 0.002, f"printed to 0.01; {OURS}: one unit of that"),
    "bleurt": Rule(0.020, 0.010, f"printed to 0.01, and the raw score varies more; {OURS}: two units"),
    "rouge1": Rule(0.003, 0.002, f"corpora of 11,000 items; {OURS}: 0.3 points"),
    "rouge2": Rule(0.003, 0.002, f"corpora of 11,000 items; {OURS}: 0.3 points"),
    "rougeL": Rule(0.003, 0.002, f"corpora of 11,000 items; {OURS}: 0.3 points"),
    "stored_parameters": Rule(0.05, 0.0, "a count, printed rounded", relative=True),
    "trained_parameters": Rule(0.05, 0.0, "a count, printed rounded", relative=True),
    "stored_share": Rule(0.05, 0.0, "a ratio of counts, printed rounded", relative=True),
    "examples": Rule(0.05, 0.0, "a count, printed rounded (51.4 thousand as 50K)", relative=True),
    "input_length": Rule(0.1, 0.0, "a mean over the published file; tokenisation is exact"),
    "output_length": Rule(0.1, 0.0, "a mean over the published file; tokenisation is exact"),
}
OF_TWO = ("speed_gain", "fewer_than_ft", "fewer_than_adapter")
"""Statements that compare two systems: claims, not cells."""


@dataclass(frozen=True)
class Judgement:
    """A cell's verdict and all that it rests on; numbers in the cell's printed unit."""

    verdict: str
    reason: str
    """One sentence."""
    label: str
    """The verdict with what a short cell has room for: ``not run (2 failed: out-of-memory)``."""
    summary: Summary | None = None
    difference: float | None = None
    """Ours less the paper's; to the nearer end where the paper's is a range, 0 inside."""
    tolerance: float | None = None
    noise: float | None = None


def judge(cell: Cell, found: Found) -> Judgement:
    """The verdict for a cell and what ``reports.records.index.collect`` found for it."""
    summary = summary_of(cell, found)
    stopped = without_comparison(cell, found, summary)
    if stopped is not None:
        return stopped
    assert summary is not None
    return compare(cell, summary, found)


def summary_of(cell: Cell, found: Found) -> Summary | None:
    """Our runs in the printed unit; None without values."""
    if not found.replicates:
        return None
    return summarise({key: value * cell.factor for key, value in found.replicates.items()})


# --- what cannot be compared, and what is not there


def without_comparison(cell: Cell, found: Found, summary: Summary | None) -> Judgement | None:
    """The verdict where there is nothing to compare; None where there is."""

    def incomparable(why: str) -> Judgement:
        return Judgement(NOT_COMPARABLE, f"Not comparable: {why}.", f"{NOT_COMPARABLE} ({why})", summary)

    def gap(why: str = "") -> Judgement:
        label = f"{NOT_RUN} ({why})" if why else NOT_RUN
        return Judgement(NOT_RUN, f"Not run: {why or 'no run of this is done'}.", label)

    if cell.kind == "setting":
        return incomparable("a setting, not a result")
    if cell.kind != "statistic" and cell.method is None:
        cited = "cited, and no method here stands for it"
        return incomparable(cited if cell.kind == "cited" else "no system named")
    if found.scale != "paper":
        return incomparable(found.scale)
    if cell.metric in OF_MACHINE:
        return incomparable("time and memory hold for one machine, the paper's for the authors'")
    if cell.metric in OF_TWO:
        return incomparable("a comparison of two systems, checked as a claim")
    if summary is not None:
        if cell.metric not in RULES:
            return incomparable(f"no tolerance is set for {cell.metric}")
        return None
    if found.gate:
        return incomparable(f"scorer failed its gate: {found.gate}")
    if found.missing:
        return gap(f"not {'counted' if cell.kind == 'statistic' else 'computed'}: {'; '.join(found.missing)}")
    if found.failures:
        return gap(failures(found))
    if found.excluded:
        return incomparable("; ".join(found.excluded))
    return gap("the published files were not counted" if cell.kind == "statistic" else "")


def failures(found: Found) -> str:
    """``2 failed: out-of-memory; 1 cancelled``; empty without any."""
    failed = {kind: n for kind, n in found.failures.items() if kind != "cancelled"}
    parts = []
    if failed:
        kinds = ", ".join(kind if n == sum(failed.values()) else f"{n} {kind}" for kind, n in failed.items())
        parts.append(f"{sum(failed.values())} failed: {kinds}")
    if found.failures.get("cancelled"):
        parts.append(f"{found.failures['cancelled']} cancelled")
    return "; ".join(parts)


# --- the comparison


def compare(cell: Cell, summary: Summary, found: Found) -> Judgement:
    """Reproduced, within noise, above or below; for a range read off a figure only whether it is left."""
    rule = RULES[cell.metric]
    tolerance = tolerance_of(cell, rule)
    noise = noise_of(cell, rule, summary)
    low, high = bounds(cell)
    difference = max(summary.mean - high, 0.0) + min(summary.mean - low, 0.0)
    reach = abs(difference) - ROUNDING
    interval = summary.interval
    useful = interval is not None and interval.half_width <= WIDEST * (tolerance - half_unit(cell.printed))
    inside = useful and interval is not None and touches(interval, low, high, half_unit(cell.printed))
    ranged = cell.value is None
    ours = shown(summary, rule)
    paper = f"the paper's {cell.printed}" if not ranged else f"the figure's {low:g} to {high:g}"
    tail = "".join(f" Also: {note}." for note in notes(found))
    # ``reach`` alone decides from here on, so moving away can only make things worse.
    if ranged and reach <= 0:
        why = f"the paper prints no number here; ours lies inside its figure's axis, {low:g} to {high:g}"
        return Judgement(
            NOT_COMPARABLE, f"{ours}; {why}.{tail}", f"{NOT_COMPARABLE} (no printed number)", summary, 0.0
        )
    if reach <= tolerance or inside:
        how = f"within {short(tolerance)} of" if reach <= tolerance else "with an interval that holds"
        verdict, text = REPRODUCED, f"{ours}: {how} {paper}"
    elif reach <= noise:
        verdict = WITHIN_NOISE
        text = f"{ours}: {short(reach)} from {paper}, which another seed can make ({short(noise)})"
    else:
        verdict = ABOVE if difference > 0 else BELOW
        explained = (
            f"more than {'seeds explain' if noise else 'rounding explains'} ({short(max(noise, tolerance))})"
        )
        text = f"{ours}: {short(reach)} {verdict} {paper}, {explained}"
    return Judgement(verdict, f"{text}.{tail}", verdict, summary, difference, tolerance, noise)


def short(number: float) -> str:
    """Three digits, and never 3e+03."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def shown(summary: Summary, rule: Rule) -> str:
    if rule.spread == 0.0:
        return f"Ours {summary.mean:,.6g}"
    if summary.interval is None:
        return f"Ours {summary.mean:.4g} (one seed, judged by the usual spread between seeds)"
    return f"Ours {summary.mean:.4g} ± {summary.interval.half_width:.2g} ({summary.note})"


def notes(found: Found) -> list[str]:
    """What else the reader of the cell should know."""
    said = list(found.notes)
    if found.failures:
        said.append(failures(found))
    if found.missing:
        said.append(f"some runs have no value: {'; '.join(found.missing)}")
    if found.gate:
        said.append("runs whose scorer failed its gate are left out")
    return said


def touches(interval: Interval, low: float, high: float, slack: float) -> bool:
    return interval.low <= high + slack and low - slack <= interval.high


def bounds(cell: Cell) -> tuple[float, float]:
    """The paper's value, or its range; ``ValueError`` for a cell with neither."""
    if cell.value is not None:
        return cell.value, cell.value
    if cell.low is None or cell.high is None:
        raise ValueError(f"{cell.place} has neither a value nor a range")
    return cell.low, cell.high


def half_unit(printed: str | None) -> float:
    """Half a unit of the last printed digit: 0.05 of ``70.3``, 0.005 of ``1%``, 500 of ``250K``."""
    found = re.fullmatch(r"[^\d]*\d[\d,]*(?:\.(\d+))?\s*([%KMx]?)", printed or "")
    if found is None:
        return 0.0
    unit = {"%": 0.01, "K": 1e3, "M": 1e6}.get(found[2], 1.0)
    return unit * 10.0 ** -len(found[1] or "") / 2


def tolerance_of(cell: Cell, rule: Rule) -> float:
    """In the printed unit, with the rounding of the paper's number."""
    size = abs(cell.value or 0.0) if rule.relative else cell.factor
    return rule.tolerance * size + half_unit(cell.printed)


def noise_of(cell: Cell, rule: Rule, summary: Summary) -> float:
    """How far one run with another seed may be from the mean of ours, 95 of 100 times; printed unit."""
    usual = rule.spread * (abs(cell.value or 0.0) if rule.relative else cell.factor)
    if cell.group == "unseen":
        usual *= UNSEEN
    if usual == 0.0:
        return 0.0
    own, df = summary.sd or 0.0, PRIOR + summary.n - 1
    pooled = math.sqrt((PRIOR * usual**2 + (summary.n - 1) * own**2) / df)
    return t_quantile((1 + LEVEL) / 2, df) * pooled * math.sqrt(1 + 1 / summary.n) + half_unit(cell.printed)


def tally(found: Iterable[str | None]) -> dict[str, int]:
    """How many cells have each verdict, all verdicts named."""
    counts = Counter(found)
    return {verdict: counts[verdict] for verdict in VERDICTS}
