"""The verdict of a cell: did the paper's number come out? All rules are in this file.

With our runs' mean m over n seeds and the paper's value p, in this order:

- **not comparable**: nothing that could be compared (scale mini, a changed protocol, settings from the
  command line, partial data, a scorer that failed its gate, a number that belongs to the authors'
  machines, one that the paper does not print).
- **not run**: no run is done, or its score could not be computed. Failures (out of memory, time-out,
  cancelled) are counted here and nowhere else: a run that failed says nothing about the paper.
- **reproduced**: |m - p| is at most the metric's tolerance (``RULES``), or p lies in our 95 % interval
  between seeds, if that is narrow enough to mean something (``WIDEST``).
- **consistent**: further off, but no further than one more run with another seed could be from the
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
from enum import StrEnum

from reports.paper.published import Cell
from reports.records.index import CellEvidence
from reports.records.values import MACHINE_METRICS
from reports.stats.intervals import LEVEL, Interval, Summary, summarise, t_quantile


class Verdict(StrEnum):
    """What our runs say of a cell of the paper; the rules are at the head of this file."""

    REPRODUCED = "reproduced"
    CONSISTENT = "consistent"
    INCONCLUSIVE = "inconclusive"
    ABOVE = "above"
    BELOW = "below"
    NOT_RUN = "not run"
    NOT_COMPARABLE = "not comparable"

    @property
    def scientific(self) -> bool:
        """Whether it says something about the paper's number."""
        return self not in (Verdict.NOT_RUN, Verdict.NOT_COMPARABLE)


PRIOR = 4
"""Degrees of freedom that the usual spread between seeds counts for."""
WIDEST = 3.0
"""An interval with a half-width of more tolerances than this would hold nearly any value."""
ROUNDING = 1e-9
"""Sums of decimals are not exact: 55.55 - 55.0 is not 0.55."""
UNSEEN = 2.0
"""On unseen categories seeds differ about twice as much (published: ±0.4 BLEU there, ±0.2 on seen ones)."""


@dataclass(frozen=True)
class ToleranceRule:
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
RULES: Mapping[str, ToleranceRule] = {
    "bleu": ToleranceRule(
        0.5, 0.5, f"{LORA}; {OURS}: half a point, and the larger part of that range as spread"
    ),
    "nist": ToleranceRule(0.10, 0.06, f"{RERUN} is within 0.03 where BLEU is within 1.5; {OURS}: about 1 %"),
    "meteor": ToleranceRule(0.005, 0.003, f"{RERUN} is within 0.006; {OURS}: half a point"),
    "rouge_l": ToleranceRule(0.005, 0.004, f"{RERUN} is within 0.008; {OURS}: half a point"),
    "cider": ToleranceRule(0.04, 0.03, f"{RERUN} is within 0.05; {OURS}"),
    "ter": ToleranceRule(0.010, 0.005, f"printed to 0.01; {OURS}: one unit of that"),
    "moverscore": ToleranceRule(0.010, 0.003, f"printed to 0.01; {OURS}: one unit of that"),
    "bertscore": ToleranceRule(0.010, 0.002, f"printed to 0.01; {OURS}: one unit of that"),
    "bleurt": ToleranceRule(
        0.020, 0.010, f"printed to 0.01, and the raw score varies more; {OURS}: two units"
    ),
    "rouge1": ToleranceRule(0.003, 0.002, f"corpora of 11,000 items; {OURS}: 0.3 points"),
    "rouge2": ToleranceRule(0.003, 0.002, f"corpora of 11,000 items; {OURS}: 0.3 points"),
    "rougeL": ToleranceRule(0.003, 0.002, f"corpora of 11,000 items; {OURS}: 0.3 points"),
    "stored_parameters": ToleranceRule(0.05, 0.0, "a count, printed rounded", relative=True),
    "trained_parameters": ToleranceRule(0.05, 0.0, "a count, printed rounded", relative=True),
    "stored_share": ToleranceRule(0.05, 0.0, "a ratio of counts, printed rounded", relative=True),
    "examples": ToleranceRule(0.05, 0.0, "a count, printed rounded (51.4 thousand as 50K)", relative=True),
    "input_length": ToleranceRule(0.1, 0.0, "a mean over the published file; tokenisation is exact"),
    "output_length": ToleranceRule(0.1, 0.0, "a mean over the published file; tokenisation is exact"),
}
COMPARISON_METRICS = ("speed_gain", "fewer_than_ft", "fewer_than_adapter")
"""Statements that compare two systems: claims, not cells."""


class GapKind(StrEnum):
    """Why a cell has no number of ours that could be compared."""

    NOT_RUN = "not-run"
    FAILED_RUNS = "failed-runs"
    NOT_COMPUTED = "not-computed"
    NOT_COUNTED = "not-counted"
    """Of a number of Table 1, which is counted in the published files."""
    SETTING = "setting"
    CITED = "cited"
    NO_SYSTEM = "no-system"
    SCALE = "scale"
    MACHINE = "machine"
    COMPARISON = "comparison"
    """A statement about two systems, which is checked as a claim."""
    NO_TOLERANCE = "no-tolerance"
    FAILED_GATE = "failed-gate"
    EXCLUDED_RUNS = "excluded-runs"
    NOT_PRINTED = "not-printed"
    """The paper has only a drawing."""

    @property
    def verdict(self) -> Verdict:
        """What a cell with such a gap is called."""
        not_run = (GapKind.NOT_RUN, GapKind.FAILED_RUNS, GapKind.NOT_COMPUTED, GapKind.NOT_COUNTED)
        return Verdict.NOT_RUN if self in not_run else Verdict.NOT_COMPARABLE


@dataclass(frozen=True)
class Gap:
    """Why there is no number of ours to compare: ``text`` says it in words, empty where the verdict says it all."""

    kind: GapKind
    text: str = ""


@dataclass(frozen=True)
class Judgement:
    """A cell's verdict and all that it rests on; numbers in the cell's printed unit."""

    verdict: Verdict
    reason: str
    """One sentence."""
    gap: Gap | None = None
    summary: Summary | None = None
    difference: float | None = None
    """Ours less the paper's; to the nearer end where the paper's is a range, 0 inside."""
    tolerance: float | None = None
    noise: float | None = None
    detectable: float | None = None
    """The smallest true difference from the paper that this evidence would have found."""
    seeds_needed: int | None = None
    """Seeds with which it would have found a difference that matters; None where it does, or none suffice."""

    @property
    def label(self) -> str:
        """The verdict with what a short cell has room for: ``not run (2 failed: out-of-memory)``."""
        return f"{self.verdict} ({self.gap.text})" if self.gap and self.gap.text else self.verdict


def judge_cell(cell: Cell, evidence: CellEvidence) -> Judgement:
    """The verdict for a cell and what ``reports.records.index.collect`` found for it."""
    summary = summarise_cell(cell, evidence)
    stopped = judge_without_comparison(cell, evidence, summary)
    if stopped is not None:
        return stopped
    assert summary is not None
    return compare_with_paper(cell, summary, evidence)


def summarise_cell(cell: Cell, evidence: CellEvidence) -> Summary | None:
    """Our runs in the printed unit; None without values."""
    if not evidence.replicates:
        return None
    return summarise({key: value * cell.factor for key, value in evidence.replicates.items()})


# --- what cannot be compared, and what is not there


def judge_without_comparison(cell: Cell, evidence: CellEvidence, summary: Summary | None) -> Judgement | None:
    """The verdict where there is nothing to compare; None where there is."""
    gap = find_cell_gap(cell, evidence.scale)
    if gap is None and summary is None:
        gap = find_evidence_gap(evidence, counted=cell.kind == "statistic")
    elif gap is None and cell.metric not in RULES:
        gap = Gap(GapKind.NO_TOLERANCE, f"no tolerance is set for {cell.metric}")
    if gap is None:
        return None
    verdict = gap.kind.verdict
    return Judgement(
        verdict, f"{verdict.capitalize()}: {gap.text or 'no run of this is done'}.", gap, summary
    )


def find_cell_gap(cell: Cell, scale: str) -> Gap | None:
    """Why no run could stand beside the paper's number, whatever it gives; None where one could."""
    if cell.kind == "setting":
        return Gap(GapKind.SETTING, "a setting, not a result")
    if cell.kind != "statistic" and cell.method is None:
        if cell.kind == "cited":
            return Gap(GapKind.CITED, "cited, and no method here stands for it")
        return Gap(GapKind.NO_SYSTEM, "no system named")
    if scale != "paper":
        return Gap(GapKind.SCALE, scale)
    if cell.metric in MACHINE_METRICS:
        return Gap(GapKind.MACHINE, "time and memory hold for one machine, the paper's for the authors'")
    if cell.metric in COMPARISON_METRICS:
        return Gap(GapKind.COMPARISON, "a comparison of two systems, checked as a claim")
    return None


def find_evidence_gap(evidence: CellEvidence, counted: bool = False) -> Gap:
    """Why the records have no value, in the order of what could be done about it; ``counted``: of Table 1."""
    if evidence.gate:
        return Gap(GapKind.FAILED_GATE, f"scorer failed its gate: {evidence.gate}")
    if evidence.missing:
        reasons = "; ".join(evidence.missing)
        if counted:
            return Gap(GapKind.NOT_COUNTED, f"not counted: {reasons}")
        return Gap(GapKind.NOT_COMPUTED, f"not computed: {reasons}")
    if evidence.failures:
        return Gap(GapKind.FAILED_RUNS, describe_failures(evidence))
    if evidence.excluded:
        return Gap(GapKind.EXCLUDED_RUNS, "; ".join(evidence.excluded))
    if counted:
        return Gap(GapKind.NOT_COUNTED, "the published files were not counted")
    return Gap(GapKind.NOT_RUN)


def describe_failures(evidence: CellEvidence) -> str:
    """``2 failed: out-of-memory; 1 cancelled``; empty without any."""
    failed = {kind: n for kind, n in evidence.failures.items() if kind != "cancelled"}
    parts = []
    if failed:
        kinds = ", ".join(kind if n == sum(failed.values()) else f"{n} {kind}" for kind, n in failed.items())
        parts.append(f"{sum(failed.values())} failed: {kinds}")
    if evidence.failures.get("cancelled"):
        parts.append(f"{evidence.failures['cancelled']} cancelled")
    return "; ".join(parts)


# --- the comparison


def compare_with_paper(cell: Cell, summary: Summary, evidence: CellEvidence) -> Judgement:
    """Reproduced, consistent, above or below; for a range read off a figure only whether it is left."""
    rule = RULES[cell.metric]
    tolerance = compute_tolerance(cell, rule)
    noise = compute_noise(cell, rule, summary)
    low, high = find_bounds(cell)
    difference = max(summary.mean - high, 0.0) + min(summary.mean - low, 0.0)
    reach = abs(difference) - ROUNDING
    interval = summary.interval
    useful = interval is not None and interval.half_width <= WIDEST * (
        tolerance - compute_half_unit(cell.printed)
    )
    inside = (
        useful and interval is not None and meets_range(interval, low, high, compute_half_unit(cell.printed))
    )
    ranged = cell.value is None
    ours = describe_ours(summary, rule)
    paper = f"the paper's {cell.printed}" if not ranged else f"the figure's {low:g} to {high:g}"
    tail = "".join(f" Also: {note}." for note in list_notes(evidence))
    # ``reach`` alone decides from here on, so moving away can only make things worse.
    if ranged and reach <= 0:
        why = f"the paper prints no number here; ours lies inside its figure's axis, {low:g} to {high:g}"
        gap = Gap(GapKind.NOT_PRINTED, "no printed number")
        return Judgement(gap.kind.verdict, f"{ours}; {why}.{tail}", gap, summary, 0.0)
    if reach <= tolerance or inside:
        how = f"within {format_short(tolerance)} of" if reach <= tolerance else "with an interval that holds"
        verdict, text = Verdict.REPRODUCED, f"{ours}: {how} {paper}"
    elif reach <= noise:
        verdict = Verdict.CONSISTENT
        text = (
            f"{ours}: {format_short(reach)} from {paper}, which another seed can make ({format_short(noise)})"
        )
    else:
        verdict = Verdict.ABOVE if difference > 0 else Verdict.BELOW
        cause = "seeds explain" if noise else "rounding explains"
        explained = f"more than {cause} ({format_short(max(noise, tolerance))})"
        text = f"{ours}: {format_short(reach)} {verdict} {paper}, {explained}"
    return Judgement(verdict, f"{text}.{tail}", None, summary, difference, tolerance, noise)


def format_short(number: float) -> str:
    """Three digits, and never 3e+03."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def describe_ours(summary: Summary, rule: ToleranceRule) -> str:
    if rule.spread == 0.0:
        return f"Ours {summary.mean:,.6g}"
    if summary.interval is None:
        return f"Ours {summary.mean:.4g} (one seed, judged by the usual spread between seeds)"
    return f"Ours {summary.mean:.4g} ± {summary.interval.half_width:.2g} ({summary.note})"


def list_notes(evidence: CellEvidence) -> list[str]:
    """What else the reader of the cell should know."""
    remarks = [*(unlike.to_text() for unlike in evidence.unlike), *evidence.notes]
    if evidence.dirty:
        remarks.append("the code had changes that were not committed")
    if evidence.failures:
        remarks.append(describe_failures(evidence))
    if evidence.missing:
        remarks.append(f"some runs have no value: {'; '.join(evidence.missing)}")
    if evidence.gate:
        remarks.append("runs whose scorer failed its gate are left out")
    return remarks


def meets_range(interval: Interval, low: float, high: float, slack: float) -> bool:
    return interval.low <= high + slack and low - slack <= interval.high


def find_bounds(cell: Cell) -> tuple[float, float]:
    """The paper's value, or its range; ``ValueError`` for a cell with neither."""
    if cell.value is not None:
        return cell.value, cell.value
    if cell.low is None or cell.high is None:
        raise ValueError(f"{cell.place} has neither a value nor a range")
    return cell.low, cell.high


def compute_half_unit(printed: str | None) -> float:
    """Half a unit of the last printed digit: 0.05 of ``70.3``, 0.005 of ``1%``, 500 of ``250K``."""
    match = re.fullmatch(r"[^\d]*\d[\d,]*(?:\.(\d+))?\s*([%KMx]?)", printed or "")
    if match is None:
        return 0.0
    unit = {"%": 0.01, "K": 1e3, "M": 1e6}.get(match[2], 1.0)
    return unit * 10.0 ** -len(match[1] or "") / 2


def compute_tolerance(cell: Cell, rule: ToleranceRule) -> float:
    """In the printed unit, with the rounding of the paper's number."""
    size = abs(cell.value or 0.0) if rule.relative else cell.factor
    return rule.tolerance * size + compute_half_unit(cell.printed)


def compute_noise(cell: Cell, rule: ToleranceRule, summary: Summary) -> float:
    """How far one run with another seed may be from the mean of ours, 95 of 100 times; printed unit."""
    usual = rule.spread * (abs(cell.value or 0.0) if rule.relative else cell.factor)
    if cell.group == "unseen":
        usual *= UNSEEN
    if usual == 0.0:
        return 0.0
    spread, df = summary.sd or 0.0, PRIOR + summary.n - 1
    pooled = math.sqrt((PRIOR * usual**2 + (summary.n - 1) * spread**2) / df)
    return t_quantile((1 + LEVEL) / 2, df) * pooled * math.sqrt(1 + 1 / summary.n) + compute_half_unit(
        cell.printed
    )


def count_verdicts(verdicts: Iterable[Verdict | None]) -> dict[Verdict, int]:
    """How many cells have each verdict, all verdicts named."""
    counts = Counter(verdicts)
    return {verdict: counts[verdict] for verdict in Verdict}
