"""The verdict of a cell: did the paper's number come out?

Where there is a number of ours to compare, ``reports.judgement.comparison`` decides; here is what cannot be
compared and what is not there, in this order:

- **not comparable**: nothing that could be compared (scale mini, a changed protocol, settings from the
  command line, partial data, a scorer that failed its gate, a number that belongs to the authors'
  machines, one that the paper does not print).
- **not run**: no run is done, or its score could not be computed. Failures (out of memory, time-out,
  cancelled) are counted here and nowhere else: a run that failed says nothing about the paper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from reports.judgement.comparison import (
    JUDGED_METRICS,
    Comparison,
    Yardstick,
    find_rule,
    judge_mean,
    make_yardstick,
)
from reports.judgement.comparison import Verdict as Verdict
from reports.paper.published import Cell
from reports.records.index import CellEvidence
from reports.records.values import MACHINE_METRICS
from reports.stats.intervals import Summary, summarise

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
    yardstick: Yardstick | None = None
    limit: float | None = None
    """What tolerance, rounding and seeds explain."""
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
    elif gap is None and cell.metric not in JUDGED_METRICS:
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
    """What ``judge_mean`` says, in words; for a range read off a figure only whether it is left."""
    yardstick = make_yardstick(cell)
    comparison = judge_mean(summary.mean, summary.sd or 0.0, summary.n, yardstick)
    ours = describe_ours(cell, summary)
    tail = "".join(f" Also: {note}." for note in list_notes(evidence))
    if cell.value is None and yardstick.low <= summary.mean <= yardstick.high:
        span = f"{yardstick.low:g} to {yardstick.high:g}"
        why = f"the paper prints no number here; ours lies inside its figure's axis, {span}"
        gap = Gap(GapKind.NOT_PRINTED, "no printed number")
        return Judgement(gap.kind.verdict, f"{ours}; {why}.{tail}", gap, summary, 0.0)
    text = describe_comparison(cell, summary.n, comparison, yardstick)
    return Judgement(
        comparison.verdict,
        f"{ours}: {text}.{tail}",
        None,
        summary,
        comparison.difference,
        yardstick,
        comparison.limit,
        comparison.detectable,
        comparison.seeds_needed,
    )


def describe_comparison(cell: Cell, n: int, comparison: Comparison, yardstick: Yardstick) -> str:
    """Why it is this verdict, with the numbers that decide."""
    span = f"the figure's {yardstick.low:g} to {yardstick.high:g}"
    paper = f"the paper's {cell.printed}" if cell.value is not None else span
    away, limit = format_short(abs(comparison.difference)), format_short(comparison.limit)
    if comparison.verdict is Verdict.REPRODUCED:
        reach = f", with its 90 % interval (± {format_short(comparison.mean_reach)})"
        reach = reach if comparison.mean_reach else ""
        return f"within {format_short(yardstick.tolerance)} of {paper}{reach}"
    if comparison.verdict in (Verdict.ABOVE, Verdict.BELOW):
        cause = "tolerance, rounding and seeds explain" if yardstick.usual.sd else "rounding explains"
        return f"{away} {comparison.verdict} {paper}, more than {cause} ({limit})"
    if comparison.verdict is Verdict.CONSISTENT:
        detectable = format_short(comparison.detectable)
        found = f"a difference of {detectable} would have been found"
        return f"{away} from {paper}, which seeds can make ({limit}); {found}"
    if n == 1 and comparison.excluded:
        side = "above" if comparison.difference > 0 else "below"
        why = f"{away} {side} {paper}, more than the usual spread explains ({limit}), but one seed decides nothing"
        return f"{why}; {describe_seeds_needed(comparison)}"
    found, matters = format_short(comparison.detectable), format_short(yardstick.matters)
    why = (
        f"{away} from {paper}, but only a difference of {found} would have been found, and {matters} matters"
    )
    return f"{why}; {describe_seeds_needed(comparison)}"


def describe_seeds_needed(comparison: Comparison) -> str:
    """What would decide where this evidence does not."""
    if comparison.seeds_needed is None:
        return "with this spread no number of seeds is enough, since the paper's number is a single run"
    return f"{comparison.seeds_needed} seeds with this spread are enough"


def format_short(number: float) -> str:
    """Three digits, and never 3e+03."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def describe_ours(cell: Cell, summary: Summary) -> str:
    """Our mean with its 95 % interval, as far as there is one."""
    if not find_rule(cell.metric).varies:
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


def count_verdicts(verdicts: Iterable[Verdict | None]) -> dict[Verdict, int]:
    """How many cells have each verdict, all verdicts named."""
    counts = Counter(verdicts)
    return {verdict: counts[verdict] for verdict in Verdict}
