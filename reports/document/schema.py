"""What a report consists of: plain dataclasses without behaviour, in the order of a page.

Texts in them are as they were found. Outputs of models, messages of errors and the like are untrusted;
every renderer escapes them for its own format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from bench.store.record import RunStatus
from reports.judgement.claim_remarks import EvidenceRemarks
from reports.judgement.claims import ClaimOutcome
from reports.judgement.row_verdicts import AcceptedNumber
from reports.judgement.verdicts import Gap, GapKind, Verdict
from reports.paper.deviations import Deviation
from reports.paper.published import DisputeAccount, OtherAccount, PaperNumber
from reports.records.grouping import DIRTY, UnlikeRuns


@dataclass(frozen=True)
class RunValue:
    """One run behind a number; ``value`` in the printed unit."""

    run_id: str
    seed: int
    data_seed: int | None
    value: float


@dataclass(frozen=True)
class Lineage:
    """What a number of ours rests on. Commands, code and machines are in the report's list of runs."""

    runs: tuple[RunValue, ...] = ()
    signatures: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    """Options and settings of these runs that the paper and the authors' code leave open."""
    deviations: tuple[int, ...] = ()
    """Numbers of the ledger's entries that touch these runs."""
    notes: tuple[str, ...] = ()
    unlike: tuple[UnlikeRuns, ...] = ()
    """Runs of the same that were left out, with what differs from those that count."""


@dataclass(frozen=True)
class OurNumber:
    """Our number in the printed unit: the mean over ``n`` units and what its interval is over."""

    text: str
    """``54.8 ± 0.4``, ``54.8 ± 0.4 (dirty)``; without ± where there is no interval."""
    mean: float
    low: float | None
    high: float | None
    over: str
    note: str
    n: int
    runs: int
    dirty: bool = False
    """Whether the runs' code had changes that were not committed."""


@dataclass(frozen=True)
class CellRule:
    """What a verdict was reached by (``docs/verdicts.md``); in the printed unit, with the paper's rounding."""

    tolerance: float
    limit: float
    """What tolerance, rounding and seeds explain."""
    matters: float
    """The difference that evidence must be able to find."""
    usual_spread: float
    """Between single runs, without rounding; 0 for what does not vary."""
    source: str
    """Where spread and tolerance come from, in our unit."""


@dataclass(frozen=True)
class LinkTarget:
    """What a page links to, by ``id``."""

    id: str


@dataclass(frozen=True, kw_only=True)
class CellView(PaperNumber, LinkTarget):
    """One number of the paper and what is known of it here."""

    paper_text: str
    """As printed; a range where the paper has only a drawing."""
    note: str | None
    elsewhere: tuple[OtherAccount, ...] = ()
    """What other accounts print here."""
    disputes: tuple[str, ...] = ()
    """The names of the disputes that touch it."""
    ours: OurNumber | None = None
    verdict: Verdict | None = None
    label: str = ""
    reason: str = ""
    gap: Gap | None = None
    """Why there is no number of ours to compare; None where there is."""
    difference: float | None = None
    also_accepts: tuple[AcceptedNumber, ...] = ()
    """Numbers of other systems in this column that the same evidence would accept: it does not tell them apart."""
    detectable: float | None = None
    """The smallest true difference from the paper that this evidence would have found; printed unit."""
    detectable_text: str = ""
    """The same as the paper writes numbers of this cell; empty without."""
    seeds_needed: int | None = None
    """Seeds with which a difference that matters would have been found; None where it is, or none suffice."""
    rule: CellRule | None = None
    lineage: Lineage = field(default_factory=Lineage)


@dataclass(frozen=True)
class UnpairedView(LinkTarget):
    """A number of ours that has none of the paper beside it: at scale mini, or of a method that the paper lacks."""

    scale: str
    task: str
    group: str
    metric: str
    ours: OurNumber | None
    label: str
    """What it is, or why there is no number: ``not the paper's``, ``not run (1 failed: time-out)``."""
    lineage: Lineage


@dataclass(frozen=True)
class SystemName:
    """A system that is not a row of the paper, as it is called wherever it stands."""

    model: str
    method: str
    options: Mapping[str, Any]
    """Those that tell it from others, and at scale mini settings that somebody typed."""
    stored_shares: tuple[float, ...]
    """Stored parameters as shares of the backbone's, as its runs measured them: one, or more where tasks differ."""
    scale: str
    in_paper: bool
    """Whether the paper has this method (on other models or by other options)."""


@dataclass(frozen=True)
class TableRow:
    """A line of a table; None where the paper has no cell. ``system``: of a line that is not the paper's."""

    label: str
    cells: tuple[CellView | UnpairedView | None, ...]
    system: SystemName | None = None


@dataclass(frozen=True)
class TableSection:
    """Rows below a common label; None without one."""

    label: str | None
    rows: tuple[TableRow, ...]


@dataclass(frozen=True)
class TableBlock:
    """Sections with the same columns. ``groups``: (label, number of columns) of a second head row above."""

    columns: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    sections: tuple[TableSection, ...]


@dataclass(frozen=True)
class JudgedRow:
    """A system on a task, judged by the task's main metric; the other metrics of the same outputs beside it."""

    table: str
    section: str | None
    row: str
    task: str
    metric: str
    split: str
    model: str | None
    method: str
    options: Mapping[str, Any]
    cell_id: str
    """Of the main metric's cell."""
    paper_text: str
    ours_text: str
    verdict: Verdict
    label: str
    agreeing: int
    """Other metrics that point the same way as the main one."""
    conflicting: int
    """Other metrics that point another way."""
    judged_others: int
    """Other metrics whose verdict says something about the paper's number."""
    others: Mapping[Verdict, int]
    also_accepts: tuple[AcceptedNumber, ...]
    telling: bool | None
    """Whether the evidence excludes every other system's number in the column; None without evidence."""
    repeats: str | None = None
    """The table that has this row already."""
    counted: bool = False
    """Whether it is in the headline: on a test set, and in no table before."""


@dataclass(frozen=True)
class Headline:
    """The rows that count, by verdict; figures, which print no numbers, and settings have none."""

    rows: int
    verdicts: Mapping[Verdict, int]
    telling: int
    """Of the rows that are reproduced: those whose evidence excludes every other system's number."""
    conflicting: int
    """Rows of which some other metric points another way."""
    dev: Mapping[Verdict, int]
    """The same systems on development sets, not counted again."""


@dataclass(frozen=True)
class ReportTable:
    """A table, or a figure's numbers, with ours beside."""

    id: str
    title: str
    source: str
    caption: str
    notes: tuple[str, ...]
    blocks: tuple[TableBlock, ...]
    facts: tuple[Mapping[str, Any], ...]
    """Settings that only the paper's text has: sentence, source."""
    verdicts: Mapping[Verdict, int]
    """Of its results; settings and cited numbers without a method here are not counted."""
    mini: tuple[TableBlock, ...] = ()
    rows: tuple[JudgedRow, ...] = ()


@dataclass(frozen=True)
class CurvePoint:
    """A point in the printed unit; without a mean ``label`` says why, and ``gap`` what kind of gap it is."""

    x: float | str
    mean: float | None
    low: float | None = None
    high: float | None = None
    over: str = ""
    n: int = 0
    label: str = ""
    gap: GapKind | None = None


@dataclass(frozen=True)
class Curve:
    """What a figure draws of one system at one scale. ``system``: of a curve that the paper does not draw."""

    label: str
    method: str
    points: tuple[CurvePoint, ...]
    system: SystemName | None = None


@dataclass(frozen=True)
class FigurePanel:
    """One vertical axis. ``reading``: (x, low, high) of the paper's drawing, from its printed ticks."""

    id: str
    task: str
    title: str
    metric: str
    x: str
    x_values: tuple[float | str, ...]
    ticks: tuple[float, ...]
    reading: tuple[tuple[float | str, float, float], ...]
    better: str
    series: tuple[Curve, ...]
    mini: tuple[Curve, ...]


@dataclass(frozen=True)
class ReportFigure:
    """A figure as data; its numbers are also a table."""

    id: str
    title: str
    source: str
    caption: str
    notes: tuple[str, ...]
    panels: tuple[FigurePanel, ...]


@dataclass(frozen=True)
class FindingNumber:
    """A number of a claim, in its unit, with its interval if it has one."""

    label: str
    value: float
    low: float | None
    high: float | None
    over: str
    method: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What a claim comes to on one source of numbers."""

    outcome: ClaimOutcome | Literal[""]
    """Empty where it was not asked for."""
    label: str
    explanation: str
    numbers: tuple[FindingNumber, ...]
    remarks: EvidenceRemarks = field(default_factory=EvidenceRemarks)
    """What the explanation says of the runs, as values."""


@dataclass(frozen=True)
class ClaimView:
    """A sentence of the paper, checked three ways."""

    id: str
    sentence: str
    source: str
    note: str
    records: Finding
    mini: Finding
    on_paper: Finding
    disputes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExampleOutput:
    """One output of ours with what its words say of the item's facts (``reports.records.fact_check``)."""

    label: str
    run_id: str | None
    text: str | None
    """None: there is none, and ``gap`` says why."""
    gap: str = ""
    missing: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    """Words of the text that the facts do not have."""
    paper: str = ""
    """What the paper's printed output omits or gets wrong, by our reading; its text is not repeated."""


@dataclass(frozen=True)
class Example:
    """An item that the paper shows, with our outputs for it."""

    label: str
    item: str
    group: str
    facts: tuple[tuple[str, ...], ...]
    """Empty where no run has left the item."""
    outputs: tuple[ExampleOutput, ...]
    fact_count: int = 0
    """How many facts the item has, as the paper prints it."""


@dataclass(frozen=True)
class ExampleGroup:
    """Examples of one place of the paper at one scale."""

    id: str
    title: str
    source: str
    scale: str
    notes: tuple[str, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class RunView:
    """One run by the attempt that counts."""

    run_id: str
    task: str
    method: str
    """With the options that somebody chose: ``prefix[length=10]``."""
    model: str
    scale: str
    seed: int
    data_seed: int | None
    status: RunStatus
    failure: str
    """Kind and message of what ended a run that was never done."""
    not_comparable: tuple[str, ...]
    score: str
    seconds: float | None
    attempts: int
    ended: str
    command: str
    code: str
    machine: str


@dataclass(frozen=True)
class ExperimentProgress:
    """An experiment's runs at one scale, by state."""

    experiment: str
    scale: str
    planned: int
    done: int
    failed: int
    unavailable: int


@dataclass(frozen=True)
class LatestRun:
    """A run that ended lately, with its first scores in our units."""

    run_id: str
    task: str
    method: str
    model: str
    scale: str
    seed: int
    ended: str
    scores: Mapping[str, float]
    not_comparable: tuple[str, ...]
    dirty: bool = False
    """Whether the run's code had changes that were not committed."""

    @property
    def system(self) -> str:
        """``prefix on gpt2-medium``, and whether its code was dirty."""
        return f"{self.method} on {self.model}" + (f" ({DIRTY})" if self.dirty else "")


@dataclass(frozen=True)
class Overview:
    """How far everything is."""

    latest: tuple[LatestRun, ...]
    """The runs that were done last, the latest first."""
    headline: Headline

    records: int
    runs: Mapping[str, int]
    """Status -> runs."""
    damaged: tuple[str, ...]
    progress: tuple[ExperimentProgress, ...]
    verdicts: Mapping[Verdict, int]
    """Of all cells, which are not independent of one another."""
    claims: Mapping[ClaimOutcome, int]
    claims_on_paper: Mapping[ClaimOutcome, int]


@dataclass(frozen=True)
class DisputeView:
    """A matter on which accounts of the paper disagree (``reports.paper.published.Dispute``)."""

    id: str
    kind: str
    topic: str
    paper: str
    source: str
    accounts: tuple[DisputeAccount, ...]
    standing: str
    tables: tuple[str, ...]
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """``names``: the tables and figures asked for, in the paper's order."""

    names: tuple[str, ...]
    paper_only: bool
    overview: Overview
    tables: tuple[ReportTable, ...]
    rows: tuple[JudgedRow, ...]
    figures: tuple[ReportFigure, ...]
    claims: tuple[ClaimView, ...]
    examples: tuple[ExampleGroup, ...]
    disputes: tuple[DisputeView, ...]
    """Of all tables and claims that were asked for; all of them where everything was."""
    deviations: tuple[Deviation, ...]
    runs: tuple[RunView, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain lists and dictionaries."""
        return asdict(self)

    def find_table(self, name: str) -> ReportTable:
        """The table (also a figure's or the efficiency figures' numbers) by its name."""
        return next(table for table in self.tables if table.id == name)
