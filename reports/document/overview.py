"""How far everything is: runs by experiment, verdicts, claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bench.store.record import RunStatus
from reports.document.schema import ClaimView, ExperimentProgress, Overview, ReportTable
from reports.judgement.claims import count_outcomes
from reports.judgement.verdicts import Verdict
from reports.records.runs import select_attempts
from reports.records.values import Record

SCALES = ("paper", "mini")


def build_overview(
    records: Sequence[Record],
    names: Sequence[str],
    tables: Sequence[ReportTable],
    claims: Sequence[ClaimView],
    damaged: Sequence[str],
    plan: bool,
) -> Overview:
    """Counts of all that was asked for; ``plan``: also how much of the experiments is done."""
    runs = select_attempts(records)
    verdicts: Counter[Verdict] = Counter()
    for table in tables:
        verdicts.update(table.verdicts)
    return Overview(
        records=len(records),
        runs=dict(sorted(Counter(run.status for run in runs).items())),
        damaged=tuple(damaged),
        progress=count_progress([run.record for run in runs], names) if plan else (),
        verdicts={verdict: verdicts[verdict] for verdict in Verdict},
        claims=count_outcomes(claim.records.outcome for claim in claims),
        claims_on_paper=count_outcomes(claim.on_paper.outcome for claim in claims),
    )


def count_progress(records: Sequence[Record], names: Sequence[str]) -> tuple[ExperimentProgress, ...]:
    """Of every experiment among ``names``: its runs at both scales, and how many of them there are."""
    from bench.experiments.expansion import expand_experiments
    from bench.experiments.files import list_experiments

    expansions = [
        (name, scale, expand_experiments(name, scale))
        for name in list_experiments()
        if name in names
        for scale in SCALES
    ]
    planned = {
        (run.prescribed.task, run.prescribed.method, run.prescribed.model, scale, run.prescribed.seed)
        for _, scale, expansion in expansions
        for run in expansion.runs
    }
    statuses = read_statuses(record for record in records if identify_request(record) in planned)
    progress = []
    for name, scale, expansion in expansions:
        if expansion.runs:
            counts = Counter(statuses.get(run.key) for run in expansion.runs if run.request is not None)
            progress.append(
                ExperimentProgress(
                    experiment=name,
                    scale=scale,
                    planned=len(expansion.runs),
                    done=counts[RunStatus.DONE],
                    failed=counts[RunStatus.FAILED],
                    unavailable=len(expansion.unavailable),
                )
            )
    return tuple(progress)


def identify_request(record: Record) -> tuple[object, ...]:
    """What is cheap to compare of a run."""
    return tuple(record.get(name) for name in ("task", "method", "model", "scale", "seed"))


def read_statuses(records: Iterable[Record]) -> dict[str, RunStatus]:
    """Run key (``bench.config.run_key``) -> status; a run that is done once is done."""
    from bench.config import run_key

    statuses: dict[str, RunStatus] = {}
    for record in records:
        try:
            key = run_key.compute_record_key(record)
        except (KeyError, TypeError):
            continue  # a record of another version, without all that a key needs
        if statuses.get(key) is not RunStatus.DONE:
            statuses[key] = RunStatus(record["status"])
    return statuses
