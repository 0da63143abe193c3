"""How far everything is: runs by experiment, verdicts, claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.store.record import Record, RunStatus
from reports.document.headline import count_rows
from reports.document.run_list import format_method
from reports.document.schema import ClaimView, ExperimentProgress, JudgedRow, LatestRun, Overview, ReportTable
from reports.judgement.claims import count_outcomes
from reports.judgement.row_verdicts import MAIN_METRICS
from reports.judgement.verdicts import Verdict
from reports.records.grouping import is_dirty
from reports.records.index import RunIndex

if TYPE_CHECKING:
    import pandas as pd

MAX_LATEST = 8
MAX_SCORES = 5
SCALES = ("paper", "mini")
REQUEST_COLUMNS = ["task", "method", "model", "scale", "seed"]
"""What is cheap to compare of a run."""


def build_overview(
    index: RunIndex,
    names: Sequence[str],
    tables: Sequence[ReportTable],
    rows: Sequence[JudgedRow],
    claims: Sequence[ClaimView],
    damaged: Sequence[str],
    plan: bool,
) -> Overview:
    """Counts of all that was asked for; ``plan``: also how much of the experiments is done."""
    verdicts: Counter[Verdict] = Counter()
    for table in tables:
        verdicts.update(table.verdicts)
    return Overview(
        latest=list_latest(index),
        headline=count_rows(rows),
        records=index.attempts,
        runs={
            RunStatus(status): int(count) for status, count in index.table.groupby("status").size().items()
        },
        damaged=tuple(damaged),
        progress=count_progress(index, names) if plan else (),
        verdicts={verdict: verdicts[verdict] for verdict in Verdict},
        claims=count_outcomes(claim.records.outcome for claim in claims),
        claims_on_paper=count_outcomes(claim.on_paper.outcome for claim in claims),
    )


def list_latest(index: RunIndex) -> tuple[LatestRun, ...]:
    """The runs that were done last, with the scores of all their items."""
    done = [
        (run, profile) for profile in index.profiles for run in profile.runs if run.status is RunStatus.DONE
    ]
    done.sort(key=lambda pair: (pair[0].ended, pair[0].run_id), reverse=True)
    return tuple(
        LatestRun(
            run_id=run.run_id,
            task=profile.task,
            method=format_method(profile),
            model=profile.model,
            scale=profile.scale,
            seed=run.seed,
            ended=run.ended,
            scores=select_scores(run.record),
            not_comparable=profile.reason_texts,
            dirty=is_dirty(run.record),
        )
        for run, profile in done[:MAX_LATEST]
    )


def select_scores(record: Record) -> dict[str, float]:
    """The first scores of all items that have a value, the task's main metric first."""
    values = {
        name: score.value for name, score in record.scores.get("all", {}).items() if score.value is not None
    }
    main = MAIN_METRICS.get(record.task)
    order = sorted(values, key=lambda name: name != main)
    return {name: values[name] for name in order[:MAX_SCORES]}


def count_progress(index: RunIndex, names: Sequence[str]) -> tuple[ExperimentProgress, ...]:
    """Of every experiment among ``names``: its runs at both scales, and how many of them there are."""
    import pandas as pd

    from bench.experiments.expansion import expand_experiments
    from bench.experiments.files import find_problem, list_experiments

    expansions = {
        (name, scale): expand_experiments(name, scale)
        for name in list_experiments()
        if name in names and find_problem(name) is None
        for scale in SCALES
    }
    rows = [
        (
            *experiment,
            run.prescribed.task,
            run.prescribed.method,
            run.prescribed.model,
            run.prescribed.seed,
            run.key,
        )
        for experiment, expansion in expansions.items()
        for run in expansion.runs
        if run.request is not None
    ]
    columns = ["experiment", "scale", "task", "method", "model", "seed", "key"]
    planned = pd.DataFrame(rows, columns=columns, dtype="object")
    planned["status"] = planned["key"].map(read_statuses(index, planned[REQUEST_COLUMNS].drop_duplicates()))
    counts = planned.groupby(["experiment", "scale", "status"]).size()
    return tuple(
        ExperimentProgress(
            experiment=name,
            scale=scale,
            planned=len(expansion.runs),
            done=int(counts.get((name, scale, RunStatus.DONE), 0)),
            failed=int(counts.get((name, scale, RunStatus.FAILED), 0)),
            unavailable=len(expansion.unavailable),
        )
        for (name, scale), expansion in expansions.items()
        if expansion.runs
    )


def read_statuses(index: RunIndex, requests: pd.DataFrame) -> dict[str, RunStatus]:
    """Run key (``bench.config.run_key``) -> status, of runs that look like one of ``requests``.

    A run that is done once is done.
    """
    from bench.config import run_key

    statuses: dict[str, RunStatus] = {}
    for row in index.table.merge(requests, on=REQUEST_COLUMNS)["row"]:
        run = index.runs[row]
        try:
            key = run_key.compute_record_key(run.record)
        except (KeyError, TypeError):
            continue  # a record of another version, without all that a key needs
        if statuses.get(key) is not RunStatus.DONE:
            statuses[key] = run.status
    return statuses
