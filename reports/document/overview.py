"""How far everything is: runs by experiment, verdicts, claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from reports.document.schema import ClaimView, Overview, Progress, Table
from reports.judgement.claims import count_outcomes
from reports.judgement.verdicts import Verdict
from reports.records.runs import select_attempts
from reports.records.values import Record

SCALES = ("paper", "mini")


def build_overview(
    records: Sequence[Record],
    names: Sequence[str],
    tables: Sequence[Table],
    checked: Sequence[ClaimView],
    damaged: Sequence[str],
    plan: bool,
) -> Overview:
    """Counts of all that was asked for; ``plan``: also how much of the experiments is done."""
    runs = select_attempts(records)
    verdicts: Counter[str] = Counter()
    for table in tables:
        verdicts.update(table.verdicts)
    return Overview(
        records=len(records),
        runs=dict(sorted(Counter(run.status for run in runs).items())),
        damaged=tuple(damaged),
        progress=count_progress([run.record for run in runs], names) if plan else (),
        verdicts={verdict: verdicts[verdict] for verdict in Verdict},
        claims=count_outcomes(one.records.outcome for one in checked),
        claims_on_paper=count_outcomes(one.on_paper.outcome for one in checked),
    )


def count_progress(records: Sequence[Record], names: Sequence[str]) -> tuple[Progress, ...]:
    """Of every experiment among ``names``: its runs at both scales, and how many of them there are."""
    from bench.experiments.expansion import expand_experiments
    from bench.experiments.files import list_experiments

    found = [
        (name, scale, expand_experiments(name, scale))
        for name in list_experiments()
        if name in names
        for scale in SCALES
    ]
    wanted = {
        (run.prescribed.task, run.prescribed.method, run.prescribed.model, scale, run.prescribed.seed)
        for _, scale, expansion in found
        for run in expansion.runs
    }
    states = read_states(record for record in records if identify_request(record) in wanted)
    made = []
    for name, scale, expansion in found:
        own = [states.get(run.key) for run in expansion.runs if run.request is not None]
        if expansion.runs:
            counts = Counter(own)
            missing = len(expansion.unavailable)
            made.append(Progress(name, scale, len(expansion.runs), counts["done"], counts["failed"], missing))
    return tuple(made)


def identify_request(record: Record) -> tuple[object, ...]:
    """What is cheap to compare of a run."""
    return tuple(record.get(name) for name in ("task", "method", "model", "scale", "seed"))


def read_states(records: Iterable[Record]) -> dict[str, str]:
    """Outline key (``bench.config.run_key``) -> status; a run that is done once is done."""
    from bench.config import run_key

    states: dict[str, str] = {}
    for record in records:
        try:
            key = run_key.compute_record_key(record)
        except (KeyError, TypeError):
            continue  # a record of another version, without all that an outline needs
        if states.get(key) != "done":
            states[key] = str(record["status"])
    return states
