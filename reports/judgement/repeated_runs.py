"""How far the same training differs with another seed: the repeated runs that others published.

From them come the usual spread of a cell's metric, its tolerance and the difference that matters. Values are
in our units (BLEU 0 to 100; METEOR, ROUGE, TER 0 to 1; NIST, CIDEr raw).

LoRA (Hu et al. 2021, arXiv:2106.09685) trained GPT-2 on this paper's three data sets "following the setup of
Li & Liang"; its Tables 3, 13 and 14 print mean ± over three seeds (section D.3). It calls the ± confidence
intervals and does not say of which level; it is taken as the standard deviation of the three runs. Its METEOR
and TER on WebNLG and DART are printed without ±.

The paper's own first version (arXiv:2101.00190v1) has other numbers in rows that were evidently trained again:
two values of the same system, which differ by their seed and perhaps by more. Rows of fine-tuning are left
out, since their special tokens changed in between.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from reports.paper import published
from reports.stats.equivalence import RunSpread

LORA = "LoRA"
VERSIONS = "arXiv v1 against ACL"
MAX_DF = 4.0
"""Published runs are of other systems than ours, so they count for no more than two rows of three runs."""
FEWEST_DF = 4.0
"""A setting has a spread of its own from so many degrees of freedom; two pairs of printed numbers are too few."""
CHOSEN_DF = 2.0
"""What a spread of our choice counts for: a single row of three runs."""
TOLERANCE_SPREADS = 2.0
"""A tolerance is that many usual spreads, rounded up to one digit: 84 of 100 pairs of runs differ by less."""
MATTERS_TOLERANCES = 3.0
"""A difference matters from that many tolerances, or from the median gap of the paper's tables if that is more."""


class RepeatedRuns(NamedTuple):
    """The same training with other seeds, as published."""

    metric: str
    task: str
    group: str
    system: str
    runs: int
    sd: float
    source: str


class PrintedSpreads(NamedTuple):
    """A row of ± in a table of LoRA's, by metric or by group."""

    system: str
    values: tuple[float, ...]


E2E_METRICS = ("bleu", "nist", "meteor", "rouge_l", "cider")
E2E_ROWS = (
    PrintedSpreads("GPT-2 M, Adapter-H, 11.09M", (0.6, 0.07, 0.002, 0.002, 0.01)),
    PrintedSpreads("GPT-2 M, LoRA, 0.35M", (0.1, 0.02, 0.002, 0.001, 0.02)),
    PrintedSpreads("GPT-2 L, Adapter-L, 0.88M", (0.1, 0.03, 0.0, 0.002, 0.0)),
    PrintedSpreads("GPT-2 L, Adapter-L, 23.00M", (0.3, 0.04, 0.001, 0.002, 0.02)),
    PrintedSpreads("GPT-2 L, LoRA, 0.77M", (0.1, 0.02, 0.002, 0.002, 0.02)),
)
"""Table 3."""
DART_ROWS = (
    PrintedSpreads("GPT-2 M, LoRA, 0.35M", (0.2,)),
    PrintedSpreads("GPT-2 L, Adapter-L, 0.88M", (0.1,)),
    PrintedSpreads("GPT-2 L, Adapter-L, 23M", (0.1,)),
    PrintedSpreads("GPT-2 L, LoRA, 0.77M", (0.1,)),
)
"""Table 13, BLEU."""
WEBNLG_GROUPS = ("unseen", "seen", "all")
WEBNLG_ROWS = (
    PrintedSpreads("GPT-2 M, LoRA, 0.35M", (0.4, 0.2, 0.2)),
    PrintedSpreads("GPT-2 L, Adapter-L, 0.88M", (0.0, 0.0, 0.0)),
    PrintedSpreads("GPT-2 L, Adapter-L, 23M", (0.1, 0.2, 0.1)),
    PrintedSpreads("GPT-2 L, LoRA, 0.77M", (0.3, 0.3, 0.1)),
)
"""Table 14, BLEU."""
SEEDS = 3
TRAINED_AGAIN = (("PREFIX(0.1%)", "e2e"), ("PREFIX(0.1%)", "webnlg"), ("ADAPTER(3%)", "webnlg"))
"""Rows of GPT-2 Medium in Table 2 of which the two versions of the paper print other numbers."""

XSUM_REASON = "we know of no published seeds; AdapterHub's prefix on BART is 0.004 below He et al.'s, a bound"
CHOSEN_SPREADS = {
    "moverscore": (0.003, "nothing is published; a third of the last printed digit"),
    "bertscore": (0.002, "nothing is published; a fifth of the last printed digit"),
    "bleurt": (0.010, "nothing is published; the raw score varies more than the others"),
    "rouge1": (0.0015, XSUM_REASON),
    "rouge2": (0.0015, XSUM_REASON),
    "rougeL": (0.0015, XSUM_REASON),
}
"""Metrics without published repetitions: the spread of our choice, and why."""


@cache
def list_repeated_runs() -> tuple[RepeatedRuns, ...]:
    """All published repetitions, LoRA's first."""
    table3, table13, table14 = (f"{LORA} Table {number}" for number in (3, 13, 14))
    repeats = [
        RepeatedRuns(metric, "e2e", "all", row.system, SEEDS, sd, table3)
        for row in E2E_ROWS
        for metric, sd in zip(E2E_METRICS, row.values, strict=True)
    ]
    repeats += [
        RepeatedRuns("bleu", "dart", "all", row.system, SEEDS, row.values[0], table13) for row in DART_ROWS
    ]
    repeats += [
        RepeatedRuns("bleu", "webnlg", group, row.system, SEEDS, sd, table14)
        for row in WEBNLG_ROWS
        for group, sd in zip(WEBNLG_GROUPS, row.values, strict=True)
    ]
    return (*repeats, *compare_versions())


def compare_versions() -> list[RepeatedRuns]:
    """The rows that the paper's two versions print differently, as two runs each; equal numbers count as well."""
    repeats = []
    for cell in published.read_cells("table2"):
        if cell.model != "gpt2-medium" or (cell.row, cell.task) not in TRAINED_AGAIN or cell.value is None:
            continue
        first = [
            account.value for account in published.list_accounts(cell) if "2101.00190v1" in account.source
        ]
        gap = abs((first[0] if first else cell.value) - cell.value) / cell.factor
        repeats.append(
            RepeatedRuns(cell.metric, str(cell.task), cell.group, cell.row, 2, gap / math.sqrt(2), VERSIONS)
        )
    return repeats


def pool_spreads(repeats: Iterable[RepeatedRuns]) -> RunSpread:
    """The square root of the mean variance, weighted by degrees of freedom; ``ValueError`` for none."""
    rows = list(repeats)
    df = sum(row.runs - 1 for row in rows)
    if not df:
        raise ValueError("no repeated runs to pool")
    return RunSpread(math.sqrt(math.fsum((row.runs - 1) * row.sd**2 for row in rows) / df), float(df))


@cache
def pool_metric(metric: str) -> RunSpread:
    """The usual spread of a metric over all tasks; ``ValueError`` for one without published or chosen spread."""
    if metric in CHOSEN_SPREADS:
        return RunSpread(CHOSEN_SPREADS[metric][0], CHOSEN_DF)
    return pool_spreads(row for row in list_repeated_runs() if row.metric == metric)


@cache
def find_usual_spread(metric: str, task: str | None, group: str) -> RunSpread:
    """What to expect between seeds there: the setting's own spread, or the metric's over all if that is larger.

    Degrees of freedom are at most ``MAX_DF``.
    """
    overall = pool_metric(metric)
    rows = [row for row in list_repeated_runs() if (row.metric, row.task, row.group) == (metric, task, group)]
    enough = sum(row.runs - 1 for row in rows) >= FEWEST_DF
    sd = max(overall.sd, pool_spreads(rows).sd) if enough else overall.sd
    return RunSpread(sd, min(overall.df, MAX_DF))


def round_up(value: float) -> float:
    """To one significant digit, upwards: 0.44 is 0.5."""
    unit = 10.0 ** math.floor(math.log10(value))
    return round(math.ceil(value / unit - 1e-9) * unit, 12)


@cache
def derive_tolerance(metric: str) -> float:
    """Twice the metric's usual spread, rounded up to one digit."""
    return round_up(TOLERANCE_SPREADS * pool_metric(metric).sd)


@cache
def find_typical_gap(metric: str) -> float:
    """The median distance between neighbouring systems in the columns of Tables 2 to 4; 0 for none there."""
    columns: dict[tuple[str, str | None, str], set[float]] = {}
    for name in ("table2", "table3", "table4"):
        for cell in published.read_cells(name):
            if cell.metric == metric and cell.kind == "measured" and cell.ours is not None:
                columns.setdefault((name, cell.section, cell.column), set()).add(round(cell.ours, 9))
    gaps = []
    for values in columns.values():
        ordered = sorted(values)
        gaps += [high - low for low, high in pairwise(ordered)]
    return round(median(gaps), 9) if gaps else 0.0


@cache
def derive_difference_that_matters(metric: str) -> float:
    """Three tolerances, or what typically lies between neighbours of the paper's tables if that is more."""
    return round(max(MATTERS_TOLERANCES * derive_tolerance(metric), find_typical_gap(metric)), 9)


def describe_spread(metric: str) -> str:
    """Where the metric's spread and tolerance come from, in a line, with the numbers that are used."""
    spread, tolerance = pool_metric(metric), derive_tolerance(metric)
    if metric in CHOSEN_SPREADS:
        source = f"our choice: {CHOSEN_SPREADS[metric][1]}"
    else:
        rows = [row for row in list_repeated_runs() if row.metric == metric]
        sources = dict.fromkeys(row.source for row in rows)
        source = f"{len(rows)} repeated systems, {spread.df:g} degrees of freedom: {'; '.join(sources)}"
    return f"spread {spread.sd:.2g} ({source}); tolerance {tolerance:g}: twice that, rounded up"
